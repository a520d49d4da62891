"""AVIF, HEIF and JPEG 2000: depth, colours, orientation, missing packages."""

import struct
import sys

import imagecodecs
import numpy as np
import pytest
from picture_files import saved, steps, written
from PIL import Image

from kstyle.errors import ImageError
from kstyle.images import color_profiles
from kstyle.images.isobmff_formats import boxes, primary_properties
from kstyle.images.reading import load_picture, picture_size

P3 = color_profiles.cicp_profile(12, 13)
# (200, 100, 50) of Display P3 in sRGB, by hand: linear, matrix, encoded.
P3_COLOUR, SRGB_COLOUR = (200, 100, 50), [214.8, 92.6, 31.0]


def with_color_numbers(data, primaries, transfer):
    """An AVIF with other numbers of primaries and transfer curve."""
    at = data.index(b"colrnclx") + 8
    return data[:at] + struct.pack(">HH", primaries, transfer) + data[at + 4 :]


def avif(tmp_path, **options):
    image = Image.new("RGB", (16, 8), P3_COLOUR)
    return saved(
        tmp_path, image, "in.avif", quality=100, subsampling="4:4:4", **options
    )


def test_avif_is_read(tmp_path):
    path = avif(tmp_path)
    assert picture_size(path) == load_picture(path).size == (8, 16)
    found = load_picture(path).pixels[4, 8] * 255
    np.testing.assert_allclose(found, P3_COLOUR, atol=1.5)


@pytest.mark.parametrize("numbered", [False, True])
def test_avif_of_display_p3_is_converted(tmp_path, numbered):
    path = avif(tmp_path, icc_profile=None if numbered else P3)
    if numbered:
        path.write_bytes(with_color_numbers(path.read_bytes(), 12, 13))
    found = load_picture(path).pixels[4, 8] * 255
    np.testing.assert_allclose(found, SRGB_COLOUR, atol=2)


def test_avif_of_high_dynamic_range_is_refused(tmp_path):
    data = with_color_numbers(avif(tmp_path).read_bytes(), 9, 16)
    with pytest.raises(ImageError, match="high dynamic range .PQ"):
        load_picture(written(tmp_path / "in.avif", data))


def test_avif_is_turned_upright(tmp_path):
    exif = Image.Exif()
    exif[274] = 6
    path = avif(tmp_path, exif=exif)
    assert picture_size(path) == load_picture(path).size == (16, 8)


@pytest.mark.parametrize("bits", [10, 12])
def test_avif_of_more_than_8_bits_keeps_them(tmp_path, bits):
    top = 2**bits - 1
    levels = np.linspace(0, top, 32 * 32).astype(np.uint16).reshape(32, 32)
    data = imagecodecs.avif_encode(
        np.dstack([levels] * 3), level=100, bitspersample=bits, pixelformat="444"
    )
    found = load_picture(written(tmp_path / "in.avif", data)).pixels
    np.testing.assert_allclose(found[..., 0] * top, levels, atol=2)


def test_avif_with_alpha_keeps_it(tmp_path):
    image = Image.new("RGBA", (16, 8), (*P3_COLOUR, 51))
    path = saved(tmp_path, image, "in.avif", quality=100)
    np.testing.assert_allclose(load_picture(path).alpha, 0.2, atol=0.005)


@pytest.mark.parametrize("cut", [0.1, 0.5, 0.9])
def test_an_avif_cut_short_is_refused(tmp_path, cut):
    data = avif(tmp_path).read_bytes()
    path = written(tmp_path / "in.avif", data[: int(len(data) * cut)])
    with pytest.raises(ImageError, match="damaged"):
        load_picture(path)


# JPEG 2000


@pytest.mark.parametrize("bands", [1, 2, 3, 4])
@pytest.mark.parametrize("codec", ["jp2", "j2k"])
def test_jpeg_2000_of_16_bits_is_read_exactly(tmp_path, bands, codec):
    samples = steps(bands, 16, 16)
    data = imagecodecs.jpeg2k_encode(
        samples if bands > 1 else samples[..., 0], level=0, codecformat=codec
    )
    path = written(tmp_path / "in.jp2", data)
    picture = load_picture(path)
    assert picture_size(path) == picture.size == (16, 16)
    colours = samples[..., :-1] if bands in (2, 4) else samples
    expected = np.broadcast_to(colours / 65535, (16, 16, 3))
    np.testing.assert_allclose(picture.pixels, expected, atol=1e-6)
    assert (picture.alpha is None) == (bands in (1, 3))


def test_jpeg_2000_of_12_bits_reaches_1(tmp_path):
    samples = np.full((16, 16), 4095, np.uint16)
    data = imagecodecs.jpeg2k_encode(samples, level=0, bitspersample=12)
    assert load_picture(written(tmp_path / "in.jp2", data)).pixels.min() == 1


