"""PNG files: every depth, transparency, colour chunks, and texts of any length."""

import struct
import zlib

import numpy as np
import pytest
from picture_files import deep_png, png_chunks, steps
from PIL import Image

from kstyle.errors import ImageError
from kstyle.images.reading import load_picture, picture_size
from kstyle.images.writing import read_metadata, save_picture

END = (b"IEND", b"")


def png(path, width, depth, colour, row, *chunks):
    """A PNG of one row, `row` its packed samples, with `chunks` before the data."""
    header = struct.pack(">IIBBBBB", width, 1, depth, colour, 0, 0, 0)
    data = (b"IDAT", zlib.compress(b"\0" + row))
    return png_chunks(path, (b"IHDR", header), *chunks, data, END)


@pytest.mark.parametrize(("channels", "colour"), [(1, 0), (2, 4), (3, 2), (4, 6)])
@pytest.mark.parametrize("filter_type", [0, 4])
def test_16_bits_are_read_at_full_precision(tmp_path, channels, colour, filter_type):
    samples = steps(channels)
    if filter_type:
        samples[:] = 0  # then the Paeth filter leaves zeros, whatever they stand for
    path = deep_png(tmp_path / "in.png", samples, colour, filter_type=filter_type)
    picture, wanted = load_picture(path), samples / 65535
    colours = wanted[..., :-1] if channels in (2, 4) else wanted
    expected = np.broadcast_to(colours, (2, 3, 3))
    np.testing.assert_allclose(picture.pixels, expected, atol=1e-7)
    if channels in (2, 4):
        np.testing.assert_allclose(picture.alpha, wanted[..., -1], atol=1e-7)


def test_all_16_bit_levels_survive(tmp_path):
    levels = np.arange(65536, dtype=np.float32).reshape(256, 256, 1) / 65535
    for name in ("out.png", "out.tif"):
        save_picture(tmp_path / name, np.repeat(levels, 3, axis=2), bits=16)
        found = load_picture(tmp_path / name).pixels[..., :1]
        np.testing.assert_array_equal(np.round(found * 65535), np.round(levels * 65535))


# Transparency: the level of tRNS is transparent, and no other.


@pytest.mark.parametrize(
    ("depth", "row", "level", "pixels"),
    [
        (2, b"\x1b", 1, [0, 1 / 3, 2 / 3, 1]),
        (4, b"\x01\x5f", 1, [0, 1 / 15, 5 / 15, 1]),
        (8, bytes([0, 7, 90, 255]), 7, [0, 7 / 255, 90 / 255, 1]),
        (16, struct.pack(">4H", 0, 257, 256, 65535), 257, [0, 1 / 255, 256 / 65535, 1]),
    ],
)
def test_a_transparent_grey_level(tmp_path, depth, row, level, pixels):
    chunk = (b"tRNS", struct.pack(">H", level))
    picture = load_picture(png(tmp_path / "in.png", 4, depth, 0, row, chunk))
    np.testing.assert_allclose(picture.pixels[0, :, 0], pixels, atol=1e-6)
    np.testing.assert_array_equal(picture.alpha, [[1, 0, 1, 1]])


def test_a_transparent_colour_of_16_bits(tmp_path):
    row = struct.pack(">6H", 1, 2, 3, 1, 2, 4)
    chunk = (b"tRNS", struct.pack(">3H", 1, 2, 3))
    picture = load_picture(png(tmp_path / "in.png", 2, 16, 2, row, chunk))
    np.testing.assert_array_equal(picture.alpha, [[0, 1]])
    np.testing.assert_allclose(picture.pixels[0, 0] * 65535, [1, 2, 3], atol=1e-3)


# Colours


GREY = bytes([55, 55, 55])
CORNERS = (0.3127, 0.3290, 0.64, 0.33, 0.30, 0.60, 0.15, 0.06)  # white, then sRGB's
P3_CORNERS = (0.3127, 0.3290, 0.68, 0.32, 0.265, 0.69, 0.15, 0.06)


def chromaticities(corners):
    return b"cHRM", struct.pack(">8I", *(round(v * 100_000) for v in corners))


def gamma(value):
    return b"gAMA", struct.pack(">I", round(value * 100_000))


def test_a_gamma_of_1_means_light(tmp_path):
    for colour, row in ((2, GREY), (0, GREY[:1]), (4, bytes([55, 255]))):
        path = png(tmp_path / "in.png", 1, 8, colour, row, gamma(1.0))
        np.testing.assert_allclose(load_picture(path).pixels * 255, 128, atol=0.1)


