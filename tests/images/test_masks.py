"""Masks of regions: averages by hand, colours of maps, and what is refused."""

import numpy as np
import pytest

from kstyle.errors import ImageError
from kstyle.images.masks import (
    box_averages,
    check_proportions,
    color_masks,
    color_name,
    main_colors,
    read_grey_mask,
    resize_mask,
)
from kstyle.images.picture import Picture


def edges(*pairs):
    """Pairs of first and last edges as two arrays."""
    return tuple(np.array(each, float) for each in zip(*pairs, strict=True))


def test_boxes_weigh_pixels_by_the_part_that_is_inside():
    mask = np.array([[0, 1, 1], [0, 0, 1]])
    found = box_averages(mask, edges((0, 1), (0, 2)), edges((0.5, 2), (2, 9), (5, 6)))
    # (0.5 * 0 + 1) / 1.5; the last pixel alone; nothing
    np.testing.assert_allclose(found, [[2 / 3, 1, 0], [1 / 3, 1, 0]], atol=1e-6)


def test_the_covered_share_stays_at_every_size():
    mask = np.random.default_rng(0).random((13, 17))
    for size in ((13, 17), (5, 4), (1, 1), (30, 41)):
        found = resize_mask(mask, size)
        assert found.shape == size
        assert found.mean() == pytest.approx(mask.mean(), rel=1e-6)


def grey(*levels):
    """A picture of one row of grey levels."""
    return np.repeat(np.array([levels], "float32")[..., None], 3, axis=2)


def test_a_grey_picture_is_its_levels():
    found = read_grey_mask(Picture(grey(0, 0.001, 0.5, 1)), "m.png")
    np.testing.assert_allclose(found, [[0, 0, 0.5, 1]])


def test_an_alpha_that_is_opaque_everywhere_is_ignored():
    opaque = Picture(grey(0, 1), np.ones((1, 2), "float32"))
    np.testing.assert_array_equal(read_grey_mask(opaque, "m.png"), [[0, 1]])


@pytest.mark.parametrize(
    ("picture", "words"),
    [
        (Picture(grey(0, 0)), "black all over"),
        (Picture(grey(0, 1 / 255)), "lightest grey level is 1 of 255, .* by 255"),
        (Picture(grey(0, 5 / 255)), "almost black"),
        (Picture(np.array([[[1, 0, 0.0]]], "float32")), "has colours"),
        (Picture(grey(1, 1), np.array([[0, 1]], "float32")), "transparent in places"),
    ],
)
def test_masks_that_could_mean_anything_are_refused(picture, words):
    with pytest.raises(ImageError, match=words):
        read_grey_mask(picture, "m.png")


def test_a_mask_of_other_proportions_is_refused():
    check_proportions((100, 150), (200, 301), "m.png", "content picture")
    with pytest.raises(ImageError, match="150 x 100 pixels, and the content picture"):
        check_proportions((100, 150), (200, 250), "m.png", "content picture")


def test_colours_of_a_map_are_few_and_take_their_neighbours():
    pixels = np.zeros((20, 50, 3))
    pixels[:, :30] = (1, 0, 0)
    pixels[:10, :30] = (0.97, 0.03, 0)  # as JPEG makes them
    pixels[0, 0] = (0, 1, 0)  # a stray pixel
    colors = main_colors(pixels)
    assert [color_name(color) for color in colors] == ["000000", "ff0000"] or [
        color_name(color) for color in colors
    ] == ["000000", "f70800"]
    black, red = color_masks(pixels, colors)
    assert red[:, :30].sum() == pytest.approx(600, abs=1)
    assert black[:, 30:].min() == 1
