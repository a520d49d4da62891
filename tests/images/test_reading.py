"""Picture files: what is read, what is refused, and the built-in samples."""

import concurrent.futures
import logging
import os
import struct
import zlib

import numpy as np
import pytest
from picture_files import TYPES, deep_png, saved, steps
from PIL import Image

from kstyle.errors import ImageError
from kstyle.images.picture import Picture
from kstyle.images.reading import load_picture, reading
from kstyle.images.writing import save_picture


def test_a_resized_picture_takes_its_alpha_along():
    picture = Picture(np.ones((4, 4, 3), np.float32), np.ones((4, 4), np.float32))
    small = picture.resized((2, 3))
    assert small.size == (2, 3) and small.alpha.shape == (2, 3)
    assert Picture(picture.pixels).resized((2, 3)).alpha is None


@pytest.mark.parametrize("suffix", ["png", "bmp", "tif", "gif"])
def test_exact_types_are_read_exactly(tmp_path, suffix):
    colours = np.uint8([[[255, 0, 0], [0, 51, 102]]])
    picture = load_picture(saved(tmp_path, Image.fromarray(colours), f"in.{suffix}"))
    np.testing.assert_allclose(picture.pixels, colours / 255, atol=1e-6)
    assert picture.pixels.dtype == np.float32 and picture.alpha is None
    assert picture.size == (1, 2)


@pytest.mark.parametrize("suffix", ["jpg", "webp"])
def test_lossy_types_are_read_closely(tmp_path, suffix):
    image = Image.new("RGB", (16, 8), (200, 100, 50))
    picture = load_picture(saved(tmp_path, image, f"in.{suffix}", quality=95))
    np.testing.assert_allclose(picture.pixels[4, 8] * 255, [200, 100, 50], atol=3)


@pytest.mark.parametrize("suffix", ["jpg", "png", "tif", "webp"])
@pytest.mark.parametrize("turn", range(1, 9))
def test_every_exif_orientation_ends_upright(tmp_path, suffix, turn):
    # Bright in one corner of a 16 x 8 picture; stored so that `turn` rights it.
    upright = np.zeros((8, 16), np.uint8)
    upright[:4, :8] = 255
    undo = {2: 0, 3: 3, 4: 1, 5: 5, 6: 2, 7: 6, 8: 4}
    stored = Image.fromarray(upright).convert("RGB")
    if turn > 1:
        stored = stored.transpose(Image.Transpose(undo[turn]))
    exif = Image.Exif()
    exif[274] = turn
    path = saved(tmp_path, stored, f"in.{suffix}", exif=exif, quality=95)
    found = load_picture(path).pixels[..., 0]
    np.testing.assert_allclose(found, upright / 255, atol=0.15)


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P"])
def test_grey_and_palette_pictures_become_rgb(tmp_path, mode):
    image = Image.new("L", (2, 1), 255).convert(mode)
    picture = load_picture(saved(tmp_path, image))
    np.testing.assert_array_equal(picture.pixels, np.ones((1, 2, 3)))
    assert (picture.alpha is not None) == (mode == "LA")


def test_a_palette_with_a_transparent_colour_has_alpha(tmp_path):
    image = Image.new("P", (2, 1))
    image.putpalette([255, 0, 0, 0, 0, 255])
    image.putdata([0, 1])
    picture = load_picture(saved(tmp_path, image, transparency=1))
    np.testing.assert_array_equal(picture.pixels[0], [[1, 0, 0], [0, 0, 1]])
    np.testing.assert_array_equal(picture.alpha, [[1, 0]])


def test_colours_under_full_transparency_stay(tmp_path):
    image = Image.new("RGBA", (1, 1), (255, 51, 0, 0))
    picture = load_picture(saved(tmp_path, image))
    np.testing.assert_allclose(picture.pixels[0, 0], [1, 0.2, 0], atol=1e-6)
    np.testing.assert_array_equal(picture.alpha, [[0]])


@pytest.mark.parametrize("suffix", ["jpg", "tif"])
def test_cmyk_without_ink_is_white_and_with_all_black(tmp_path, suffix):
    for ink, level in ((0, 1.0), (255, 0.0)):
        image = Image.new("CMYK", (8, 8), (ink, ink, ink, ink))
        path = saved(tmp_path, image, f"in.{suffix}")
        np.testing.assert_allclose(load_picture(path).pixels, level, atol=0.02)