def test_the_gamma_that_stands_for_srgb_changes_nothing(tmp_path):
    chunks = gamma(0.45455), chromaticities(CORNERS)
    path = png(tmp_path / "in.png", 1, 8, 2, GREY, *chunks)
    np.testing.assert_allclose(load_picture(path).pixels * 255, 55, atol=1e-4)


def test_chromaticities_of_display_p3_are_converted(tmp_path):
    colour = bytes([200, 100, 50])
    numbered = png(
        tmp_path / "a.png", 1, 8, 2, colour, (b"cICP", bytes([12, 13, 0, 1]))
    )
    chunks = gamma(0.45455), chromaticities(P3_CORNERS)
    found = load_picture(png(tmp_path / "b.png", 1, 8, 2, colour, *chunks)).pixels
    np.testing.assert_allclose(found, load_picture(numbered).pixels, atol=1e-3)
    assert found[0, 0, 0] * 255 == pytest.approx(214, abs=1)


def test_a_chunk_of_more_weight_hides_the_others(tmp_path):
    chunks = (b"sRGB", b"\0"), gamma(1.0)
    path = png(tmp_path / "in.png", 1, 8, 2, GREY, *chunks)
    np.testing.assert_allclose(load_picture(path).pixels * 255, 55, atol=1e-4)
    chunks = (b"cICP", bytes([1, 8, 0, 1])), (b"sRGB", b"\0")
    path = png(tmp_path / "in.png", 1, 8, 2, GREY, *chunks)
    np.testing.assert_allclose(load_picture(path).pixels * 255, 128, atol=0.1)


@pytest.mark.parametrize(
    ("numbers", "words"),
    [((9, 16, 0, 1), "PQ"), ((9, 18, 0, 1), "HLG"), ((1, 13, 0, 0), "16 to 235")],
)
def test_colours_that_srgb_cannot_hold_are_refused(tmp_path, numbers, words):
    path = png(tmp_path / "in.png", 1, 8, 2, GREY, (b"cICP", bytes(numbers)))
    with pytest.raises(ImageError, match=words):
        load_picture(path)


# Texts and tags


@pytest.mark.parametrize("after", [False, True])
def test_a_long_packed_text_is_skipped(tmp_path, after):
    text = b"XML:com.adobe.xmp\0\1\0\0\0" + zlib.compress(b"<x>" * 10**6, 9)
    header = struct.pack(">IIBBBBB", 1, 1, 8, 2, 0, 0, 0)
    rest = [(b"iTXt", text), (b"IDAT", zlib.compress(b"\0" + GREY))]
    if after:
        rest.reverse()
    path = png_chunks(tmp_path / "in.png", (b"IHDR", header), *rest, END)
    assert picture_size(path) == (1, 1)
    np.testing.assert_allclose(load_picture(path).pixels * 255, 55, atol=1e-4)
    assert read_metadata(path) == {}


def orientations():
    exif = Image.Exif()
    exif[274] = 6
    block = exif.tobytes()[6:]
    old = b"\nexif\n%8d\n%s\n" % (len(block), block.hex().encode())
    xmp = b'<x tiff:Orientation="6"/>'
    return {
        "chunk": (b"eXIf", block),
        "ImageMagick's text": (b"tEXt", b"Raw profile type exif\0" + old),
        "its packed text": (
            b"zTXt",
            b"Raw profile type exif\0\0" + zlib.compress(old),
        ),
        "XMP": (b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + xmp),
    }


@pytest.mark.parametrize("kind", orientations())
def test_the_orientation_is_found(tmp_path, kind):
    path = png(tmp_path / "in.png", 2, 8, 0, b"\0\xff", orientations()[kind])
    assert picture_size(path) == (2, 1)
    np.testing.assert_array_equal(load_picture(path).pixels[:, 0, 0], [0, 1])


def test_a_checksum_that_is_wrong_spoils_only_a_needless_chunk(tmp_path):
    path = png(tmp_path / "in.png", 1, 8, 2, GREY, gamma(1.0))
    data = bytearray(path.read_bytes())
    data[data.index(b"gAMA") + 4] ^= 1
    path.write_bytes(data)
    np.testing.assert_allclose(load_picture(path).pixels * 255, 55, atol=1e-4)
    data[data.index(b"IDAT") + 8] ^= 1
    path.write_bytes(data)
    with pytest.raises(ImageError, match="damaged"):
        load_picture(path)
