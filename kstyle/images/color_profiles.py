"""Colour profiles: from the colours of a file to sRGB.

LittleCMS does the conversion in floats, through imagecodecs. Its conversion of 8 and of
16 bits takes a tenth of the time, and is up to six levels of 8 bits off.
"""

import logging
import struct

import imagecodecs
import numpy as np
from PIL import Image, ImageCms

from kstyle.errors import ImageError

log = logging.getLogger("kstyle")

# LittleCMS writes the present time into the header, at this place: two equal results
# would not be equal files.
DATE_OFFSET, FIXED_DATE = 24, struct.pack(">6H", 2000, 1, 1, 0, 0, 0)


def with_date(profile: bytes, date: bytes = FIXED_DATE) -> bytes:
    """Return the bytes of an ICC `profile` with another creation date."""
    return profile[:DATE_OFFSET] + date + profile[DATE_OFFSET + len(date) :]


SRGB_BYTES = with_date(
    ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
)
PROFILE_TAG = 34675  # of a profile in a TIFF
STRIP = 2**20  # pixels converted at once: LittleCMS needs copies of them
# Half a level of 8 bits. Profiles called sRGB differ among each other by less.
SRGB_TOLERANCE = 0.5 / 255

D65, D50, ILLUMINANT_C = (0.3127, 0.3290), (0.3457, 0.3585), (0.310, 0.316)
BT709 = (0.64, 0.33, 0.30, 0.60, 0.15, 0.06)
# H.273 (2021), table 2: x and y of red, green and blue, and of white.
PRIMARIES = {
    1: (BT709, D65),
    4: ((0.67, 0.33, 0.21, 0.71, 0.14, 0.08), ILLUMINANT_C),
    5: ((0.64, 0.33, 0.29, 0.60, 0.15, 0.06), D65),
    6: ((0.630, 0.340, 0.310, 0.595, 0.155, 0.070), D65),
    7: ((0.630, 0.340, 0.310, 0.595, 0.155, 0.070), D65),
    9: ((0.708, 0.292, 0.170, 0.797, 0.131, 0.046), D65),
    11: ((0.680, 0.320, 0.265, 0.690, 0.150, 0.060), (0.314, 0.351)),
    12: ((0.680, 0.320, 0.265, 0.690, 0.150, 0.060), D65),
    22: ((0.630, 0.340, 0.295, 0.605, 0.155, 0.077), D65),
}
UNSPECIFIED = 2
GAMMAS = {4: 2.2, 5: 2.8, 8: 1.0}  # H.273, table 3: transfer curves that are powers
# sRGB's curve, and those of video. A viewer shows video's colours by the screen's
# curve, which is sRGB's, and so do browsers.
SRGB_CURVES = (1, UNSPECIFIED, 6, 13, 14, 15)
HDR_CURVES = {16: "PQ", 18: "HLG"}
CURVE_POINTS = 4096  # of sRGB's curve in a profile made here


def to_srgb(levels: np.ndarray, profile: bytes | None) -> np.ndarray:
    """Convert samples to sRGB.

    levels: `(H, W, C)`, uint8, uint16, or float32 in [0, 1]; grey, RGB or CMYK (all
        ink is the largest) for `C` of 1, 3 and 4.
    profile: ICC bytes, or `None` for sRGB. One that cannot be used is logged, and the
        samples count as sRGB.

    Returns: float32 `(H, W, 1 or 3)` in [0, 1].
    Raises: ImageError: the profile is of high dynamic range.
    """
    if profile:
        _check_range(profile)
        fitting = _fit_channels(levels, profile[16:20])
        if fitting is None:
            log.warning("the ICC profile is of another kind of colours, taken as sRGB")
        elif profile[16:20] == b"RGB " and _is_srgb(profile):
            levels = fitting
        else:
            try:
                return _convert(fitting, profile)
            except (RuntimeError, ValueError) as error:
                log.warning("the ICC profile cannot be used, taken as sRGB: %s", error)
    colours = to_unit_range(levels)
    return colours if colours.shape[2] < 4 else without_ink(colours)


def lab_to_srgb(image: Image.Image) -> Image.Image:
    """Convert an image of Pillow's mode LAB to sRGB."""
    lab, srgb = ImageCms.createProfile("LAB"), ImageCms.createProfile("sRGB")
    transform = ImageCms.buildTransform(lab, srgb, "LAB", "RGB")
    return transform.apply(image)


def to_unit_range(levels: np.ndarray) -> np.ndarray:
    """Scale unsigned integers to float32 in [0, 1]; floats stay as they are."""
    if levels.dtype.kind == "f":
        return levels.astype(np.float32, copy=False)
    return np.divide(levels, np.iinfo(levels.dtype).max, dtype=np.float32)


def without_ink(cmyk: np.ndarray) -> np.ndarray:
    """Give the RGB of CMYK without a profile, both float32 in [0, 1]."""
    return (1 - cmyk[..., :3]) * (1 - cmyk[..., 3:])


