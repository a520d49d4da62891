"""Each score on pictures and curves for which it can be worked out by hand."""

import numpy as np
import pytest
from PIL import Image, ImageDraw

from kstyle.errors import ConfigError
from kstyle.experiments.scoring.judge import Judge, judge_extractor
from kstyle.experiments.scoring.names import (
    JUDGE_CONTENT_LAYER,
    JUDGE_STYLE_LAYERS,
    SCORES,
)
from kstyle.experiments.scoring.perceptual import PerceptualJudge
from kstyle.experiments.scoring.scores import (
    curve_scores,
    fine_energy,
    pixel_scores,
    stroke_length,
    stroke_scale,
)
from kstyle.images.color_spaces import cielab, colour_difference
from kstyle.images.picture import resize
from kstyle.images.reading import load_picture


def flat(*colour, size=(16, 16)):
    """Return a picture of one colour, or of one grey."""
    return np.full((*size, 3), colour, "float32")


def grating(period, contrast=0.2, size=(60, 72)):
    """Return grey with soft vertical stripes, each `period / 2` wide."""
    wave = 0.5 + contrast * np.cos(2 * np.pi * np.arange(size[1]) / period)
    return np.broadcast_to(wave[None, :, None], (*size, 3)).astype("float32")


def blocks(edge):
    """Return random grey squares of `edge` pixels, 120 x 120 pixels in all."""
    count = 120 // edge
    grey = np.random.default_rng(0).uniform(0.3, 0.7, (count, count))
    return np.repeat(np.kron(grey, np.ones((edge, edge)))[..., None], 3, axis=-1)


def identity_extractor(image):
    """Return the picture as the features of every layer, plus one at conv2_1."""
    features = dict.fromkeys((*JUDGE_STYLE_LAYERS, JUDGE_CONTENT_LAYER), image)
    return features | {"conv2_1": image + 1}


@pytest.fixture(scope="module")
def random_extractor():
    return judge_extractor(weights=None)


def test_every_description_of_a_score_says_what_higher_means():
    assert all("higher" in text and "\n" not in text for text in SCORES.values())


def test_judges_pixels_and_curve_give_every_score(random_extractor, random_picture):
    content, style = random_picture(16, 20), random_picture(18, 17, 1)
    picture = random_picture(16, 20, 2)
    found = Judge(content, style, random_extractor).distances(picture)
    found |= PerceptualJudge(content, style).measures(picture)
    found |= pixel_scores(picture, content)
    found |= curve_scores({"step": [0], "seconds": [0.0], "loss": [1.0]})
    assert set(found) == set(SCORES)
    assert all(type(value) is float for value in found.values())


def test_the_judge_has_a_fixed_network(random_extractor):
    assert random_extractor.name == "vgg19_avg_same"
    assert set(random_extractor.output) == {*JUDGE_STYLE_LAYERS, JUDGE_CONTENT_LAYER}


def test_the_distance_of_a_picture_to_itself_is_zero(random_extractor, random_picture):
    content, style = random_picture(16, 20), random_picture(16, 20, 1)
    judge = Judge(content, style, random_extractor)
    assert judge.distances(content)["content_distance"] == pytest.approx(0, abs=1e-9)
    assert judge.distances(style)["style_distance"] == pytest.approx(0, abs=1e-9)
    assert judge.distances(style)["content_distance"] > 1e-3
    assert judge.distances(content)["style_distance"] > 1e-5


def test_distances_are_relative_squares_for_each_layer():
    judge = Judge(flat(0.5), flat(1.0, size=(20, 17)), identity_extractor)
    found = judge.distances(flat(0.25))
    # Every entry of a flat picture's Gram matrix is its grey squared.
    near, far = (1 / 16 - 1) ** 2, (1.25**2 / 2**2 - 1) ** 2
    assert found["style_distance/conv1_1"] == pytest.approx(near)
    assert found["style_distance/conv2_1"] == pytest.approx(far)
    assert found["style_distance/conv5_1"] == pytest.approx(near)
    assert found["style_distance"] == pytest.approx((4 * near + far) / 5)
    assert found["content_distance"] == pytest.approx(0.25)


