"""Picture files: reading into float sRGB.

In memory a picture is always float32 `(height, width, 3)` in [0, 1], sRGB-encoded and
upright.
"""

import contextlib
import logging
import os
import re
import threading
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

from kstyle.errors import ImageError
from kstyle.files import why_unreadable
from kstyle.images import (
    bmp,
    color_profiles,
    decoded,
    isobmff_formats,
    jpeg_xl,
    pillow_formats,
    png,
    tiff,
)
from kstyle.images.picture import Picture
from kstyle.images.samples import picture_file

# Types by the suffixes that files of them have; what counts is how a file begins.
READABLE_SUFFIXES = {
    "JPEG": (".jpg", ".jpeg", ".jfif"),
    "PNG": (".png",),
    "WEBP": (".webp",),
    "TIFF": (".tif", ".tiff"),
    "AVIF": (".avif",),
    "HEIC": (".heic", ".heif", ".hif"),
    "JPEG XL": (".jxl",),
    "JPEG 2000": (".jp2", ".j2k", ".jpx"),
    "BMP": (".bmp",),
    "GIF": (".gif",),
    "PSD": (".psd",),
}
DECODER_LOCK = threading.RLock()  # held where the decoders' global settings are changed
PILLOW_SIGNATURES = (b"\xff\xd8", b"GIF8", b"8BPS")
LOGGERS = ("tifffile", "imagecodecs", "PIL")
# How decoders say that a file may be whole, and they do not read its kind.
UNSUPPORTED = re.compile(
    r"\b(not|un|isn't )\s?(yet )?(supported|implemented)\b|requires the|"
    r"cannot decode|not a known|unknown (compression|pixel mode)|not available",
    re.IGNORECASE,
)


class FileType(NamedTuple):
    """How files of a type are read.

    read_record: the text that `save_picture` put into the file, or `None`.
    """

    read_header: Callable[[Path], decoded.Header]
    read: Callable[[Path], decoded.StoredPicture]
    read_record: Callable[[Path], str | None]


def _no_record(path: Path) -> None:
    """Return no record: kstyle does not write this type."""


PILLOW = FileType(
    pillow_formats.read_pillow_header,
    pillow_formats.read_with_pillow,
    pillow_formats.read_pillow_record,
)
PNG = FileType(png.read_png_header, png.read_png, png.read_png_record)
TIFF = FileType(tiff.read_tiff_header, tiff.read_tiff, tiff.read_tiff_record)
BITMAP = FileType(
    bmp.read_bitmap_header, bmp.read_bitmap, pillow_formats.read_pillow_record
)
AVIF = PILLOW._replace(read=isobmff_formats.read_avif)
HEIF = FileType(isobmff_formats.read_heif_header, isobmff_formats.read_heif, _no_record)
JPEG_2000 = PILLOW._replace(read=isobmff_formats.read_jpeg2000)
JPEG_XL = FileType(jpeg_xl.read_jpeg_xl_header, jpeg_xl.read_jpeg_xl, _no_record)


def load_picture(path: str | os.PathLike[str]) -> Picture:
    """Read a picture file, turned upright and converted to sRGB.

    path: a file of a type in `READABLE_SUFFIXES`, whatever its name is (of an
        animation, the first frame), or `sample:NAME`. Deep samples keep their
        precision. Floats count as sRGB-encoded. A profile that cannot be used is logged
        and the picture taken as sRGB.

    Raises: ImageError: there is no such file or sample, or it cannot be used.
    """
    path = regular_file(picture_file(path))
    with reading(path):
        found = _file_type(path).read(path)
        colours = color_profiles.to_srgb(found.levels, found.profile)
    turned = decoded.turn_upright(colours, found.orientation)
    pixels = np.broadcast_to(turned, (*turned.shape[:2], 3))
    alpha = found.alpha
    if alpha is not None:
        alpha = color_profiles.to_unit_range(alpha)
        alpha = np.ascontiguousarray(decoded.turn_upright(alpha, found.orientation))
    return Picture(np.ascontiguousarray(pixels, np.float32), alpha)


def picture_size(path: str | os.PathLike[str]) -> tuple[int, int]:
    """Read `(height, width)` of a picture file, upright, from its header alone.

    Raises: ImageError: as `load_picture`, as far as the header tells.
    """
    path = regular_file(picture_file(path))
    with reading(path):
        header = _file_type(path).read_header(path)
        decoded.check_size(header.height, header.width)
    return header.upright_size


