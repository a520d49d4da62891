"""BMP files whose samples are cut out of words by masks; Pillow reads the others.

Pillow knows only the usual masks, and no alpha of 16 bits a pixel.
Source of the format: BITMAPV5HEADER, learn.microsoft.com.
"""

import dataclasses
import struct
from pathlib import Path

import numpy as np

from kstyle.images.decoded import Header, StoredPicture, check_size
from kstyle.images.pillow_formats import read_pillow_header, read_with_pillow

BMP_SIGNATURE = b"BM"
WITH_MASKS, WITH_ALPHA_MASK = 3, 6  # compressions
# Bytes of the first header with masks, with alpha's, and with a profile.
OLD_HEADER, ALPHA_HEADER, PROFILE_HEADER = 40, 56, 124
EMBEDDED = b"DEBM"  # kind of colours: a profile in the file


def read_bitmap_header(path: Path) -> Header:
    """Read the size of a BMP.

    Raises: what Pillow raises; struct.error: the file is cut short.
    """
    data = path.read_bytes()
    if not _has_masks(data):
        return read_pillow_header(path)
    width, height = struct.unpack_from("<ii", data, 18)
    return Header(abs(height), width)


def read_bitmap(path: Path) -> StoredPicture:
    """Read a BMP.

    Raises: ImageError: it is too large. What Pillow raises; ValueError, struct.error:
        the file is cut short.
    """
    data = path.read_bytes()
    found = _read_masked(data) if _has_masks(data) else read_with_pillow(path)
    return dataclasses.replace(found, profile=_profile(data))


def _profile(data: bytes) -> bytes | None:
    """Return the ICC profile that the newest header names, if it is in the file."""
    (size,) = struct.unpack_from("<I", data, 14)
    if size < PROFILE_HEADER or data[70:74] != EMBEDDED:
        return None
    start, length = struct.unpack_from("<II", data, 126)
    return data[14 + start : 14 + start + length] or None


def _read_masked(data: bytes) -> StoredPicture:
    start, size, width, height = struct.unpack_from("<IIii", data, 10)
    bits, compression = struct.unpack_from("<HI", data, 28)
    check_size(abs(height), width)
    with_alpha = size >= ALPHA_HEADER or compression == WITH_ALPHA_MASK
    masks = struct.unpack_from("<4I" if with_alpha else "<3I", data, 54)
    rows, stride = abs(height), (width * bits + 31) // 32 * 4
    stored = np.frombuffer(data, np.uint8, rows * stride, start).reshape(rows, stride)
    words = stored.view(f"<u{bits // 8}")[:, :width].astype(np.uint32)
    if height > 0:  # the last row is stored first
        words = words[::-1]
    levels = np.stack([_masked(words, mask) for mask in masks[:3]], axis=-1)
    alpha = _masked(words, masks[3]) if with_alpha and masks[3] else None
    # Other programs leave alpha at 0 all over, and show an opaque picture.
    return StoredPicture(levels, alpha if alpha is None or alpha.any() else None)


def _has_masks(data: bytes) -> bool:
    """Return whether the pixels are words of 16 or 32 bits with masks."""
    (size,) = struct.unpack_from("<I", data, 14)
    if size < OLD_HEADER:
        return False
    bits, compression = struct.unpack_from("<HI", data, 28)
    return compression in (WITH_MASKS, WITH_ALPHA_MASK) and bits in (16, 32)


def _masked(words: np.ndarray, mask: int) -> np.ndarray:
    """Return the samples under a mask, as float32 in [0, 1]."""
    shift = (mask & -mask).bit_length() - 1 if mask else 0
    top = max(mask >> shift, 1)
    return np.divide((words & mask) >> shift, top, dtype=np.float32)