def test_a_mixture_has_the_mean_of_the_gram_matrices():
    styles = [(0.25, flat(1.0)), (0.75, flat(0.0))]
    judge = Judge(flat(0.5), styles, identity_extractor)
    assert judge.targets["conv1_1"] == pytest.approx(np.full((1, 3, 3), 0.25))


def test_style_difference_is_symmetric_and_zero_for_equals():
    judge = Judge(flat(0.5), flat(0.5), identity_extractor)
    white, grey = flat(1.0), flat(0.5, size=(18, 16))
    # Gram entries 1 and 1/4; at conv2_1 4 and 9/4.
    parts = [4 * 2 * 0.75**2 / (1 + 1 / 16), 2 * 1.75**2 / (16 + 81 / 16)]
    assert judge.style_difference(white, grey) == pytest.approx(sum(parts) / 5)
    assert judge.style_difference(grey, white) == pytest.approx(sum(parts) / 5)
    assert judge.style_difference(grey, grey) == 0


def test_a_result_of_another_size_than_the_content_is_refused():
    judge = Judge(flat(0.5), flat(0.5), identity_extractor)
    with pytest.raises(ValueError, match=r"\(16, 17, 3\).*resize the content"):
        judge.distances(flat(0.5, size=(16, 17)))


@pytest.mark.parametrize("size", [(15, 40), (40, 15)])
def test_pictures_too_small_for_the_network_are_refused(size):
    with pytest.raises(ConfigError, match="both edges need at least 16"):
        Judge(flat(0.5, size=size), flat(0.5), identity_extractor)
    judge = Judge(flat(0.5), flat(0.5), identity_extractor)
    with pytest.raises(ConfigError, match="too small to be scored"):
        judge.style_difference(flat(0.5), flat(0.5, size=size))


def test_roughness_and_total_variation_count_both_directions():
    step = flat(0.0, size=(2, 2))
    step[1] = 1.0  # two steps down of 255 grey levels, two across of none
    for picture in (step, np.swapaxes(step, 0, 1)):
        found = pixel_scores(picture, flat(0.5, size=(2, 2)))
        assert found["roughness"] == pytest.approx(255 / 2)
        assert found["tv_energy"] == pytest.approx(255**2 / 2)


def test_fine_energy_is_half_the_squared_amplitude_at_any_size():
    assert fine_energy(grating(3, 0.2)) == pytest.approx(0.02, rel=1e-3)
    assert fine_energy(grating(3, 0.2, (24, 36))) == pytest.approx(0.02, rel=1e-3)
    assert fine_energy(np.swapaxes(grating(3), 0, 1)) == pytest.approx(0.02, rel=1e-3)
    assert fine_energy(grating(6)) < 1e-6


def test_fine_energy_weights_channels_as_luma():
    energies = []
    for channel in range(3):
        picture = flat(0.5, size=(60, 72))
        picture[..., channel] = grating(3, 0.2)[..., channel]
        energies.append(fine_energy(picture))
    luma = np.array([0.2126, 0.7152, 0.0722])
    np.testing.assert_allclose(energies, 0.02 * luma**2, rtol=1e-3)


def test_high_frequency_ignores_coarse_waves():
    content, coarse = grating(3, 0.1), grating(9, 0.2) - 0.5
    found = pixel_scores(grating(3, 0.2) + coarse, content)
    assert found["high_frequency"] == pytest.approx(4, rel=1e-3)
    assert pixel_scores(content, content)["high_frequency"] == 1
    # A wave of less than rounding's own error, 1 / 12 of a grey level squared.
    faint = grating(3, 0.4 / 255)
    assert np.isnan(pixel_scores(content, faint)["high_frequency"])
    assert pixel_scores(faint, content)["high_frequency"] < 1e-3