def read_embedded_record(path: Path) -> str | None:
    """Read the text that `save_picture` put into a file; `None` if there is none.

    Raises: ImageError: it is not a picture file that can be read.
    """
    path = regular_file(path)
    with reading(path):
        return _file_type(path).read_record(path)


def _file_type(path: Path) -> FileType:
    """Tell the type of a file by how it begins.

    Raises: ImageError: it is a camera's raw file.
    """
    with open(path, "rb") as file:
        head = file.read(64)
    if head.startswith(png.PNG_SIGNATURE):
        return PNG
    if head.startswith(tiff.TIFF_SIGNATURES):
        return TIFF
    if head.startswith(bmp.BMP_SIGNATURE):
        return BITMAP
    if head.startswith(jpeg_xl.JPEG_XL_SIGNATURES):
        return JPEG_XL
    if head.startswith(isobmff_formats.JP2_SIGNATURES):
        return JPEG_2000
    if head.startswith(tiff.OTHER_RAW) or head[4:12] == b"ftypcrx ":
        raise tiff.camera_raw_error()
    if head[4:8] == b"ftyp":
        size = int.from_bytes(head[:4])
        brands = [head[i : i + 4] for i in (8, *range(16, min(size, len(head)), 4))]
        if any(brand in isobmff_formats.AVIF_BRANDS for brand in brands):
            return AVIF
        if any(brand in isobmff_formats.HEIF_BRANDS for brand in brands):
            return HEIF
    return PILLOW


def regular_file(path: Path) -> Path:
    """Return `path` if it is a file with something in it.

    Raises: ImageError: it is not.
    """
    if reason := why_unreadable(path):
        raise ImageError(f"{path}: {reason}. Name a picture file, or sample:NAME.")
    if os.stat(path).st_size == 0:
        raise ImageError(f"{path} is empty. Make or download it again.")
    return path


@contextlib.contextmanager
def reading(path: Path) -> Iterator[None]:
    """Turn what the decoders raise into an `ImageError`, and keep them quiet.

    For the block that decodes `path`; threads wait for each other, since Pillow's
    limit, the warnings' filter and the loggers' levels are global.
    """
    with DECODER_LOCK:
        with _quiet_decoders(path):
            yield


@contextlib.contextmanager
def _quiet_decoders(path: Path) -> Iterator[None]:
    limit, loggers = Image.MAX_IMAGE_PIXELS, [logging.getLogger(n) for n in LOGGERS]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.CRITICAL + 1)  # the error says it, in one sentence
    Image.MAX_IMAGE_PIXELS = None  # decoded.check_size limits the size
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    except Exception as error:  # damaged files make the decoders raise all kinds
        raise ImageError(_reason(path, error)) from error
    finally:
        Image.MAX_IMAGE_PIXELS = limit
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


def _reason(path: Path, error: Exception) -> str:
    """Return the sentence for what a decoder raised."""
    if isinstance(error, ImageError):
        return f"{path}: {error}"
    if isinstance(error, PermissionError):
        return f"{path} may not be read by you. Change its permissions."
    unidentified = isinstance(error, Image.UnidentifiedImageError)
    kind = pillow_formats.unsupported_kind(path.read_bytes()) if unidentified else None
    if kind is not None:
        error = NotImplementedError(kind)
    words = " ".join(str(error).split())
    if not re.search("[a-z]{3}", words):  # some decoders raise with an index alone
        words = type(error).__name__
    if isinstance(error, NotImplementedError) or UNSUPPORTED.search(words):
        return (
            f"{path} is of a kind that is not supported ({words}). Save it as PNG, "
            "JPEG or an uncompressed TIFF."
        )
    if unidentified and not _begins_well(path):
        types = ", ".join(READABLE_SUFFIXES)
        return f"{path} is not a picture that can be read. Use {types}."
    if unidentified:
        words = "the header makes no sense"
    return f"{path} is damaged or cut short ({words}). Make or download it again."


def _begins_well(path: Path) -> bool:
    """Return whether a file begins like a type that can be read."""
    with open(path, "rb") as file:
        head = file.read(12)
    return _file_type(path) is not PILLOW or head.startswith(PILLOW_SIGNATURES)
