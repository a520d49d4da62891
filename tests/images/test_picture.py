"""Sizes, crops and resampling, with numbers that can be worked by hand."""

import numpy as np
import pytest

from kstyle.errors import ConfigError
from kstyle.images.picture import (
    crop,
    crop_box,
    fit_long_edge,
    parse_crop,
    resize,
    scale_size,
)


def test_resize_to_the_same_size_changes_nothing():
    array = np.float32([[0.1, 0.2], [0.3, 0.4]])
    np.testing.assert_array_equal(resize(array, (2, 2)), array)


def test_a_checkerboard_at_half_size_is_grey():
    board = (np.indices((32, 32)).sum(axis=0) % 2).astype(np.float32)
    inner = resize(board, (16, 16))[2:-2, 2:-2]
    np.testing.assert_allclose(inner, 0.5, atol=0.01)


def test_resize_keeps_a_flat_colour_in_every_channel():
    flat = np.broadcast_to(np.float32([0.2, 0.5, 0.9]), (5, 7, 3))
    large = resize(flat, (11, 3))
    assert large.shape == (11, 3, 3) and large.dtype == np.float32
    np.testing.assert_allclose(
        large, np.broadcast_to(flat[0, 0], (11, 3, 3)), atol=1e-6
    )


def test_resize_does_not_ring_out_of_range():
    edge = np.zeros((4, 8), np.float32)
    edge[:, 4:] = 1
    large = resize(edge, (16, 32))
    assert large.min() == 0 and large.max() == 1


@pytest.mark.parametrize("shape", [(4, 6), (4, 6, 1), (4, 6, 3)])
def test_resize_keeps_the_number_of_axes(shape):
    assert resize(np.zeros(shape), (2, 3)).shape == (2, 3, *shape[2:])


def test_the_long_edge_is_fitted_with_the_aspect_kept():
    assert fit_long_edge((300, 400), 200) == (150, 200)
    assert scale_size((300, 400), 0.5) == (150, 200)
    assert fit_long_edge((400, 300), 800) == (800, 600)


def test_a_very_long_picture_keeps_one_pixel():
    assert fit_long_edge((1, 5000), 100) == (1, 100)


@pytest.mark.parametrize(
    ("text", "size", "box"),
    [
        ("left", (2, 6), (0, 0, 2, 2)),
        ("center", (2, 6), (0, 2, 2, 4)),
        ("right", (2, 6), (0, 4, 2, 6)),
        ("left", (6, 2), (0, 0, 2, 2)),
        ("right", (6, 2), (4, 0, 6, 2)),
        ("1,2,3,4", (10, 10), (2, 1, 6, 4)),
        ("25%,0,50%,100%", (4, 8), (0, 2, 4, 6)),
        (" 12.5% , 1, 2, 50% ", (4, 8), (1, 1, 3, 3)),
    ],
)
def test_crop_box(text, size, box):
    assert crop_box(text, size) == box


def test_crop_cuts_the_box_out():
    array = np.arange(12).reshape(2, 6)
    np.testing.assert_array_equal(crop(array, "right"), [[4, 5], [10, 11]])


@pytest.mark.parametrize("text", ["", "middle", "1,2,3", "a,b,c,d", "-1,0,2,2", "1;2"])
def test_text_that_is_no_crop_is_refused_with_an_example(text):
    with pytest.raises(ConfigError, match=r"is not a crop\. Use left.*25%"):
        parse_crop(text)


@pytest.mark.parametrize("text", ["5,0,4,2", "0,0,0,2", "50%,0,60%,100%"])
def test_a_box_outside_the_picture_is_refused_with_its_size(text):
    with pytest.raises(ConfigError, match="8 wide and 4 high"):
        crop_box(text, (4, 8))
