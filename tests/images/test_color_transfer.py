"""Moving colours between pictures."""

import numpy as np
import pytest

from kstyle.images.color_spaces import oklab_of_srgb, srgb_of_oklab
from kstyle.images.color_transfer import (
    color_statistics,
    keep_color,
    match_color,
    match_palette,
)

RED_AND_BLUE = np.array([[[1, 0, 0], [0, 0, 1]]], "float32")


def grey(*levels):
    """A picture of one row of greys."""
    return np.repeat(np.array(levels, "float32")[None, :, None], 3, axis=2)


def test_oklab_has_the_published_values():
    """White, black, and pure red to the three digits of other implementations."""
    colors = np.array([[1, 1, 1], [0, 0, 0], [1, 0, 0]])
    expected = [[1, 0, 0], [0, 0, 0], [0.628, 0.225, 0.126]]
    np.testing.assert_allclose(oklab_of_srgb(colors), expected, atol=5e-4)


def test_oklab_and_back_is_the_same_color():
    colors = np.random.default_rng(0).random((100, 3))
    np.testing.assert_allclose(srgb_of_oklab(oklab_of_srgb(colors)), colors, atol=1e-6)


def test_a_color_outside_of_srgb_keeps_lightness_and_hue():
    lab = np.array([[0.9, 0.2, 0.1]])  # a red that is too light to be so vivid
    found = oklab_of_srgb(srgb_of_oklab(lab))[0]
    assert found[0] == pytest.approx(0.9, abs=0.002)
    assert found[2] / found[1] == pytest.approx(0.5, abs=0.01)
    assert 0.02 < found[1] < 0.2


def test_statistics_of_two_colors_by_hand():
    mean, covariance = color_statistics(RED_AND_BLUE)
    np.testing.assert_allclose(mean, [0.5, 0, 0.5])
    quarter = [[0.25, 0, -0.25], [0, 0, 0], [-0.25, 0, 0.25]]
    np.testing.assert_allclose(covariance, quarter, atol=1e-12)


def test_statistics_leave_transparent_pixels_out():
    mean, _ = color_statistics(RED_AND_BLUE, np.array([[3.0, 1.0]]))
    np.testing.assert_allclose(mean, [0.75, 0, 0.25])


def test_match_maps_two_greys_to_two_greys():
    """Levels 0 and 1, of mean 0.5 and deviation 0.5, become 0.2 and 0.4."""
    found = match_color(grey(0, 1), grey(0.2, 0.4))
    np.testing.assert_allclose(found, grey(0.2, 0.4), atol=2e-3)


def test_match_gives_mean_and_covariance_of_the_other():
    generator = np.random.default_rng(1)
    source = 0.5 + 0.1 * generator.standard_normal((40, 50, 3))
    mixing = np.array([[0.05, 0.02, 0], [0, 0.06, 0.01], [0.01, 0, 0.04]])
    reference = [0.4, 0.5, 0.6] + generator.standard_normal((30, 30, 3)) @ mixing
    found = color_statistics(match_color(source, reference))
    mean, covariance = color_statistics(reference)
    np.testing.assert_allclose(found[0], mean, atol=1e-3)
    np.testing.assert_allclose(found[1], covariance, atol=2e-4)


def test_match_to_a_grey_picture_is_grey():
    found = match_color(RED_AND_BLUE, grey(0.3, 0.7))
    assert np.ptp(found, axis=-1).max() < 0.02


def test_match_amplifies_no_noise_of_a_grey_picture():
    """Noise of a third of a grey level stays below 25 levels."""
    noise = np.random.default_rng(2).normal(0, 1 / 765, (64, 64, 3))
    colorful = np.random.default_rng(3).random((64, 64, 3))
    found = match_color(0.5 + noise, colorful)
    assert found.std(axis=(0, 1)).max() < 25 / 255


def test_keep_takes_lightness_of_one_and_hue_of_the_other():
    content = np.full((2, 2, 3), [0.6, 0.4, 0.4], "float32")
    found = oklab_of_srgb(keep_color(np.full((2, 2, 3), 0.5, "float32"), content))
    assert found[0, 0, 0] == pytest.approx(oklab_of_srgb(np.full(3, 0.5))[0], abs=1e-4)
    np.testing.assert_allclose(found[0, 0, 1:], oklab_of_srgb(content)[0, 0, 1:], 1e-4)


def test_keep_with_a_grey_content_is_grey():
    found = keep_color(RED_AND_BLUE, grey(0.2, 0.9))
    assert np.ptp(found, axis=-1).max() < 1e-3


def test_palette_of_a_grey_painting_is_grey():
    found = match_palette(np.array([[[0.7, 0.5, 0.5]] * 2], "float32"), [grey(0, 1)])
    assert np.ptp(found, axis=-1).max() < 0.03


def test_palette_has_the_chroma_of_the_painting():
    generator = np.random.default_rng(4)
    pixels = 0.4 + 0.2 * generator.random((32, 32, 3))
    style = [0.3, 0.4, 0.5] + 0.1 * generator.random((32, 32, 3))
    lab = oklab_of_srgb(match_palette(pixels, [style]))[..., 1:]
    mean, covariance = color_statistics(oklab_of_srgb(style)[..., 1:])
    found = color_statistics(lab)
    np.testing.assert_allclose(found[0], mean, atol=1e-3)
    np.testing.assert_allclose(found[1], covariance, atol=3e-5)
