"""TIFF files: every depth, packing, layout of samples, alpha, and pages."""

import struct

import imagecodecs
import numpy as np
import pytest
import tifffile
from picture_files import saved, steps
from PIL import Image

from kstyle.errors import ImageError
from kstyle.images.reading import load_picture, picture_size


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("planes", ["contig", "separate"])
@pytest.mark.parametrize("packing", [None, "zlib", "lzw", "zstd", "lzma"])
def test_16_bit_tiff_is_read_at_full_precision(tmp_path, order, planes, packing):
    samples, path = steps(3, 4, 5), tmp_path / "in.tif"
    stored = samples.transpose(2, 0, 1) if planes == "separate" else samples
    tifffile.imwrite(
        path,
        stored,
        photometric="rgb",
        planarconfig=planes,
        byteorder=order,
        compression=packing,
    )
    expected = samples / 65535
    np.testing.assert_allclose(load_picture(path).pixels, expected, atol=1e-7)


def test_a_16_bit_tiff_is_turned_upright(tmp_path):
    samples = steps(3)
    extra = [(274, 3, 1, 6, True)]
    path = tmp_path / "in.tif"
    tifffile.imwrite(path, samples, photometric="rgb", extratags=extra)
    expected = np.rot90(samples, -1) / 65535
    np.testing.assert_allclose(load_picture(path).pixels, expected, atol=1e-6)


def test_a_tiff_where_white_is_zero_is_inverted(tmp_path):
    path = tmp_path / "in.tif"
    tifffile.imwrite(path, np.uint16([[0, 65535]]), photometric="miniswhite")
    np.testing.assert_array_equal(load_picture(path).pixels[0, :, 0], [1, 0])


def test_colours_multiplied_by_alpha_are_divided_again(tmp_path):
    path = tmp_path / "in.tif"
    samples = np.float32([[[0.25, 0.1, 0.0, 0.5]]])
    tifffile.imwrite(path, samples, photometric="rgb", extrasamples=["assocalpha"])
    picture = load_picture(path)
    np.testing.assert_allclose(picture.pixels[0, 0], [0.5, 0.2, 0], atol=1e-6)
    np.testing.assert_allclose(picture.alpha, [[0.5]])


@pytest.mark.parametrize("shape", [(2, 3), (2, 3, 3)])
def test_float_tiffs_in_range_are_read_as_they_are(tmp_path, shape):
    samples = np.linspace(0, 1, np.prod(shape), dtype=np.float32).reshape(shape)
    path = tmp_path / "in.tif"
    kind = "rgb" if len(shape) == 3 else "minisblack"
    tifffile.imwrite(path, samples, photometric=kind)
    expected = samples if len(shape) == 3 else np.dstack([samples] * 3)
    np.testing.assert_array_equal(load_picture(path).pixels, expected)


@pytest.mark.parametrize(
    ("samples", "message"),
    [
        (np.float32([[np.nan, 0]]), "NaN"),
        (np.float32([[0, 3.5]]), "0 to 3.5"),
        (np.float32([[0, 200.0]]), "0 to 200.*divide by 255"),
        (np.float32([[-0.5, 1]]), "-0.5 to 1"),
        (np.int16([[-1, 0]]), "int16 and reach from -1 to 0.*uint16"),
        (np.int8([[-1, 0]]), "int8"),
    ],
)
def test_tiff_samples_that_are_no_picture_are_refused(tmp_path, samples, message):
    tifffile.imwrite(tmp_path / "in.tif", samples)
    with pytest.raises(ImageError, match=message):
        load_picture(tmp_path / "in.tif")


@pytest.mark.parametrize("packing", ["zlib", "lzw"])
@pytest.mark.parametrize("kind", ["f2", "f4", "f8"])
def test_floats_with_a_predictor_are_read(tmp_path, packing, kind):
    samples = (steps(3, 5, 7) / 65535).astype(kind)
    path = tmp_path / "in.tif"
    tifffile.imwrite(path, samples, photometric="rgb", compression=packing, predictor=3)
    expected = samples.astype(np.float32)
    np.testing.assert_array_equal(load_picture(path).pixels, expected)


def test_floats_a_little_outside_are_clipped(tmp_path):
    path = tmp_path / "in.tif"
    tifffile.imwrite(path, np.float32([[-0.001, 0.5, 1.0000002]]))
    np.testing.assert_array_equal(load_picture(path).pixels[0, :, 0], [0, 0.5, 1])


def test_12_bits_reach_from_0_to_1(tmp_path):
    path = tmp_path / "in.tif"
    # Two samples in three bytes: 0x000 and 0x800, 0xfff and 0x001.
    path.write_bytes(tiff_of(4, 12, bytes.fromhex("000800fff001")))
    expected = np.array([0, 0x800, 0xFFF, 1]) / 0xFFF
    np.testing.assert_allclose(load_picture(path).pixels[0, :, 0], expected, atol=1e-6)


