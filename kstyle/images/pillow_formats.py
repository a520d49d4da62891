"""The file types that Pillow reads: JPEG, WebP, BMP, GIF, PSD, and rare kinds of TIFF.

What is outside a GIF's first frame, and a PSD's transparency, are completed here.
"""

import logging
import struct
from pathlib import Path

import numpy as np
from PIL import Image

from kstyle.images import color_profiles
from kstyle.images.decoded import (
    DESCRIPTION,
    SOFTWARE,
    Header,
    StoredPicture,
    check_size,
    divide_by_alpha,
    exif_orientation,
    exif_profile,
)

log = logging.getLogger("kstyle")

# Markers of JPEG's kinds of frames (T.81, table B.1) and of JPEG-LS.
JPEG_FRAMES = (*range(0xC0, 0xC4), *range(0xC5, 0xC8), *range(0xC9, 0xD0), 0xF7)
USUAL_FRAMES = (0xC0, 0xC1, 0xC2)
PILLOW_TYPES = ("JPEG", "WEBP", "BMP", "GIF", "PSD", "TIFF", "AVIF", "JPEG2000")


def read_pillow_header(path: Path) -> Header:
    """Read the size and the orientation.

    Raises: what Pillow raises.
    """
    with Image.open(path, formats=PILLOW_TYPES) as image:
        return Header(image.height, image.width, exif_orientation(_exif(image)))


def unsupported_kind(data: bytes) -> str | None:
    """Name what a file is that begins as a type Pillow reads, and is of another kind.

    data: its bytes. Returns: `None` where nothing is known.
    """
    if data.startswith(b"8BPS") and len(data) >= 26:
        version, depth, mode = struct.unpack_from(">4xH16xHH", data)
        if version == 1 and depth not in (16, 32):
            return None
        large = "large " if version == 2 else ""
        return f"{large}Photoshop file, mode {mode} at {depth} bits"
    if not data.startswith(b"\xff\xd8"):
        return None
    at = 2
    while at + 5 <= len(data) and data[at] == 0xFF:
        marker, length, depth = struct.unpack_from(">BHB", data, at + 1)
        if marker in USUAL_FRAMES and depth == 8:
            return None
        if marker in JPEG_FRAMES:
            name = {0xC3: "lossless JPEG", 0xF7: "JPEG-LS"}.get(marker, "JPEG")
            return f"{name} of {depth} bits"
        at += 2 + length
    return None


def read_pillow_record(path: Path) -> str | None:
    """Read the description, if kstyle wrote it.

    Raises: what Pillow raises.
    """
    with Image.open(path, formats=PILLOW_TYPES) as image:
        exif = _exif(image)
        return exif.get(DESCRIPTION) if exif.get(SOFTWARE) == "kstyle" else None


def read_with_pillow(path: Path) -> StoredPicture:
    """Read a picture of 8 bits; of an animation, the first frame.

    Raises: ImageError: it is too large. What Pillow raises, which may be anything.
    """
    with Image.open(path, formats=PILLOW_TYPES) as image:
        check_size(image.height, image.width)
        kind = image.format
        frame = image.tile[0][1] if kind == "GIF" and image.tile else None
        image.load()  # before the tags: the TIFF reader turns the picture itself
        exif = _exif(image)
        profile = image.info.get("icc_profile") or exif_profile(exif)
        if image.mode == "LAB":
            profile = None
        levels, alpha = split_bands(image)
    if frame is not None:
        alpha = _within_frame(alpha, levels.shape, frame)
    if kind == "PSD" and alpha is not None:
        levels, alpha = _unmatte(path, levels, alpha)
    return StoredPicture(levels, alpha, profile, exif_orientation(exif))


def split_bands(image: Image.Image) -> tuple[np.ndarray, np.ndarray | None]:
    """Give the colours and the alpha of an image of 8 bits, as in `StoredPicture`."""
    if image.mode in ("I", "F") or image.mode.startswith("I;"):
        raise NotImplementedError(f"samples of the kind {image.mode}")
    alpha = None
    gray = image.mode in ("1", "L", "LA", "La")
    if image.has_transparency_data:
        image = image.convert("RGBA")
        alpha = np.asarray(image.getchannel("A"))
    if image.mode == "LAB":
        image = color_profiles.lab_to_srgb(image)
    elif image.mode != "CMYK":
        image = image.convert("RGB")
    if gray:
        image = image.getchannel("R")
    levels = np.asarray(image)
    return levels.reshape(*levels.shape[:2], -1), alpha


def _exif(image: Image.Image) -> Image.Exif:
    try:
        return image.getexif()
    except Exception:  # a damaged EXIF block does not spoil the picture
        log.info("the EXIF data cannot be read; the picture is not turned")
        return Image.Exif()


def _within_frame(
    alpha: np.ndarray | None, shape: tuple[int, ...], frame: tuple[int, int, int, int]
) -> np.ndarray | None:
    """Return the alpha of a GIF: its canvas is transparent outside its first frame.

    frame: left, top, right and bottom.
    """
    left, top, right, bottom = frame
    inside = np.zeros(shape[:2], bool)
    inside[top:bottom, left:right] = True
    if inside.all():
        return alpha
    return np.where(inside, 255 if alpha is None else alpha, 0).astype(np.uint8)


def _unmatte(
    path: Path, levels: np.ndarray, alpha: np.ndarray
) -> tuple[np.ndarray, np.ndarray | None]:
    """Return the colours and alpha of a Photoshop file's flattened picture.

    Where its first extra band is transparency, the colours were put over white; the
    number of layers is negative then. Otherwise the band is a saved selection.
    Source: Adobe Photoshop File Formats Specification (2019), "Layer info".
    """
    with open(path, "rb") as file:
        file.seek(26)
        for _ in ("palette", "resources"):
            (length,) = struct.unpack(">I", file.read(4))
            file.seek(length, 1)
        length, _, layers = struct.unpack(">IIh", file.read(10))
    if not length or layers >= 0:
        return levels, None
    cover = color_profiles.to_unit_range(alpha)
    over_white = color_profiles.to_unit_range(levels)
    return divide_by_alpha(over_white - (1 - cover[..., None]), cover), alpha
