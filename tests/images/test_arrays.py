"""Pictures from memory: what is read, scaled or refused, and shown in a notebook."""

import io

import numpy as np
import pytest
from PIL import Image

from kstyle.errors import ImageError
from kstyle.images.arrays import as_picture
from kstyle.images.picture import Picture

GREY = np.full((2, 3, 3), 51, "uint8")  # 51 / 255 = 0.2
FLOATS = GREY / 255


def test_integers_are_scaled_by_their_type():
    for array in (GREY, GREY.astype("uint16") * 257, FLOATS, FLOATS[None]):
        pixels = as_picture(array).pixels
        assert pixels.dtype == np.float32
        np.testing.assert_array_equal(pixels, np.full((2, 3, 3), 0.2, "float32"))


def test_floats_a_little_outside_the_range_are_clipped():
    pixels = as_picture(np.array([[[-0.009, 0.5, 1.009]]])).pixels
    np.testing.assert_array_equal(pixels, np.array([[[0, 0.5, 1]]], "float32"))


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (255 * FLOATS, r"floats must be in 0\.\.1\. Received: 51 to 51\. Divide"),
        (FLOATS - 0.5, r"Received: -0\.3 to -0\.3"),
        (GREY.astype(int), r"Received: int64 from 51 to 51\. .*astype\('uint8'\)"),
        (FLOATS * np.nan, "holds NaN or infinity"),
        (GREY > 0, "of bool"),
        (GREY[..., 0], r"Received: \(2, 3\)\. Repeat a grey picture"),
        (GREY[..., :1], r"Received: \(2, 3, 1\)\. Repeat a grey picture"),
        (np.zeros((2, 3, 4)), r"Received: \(2, 3, 4\)\. Leave out the alpha"),
        (np.zeros((3, 8, 9)), "Move the channels"),
        (np.zeros((2, 4, 4, 3)), "one picture of the batch"),
        (np.zeros((1, 1, 4, 4, 3)), "one picture of the batch"),
        (np.zeros((0, 4, 3)), r"Received: \(0, 4, 3\)"),
        ([[1], [1, 2]], "not an array"),
        (None, "expected an array"),
        (Image.new("F", (2, 2)), "mode F has no known range"),
        (Picture(FLOATS, FLOATS), "expected an alpha"),
    ],
)
def test_what_is_no_picture_is_refused_in_one_line(value, message):
    with pytest.raises(ImageError, match=f"^style.*{message}") as caught:
        as_picture(value, "style")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "P", "L", "LA", "CMYK", "YCbCr"])
def test_a_pillow_image_is_read_as_its_file_would_be(mode):
    picture = as_picture(Image.fromarray(GREY).convert(mode))
    np.testing.assert_allclose(picture.pixels, 0.2, atol=0.01)
    assert picture.size == (2, 3)
    assert (picture.alpha is not None) == (mode in ("RGBA", "LA"))


def test_a_pillow_image_is_turned_upright():
    image = Image.fromarray(GREY)
    image.getexif()[274] = 6  # to be turned by a quarter
    assert as_picture(image).size == (3, 2)


def test_a_path_is_read_as_by_load_picture(tmp_path):
    Image.fromarray(GREY).save(tmp_path / "grey.png")
    np.testing.assert_array_equal(
        as_picture(tmp_path / "grey.png").pixels, as_picture(GREY).pixels
    )


def test_a_notebook_shows_a_picture_of_at_most_1024_pixels():
    picture = Picture(np.full((3, 2048, 3), 0.2), np.ones((3, 2048)))
    shown = Image.open(io.BytesIO(picture._repr_png_()))
    assert (shown.size, shown.mode) == ((1024, 2), "RGBA")
    assert shown.getpixel((5, 1)) == (51, 51, 51, 255)
    assert repr(picture) == "<Picture: height 3, width 2048, with alpha>"
