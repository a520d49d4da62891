"""What the reader of a file type returns, and the limits that hold for all types."""

import dataclasses
import logging
from collections.abc import Mapping

import numpy as np
from PIL import Image

from kstyle.errors import ImageError
from kstyle.images import color_profiles

log = logging.getLogger("kstyle")

MAX_PIXELS = 200_000_000
DESCRIPTION, ORIENTATION, SOFTWARE = 270, 274, 305  # tags, in TIFF and EXIF
SIDEWAYS = (5, 6, 7, 8)  # EXIF orientations that swap height and width
EXIF_TAGS, INTEROPERABILITY_TAGS = 0x8769, 0xA005
COLOR_SPACE, INTEROPERABILITY_INDEX = 0xA001, 1
ADOBE_RGB, UNCALIBRATED = 2, 0xFFFF  # values of ColorSpace: EXIF 3.0, 4.6.6
# Floats of editors overshoot by rounding; further outside they have another scale.
OVERSHOOT = 0.01


@dataclasses.dataclass(frozen=True)
class Header:
    """The size and orientation of a stored picture.

    orientation: the EXIF value, 1 to 8; others count as 1.
    """

    height: int
    width: int
    orientation: int = 1

    @property
    def upright_size(self) -> tuple[int, int]:
        """`(height, width)` once the picture is upright."""
        if self.orientation in SIDEWAYS:
            return self.width, self.height
        return self.height, self.width


@dataclasses.dataclass(frozen=True)
class StoredPicture:
    """A picture as its file holds it.

    levels: `(H, W, C)`, uint8, uint16 or float32 in [0, 1]; grey, RGB or CMYK for `C`
        of 1, 3 and 4, not multiplied by alpha.
    alpha: `(H, W)` of those types, or `None`.
    profile: the ICC profile of `levels`, or `None` for sRGB.
    orientation: the EXIF value, 1 to 8; others count as 1.
    """

    levels: np.ndarray
    alpha: np.ndarray | None = None
    profile: bytes | None = None
    orientation: int = 1


def check_size(height: int, width: int) -> None:
    """Refuse a picture of more than `MAX_PIXELS` or of none, before it takes memory.

    Raises: ImageError.
    """
    if height * width < 1:
        raise ImageError(f"it has {width} x {height} pixels. Use another picture.")
    if height * width > MAX_PIXELS:
        raise ImageError(
            f"{width} x {height} pixels are more than {MAX_PIXELS // 10**6} million. "
            "Make the picture smaller."
        )


def check_floats(samples: np.ndarray) -> np.ndarray:
    """Clip floats that are a little outside [0, 1]; refuse those far outside.

    Returns: float32. Raises: ImageError: they are not numbers, or of another range.
    """
    if not np.isfinite(samples).all():
        raise ImageError("it holds NaN or infinity. Save it with finite numbers.")
    low, high = float(samples.min()), float(samples.max())
    if low < -OVERSHOOT or high > 1 + OVERSHOOT:
        words = "Scale them into 0 to 1"
        if low >= -OVERSHOOT and high > 1.5:
            words += next((f": divide by {n}" for n in (255, 65535) if high <= n), "")
        raise ImageError(f"its floats reach from {low:.3g} to {high:.3g}. {words}.")
    return np.clip(samples, 0, 1).astype(np.float32)


def turn_upright(array: np.ndarray, orientation: int) -> np.ndarray:
    """Turn `(H, W, ...)` as the EXIF value 1 to 8 says; others do nothing."""
    if orientation in SIDEWAYS:
        array = array.swapaxes(0, 1)
    if orientation in (3, 4, 7, 8):
        array = array[::-1]
    if orientation in (2, 3, 6, 7):
        array = array[:, ::-1]
    return array


def divide_by_alpha(levels: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    """Undo that colours were multiplied by alpha (associated, premultiplied).

    levels: `(H, W, C)`; alpha: `(H, W)`; both float32 in [0, 1]. Where alpha is 0 the
    colours are 0.
    """
    return np.clip(levels / np.maximum(alpha[..., None], 1e-6), 0, 1)


def exif_orientation(exif: Image.Exif) -> int:
    """Return the orientation in an EXIF block, or 1."""
    found = exif.get(ORIENTATION, 1)
    return found if isinstance(found, int) else 1


def exif_profile(exif: Image.Exif) -> bytes | None:
    """Return the profile of a camera's Adobe RGB, which has no ICC profile in the file.

    DCF 2.0 names it by the interoperability index R03; some cameras by a colour space
    of 2. `None`: the EXIF block does not name it.
    """
    try:
        details = exif.get_ifd(EXIF_TAGS)
        index = ""
        if INTEROPERABILITY_TAGS in details:
            index = exif.get_ifd(INTEROPERABILITY_TAGS).get(INTEROPERABILITY_INDEX, "")
    except Exception:  # a damaged block does not spoil the picture
        return None
    return profile_of_tags(details, index)


def profile_of_tags(details: Mapping, index: object) -> bytes | None:
    """Return the profile that EXIF's tags and the interoperability index name."""
    if isinstance(index, bytes):
        index = index.decode("ascii", "replace")
    camera = str(index).rstrip("\0 ") == "R03"
    space = details.get(COLOR_SPACE)
    if space == ADOBE_RGB or (camera and space in (None, UNCALIBRATED)):
        return color_profiles.adobe_rgb_profile()
    return None