@pytest.mark.parametrize("width", [2, 3, 4])
def test_stroke_scale_of_soft_stripes_is_their_width(width):
    stripes = grating(2 * width)
    assert stroke_scale(stripes) == pytest.approx(width, rel=0.01)
    assert stroke_scale(np.swapaxes(stripes, 0, 1)) == pytest.approx(width, rel=0.01)


def test_stroke_scale_ignores_contrast_brightness_and_shapes():
    strokes = grating(6, 0.2)
    assert stroke_scale(strokes / 4 + 0.1) == pytest.approx(stroke_scale(strokes))
    # Two waves to the short edge: a shape.
    shapes = np.swapaxes(grating(30, 0.3, (72, 60)), 0, 1) - 0.5
    assert stroke_scale(strokes + shapes) == pytest.approx(3, rel=0.01)


def test_stroke_scale_doubles_when_a_picture_is_enlarged_twice():
    small = resize(blocks(3), (40, 40))
    assert stroke_scale(resize(small, (80, 80))) == pytest.approx(
        2 * stroke_scale(small), rel=0.1
    )


def test_stroke_scale_grows_with_the_size_of_blocks():
    shape = np.linspace(-0.3, 0.3, 120)[:, None, None]
    scales = [stroke_scale(shape + blocks(edge)) for edge in (2, 3, 5, 8)]
    assert scales == sorted(scales)
    assert scales[-1] > 1.6 * scales[0]


def test_stroke_scale_of_a_flat_picture_is_nan():
    assert np.isnan(stroke_scale(flat(0.3)))


@pytest.mark.parametrize(
    ("rgb", "lab"),
    [
        ((1, 1, 1), (100, 0, 0)),
        ((0, 0, 0), (0, 0, 0)),
        ((1, 0, 0), (53.24, 80.09, 67.20)),
        ((0, 1, 0), (87.73, -86.18, 83.18)),
        ((0, 0, 1), (32.30, 79.19, -107.86)),
        ((119 / 255,) * 3, (50.03, 0, 0)),
        # Below the bend of both curves: L* = 903.3 Y, Y = 0.02 / 12.92.
        ((0.02, 0.02, 0.02), (1.40, 0, 0)),
    ],
)
def test_cielab_of_known_colours(rgb, lab):
    np.testing.assert_allclose(cielab(rgb), lab, atol=0.01)


def test_colour_difference_is_of_pixels_and_shift_of_means():
    red_and_white = flat(1, 0, 0)
    red_and_white[:, 8:] = 1.0
    turned = red_and_white[:, ::-1]
    apart = np.linalg.norm((100 - 53.24, 80.09, 67.20))
    assert colour_difference(red_and_white, turned) == pytest.approx(apart, rel=1e-3)
    assert pixel_scores(turned, red_and_white)["colour_shift"] < 1e-9
    white = flat(1.0)
    assert colour_difference(red_and_white, white) == pytest.approx(apart / 2, rel=1e-3)
    shift = pixel_scores(red_and_white, white)["colour_shift"]
    assert shift == pytest.approx(apart / 2, rel=1e-3)


def test_chroma_is_relative_and_undefined_for_grey_content():
    red = flat(1, 0, 0)
    half = red.copy()
    half[:8] = 0.5
    assert pixel_scores(half, red)["chroma"] == pytest.approx(0.5)
    assert pixel_scores(red, red)["chroma"] == 1
    assert np.isnan(pixel_scores(red, flat(0.5, 0.5, 0.502))["chroma"])


def test_near_is_where_a_curve_stays_within_a_tenth_of_its_end():
    # It touches 1.1 x 2 at step 10 already, but leaves it at step 20.
    curve = {
        "step": [0, 10, 20, 30, 40],
        "seconds": [0.0, 1.5, 3.0, 4.5, 6.0],
        "loss": [9.0, 2.1, 5.0, 2.15, 2.0],
    }
    found = curve_scores(curve)
    assert (found["steps_to_near"], found["seconds_to_near"]) == (30, 4.5)