def _fit_channels(levels: np.ndarray, space: bytes) -> np.ndarray | None:
    """Give the samples as the colour space of a profile wants them.

    `None`: a profile of that space says nothing of such samples.
    """
    channels = levels.shape[2]
    if space == b"GRAY":
        if channels == 3 and (levels == levels[..., :1]).all():  # a grey palette
            return levels[..., :1]
        return levels if channels == 1 else None
    if space == b"RGB ":
        if channels == 4:
            return without_ink(to_unit_range(levels))
        return np.broadcast_to(levels, (*levels.shape[:2], 3))
    if space == b"CMYK":
        return levels if channels == 4 else None
    return None


def _convert(levels: np.ndarray, profile: bytes) -> np.ndarray:
    """Convert with LittleCMS, in strips of rows; see `to_srgb`.

    Raises: imagecodecs.CmsError, which is a RuntimeError: the profile is damaged.
    """
    space = profile[16:20].decode("ascii", "replace").strip().lower()
    if levels.dtype == np.float32 and space == "cmyk":  # its floats go to 100
        levels = levels * np.float32(100)
    height, width = levels.shape[:2]
    result = np.empty((height, width, 3), np.float32)
    rows = max(1, STRIP // width)
    for top in range(0, height, rows):
        strip = np.ascontiguousarray(levels[top : top + rows])
        found = imagecodecs.cms_transform(
            strip if space != "gray" else strip[..., 0],
            profile,
            SRGB_BYTES,
            colorspace=space,
            outcolorspace="rgb",
            outdtype=np.float32,
        )
        np.clip(found, 0, 1, out=result[top : top + rows])
    return result


def _is_srgb(profile: bytes) -> bool:
    """Return whether an RGB profile leaves test colours unchanged."""
    steps = np.linspace(0, 1, 6, dtype=np.float32)
    colours = np.stack(np.meshgrid(steps, steps, steps), axis=-1).reshape(1, -1, 3)
    try:
        return bool(np.abs(_convert(colours, profile) - colours).max() < SRGB_TOLERANCE)
    except (RuntimeError, ValueError):
        return False


def _check_range(profile: bytes) -> None:
    """Refuse an ICC profile whose tag `cicp` names a curve of high dynamic range."""
    try:
        (count,) = struct.unpack_from(">I", profile, 128)
        for i in range(min(count, 99)):
            name, start, _ = struct.unpack_from(">4sII", profile, 132 + 12 * i)
            if name == b"cicp":
                check_curve(profile[start + 9])
    except (struct.error, IndexError):
        pass  # LittleCMS says what is wrong with it


def check_curve(transfer: int) -> None:
    """Refuse a curve of high dynamic range, by its number in H.273.

    Raises: ImageError.
    """
    if transfer in HDR_CURVES:
        raise ImageError(
            f"its colours are of high dynamic range ({HDR_CURVES[transfer]}), which "
            "sRGB cannot hold. Convert it to sRGB in an editor."
        )


def cicp_profile(primaries: int, transfer: int) -> bytes | None:
    """Make the ICC profile of colours that are named by their numbers in H.273.

    Returns: `None` for sRGB, or for numbers that say nothing.
    Raises: ImageError: they are of high dynamic range.
    """
    check_curve(transfer)
    if transfer not in SRGB_CURVES and transfer not in GAMMAS:
        log.warning("the transfer curve %d is not known, taken as sRGB", transfer)
    gamma = GAMMAS.get(transfer)
    if gamma is None and primaries in (1, UNSPECIFIED):
        return None
    corners, white = PRIMARIES.get(primaries, PRIMARIES[1])
    return rgb_profile(corners, white, gamma)


def rgb_profile(
    corners: tuple[float, ...],
    white: tuple[float, float],
    gamma: float | None,
) -> bytes:
    """Make an ICC profile.

    corners: x and y of red, green and blue. white: x and y. gamma: the power from
    samples to light, or `None` for sRGB's curve.
    """
    curve = None
    if gamma is None:
        encoded = np.linspace(0, 1, CURVE_POINTS)
        curve = np.where(
            encoded <= 0.04045, encoded / 12.92, ((encoded + 0.055) / 1.055) ** 2.4
        ).astype(np.float32)
    return imagecodecs.cms_profile(
        "rgb",
        whitepoint=[*white, 1.0],
        primaries=[v for i in (0, 2, 4) for v in (*corners[i : i + 2], 1.0)],
        transferfunction=curve,
        gamma=gamma,
    )


def gray_profile(gamma: float) -> bytes:
    """Make an ICC profile of grey samples that are light to the power `1 / gamma`."""
    return imagecodecs.cms_profile("gray", gamma=gamma)


def adobe_rgb_profile() -> bytes:
    """Make the ICC profile of Adobe RGB (1998)."""
    return imagecodecs.cms_profile("adobergb")
