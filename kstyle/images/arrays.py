"""Pictures from memory: NumPy arrays, tensors and Pillow's images."""

import os
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from kstyle.errors import ImageError
from kstyle.images.picture import Picture
from kstyle.images.reading import load_picture

# Floats may be this far outside [0, 1], as resampling makes them.
RANGE_TOLERANCE = 0.01
FULL_SCALE = {np.dtype("uint8"): 255, np.dtype("uint16"): 65_535}
# Modes of Pillow that a PNG or TIFF file holds; others are converted first.
FILE_MODES = ("1", "L", "LA", "P", "RGB", "RGBA", "I;16", "CMYK")


def as_picture(
    value: Any, name: str = "picture", *, tolerance: float = RANGE_TOLERANCE
) -> Picture:
    """Convert a picture in memory, or the path of one, to a `Picture`.

    value: a `Picture`; a Pillow image, which is read as its file would be (orientation,
        colour profile, transparency); an array or tensor `(height, width, 3)`, or a
        batch of one of those, as uint8, uint16 or floats in [0, 1]; a path or
        `sample:NAME`.
    name: what the messages call it.
    tolerance: how far floats may be outside [0, 1]; they are clipped.
    Raises: ImageError: the value is none of these, its shape is another, or its
        numbers are NaN or outside the range.
    """
    if isinstance(value, (str, os.PathLike)):
        return load_picture(value)
    if isinstance(value, Image.Image):
        return read_pillow_image(value, name)
    if isinstance(value, Picture):
        pixels = as_pixels(value.pixels, name, tolerance)
        if value.alpha is None:
            return Picture(pixels)
        return Picture(pixels, as_alpha(value.alpha, pixels.shape[:2], name))
    return Picture(as_pixels(value, name, tolerance))


def as_pixels(value: Any, name: str, tolerance: float) -> np.ndarray:
    """Convert an array `(height, width, 3)` to float32 RGB in [0, 1].

    Raises: ImageError: as `as_picture`.
    """
    try:
        array = np.asarray(value)
    except (TypeError, ValueError) as error:  # a ragged list
        raise ImageError(
            f"{name}: {describe_value(value)} is not an array ({error})."
        ) from None
    if array.dtype.kind not in "uif":
        raise ImageError(
            f"{name}: expected an array (height, width, 3), a Pillow image, a Picture "
            f"or a path. Received: {describe_value(value)}."
        )
    if array.ndim == 4 and array.shape[0] == 1:
        array = array[0]
    if array.ndim != 3 or array.shape[2] != 3 or array.size == 0:
        raise ImageError(
            f"{name}: expected the shape (height, width, 3). Received: {array.shape}."
            + SHAPE_HINTS.get(shape_kind(array) or "", "")
        )
    return as_unit_range(array, name, tolerance)


SHAPE_HINTS = {
    "grey": " Repeat a grey picture: np.repeat(array[..., None], 3, axis=-1).",
    "grey channel": " Repeat a grey picture: np.repeat(array, 3, axis=-1).",
    "alpha": " Leave out the alpha, array[..., :3], or give kstyle.Picture("
    "array[..., :3], array[..., 3]).",
    "channels first": " Move the channels: np.moveaxis(array, 0, -1).",
    "batch": " Give one picture of the batch: array[0].",
}


def shape_kind(array: np.ndarray) -> str | None:
    """Name what an array of a wrong shape probably is, as a key of `SHAPE_HINTS`."""
    shape = array.shape
    if 0 in shape:
        return None
    if len(shape) == 2:
        return "grey"
    if len(shape) == 3:
        last = {1: "grey channel", 4: "alpha"}.get(shape[2])
        return last or ("channels first" if shape[0] == 3 else None)
    return "batch" if len(shape) > 3 else None


def as_unit_range(array: np.ndarray, name: str, tolerance: float) -> np.ndarray:
    """Scale uint8 and uint16 to float32 in [0, 1]; check and clip floats.

    Raises: ImageError: another integer type, NaN, or floats outside [0, 1].
    """
    if array.dtype in FULL_SCALE:
        return np.divide(array, FULL_SCALE[array.dtype], dtype=np.float32)
    low, high = array.min(), array.max()
    if array.dtype.kind in "ui":
        raise ImageError(
            f"{name}: integers must be uint8 or uint16. Received: {array.dtype} from "
            f"{low} to {high}. Convert 0..255 with array.astype('uint8')."
        )
    if not np.isfinite([low, high]).all():
        raise ImageError(f"{name} holds NaN or infinity. Give finite numbers in 0..1.")
    if low < -tolerance or high > 1 + tolerance:
        raise ImageError(
            f"{name}: floats must be in 0..1. Received: {low:g} to {high:g}. Divide "
            "0..255 by 255, or convert it with array.astype('uint8')."
        )
    if low < 0 or high > 1:
        array = np.clip(array, 0, 1)
    return np.asarray(array, np.float32)


def as_alpha(value: Any, size: tuple[int, int], name: str) -> np.ndarray:
    """Check the alpha of a picture of `size`. Returns: float32 `(height, width)`."""
    array = np.asarray(value)
    if array.shape != size or array.dtype.kind not in "uif":
        raise ImageError(
            f"{name}: expected an alpha of the shape {size}. Received: "
            f"{describe_value(value)}."
        )
    return as_unit_range(array, f"{name}: its alpha", RANGE_TOLERANCE)


def read_pillow_image(image: Image.Image, name: str) -> Picture:
    """Read a Pillow image as if it had been saved without loss.

    Raises: ImageError: Pillow cannot decode or convert it, or as `load_picture`.
    """
    if image.mode in ("I", "F"):  # no range is known
        raise ImageError(
            f"{name}: a Pillow image of mode {image.mode} has no known range. Give an "
            "array of uint8, uint16 or floats in 0..1."
        )
    with tempfile.TemporaryDirectory(prefix="kstyle-") as folder:
        path = Path(folder) / ("picture.tif" if image.mode == "CMYK" else "picture.png")
        try:
            profile, exif = image.info.get("icc_profile"), image.getexif()
            if image.mode not in FILE_MODES:
                alpha = image.has_transparency_data
                image, profile = image.convert("RGBA" if alpha else "RGB"), None
            # The compression level is for PNG alone; other types ignore it.
            image.save(path, icc_profile=profile, exif=exif, compress_level=1)
        except Exception as error:  # Pillow raises all kinds for a damaged file
            raise ImageError(
                f"{name}: this Pillow image cannot be read ({error})."
            ) from error
        try:
            return load_picture(path)
        except ImageError as error:
            raise ImageError(str(error).replace(str(path), name)) from error


def describe_value(value: Any) -> str:
    """Describe a value that is no picture, in a few words."""
    if hasattr(value, "shape"):
        return f"{type(value).__name__} {tuple(value.shape)} of {value.dtype}"
    text = repr(value)
    return text if len(text) < 60 else f"a {type(value).__name__}"
