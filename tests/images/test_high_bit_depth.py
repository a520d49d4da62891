"""PNG and TIFF of 16 bits and floats: every bit is kept."""

import numpy as np
import pytest
import tifffile
from picture_files import deep_png, steps

from kstyle.errors import ImageError
from kstyle.images.reading import load_picture
from kstyle.images.writing import save_picture


@pytest.mark.parametrize(("channels", "colour"), [(1, 0), (2, 4), (3, 2), (4, 6)])
@pytest.mark.parametrize("filter_type", [0, 4])
def test_16_bit_png_is_read_at_full_precision(tmp_path, channels, colour, filter_type):
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


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("planes", ["contig", "separate"])
@pytest.mark.parametrize("packing", [None, "zlib"])
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


def test_a_16_bit_tiff_that_only_pillow_can_unpack_is_read_in_full(
    tmp_path, monkeypatch
):
    def missing(page):
        raise KeyError("this compression requires the 'imagecodecs' package")

    samples, path = steps(3, 4, 5), tmp_path / "in.tif"
    tifffile.imwrite(path, samples, photometric="rgb", compression="zlib")
    grey = tmp_path / "grey.tif"
    tifffile.imwrite(grey, samples[..., 0], photometric="minisblack")
    multiplied = tmp_path / "multiplied.tif"
    tifffile.imwrite(
        multiplied,
        np.uint16([[[10_001, 300, 0, 32_767]]]),
        photometric="rgb",
        extrasamples=["assocalpha"],
        compression="zlib",
    )
    wanted = load_picture(multiplied)
    monkeypatch.setattr(tifffile.TiffPage, "asarray", missing)
    np.testing.assert_allclose(load_picture(multiplied).pixels, wanted.pixels)
    np.testing.assert_allclose(load_picture(path).pixels, samples / 65535, atol=1e-7)
    found = load_picture(grey).pixels[..., 0]
    np.testing.assert_allclose(found, samples[..., 0] / 65535, atol=1e-7)


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
        (np.int16([[-1, 0]]), "int16"),
    ],
)
def test_tiff_samples_that_are_no_picture_are_refused(tmp_path, samples, message):
    tifffile.imwrite(tmp_path / "in.tif", samples)
    with pytest.raises(ImageError, match=message):
        load_picture(tmp_path / "in.tif")


def test_all_16_bit_levels_survive(tmp_path):
    levels = np.arange(65536, dtype=np.float32).reshape(256, 256, 1) / 65535
    for name in ("out.png", "out.tif"):
        save_picture(tmp_path / name, np.repeat(levels, 3, axis=2), bits=16)
        found = load_picture(tmp_path / name).pixels[..., :1]
        np.testing.assert_array_equal(np.round(found * 65535), np.round(levels * 65535))
