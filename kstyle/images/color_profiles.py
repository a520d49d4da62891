"""ICC profiles: from the colours of a file to sRGB.

8-bit pictures go through Pillow's LittleCMS. Pillow has no mode for deeper colours, so
they go through the curves and the matrix of a simple profile here.
"""

import logging
import struct
from io import BytesIO

import numpy as np
from PIL import Image, ImageCms

log = logging.getLogger("kstyle")

SRGB_PROFILE = ImageCms.createProfile("sRGB")
# LittleCMS writes the present time into the header, at this place: two equal results
# would not be equal files.
DATE_OFFSET, FIXED_DATE = 24, struct.pack(">6H", 2000, 1, 1, 0, 0, 0)


def with_date(profile, date=FIXED_DATE):
    """The bytes of an ICC `profile`, as if it had been made at `date`."""
    return profile[:DATE_OFFSET] + date + profile[DATE_OFFSET + len(date) :]


SRGB_BYTES = with_date(ImageCms.ImageCmsProfile(SRGB_PROFILE).tobytes())
TIFF_TAG = 34675  # of a profile in a TIFF
MATRIX_COLUMNS = (b"rXYZ", b"gXYZ", b"bXYZ")


def profile_to_srgb(image, profile):
    """An 8-bit Pillow image as sRGB mode "RGB", by its ICC profile if that is any good.

    profile: ICC bytes, or `None` for sRGB. One that cannot be used is logged and the
    picture taken as sRGB. LAB needs none.
    """
    plain = image.convert("RGB") if image.mode != "LAB" else image
    try:
        if image.mode == "LAB":
            source = ImageCms.createProfile("LAB")
        elif not profile or _is_srgb(profile):
            return plain
        else:
            source = ImageCms.ImageCmsProfile(BytesIO(profile))
            space = source.profile.xcolor_space.strip()
            if space == "GRAY" and image.mode in ("1", "L"):
                plain = image.convert("L")
            elif space == "CMYK" and image.mode == "CMYK":
                plain = image
        return ImageCms.profileToProfile(plain, source, SRGB_PROFILE, outputMode="RGB")
    except (ImageCms.PyCMSError, OSError, ValueError) as error:
        log.warning("the ICC profile cannot be used, taken as sRGB: %s", error)
        return image.convert("RGB")


def to_srgb(colours, profile):
    """Deep colours to sRGB, by an ICC profile as in `profile_to_srgb`.

    colours: float32 `(H, W, 1 or 3)` in [0, 1]. Returns: the same type and range, with
    as many channels, or 3 where the profile has tables and LittleCMS did it at 8 bits.
    """
    if not profile or _is_srgb(profile):
        return colours
    curves, matrix = _matrix_profile(profile, colours.shape[2])
    if curves is None:
        levels = (colours * np.float32(255) + np.float32(0.5)).astype(np.uint8)
        levels = np.broadcast_to(levels, (*colours.shape[:2], 3))
        rgb = profile_to_srgb(Image.fromarray(levels), profile)
        return np.asarray(rgb).astype(np.float32) / 255
    linear = np.stack([c(colours[..., i]) for i, c in enumerate(curves)], axis=-1)
    linear = np.clip(linear @ matrix.T, 0, 1)
    curve = 1.055 * linear ** (1 / 2.4) - 0.055
    return np.where(linear <= 0.0031308, 12.92 * linear, curve).astype(np.float32)


def _is_srgb(profile):
    """Whether an RGB profile leaves a few test colours where they are, to 1/1000."""
    curves, matrix = _matrix_profile(profile, 3)
    if curves is None:
        return False
    colours = np.float32([[0.05, 0.2, 0.8], [0.9, 0.5, 0.1], [0.5, 0.9, 0.5]])
    linear = np.stack([c(colours[:, i]) for i, c in enumerate(curves)], axis=-1)
    wanted = np.where(
        colours <= 0.04045, colours / 12.92, ((colours + 0.055) / 1.055) ** 2.4
    )
    return bool(np.abs(linear @ matrix.T - wanted).max() < 1e-3)


def _matrix_profile(profile, channels):
    """`(curves to linear light, matrix to linear sRGB)` of a simple ICC profile.

    `(None, None)` for one with tables, or one that is damaged or of another kind.
    """
    try:
        tags = read_tags(profile)
        if any(name.startswith(b"A2B") for name in tags):
            return None, None
        if channels == 1:
            return [read_curve(tags[b"kTRC"])], np.eye(1, dtype=np.float32)
        curves = [read_curve(tags[name]) for name in (b"rTRC", b"gTRC", b"bTRC")]
        # Both matrices lead to the same D50 space, so no adaptation is needed.
        matrix = np.linalg.inv(_read_matrix(read_tags(SRGB_BYTES))) @ _read_matrix(tags)
        return curves, matrix.astype(np.float32)
    except (KeyError, struct.error, ValueError, IndexError, np.linalg.LinAlgError):
        return None, None


def read_tags(profile):
    """`{name: bytes}` of a profile's tags: ICC.1:2022, section 7.3.

    Raises: struct.error: `profile` is cut short.
    """
    (count,) = struct.unpack_from(">I", profile, 128)
    entries = (
        struct.unpack_from(">4sII", profile, 132 + 12 * i)
        for i in range(min(count, 99))
    )
    return {name: profile[start : start + size] for name, start, size in entries}


def _read_matrix(tags):
    """3 x 3, from linear RGB to XYZ."""
    rows = [struct.unpack_from(">3i", tags[name], 8) for name in MATRIX_COLUMNS]
    return np.array(rows).T / 65536


def read_curve(tag):
    """A function from encoded to linear values in [0, 1]: ICC.1:2022, 10.6 and 10.18.

    tag: its bytes. Raises: ValueError, IndexError, struct.error: it is no curve.
    """
    if tag[:4] == b"curv":
        (count,) = struct.unpack_from(">I", tag, 8)
        if count <= 1:  # a power in 1/256, or the identity
            power = struct.unpack_from(">H", tag, 12)[0] / 256 if count else 1.0
            return lambda x: x**power
        table = np.frombuffer(tag, ">u2", count, 12) / 65535
        return lambda x: np.interp(x, np.linspace(0, 1, count), table)
    if tag[:4] != b"para":
        raise ValueError("no curve")
    return _parametric(tag)


def _parametric(tag):
    """The curve that is a formula: ICC.1:2022, 10.18."""
    (kind,) = struct.unpack_from(">H", tag, 8)
    size = (1, 3, 4, 5, 7)[kind]
    g, *rest = (v / 65536 for v in struct.unpack_from(f">{size}i", tag, 12))
    # The five kinds are one formula with parts left out:
    # (a x + b)^g + e from d upwards, c x + f below it.
    a, b, c, d, e, f = (rest + [0.0] * 6)[:6] if kind else (1.0, 0, 0, 0, 0, 0)
    if g <= 0 or a == 0:
        raise ValueError(f"a curve of power {g} and slope {a} has no meaning")
    if kind in (1, 2):
        c, d, e, f = 0.0, -b / a, c, c
    return lambda x: np.where(x >= d, np.maximum(a * x + b, 0) ** g + e, c * x + f)
