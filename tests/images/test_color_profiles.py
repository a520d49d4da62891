"""Colour profiles and numbered colours: what comes out as sRGB."""

import contextlib
import io
import struct
import zlib

import numpy as np
import pytest
import tifffile
from picture_files import deep_png, saved
from PIL import Image, ImageCms

from kstyle.errors import ImageError
from kstyle.images import color_profiles
from kstyle.images.reading import load_picture


def rewritten_profile(**tags):
    """The sRGB profile with the bytes of some tags taken from elsewhere."""
    profile = bytearray(color_profiles.SRGB_BYTES)
    (count,) = struct.unpack_from(">I", profile, 128)
    for i in range(count):
        name, start, size = struct.unpack_from(">4sII", profile, 132 + 12 * i)
        data = tags.get(name.decode())
        if data is not None:
            assert len(data) <= size
            profile[start : start + len(data)] = data
    return bytes(profile)


def swapped_profile():
    """A profile whose red is sRGB's green and the other way round."""
    return rewritten_profile(rXYZ=tag_of(b"gXYZ"), gXYZ=tag_of(b"rXYZ"))


def tag_of(wanted):
    """The bytes of a tag of the sRGB profile."""
    profile = color_profiles.SRGB_BYTES
    (count,) = struct.unpack_from(">I", profile, 128)
    for i in range(count):
        name, start, size = struct.unpack_from(">4sII", profile, 132 + 12 * i)
        if name == wanted:
            return profile[start : start + size]


def linear_profile():
    """sRGB's primaries with a straight curve."""
    curve = struct.pack(">4sIHHi", b"para", 0, 0, 0, 65536)
    return rewritten_profile(rTRC=curve)


def profile_tag(profile):
    return (34675, 7, len(profile), profile, True)


def test_the_profile_of_results_has_a_fixed_date():
    made = [struct.unpack(">6H", color_profiles.SRGB_BYTES[24:36])]
    assert made == [(2000, 1, 1, 0, 0, 0)]
    profile = ImageCms.ImageCmsProfile(io.BytesIO(color_profiles.SRGB_BYTES)).profile
    with contextlib.suppress(ValueError):  # Pillow 10.1 knows no January
        assert profile.creation_date.year == 2000


def test_a_profile_with_red_and_green_swapped_is_undone(tmp_path):
    image = Image.new("RGB", (1, 1), (255, 0, 0))
    path = saved(tmp_path, image, icc_profile=swapped_profile())
    np.testing.assert_allclose(load_picture(path).pixels[0, 0], [0, 1, 0], atol=0.01)


def test_a_profile_is_undone_at_16_bits_of_precision(tmp_path):
    samples = np.uint16([[[60001, 1234, 30003]]])
    chunk = (b"iCCP", b"x\0\0" + zlib.compress(swapped_profile()))
    path = deep_png(tmp_path / "in.png", samples, 2, [chunk])
    expected = samples[0, 0, [1, 0, 2]] / 65535
    # sRGB's curve in the profile has numbers of 16 bits behind the point.
    np.testing.assert_allclose(load_picture(path).pixels[0, 0], expected, atol=1e-4)


def test_a_linear_profile_is_encoded_by_the_srgb_formula(tmp_path):
    samples = np.uint16([[[13107, 13107, 13107]]])  # 0.2
    path = tmp_path / "in.tif"
    tifffile.imwrite(
        path, samples, photometric="rgb", extratags=[profile_tag(linear_profile())]
    )
    expected = 1.055 * 0.2 ** (1 / 2.4) - 0.055
    np.testing.assert_allclose(load_picture(path).pixels[0, 0], expected, atol=1e-3)


@pytest.mark.parametrize("profile", [swapped_profile(), linear_profile()])
def test_8_bit_conversion_by_pillow_agrees(profile):
    colours = np.uint8(np.random.default_rng(0).integers(0, 256, (8, 8, 3)))
    source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
    wanted = ImageCms.profileToProfile(
        Image.fromarray(colours), source, ImageCms.createProfile("sRGB")
    )
    found = color_profiles.to_srgb(np.float32(colours / 255), profile)
    np.testing.assert_allclose(found * 255, np.asarray(wanted), atol=1.1)


@pytest.mark.parametrize("depth", [8, 16])
def test_a_broken_profile_counts_as_srgb_and_is_logged(tmp_path, depth, caplog):
    broken = color_profiles.SRGB_BYTES[:200]
    path = tmp_path / "in.tif"
    samples = np.full((1, 1, 3), 51 * (257 if depth == 16 else 1), f"u{depth // 8}")
    tifffile.imwrite(path, samples, photometric="rgb", extratags=[profile_tag(broken)])
    np.testing.assert_allclose(load_picture(path).pixels, 0.2, atol=1e-6)
    assert "profile" in caplog.text


# Grey, with the level that light of 55/255 has in sRGB: 128.


@pytest.mark.parametrize("mode", ["L", "LA", "P"])
def test_a_grey_profile_applies_to_every_kind_of_grey(tmp_path, mode):
    image = Image.new("L", (2, 2), 55).convert(mode)
    path = saved(tmp_path, image, icc_profile=color_profiles.gray_profile(1.0))
    np.testing.assert_allclose(load_picture(path).pixels * 255, 128, atol=0.1)