def test_signed_samples_that_are_not_negative_count_from_0(tmp_path):
    path = tmp_path / "in.tif"
    tifffile.imwrite(path, np.int16([[0, 16384, 32767]]))
    expected = [0, 16384 / 32767, 1]
    np.testing.assert_allclose(load_picture(path).pixels[0, :, 0], expected, atol=1e-6)


@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("bands", [2, 4])
def test_premultiplied_alpha_of_whole_numbers_is_divided(tmp_path, bits, bands):
    top = 2**bits - 1
    colours = [top // 4] * (bands - 1)
    path = tmp_path / "in.tif"
    tifffile.imwrite(
        path,
        np.array([[[*colours, top // 2], [0] * bands]], f"u{bits // 8}"),
        photometric="rgb" if bands == 4 else "minisblack",
        planarconfig="contig",
        extrasamples=["assocalpha"],
    )
    picture = load_picture(path)
    expected = (top // 4) / (top // 2)
    np.testing.assert_allclose(picture.pixels[0, 0], expected, atol=1e-6)
    np.testing.assert_array_equal(picture.pixels[0, 1], 0)
    np.testing.assert_allclose(picture.alpha, [[(top // 2) / top, 0]], atol=1e-6)


def test_planes_of_ycbcr_become_rgb(tmp_path):
    # Y, Cb and Cr of pure red: JFIF 1.02.
    planes = np.empty((3, 2, 2), np.uint8)
    planes[:] = np.reshape([76, 85, 255], (3, 1, 1))
    path = tmp_path / "in.tif"
    tifffile.imwrite(
        path,
        planes,
        photometric="ycbcr",
        planarconfig="separate",
        extratags=[(530, 3, 2, (1, 1), True)],
    )
    np.testing.assert_allclose(load_picture(path).pixels[0, 0], [1, 0, 0], atol=0.01)


def test_jpeg_inside_is_read(tmp_path):
    image = Image.new("RGB", (16, 16), (200, 100, 50))
    path = saved(tmp_path, image, "in.tif", compression="jpeg")
    found = load_picture(path).pixels[8, 8] * 255
    np.testing.assert_allclose(found, [200, 100, 50], atol=3)


# More than one page: the picture and its small copies


def pages(path, *described):
    """A TIFF of pages `(samples, options)`."""
    with tifffile.TiffWriter(path) as tiff:
        for samples, options in described:
            tiff.write(samples, metadata=None, **options)
    return path


SMALL, LARGE = np.full((2, 3), 200, np.uint8), np.full((4, 6), 51, np.uint8)


def test_the_picture_behind_a_small_copy_is_taken(tmp_path):
    path = pages(tmp_path / "in.tif", (SMALL, {"subfiletype": 1}), (LARGE, {}))
    assert picture_size(path) == (4, 6)
    np.testing.assert_allclose(load_picture(path).pixels, 0.2, atol=1e-6)


def test_the_larger_picture_inside_the_first_is_taken(tmp_path):
    path = pages(tmp_path / "in.tif", (SMALL, {"subifds": 1}), (LARGE, {}))
    np.testing.assert_allclose(load_picture(path).pixels, 0.2, atol=1e-6)


def test_smaller_copies_and_later_pages_are_left(tmp_path):
    path = pages(tmp_path / "in.tif", (LARGE, {"subifds": 1}), (SMALL, {}), (SMALL, {}))
    assert load_picture(path).size == (4, 6)
    path = pages(tmp_path / "in.tif", (SMALL, {}), (LARGE, {}))
    assert load_picture(path).size == (2, 3)


CFA = {"photometric": "cfa", "subfiletype": 0}


@pytest.mark.parametrize(
    "described",
    [
        [(SMALL, {"subfiletype": 1, "subifds": 1}), (LARGE, CFA)],
        [(SMALL, {"subfiletype": 1}), (LARGE, CFA)],
        [(LARGE, CFA)],
        [(SMALL, {"extratags": [(50706, 1, 4, (1, 4, 0, 0), True)]})],
    ],
    ids=["Nikon", "a page", "alone", "DNG"],
)
def test_a_cameras_raw_file_is_refused(tmp_path, described):
    path = pages(tmp_path / "in.nef", *described)
    with pytest.raises(ImageError, match="camera's raw file"):
        load_picture(path)
    with pytest.raises(ImageError, match="camera's raw file"):
        picture_size(path)


@pytest.mark.parametrize(
    "head",
    [b"II*\0\x10\0\0\0CR\2\0", b"\0\0\0\x18ftypcrx ", b"IIRO", b"FUJIFILMCCD-RAW "],
    ids=["CR2", "CR3", "ORF", "RAF"],
)
def test_raw_files_are_known_by_how_they_begin(tmp_path, head):
    path = tmp_path / "in.raw"
    path.write_bytes(head + tiff_of(1, 8, b"\0")[len(head) :])
    with pytest.raises(ImageError, match="camera's raw file"):
        load_picture(path)


def tiff_of(width, bits, row):
    """A grey TIFF of one row, with its page at byte 16 and the row at its end."""
    start = 18 + 9 * 12 + 4
    tags = {256: width, 257: 1, 258: bits, 259: 1, 262: 1, 273: start, 277: 1, 278: 1}
    tags[279] = len(row)
    entries = b"".join(struct.pack("<HHII", tag, 3, 1, v) for tag, v in tags.items())
    head = b"II*\0\x10".ljust(16, b"\0")
    return head + struct.pack("<H", len(tags)) + entries + bytes(4) + row


# What is not read, and is not damaged


def test_samples_that_no_reader_knows_are_not_called_damaged(tmp_path):
    path = tmp_path / "in.tif"
    tifffile.imwrite(path, np.zeros((4, 4, 3), np.float32), photometric="cielab")
    with pytest.raises(ImageError, match="not supported"):
        load_picture(path)


def test_a_page_of_very_many_samples_is_refused(tmp_path):
    path = tmp_path / "in.tif"
    data = bytearray(tiff_of(30_000, 8, b"\0"))
    at = data.index(struct.pack("<HH", 277, 3)) + 8  # samples a pixel
    data[at : at + 2] = struct.pack("<H", 40_000)
    path.write_bytes(data)
    with pytest.raises(ImageError, match="40000 samples a pixel, and 1200000000"):
        load_picture(path)


# A strip that says itself how large it is


def strip_of(path, compression, strip):
    """A TIFF of 16 x 16 RGB with another strip."""
    samples = np.zeros((16, 16, 3), np.uint8)
    tifffile.imwrite(path, samples, photometric="rgb", metadata=None)
    data = bytearray(path.read_bytes())
    (page,) = struct.unpack_from("<I", data, 4)
    (count,) = struct.unpack_from("<H", data, page)
    changed = {259: compression, 273: len(data), 279: len(strip)}
    for at in range(page + 2, page + 2 + 12 * count, 12):
        (tag,) = struct.unpack_from("<H", data, at)
        if tag in changed:
            struct.pack_into("<HII", data, at + 2, 4, 1, changed[tag])
    path.write_bytes(bytes(data) + strip)
    return path


def jpeg_of(claimed):
    """A JPEG of 16 x 16 that claims other edges."""
    data = bytearray(imagecodecs.jpeg_encode(np.zeros((16, 16, 3), np.uint8)))
    at = data.index(b"\xff\xc0")
    data[at + 5 : at + 9] = struct.pack(">HH", claimed, claimed)
    return bytes(data)


BLACK = np.zeros((400, 400, 3), np.uint8)


@pytest.mark.parametrize(
    ("compression", "strip"),
    [
        (7, jpeg_of(20_000)),
        (34933, imagecodecs.png_encode(BLACK)),
        (50001, imagecodecs.webp_encode(BLACK)),
        (34712, imagecodecs.jpeg2k_encode(BLACK)),
        (50002, imagecodecs.jpegxl_encode(BLACK)),
    ],
)
def test_a_strip_that_claims_more_than_its_page_is_refused(
    tmp_path, compression, strip
):
    with pytest.raises(ImageError, match="pixels, more than the page has"):
        load_picture(strip_of(tmp_path / "in.tif", compression, strip))


def test_a_compression_without_a_bound_is_not_supported(tmp_path):
    strip = imagecodecs.lerc_encode(BLACK)
    with pytest.raises(ImageError, match="not supported .compression LERC"):
        load_picture(strip_of(tmp_path / "in.tif", 34887, strip))


@pytest.mark.parametrize("packing", ["jpeg", "png", "webp", "jpeg2000", "jpegxl"])
def test_self_described_strips_are_read(tmp_path, packing):
    path, samples = tmp_path / "in.tif", np.full((48, 32, 3), 51, np.uint8)
    options = {"compression": packing, "rowsperstrip": 16}
    tifffile.imwrite(path, samples, photometric="rgb", **options)
    np.testing.assert_allclose(load_picture(path).pixels, 0.2, atol=0.01)


@pytest.mark.parametrize("packing", [None, "zlib", "lzw", "zstd", "lzma", "jpeg"])
@pytest.mark.parametrize("part", [0.3, 0.6, 0.95])
def test_a_packed_tiff_cut_short_is_refused(tmp_path, random_picture, packing, part):
    samples = (random_picture(64, 64) * 255).astype(np.uint8)
    path = tmp_path / "in.tif"
    tifffile.imwrite(path, samples, photometric="rgb", compression=packing)
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * part)])
    with pytest.raises(ImageError, match="damaged"):
        load_picture(path)
