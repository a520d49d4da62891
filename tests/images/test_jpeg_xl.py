"""JPEG XL files: the header, every depth, and the profile."""

import imagecodecs
import numpy as np
import pytest
from picture_files import steps, written

from kstyle.errors import ImageError
from kstyle.images.jpeg_xl import parse_header
from kstyle.images.reading import load_picture, picture_size


@pytest.mark.parametrize("size", [(16, 16), (3, 5), (24, 300), (1, 1000), (768, 1024)])
def test_the_header_of_jpeg_xl_says_its_size(size):
    data = imagecodecs.jpegxl_encode(np.zeros(size, np.uint8), lossless=True)
    header = parse_header(data).stored
    assert (header.height, header.width) == size


def test_jpeg_xl_is_read_with_all_its_bits_and_profile(tmp_path):
    pytest.importorskip("pillow_jxl")
    # imagecodecs marks samples of 16 bits as light, not as sRGB.
    samples = np.maximum(steps(3, 8, 16), 300)
    data = imagecodecs.jpegxl_encode(samples, lossless=True)
    path = written(tmp_path / "in.jxl", data)
    assert picture_size(path) == load_picture(path).size == (8, 16)
    found = load_picture(path).pixels
    expected = 1.055 * (samples / 65535) ** (1 / 2.4) - 0.055
    np.testing.assert_allclose(found, expected, atol=3e-4)


def test_a_jpeg_xl_that_claims_too_much_is_refused(tmp_path):
    # A size of 2^30 x 2^30: not small, the longest kind of both edges, no ratio.
    ones = (1 << 30) - 1
    bits = (3 << 1) | ones << 3 | 0 << 33 | 3 << 36 | ones << 38
    data = b"\xff\x0a" + bits.to_bytes(24, "little")
    with pytest.raises(ImageError, match="more than 200 million"):
        load_picture(written(tmp_path / "in.jxl", data))


def test_the_header_is_the_same_within_boxes(tmp_path):
    data = imagecodecs.jpegxl_encode(
        np.zeros((24, 300), np.uint8), lossless=True, usecontainer=True
    )
    assert data[4:8] == b"JXL "
    assert parse_header(data).stored.upright_size == (24, 300)


@pytest.mark.parametrize(
    ("kind", "bits"), [("u1", 8), ("u2", 10), ("u2", 12), ("u2", 16), ("f4", None)]
)
def test_the_header_says_the_depth(kind, bits):
    options = {"bitspersample": bits} if kind == "u2" else {}
    data = imagecodecs.jpegxl_encode(np.zeros((8, 8), kind), lossless=True, **options)
    assert parse_header(data).bits == bits


def test_the_orientation_and_the_fields_after_it():
    # Bits, lowest first: small, 8 rows, square, not as usual, extra fields, 6, a size
    # for showing (as before), a preview of 16 eighths, an animation, whole numbers of
    # 10 bits.
    fields = [(1, 1), (0, 5), (1, 3), (0, 1), (1, 1), (5, 3), (1, 1), (1, 1), (0, 5)]
    fields += [(1, 3), (1, 1), (1, 1), (0, 2), (1, 3), (1, 1), (0, 2), (0, 2), (0, 2)]
    fields += [(0, 1), (0, 1), (1, 2)]
    number = place = 0
    for value, count in fields:
        number, place = number | value << place, place + count
    header = parse_header(b"\xff\x0a" + number.to_bytes(16, "little"))
    assert (header.stored.height, header.stored.orientation) == (8, 6)
    assert header.bits == 10


def test_jpeg_xl_of_10_bits_reaches_1(tmp_path):
    pytest.importorskip("pillow_jxl")
    samples = np.full((8, 8), 1023, np.uint16)
    data = imagecodecs.jpegxl_encode(samples, lossless=True, bitspersample=10)
    found = load_picture(written(tmp_path / "in.jxl", data)).pixels
    np.testing.assert_allclose(found, 1, atol=1e-3)


@pytest.mark.parametrize("cut", [0.1, 0.5, 0.9])
def test_a_jpeg_xl_cut_short_is_refused(tmp_path, random_picture, cut):
    pytest.importorskip("pillow_jxl")
    samples = (random_picture(64, 64) * 255).astype(np.uint8)
    data = imagecodecs.jpegxl_encode(samples)
    path = written(tmp_path / "in.jxl", data[: int(len(data) * cut)])
    with pytest.raises(ImageError, match="damaged"):
        load_picture(path)
