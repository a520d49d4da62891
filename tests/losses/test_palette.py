"""The palette: a loss of the colours of pixels."""

import csv

import keras
import numpy as np
import pytest
from shared_models import stylize

from kstyle import StyleConfig, load_picture, save_picture
from kstyle.losses.palette import PaletteLoss
from kstyle.losses.terms import loss_terms
from kstyle.transfer.style_transfer import StyleTransfer


def colours(*levels):
    """Grey samples `(1, count, 3)` of these levels in 0..255."""
    return np.repeat(np.float32(levels)[None, :, None], 3, axis=2)


def test_the_palette_counts_colours_that_nothing_has():
    loss = PaletteLoss()
    # Every colour of the picture is in the style, but not the other way round: half of
    # the style is 100 levels away in three channels.
    found = float(loss.call(colours(0, 100), colours(0, 0))[0])
    assert found == pytest.approx(np.sqrt(3) * 100 / 2, rel=0.02)
    assert float(loss.call(colours(0, 100), colours(100, 0))[0]) < 2
    assert float(loss.call(colours(0, 0), colours(0, 100))[0]) == pytest.approx(
        found, rel=1e-5
    )


def test_a_sample_is_a_mean_around_its_position():
    picture = np.zeros((1, 9, 9, 3), "float32")
    picture[0, 4, 4] = 1
    loss = PaletteLoss()
    samples = loss.represent(picture).numpy().reshape(9, 9, 3)
    assert samples[2, 6] == pytest.approx(255 / 25, rel=1e-5)
    assert not samples[1].any() and not samples[:, 7].any()


def test_the_palette_of_a_region_pulls_only_there(small_extractor, random_picture):
    left = np.zeros((16, 24), "float32")
    left[:, :12] = 1
    terms = loss_terms({}, {}, palette=1.0)
    content, style = random_picture(16, 24), random_picture(16, 24, seed=1) ** 3
    weights = {"style/image": left}
    model = StyleTransfer(
        small_extractor, terms, content, style, position_weights=weights
    )
    model.compile(keras.optimizers.Adam())
    model.evaluate_losses()
    gradient = model.gradient.numpy()[0]
    assert np.abs(gradient[:, :12]).max() > 0 and not gradient[:, 14:].any()


@pytest.fixture
def red(small_run, tmp_path):
    """A run whose style is of one red, with a weight of the palette alone."""
    save_picture(tmp_path / "style.png", np.full((14, 18, 3), (0.8, 0.1, 0.1)))
    more = {"content_weight": 0, "style_weight": 0, "tv_weight": 0, "scales": 1}
    return small_run | more | {"palette_weight": 100, "steps": 60}


def test_a_run_takes_the_colours_of_its_style(red):
    result = stylize(StyleConfig(**red))
    np.testing.assert_allclose(
        result.picture.pixels.mean((0, 1)), (0.8, 0.1, 0.1), atol=0.03
    )
    with open(result.folder / "losses.csv", newline="") as file:
        first, *_, last = csv.DictReader(file)
    assert float(last["style/image"]) < 0.1 * float(first["style/image"])


def test_in_a_region_the_rest_keeps_its_colours(red, tmp_path):
    mask = np.zeros((16, 24, 3), "float32")
    mask[:, :12] = 1
    save_picture(tmp_path / "mask.png", mask)
    config = StyleConfig(**red, region=str(tmp_path / "mask.png"))
    pixels = stylize(config).picture.pixels
    content = load_picture(red["content"]).resized((12, 18)).pixels
    np.testing.assert_allclose(pixels[:, 10:], content[:, 10:], atol=0.01)
    assert np.abs(pixels[:, :8].mean((0, 1)) - (0.8, 0.1, 0.1)).max() < 0.05


def test_a_finish_keeps_the_palette(small_run):
    config = StyleConfig(
        **small_run | {"scales": 1}, palette_weight=50, finish="nearest:2"
    )
    result = stylize(config)
    assert result.steps == 6 and result.losses["style/image"] > 0