def test_jpeg_2000_of_8_bits_with_a_profile(tmp_path):
    image = Image.new("RGB", (16, 16), P3_COLOUR)
    data = saved(tmp_path, image, "in.jp2").read_bytes()
    found = load_picture(tmp_path / "in.jp2").pixels[8, 8] * 255
    np.testing.assert_allclose(found, P3_COLOUR, atol=1e-4)
    # Its colours by number, in a box of 15 bytes, make way for an ICC profile.
    at = data.index(b"colr") - 4
    outer = data.index(b"jp2h") - 4
    box = struct.pack(">I4s3B", 11 + len(P3), b"colr", 2, 0, 0) + P3
    (length,) = struct.unpack_from(">I", data, outer)
    data = (
        data[:outer]
        + struct.pack(">I", length - 15 + len(box))
        + data[outer + 4 : at]
        + box
        + data[at + 15 :]
    )
    found = load_picture(written(tmp_path / "b.jp2", data)).pixels[8, 8] * 255
    np.testing.assert_allclose(found, SRGB_COLOUR, atol=0.5)


# HEIF


@pytest.fixture
def heif():
    """The package that reads and writes HEIC."""
    return pytest.importorskip("pillow_heif")


def heic(heif, path, mode, samples, bits=8, **options):
    height, width = samples.shape[:2]
    heif.encode(
        mode,
        (width, height),
        samples.tobytes(),
        path,
        quality=-1,
        chroma=444,
        **options,
    )
    return path


def test_heic_is_read_and_its_profile_used(tmp_path, heif):
    samples = np.full((16, 16, 3), P3_COLOUR, np.uint8)
    path = heic(heif, tmp_path / "in.heic", "RGB", samples)
    assert picture_size(path) == load_picture(path).size == (16, 16)
    found = load_picture(path).pixels[8, 8] * 255
    np.testing.assert_allclose(found, P3_COLOUR, atol=1.5)
    heic(heif, path, "RGB", samples, icc_profile=P3)
    found = load_picture(path).pixels[8, 8] * 255
    np.testing.assert_allclose(found, SRGB_COLOUR, atol=2)


def test_heic_of_a_cameras_adobe_rgb_is_converted(tmp_path, heif):
    samples = np.full((16, 16, 3), P3_COLOUR, np.uint8)
    exif = Image.Exif()
    exif.get_ifd(0x8769)[0xA001] = 2
    path = tmp_path / "in.heic"
    heic(heif, path, "RGB", samples, exif=exif.tobytes(), save_nclx_profile=False)
    found = load_picture(path).pixels[8, 8] * 255
    np.testing.assert_allclose(found, [227, 100, 42], atol=2)


def test_heic_of_10_bits_keeps_them(tmp_path, heif):
    levels = np.linspace(0, 65535, 32 * 32).astype(np.uint16).reshape(32, 32)
    samples = np.dstack([levels] * 3)
    path = heic(heif, tmp_path / "in.heic", "RGB;16", samples)
    found = load_picture(path).pixels[..., 0]
    assert len(np.unique(found)) > 800
    np.testing.assert_allclose(found, levels / 65535, atol=3 / 1023)


# What is not installed, and boxes that are damaged


@pytest.mark.parametrize(
    ("module", "extra", "head"),
    [
        ("pillow_heif", "heif", b"\0\0\0\x18ftypheic\0\0\0\0mif1heic"),
        ("pillow_jxl", "jxl", imagecodecs.jpegxl_encode(np.zeros((8, 8), np.uint8))),
    ],
)
def test_a_missing_package_is_named(tmp_path, monkeypatch, module, extra, head):
    monkeypatch.setitem(sys.modules, module, None)  # as if it were not installed
    with pytest.raises(ImageError, match=rf'pip install "kstyle\[{extra}\]"'):
        load_picture(written(tmp_path / "in", head))


def test_boxes_end_where_they_are_damaged():
    whole = struct.pack(">I4s2s", 10, b"abcd", b"xy")
    large = struct.pack(">I4sQ1s", 1, b"wide", 17, b"z")
    last = struct.pack(">I4s3s", 0, b"last", b"end")
    assert list(boxes(whole + large + last)) == [
        (b"abcd", b"xy"),
        (b"wide", b"z"),
        (b"last", b"end"),
    ]
    assert list(boxes(whole + struct.pack(">I4s", 4, b"ring"))) == [(b"abcd", b"xy")]
    assert list(boxes(whole + struct.pack(">I4s", 99, b"over"))) == [(b"abcd", b"xy")]
    assert primary_properties(b"") == {}
    assert primary_properties(struct.pack(">I4s4x", 12, b"meta")) == {}


def test_a_jpeg_2000_stream_larger_than_its_boxes_is_refused(tmp_path):
    data = bytearray(imagecodecs.jpeg2k_encode(steps(3, 16, 16), level=0))
    at = data.index(b"\xff\x4f\xff\x51") + 8
    data[at : at + 8] = struct.pack(">II", 40_000, 40_000)
    with pytest.raises(ImageError, match="more than 200 million"):
        load_picture(written(tmp_path / "in.jp2", data))
