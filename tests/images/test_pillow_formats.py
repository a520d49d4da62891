"""GIF and PSD: what Pillow leaves to be done."""

import struct

import imagecodecs
import numpy as np
import pytest
from picture_files import saved
from PIL import Image

from kstyle.errors import ImageError
from kstyle.images.reading import load_picture, picture_size


def test_outside_a_gifs_first_frame_is_transparent(tmp_path):
    path = saved(tmp_path, Image.new("L", (2, 1), 255), "in.gif")
    data = bytearray(path.read_bytes())
    data[6:10] = struct.pack("<HH", 4, 3)  # the canvas
    frame = data.index(b",\0\0\0\0")
    data[frame + 1 : frame + 5] = struct.pack("<HH", 1, 2)
    path.write_bytes(data)
    picture = load_picture(path)
    expected = np.zeros((3, 4))
    expected[2, 1:3] = 1
    np.testing.assert_array_equal(picture.alpha, expected)
    np.testing.assert_array_equal(picture.pixels[2, 1:3], 1)


def test_a_gif_whose_frame_fills_it_is_opaque(tmp_path):
    path = saved(tmp_path, Image.new("L", (2, 1), 255), "in.gif")
    assert load_picture(path).alpha is None


def psd(path, bands, layers, depth=8):
    """A Photoshop file of one pixel: its flattened bands, and a number of layers."""
    head = struct.pack(">4sH6xHIIHH", b"8BPS", 1, len(bands), 1, 1, depth, 3)
    layer_info = struct.pack(">Ih2x", 4, layers)
    masks = struct.pack(">I", len(layer_info)) + layer_info
    body = b"".join(band.to_bytes(depth // 8, "big") for band in bands)
    path.write_bytes(head + bytes(8) + masks + bytes(2) + body)
    return path


def test_a_flattened_photoshop_picture_is_read(tmp_path):
    path = psd(tmp_path / "in.psd", [255, 51, 0], layers=0)
    picture = load_picture(path)
    assert picture_size(path) == picture.size == (1, 1)
    np.testing.assert_allclose(picture.pixels[0, 0], [1, 0.2, 0], atol=1e-6)
    assert picture.alpha is None


def test_kinds_that_pillow_lacks_are_not_called_damaged(tmp_path):
    path = psd(tmp_path / "in.psd", [1, 2, 3], layers=0, depth=16)
    with pytest.raises(ImageError, match="not supported .*mode 3 at 16 bits"):
        load_picture(path)
    samples = np.zeros((8, 8, 3), np.uint16)
    path = tmp_path / "in.jpg"
    path.write_bytes(imagecodecs.jpeg_encode(samples, bitspersample=12))
    with pytest.raises(ImageError, match="not supported .JPEG of 12 bits"):
        load_picture(path)


@pytest.mark.parametrize("layers", [-1, 1])
def test_photoshops_fourth_band_is_alpha_or_a_selection(tmp_path, layers):
    # At half cover over white: 0.8 is 0.6 of the picture, and 0.6 is 0.2.
    path = psd(tmp_path / "in.psd", [255, 204, 153, 128], layers)
    picture = load_picture(path)
    if layers > 0:
        assert picture.alpha is None
        np.testing.assert_allclose(picture.pixels[0, 0], [1, 0.8, 0.6], atol=1e-6)
    else:
        np.testing.assert_allclose(picture.alpha, 128 / 255, atol=1e-6)
        np.testing.assert_allclose(picture.pixels[0, 0], [1, 0.6, 0.2], atol=0.01)