def test_a_curve_that_is_always_near_is_so_from_its_first_point():
    curve = {"step": [5, 10], "seconds": [0.5, 1.0], "loss": [1.05, 1.0]}
    found = curve_scores(curve)
    assert (found["steps_to_near"], found["seconds_to_near"]) == (5, 0.5)


def fall(*loss):
    """Return `steps_to_fall` of a curve of steps 0, 1, 2, ..."""
    steps = [float(n) for n in range(len(loss))]
    curve = {"step": steps, "seconds": steps, "loss": list(loss)}
    return curve_scores(curve)["steps_to_fall"]


def test_a_fall_is_measured_on_the_scale_of_its_own_run():
    # From 110 to 10: nine tenths are done at 20.
    assert fall(110, 50, 20, 15, 10) == 2
    assert fall(110, 20, 50, 15, 10) == 3  # it must stay below
    assert fall(1010, 950, 920, 915, 910) == 2
    assert fall(11, 5, 2, 1.5, 1) == 2


def test_a_loss_that_does_not_fall_has_no_step():
    assert np.isnan(fall(1, 2)) and np.isnan(fall(1, 1))


@pytest.mark.end_to_end
def test_halves_of_a_painting_are_nearer_than_a_photograph():
    night, coffee = (
        resize(load_picture(f"sample:{name}").pixels, (64, 96))
        for name in ("night", "coffee")
    )
    left, right = night[:, :48], night[:, 48:]
    judge = Judge(coffee[:, :48], left)
    found = judge.distances(coffee[:, :48]), judge.distances(right)
    assert found[1]["style_distance"] < found[0]["style_distance"] / 2
    assert judge.style_difference(left, right) < judge.style_difference(left, coffee)


def strokes(width, dots=0.0, hatching=0.0):
    """Return random strokes three times as long as `width`.

    dots: the amplitude of a grid of them, 4 px apart. hatching: that of lines along
        each stroke, 4 px apart.
    """
    image = Image.new("RGB", (200, 200), "grey")
    draw, generator = ImageDraw.Draw(image), np.random.default_rng(0)
    for _ in range(2 * 200**2 // width**2):
        middle, angle = generator.uniform(0, 200, 2), generator.uniform(0, np.pi)
        along = np.array([np.cos(angle), np.sin(angle)])
        across = np.array([-along[1], along[0]])
        colour = generator.integers(0, 256, 3)
        for offset in (0, *np.arange(-width / 2, width / 2, 4)) if hatching else (0,):
            start = middle - 1.5 * width * along + offset * across
            ends = [tuple(start), tuple(start + 3 * width * along)]
            shade = np.clip(colour + 255 * hatching * bool(offset), 0, 255)
            draw.line(ends, fill=tuple(map(int, shade)), width=2 if offset else width)
    rows, columns = np.indices((200, 200))
    grid = np.cos(np.pi * rows / 2) * np.cos(np.pi * columns / 2)
    return np.clip(np.asarray(image) / 255 + dots * grid[..., None], 0, 1)


@pytest.mark.parametrize("over", [{}, {"dots": 0.2}, {"hatching": 0.4}])
def test_stroke_length_grows_with_the_strokes_under_a_pattern(over):
    lengths = [stroke_length(strokes(width, **over)) for width in (3, 6, 12)]
    assert lengths == sorted(lengths)
    assert lengths[2] > 1.2 * lengths[0]


def test_stroke_length_of_stripes_ends_at_a_third_of_the_edge():
    assert stroke_length(grating(6)) == 20


def test_stroke_length_is_below_the_edge_of_squares_of_stripes():
    """Squares of 12 px with stripes down or across in turn."""
    waves = grating(4, size=(120, 120))
    board = np.tile(np.kron([[0, 1], [1, 0]], np.ones((12, 12))), (5, 5))[..., None]
    picture = np.where(board, waves, np.swapaxes(waves, 0, 1))
    assert 4 < stroke_length(picture) < 12


def test_stroke_length_of_a_flat_picture_is_unknown():
    assert np.isnan(stroke_length(flat(0.5)))
    assert np.isfinite(stroke_length(np.random.default_rng(0).random((3, 40, 3))))
