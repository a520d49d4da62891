"""ICC profiles: each kind of curve, and what comes out as sRGB."""

import contextlib
import io
import struct
import zlib

import numpy as np
import pytest
import tifffile
from picture_files import deep_png, saved
from PIL import Image, ImageCms

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
    tags = color_profiles.read_tags(color_profiles.SRGB_BYTES)
    return rewritten_profile(rXYZ=tags[b"gXYZ"], gXYZ=tags[b"rXYZ"])


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
def test_the_matrix_profiles_agree_with_little_cms(profile):
    colours = np.uint8(np.random.default_rng(0).integers(0, 256, (8, 8, 3)))
    source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
    wanted = ImageCms.profileToProfile(
        Image.fromarray(colours), source, color_profiles.SRGB_PROFILE
    )
    found = color_profiles.to_srgb(np.float32(colours / 255), profile)
    np.testing.assert_allclose(found * 255, np.asarray(wanted), atol=1.1)


@pytest.mark.parametrize(
    ("tag", "given", "linear"),
    [
        (struct.pack(">4sII", b"curv", 0, 0), 0.5, 0.5),
        (struct.pack(">4sIIH", b"curv", 0, 1, 512), 0.5, 0.25),
        (struct.pack(">4sII3H", b"curv", 0, 3, 0, 0, 65535), 0.75, 0.5),
        (struct.pack(">4sIHHi", b"para", 0, 0, 0, 2 << 16), 0.5, 0.25),
        # (2 x - 1)^1 from 1/2 upwards, 0 below; then the same with 1/4 added.
        (struct.pack(">4sIHH3i", b"para", 0, 1, 0, 65536, 131072, -65536), 0.75, 0.5),
        (
            struct.pack(">4sIHH4i", b"para", 0, 2, 0, 65536, 131072, -65536, 16384),
            0.25,
            0.25,
        ),
        (
            struct.pack(">4sIHH5i", b"para", 0, 3, 0, 131072, 65536, 0, 32768, 32768),
            0.25,
            0.125,
        ),
        (
            struct.pack(
                ">4sIHH7i", b"para", 0, 4, 0, *[131072, 65536, 0], 0, 0, 8192, 0
            ),
            0.5,
            0.375,
        ),
    ],
)
def test_every_kind_of_profile_curve(tag, given, linear):
    assert color_profiles.read_curve(tag)(np.float64(given)) == pytest.approx(
        linear, abs=1e-4
    )


@pytest.mark.parametrize("depth", [8, 16])
def test_a_broken_profile_counts_as_srgb_and_is_logged(tmp_path, depth, caplog):
    broken = color_profiles.SRGB_BYTES[:200]
    path = tmp_path / "in.tif"
    samples = np.full((1, 1, 3), 51 * (257 if depth == 16 else 1), f"u{depth // 8}")
    tifffile.imwrite(path, samples, photometric="rgb", extratags=[profile_tag(broken)])
    np.testing.assert_allclose(load_picture(path).pixels, 0.2, atol=1e-6)
    assert "profile" in caplog.text


@pytest.mark.parametrize("parameters", [(65536, 0, 0), (-65536, 65536, 0)])
def test_a_curve_without_a_slope_or_of_a_negative_power_is_refused(parameters):
    with pytest.raises(ValueError, match="has no meaning"):
        color_profiles.read_curve(
            struct.pack(">4sIHH3i", b"para", 0, 1, 0, *parameters)
        )