def test_a_grey_profile_applies_to_a_tiff_with_alpha(tmp_path):
    tags = [profile_tag(color_profiles.gray_profile(1.0))]
    path = tmp_path / "in.tif"
    tifffile.imwrite(
        path,
        np.uint8([[[55, 200]]]),
        photometric="minisblack",
        planarconfig="contig",
        extrasamples=["unassalpha"],
        extratags=tags,
    )
    picture = load_picture(path)
    np.testing.assert_allclose(picture.pixels * 255, 128, atol=0.1)
    np.testing.assert_allclose(picture.alpha * 255, 200, atol=0.1)


def test_a_grey_profile_on_colours_is_logged_and_left_out(tmp_path, caplog):
    image = Image.new("RGB", (1, 1), (255, 51, 0))
    path = saved(tmp_path, image, icc_profile=color_profiles.gray_profile(1.0))
    np.testing.assert_allclose(load_picture(path).pixels[0, 0], [1, 0.2, 0], atol=1e-6)
    assert "another kind of colours" in caplog.text


# Colours named by numbers: H.273


def test_srgb_by_number_needs_no_profile():
    for primaries, transfer in ((1, 13), (2, 2), (1, 1), (2, 6)):
        assert color_profiles.cicp_profile(primaries, transfer) is None


def test_display_p3_becomes_srgb():
    # Linear P3 (1/2, 1/2, 1/4) times the matrix to sRGB, encoded: hand calculation.
    linear = np.array([0.5, 0.5, 0.25])
    matrix = [[1.2249, -0.2249, 0], [-0.0420, 1.0420, 0], [-0.0197, -0.0786, 1.0983]]
    expected = encoded(np.array(matrix) @ linear)
    found = color_profiles.to_srgb(
        np.float32(encoded(linear)).reshape(1, 1, 3),
        color_profiles.cicp_profile(12, 13),
    )
    np.testing.assert_allclose(found[0, 0], expected, atol=1e-3)


def encoded(linear):
    """Light to sRGB's samples, above its straight part."""
    return 1.055 * np.asarray(linear) ** (1 / 2.4) - 0.055


def test_a_power_by_number_is_undone():
    profile = color_profiles.cicp_profile(1, 8)  # light itself
    found = color_profiles.to_srgb(np.full((1, 1, 3), 0.2, np.float32), profile)
    np.testing.assert_allclose(found, encoded(0.2), atol=1e-4)


@pytest.mark.parametrize(("number", "name"), [(16, "PQ"), (18, "HLG")])
def test_high_dynamic_range_is_refused_with_its_name(number, name):
    with pytest.raises(ImageError, match=f"high dynamic range .{name}."):
        color_profiles.cicp_profile(9, number)


def test_an_icc_profile_of_high_dynamic_range_is_refused(tmp_path):
    profile = bytearray(color_profiles.SRGB_BYTES)
    start = len(profile)
    struct.pack_into(">4sII", profile, 132, b"cicp", start, 12)
    profile += b"cicp" + bytes(4) + bytes([9, 16, 0, 1])
    path = saved(tmp_path, Image.new("RGB", (1, 1)), icc_profile=bytes(profile))
    with pytest.raises(ImageError, match="PQ"):
        load_picture(path)


def camera_exif(**values):
    """An EXIF block as a camera writes it; R03 stands for its Adobe RGB."""
    exif = Image.Exif()
    details = exif.get_ifd(0x8769)
    if "space" in values:
        details[0xA001] = values["space"]
    if "index" in values:
        details[0xA005] = {1: values["index"]}
    return exif


@pytest.mark.parametrize(
    "values", [{"space": 2}, {"space": 65535, "index": "R03"}], ids=["2", "R03"]
)
def test_a_cameras_adobe_rgb_is_converted(tmp_path, values):
    image = Image.new("RGB", (8, 8), (200, 100, 50))
    path = saved(tmp_path, image, "in.webp", lossless=True, exif=camera_exif(**values))
    # (200, 100, 50) of Adobe RGB (1998), gamma 563/256, in sRGB: (227, 100, 42).
    found = load_picture(path).pixels[4, 4] * 255
    np.testing.assert_allclose(found, [227, 100, 42], atol=0.6)


@pytest.mark.parametrize("values", [{"space": 1}, {"space": 65535, "index": "R98"}, {}])
def test_a_cameras_srgb_stays(tmp_path, values):
    image = Image.new("RGB", (8, 8), (200, 100, 50))
    path = saved(tmp_path, image, "in.webp", lossless=True, exif=camera_exif(**values))
    found = load_picture(path).pixels[4, 4] * 255
    np.testing.assert_allclose(found, [200, 100, 50], atol=0.01)


def test_cmyk_of_16_bits_without_a_profile_keeps_its_precision(tmp_path):
    path = tmp_path / "in.tif"
    tifffile.imwrite(path, np.uint16([[[0, 0, 0, 13107]]]), photometric="separated")
    np.testing.assert_allclose(load_picture(path).pixels, 0.8, atol=1e-6)
