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


def oklab(color):
    """OKLab of an sRGB colour, as the listing of its source has it."""
    r, g, b = (((x + 0.055) / 1.055) ** 2.4 for x in color)
    roots = [
        (0.4122214708 * r + 0.5363325363 * g + 0.0514459929 * b) ** (1 / 3),
        (0.2119034982 * r + 0.6806995451 * g + 0.1073969566 * b) ** (1 / 3),
        (0.0883024619 * r + 0.2817188376 * g + 0.6299787005 * b) ** (1 / 3),
    ]
    return (
        np.dot((0.2104542553, 0.7936177850, -0.0040720468), roots),
        np.dot((1.9779984951, -2.4285922050, 0.4505937099), roots),
        np.dot((0.0259040371, 0.7827717662, -0.8086757660), roots),
    )


def test_oklab_has_the_published_values():
    """White, black, and the primaries to the digits of other implementations."""
    colors = np.array([[1, 1, 1], [0, 0, 0], *np.eye(3)])
    primaries = [
        [0.62796, 0.22486, 0.12585],
        [0.86644, -0.23389, 0.17950],
        [0.45201, -0.03246, -0.31153],
    ]
    expected = [[1, 0, 0], [0, 0, 0], *primaries]
    np.testing.assert_allclose(oklab_of_srgb(colors), expected, atol=1e-5)


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


def test_match_maps_two_colors_to_two_colors():
    source = np.array([[[0.7, 0.4, 0.3], [0.3, 0.4, 0.5]]])
    reference = np.array([[[0.4, 0.4, 0.5], [0.6, 0.5, 0.3]]])
    found = match_color(source, reference)
    # The nearer one becomes the nearer one: both have mean and covariance alike.
    np.testing.assert_allclose(found, reference[:, ::-1], atol=1e-3)


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
    light, dark = [0.6, 0.7, 0.5], [0.4, 0.35, 0.45]
    red, blue = [0.6, 0.45, 0.4], [0.3, 0.4, 0.6]
    pixels, content = (
        np.repeat(np.array([[a], [b]]), 200, axis=0)
        for a, b in ((light, dark), (blue, red))
    )
    found = keep_color(pixels, content)
    for row, first, second in ((0, light, blue), (199, light, blue), (399, dark, red)):
        expected = oklab(first)[:1] + oklab(second)[1:]
        np.testing.assert_allclose(oklab(found[row, 0]), expected, atol=1e-5)


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


@pytest.mark.parametrize("blended", [False, True])
def test_palette_maps_two_colors_to_two_colors(blended):
    light, middle = [0.8, 0.6, 0.5], [0.4, 0.5, 0.65]
    first, second = [0.7, 0.5, 0.5], [0.4, 0.5, 0.55]
    pixels = np.array([[light, light, middle]])
    styles, shares = [np.array([[first, first, second]])], [1.0]
    if blended:  # of two colours, the first with twice the share
        styles, shares = [np.array([[c]]) for c in (first, second)], [2 / 3, 1 / 3]
    found = match_palette(pixels, styles, shares)[0]
    # The light one is lighter than the style.
    expected = oklab(first), oklab(middle)[:1] + oklab(second)[1:]
    assert oklab(second)[0] < oklab(middle)[0] < oklab(first)[0] < oklab(light)[0]
    for color, lab in zip(found, (expected[0], *expected), strict=True):
        np.testing.assert_allclose(oklab(color), lab, atol=1e-3)


def test_palette_of_a_region_is_measured_in_it():
    pixels = np.array([[[0.8, 0.6, 0.5], [0.4, 0.5, 0.6], [0.5, 0.8, 0.5]]])
    style = np.array([[[0.7, 0.5, 0.5], [0.4, 0.5, 0.55]]])
    found = match_palette(pixels, [style], weights=np.array([[1.0, 1.0, 0.0]]))
    for color, expected in zip(found[0, :2], style[0], strict=True):
        np.testing.assert_allclose(oklab(color)[1:], oklab(expected)[1:], atol=1e-3)
