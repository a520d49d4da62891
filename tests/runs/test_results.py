"""The end of a run: its colours, its last losses, the memory for measuring them."""

import weakref

import numpy as np
import pytest

from kstyle import Picture, StyleConfig, save_picture, stylize
from kstyle.errors import ImageError
from kstyle.images.color_spaces import oklab_of_srgb
from kstyle.images.color_transfer import color_statistics
from kstyle.images.picture import resize
from kstyle.images.reading import load_picture
from kstyle.runs.callbacks.periodic import EverySteps
from kstyle.runs.inputs import read_pictures
from kstyle.runs.job import prepare
from kstyle.runs.model_cache import ModelCache
from kstyle.runs.pipeline import run_job
from kstyle.runs.provenance import read_run
from kstyle.runs.results import losses_of_result, write_result


class Witness(EverySteps):
    """Knows every model that it has seen, without holding it."""

    def __init__(self):
        super().__init__(every=1)
        self.models = []

    def report(self, step, logs):
        self.models.append(weakref.ref(self.model))


class WitnessedCache(ModelCache):
    """Notes for each network in float32 which models of `witness` are alive."""

    def __init__(self, witness):
        super().__init__()
        self.witness, self.alive = witness, []

    def get_extractor(self, network, layers):
        if network.precision == "float32":
            self.alive += [model() for model in self.witness.models]
        return super().get_extractor(network, layers)


def test_the_bfloat16_model_is_released_before_the_last_losses(small_run):
    witness = Witness()
    models = WitnessedCache(witness)
    config = StyleConfig(**small_run | {"precision": "bfloat16", "tile": "whole"})
    result = run_job(prepare(config), [witness], models)
    assert models.alive == 5 * [None]  # the start and four steps
    whole = StyleConfig(**small_run | {"steps": 0, "init": str(result.path)})
    # The file has 8 bits.
    assert stylize(whole).losses["loss"] == pytest.approx(
        result.losses["loss"], rel=0.02
    )


def test_in_float32_the_last_model_gives_the_last_losses(small_run):
    witness = Witness()
    result = stylize(StyleConfig(**small_run), [witness])
    assert witness.model.global_step == result.steps == 4
    assert float(witness.model.evaluate_losses()["loss"]) == result.losses["loss"]


@pytest.mark.parametrize(("precision", "edge"), [("float32", 18), ("bfloat16", 9)])
def test_measuring_after_bfloat16_takes_half_the_tiles(small_run, precision, edge):
    config = StyleConfig(**small_run | {"precision": precision, "tile": "whole"})
    scale = prepare(config).scales[-1]
    assert (scale.tile, scale.precision) == (18, precision)
    measuring = scale.for_measuring()
    assert (measuring.tile, measuring.precision) == (edge, "float32")
    assert measuring.content_size == scale.content_size


def read(path):
    return load_picture(path).pixels


def hue(pixels):
    return oklab_of_srgb(pixels)[..., 1:]


def is_finer_than_8_bits(values):
    """Whether few values are near one of 8 bits."""
    levels = 255 * values
    return np.mean(np.abs(levels - np.rint(levels)) > 0.1) > 0.7


def test_keep_gives_the_hues_of_the_content_and_alpha(small_run, random_picture):
    content = Picture(0.4 + 0.2 * random_picture(16, 24), np.full((16, 24), 0.3))
    save_picture(small_run["content"], content, bits=16)
    config = StyleConfig(**small_run | {"color": "keep", "bits": 16})
    result = stylize(config)
    expected = hue(resize(content.pixels, result.picture.size))
    found = read(result.path)
    np.testing.assert_allclose(hue(found), expected, atol=1e-4)
    assert is_finer_than_8_bits(found)
    np.testing.assert_allclose(result.picture.alpha, 0.3, atol=1e-5)
    assert abs(found - read(result.folder / "before_recoloring.png")).max() > 0.02
    assert hue(read(result.folder / "snapshots/step_000004.png")) == pytest.approx(
        hue(found), abs=0.02
    )


@pytest.mark.parametrize("color", ["keep", "match", "exact"])
def test_a_result_has_its_colors_and_alpha_in_16_bits(small_run, color):
    alpha = np.float32([[0.3, 0.7]]).repeat(12, axis=1).repeat(16, axis=0)
    content = Picture(read(small_run["content"]), alpha)
    save_picture(small_run["content"], content, bits=16)
    # No colour of the result is outside of sRGB.
    save_picture(small_run["style"], 0.3 + 0.4 * read(small_run["style"]))
    job = prepare(StyleConfig(**small_run | {"color": color, "bits": 16}))
    pixels = 0.4 + 0.2 * job.content_at((12, 18))[::-1]
    expected = write_result(job, pixels, "finished").pixels
    found = load_picture(job.output)
    assert is_finer_than_8_bits(found.pixels)
    np.testing.assert_allclose(found.pixels, expected, atol=1e-5)
    np.testing.assert_allclose(found.alpha[:, [0, -1]], [[0.3, 0.7]] * 12, atol=1e-5)
    if color == "match":  # the style had it before the run
        np.testing.assert_array_equal(expected, pixels)
    lightness = oklab_of_srgb(found.pixels)[..., 0]
    np.testing.assert_allclose(lightness, oklab_of_srgb(pixels)[..., 0], atol=1e-4)
    if color == "exact":
        style = job.style_at(job.scales[-1].style_size)
        mean = hue(style).mean((0, 1))
        np.testing.assert_allclose(hue(found.pixels).mean((0, 1)), mean, atol=1e-3)


def test_losses_of_a_recolored_result_are_of_the_last_step(small_run):
    result = stylize(StyleConfig(**small_run | {"color": "exact"}))
    found = losses_of_result(read_run(result.folder))
    assert found["loss"] == pytest.approx(result.losses["loss"], rel=0.01)


def test_match_gives_the_style_the_colors_of_the_content(small_run):
    config = StyleConfig(**small_run | {"color": "match"})
    found = read_pictures(config)
    mean, _ = color_statistics(found.content.pixels)
    np.testing.assert_allclose(color_statistics(found.styles[0])[0], mean, atol=0.01)


def test_match_gives_the_style_no_colors_that_are_transparent(small_run):
    style = read(small_run["style"])
    sides = np.float32([[[0.7, 0.4, 0.3], [0.3, 0.4, 0.9]]])
    alpha = np.float32([[1, 0]]).repeat(8, axis=0)
    save_picture(small_run["content"], Picture(sides.repeat(8, axis=0), alpha))
    for color in ("match", "keep"):
        (found,) = read_pictures(StyleConfig(**small_run | {"color": color})).styles
        assert found.mean((0, 1)) == pytest.approx((0.7, 0.4, 0.3), abs=0.01)
    (found,) = read_pictures(StyleConfig(**small_run | {"color": "exact"})).styles
    np.testing.assert_array_equal(found, style)


def test_a_result_that_cannot_be_written_is_kept_in_the_folder_of_the_run(
    small_run, tmp_path
):
    place = tmp_path / "late"
    job = prepare(StyleConfig(**small_run | {"output": str(place / "out.png")}))
    place.write_text("a file where the folder was to be made")
    pixels = job.content_at((12, 18))
    with pytest.raises(
        ImageError, match="out.png cannot .* The picture is in .*result"
    ):
        write_result(job, pixels, "finished")
    assert abs(read(job.folder / "result.png") - pixels).max() < 1 / 255