def test_ycbcr_and_lab_tiffs_are_converted(tmp_path):
    red = Image.new("RGB", (8, 8), (255, 0, 0)).convert("YCbCr")
    found = load_picture(saved(tmp_path, red, "red.tif", compression="jpeg"))
    np.testing.assert_allclose(found.pixels[4, 4], [1, 0, 0], atol=0.03)
    white = Image.new("LAB", (2, 2), (255, 128, 128))
    found = load_picture(saved(tmp_path, white, "lab.tif"))
    np.testing.assert_allclose(found.pixels, 1, atol=0.02)


def test_the_first_frame_of_an_animation_is_taken(tmp_path):
    frames = [Image.new("RGB", (4, 4), c) for c in ((255, 0, 0), (0, 0, 255))]
    for name in ("in.png", "in.gif", "in.tif"):
        path = saved(tmp_path, frames[0], name, save_all=True, append_images=frames[1:])
        np.testing.assert_array_equal(load_picture(path).pixels[0, 0], [1, 0, 0])


# What cannot be read


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(ImageError, match=r"none\.png: No such file"):
        load_picture(tmp_path / "none.png")


def test_only_regular_files_are_opened(tmp_path):
    os.mkfifo(tmp_path / "pipe.png")
    (tmp_path / "loop.png").symlink_to(tmp_path / "loop.png")
    with pytest.raises(ImageError, match="is a folder"):
        load_picture(tmp_path)
    for path in (tmp_path / "pipe.png", "/dev/zero"):
        with pytest.raises(ImageError, match="not a regular file"):
            load_picture(path)
    with pytest.raises(ImageError, match="symbolic links"):
        load_picture(tmp_path / "loop.png")
    with pytest.raises(ImageError, match="null"):
        load_picture("a\0b.png")


def test_a_file_that_may_not_be_read_is_refused(tmp_path):
    path = tmp_path / "in.png"
    with pytest.raises(ImageError, match="may not be read"), reading(path):
        raise PermissionError(13, "Permission denied")  # root may read everything


def test_what_is_not_supported_is_not_called_damaged(tmp_path):
    path = tmp_path / "in.png"
    for error in (NotImplementedError("three planes"), OSError("unsupported depth")):
        with (
            pytest.raises(ImageError, match=r"is not supported \("),
            reading(path),
        ):
            raise error


def test_an_empty_file_and_a_text_file_are_refused(tmp_path):
    path = tmp_path / "in.png"
    path.touch()
    with pytest.raises(ImageError, match="is empty"):
        load_picture(path)
    path.write_text("not a picture at all, only some words")
    with pytest.raises(ImageError, match=r"not a picture that can be read\. Use JPEG"):
        load_picture(path)


@pytest.mark.parametrize("suffix,bits", [*TYPES, (".bmp", 8)])
def test_a_file_cut_short_is_refused(tmp_path, random_picture, suffix, bits):
    path = tmp_path / f"in{suffix}"
    save_picture(path, random_picture(64, 64), bits=bits)
    whole = path.read_bytes()
    for part in (0.9, 0.6, 0.3):
        path.write_bytes(whole[: int(len(whole) * part)])
        with pytest.raises(ImageError, match="damaged|not a picture"):
            load_picture(path)


def test_too_many_pixels_are_refused_before_decoding(tmp_path):
    path = deep_png(tmp_path / "in.png", steps(3), 2)
    data = bytearray(path.read_bytes())
    data[16:24] = struct.pack(">II", 20_000, 10_001)
    data[29:33] = struct.pack(">I", zlib.crc32(data[12:29]))
    path.write_bytes(data)
    with pytest.raises(ImageError, match="20000 x 10001 pixels are more than 200 mill"):
        load_picture(path)


def test_a_thread_waits_until_another_has_read(tmp_path):
    before = Image.MAX_IMAGE_PIXELS, logging.getLogger("PIL").level
    path = tmp_path / "grey.png"
    Image.fromarray(np.full((4, 4, 3), 51, "uint8")).save(path)
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        with reading(path):
            picture = pool.submit(load_picture, path)
            with pytest.raises(concurrent.futures.TimeoutError):
                picture.result(timeout=0.2)
        assert picture.result(timeout=60).size == (4, 4)
    assert (Image.MAX_IMAGE_PIXELS, logging.getLogger("PIL").level) == before
