"""File types made of boxes: AVIF, HEIF and JPEG 2000.

HEIF needs a package that comes with an extra of kstyle.

Sources of the formats: ISO/IEC 14496-12 (boxes) and 23008-12 (HEIF), AV1 Image File
Format 1.2, ISO/IEC 15444-1 annex I (JPEG 2000).
"""

import dataclasses
import importlib
import struct
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import imagecodecs
import numpy as np
from PIL import Image

from kstyle.errors import ImageError
from kstyle.images import color_profiles
from kstyle.images.decoded import (
    Header,
    StoredPicture,
    check_size,
    exif_orientation,
    exif_profile,
)
from kstyle.images.pillow_formats import read_with_pillow

AVIF_BRANDS = (b"avif", b"avis")
HEIF_BRANDS = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1")
JP2_SIGNATURES = (b"\0\0\0\x0cjP  \r\n\x87\n", b"\xff\x4f\xff\x51")
CODESTREAM = b"\xff\x4f\xff\x51"  # how JPEG 2000's begins
SYCC = 18  # the YCC colours of JPEG 2000


def read_avif(path: Path) -> StoredPicture:
    """Read an AVIF, at 10 and 12 bits too; of an animation, the first frame.

    Raises: ImageError: it is too large, or of high dynamic range. What Pillow and
        imagecodecs raise.
    """
    data = path.read_bytes()
    properties = primary_properties(data)
    profile = _numbered_profile(properties.get(b"colr", []))
    bits = _av1_bits(properties.get(b"av1C", []))
    if bits == 8:
        stored = read_with_pillow(path)
    else:
        with Image.open(path, formats=["AVIF"]) as image:
            check_size(image.height, image.width)
            own, exif = image.info.get("icc_profile"), image.getexif()
        deep = imagecodecs.avif_decode(data, index=0)
        levels, alpha = split_samples(deep.reshape(*deep.shape[:2], -1), 2**bits - 1)
        stored = StoredPicture(levels, alpha, own, exif_orientation(exif))
    if stored.profile is None:
        stored = dataclasses.replace(stored, profile=profile)
    return stored


def read_heif_header(path: Path) -> Header:
    """Read the size of a HEIC or HEIF picture, which libheif turns upright.

    Raises: ImageError: the package for it is not installed. What pillow-heif raises.
    """
    width, height = _open_heif(path).size
    return Header(height, width)


def read_heif(path: Path) -> StoredPicture:
    """Read the main picture of a HEIC or HEIF file, at 10 and 12 bits too.

    Raises: as `read_heif_header`. ImageError: it is too large, or of high dynamic
        range.
    """
    image = _open_heif(path)
    width, height = image.size
    check_size(height, width)
    profile = image.info.get("icc_profile")
    numbers = image.info.get("nclx_profile")
    if not profile and numbers:
        profile = color_profiles.cicp_profile(
            numbers["color_primaries"], numbers["transfer_characteristics"]
        )
    elif not profile and image.info.get("exif"):
        exif = Image.Exif()
        exif.load(image.info["exif"])
        profile = exif_profile(exif)
    samples = np.array(image)  # a copy: the memory is that of `image`
    levels, alpha = split_samples(samples.reshape(height, width, -1))
    return StoredPicture(levels, alpha, profile or None)


def _open_heif(path: Path) -> Any:
    """Return the main picture of a file, not decoded yet."""
    pillow_heif = import_extra("pillow_heif", "heif", "a HEIC or HEIF picture")
    found = pillow_heif.open_heif(path, convert_hdr_to_8bit=False)
    return found[found.primary_index]


def import_extra(module: str, extra: str, kind: str) -> ModuleType:
    """Import the package that reads a type.

    Raises: ImageError: it is not installed.
    """
    try:
        return importlib.import_module(module)
    except ImportError:
        raise ImageError(
            f"it is {kind}, which needs one more package: pip install "
            f'"kstyle[{extra}]". Or save it as PNG or JPEG.'
        ) from None


def read_jpeg2000(path: Path) -> StoredPicture:
    """Read a JPEG 2000 picture, at 9 to 16 bits too.

    Raises: ImageError: it is too large. What Pillow and imagecodecs raise.
    """
    data = path.read_bytes()
    bits = _jpeg2000_bits(data)
    profile, space = None, None
    for kind, body in boxes(find_box(data, b"jp2h") or b""):
        if kind == b"colr" and body[:1] == b"\1":
            (space,) = struct.unpack_from(">I", body, 3)
        elif kind == b"colr" and body[:1] in (b"\2", b"\3"):
            profile = bytes(body[3:])
    if max(bits) <= 8 and len(bits) <= 4:
        return dataclasses.replace(read_with_pillow(path), profile=profile)
    if len(bits) > 4 or len(set(bits)) > 1 or max(bits) > 16 or space == SYCC:
        raise NotImplementedError(f"{len(bits)} components of {max(bits)} bits")
    samples = imagecodecs.jpeg2k_decode(data)
    levels, alpha = split_samples(
        samples.reshape(*samples.shape[:2], -1), 2 ** bits[0] - 1
    )
    return StoredPicture(levels, alpha, profile)


def _jpeg2000_bits(data: bytes) -> tuple[int, ...]:
    """Bits of each component of a stream: 15444-1, A.5.1.

    Raises: ImageError: the stream is too large, whatever the boxes around it say.
    """
    start = data if data.startswith(CODESTREAM) else find_box(data, b"jp2c")
    if start is None or not start.startswith(CODESTREAM):
        raise ValueError("it has no stream")
    right, bottom, left, top = struct.unpack_from(">4I", start, 8)
    check_size(bottom - top, right - left)
    (count,) = struct.unpack_from(">H", start, 40)
    kinds = start[42 : 42 + 3 * count : 3]
    if not kinds or any(kind & 0x80 for kind in kinds):
        raise NotImplementedError("signed components")
    return tuple(kind + 1 for kind in kinds)


def split_samples(
    samples: np.ndarray, top: int | None = None
) -> tuple[np.ndarray, np.ndarray | None]:
    """Part `(H, W, 1 to 4)` into colours and alpha.

    top: the largest level, where it is not that of the type.
    """
    if samples.shape[2] > 4:
        raise NotImplementedError(f"{samples.shape[2]} bands")
    if top not in (None, 255, 65535):
        samples = np.divide(samples, top, dtype=np.float32)
    if samples.shape[2] in (2, 4):
        return samples[..., :-1], samples[..., -1]
    return samples, None


def boxes(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Yield type and body of every box in `data`, as far as they are whole."""
    at = 0
    while at + 8 <= len(data):
        size, kind = struct.unpack_from(">I4s", data, at)
        begin = at + 8
        if size == 1 and begin + 8 <= len(data):
            (size,) = struct.unpack_from(">Q", data, begin)
            begin += 8
        end = at + size if size else len(data)  # 0: to the end of the file
        if end < begin or end > len(data):
            return
        yield kind, data[begin:end]
        at = end


def find_box(data: bytes, wanted: bytes) -> bytes | None:
    """Give the body of the first box of a type, or `None`."""
    return next((body for kind, body in boxes(data) if kind == wanted), None)


def primary_properties(data: bytes) -> dict[bytes, list[bytes]]:
    """Give the properties of the main item of an AVIF or HEIF, by type.

    Empty where the boxes are damaged; the decoder says so.
    """
    try:
        meta = (find_box(data, b"meta") or b"")[4:]
        item = find_box(meta, b"pitm") or b""
        wide = ">I" if item[:1] == b"\1" else ">H"
        (primary,) = struct.unpack_from(wide, item, 4)
        within = find_box(meta, b"iprp") or b""
        every = list(boxes(find_box(within, b"ipco") or b""))
        numbers = _associated(find_box(within, b"ipma") or b"").get(primary, [])
        found: dict[bytes, list[bytes]] = {}
        for number in numbers:
            if 0 < number <= len(every):
                kind, body = every[number - 1]
                found.setdefault(kind, []).append(body)
        return found
    except (struct.error, IndexError):
        return {}


def _associated(body: bytes) -> dict[int, list[int]]:
    """Return the numbers of each item's properties, from 1: 23008-12, 9.3.1."""
    version, large = body[0], body[3] & 1
    (count,) = struct.unpack_from(">I", body, 4)
    at, found = 8, {}
    for _ in range(count):
        (item,) = struct.unpack_from(">I" if version else ">H", body, at)
        at += 4 if version else 2
        length, at = body[at], at + 1
        if large:
            numbers = struct.unpack_from(f">{length}H", body, at)
            found[item] = [number & 0x7FFF for number in numbers]
        else:
            found[item] = [number & 0x7F for number in body[at : at + length]]
        at += length * (2 if large else 1)
    return found


def _numbered_profile(colours: list[bytes]) -> bytes | None:
    """Return the profile that an AVIF names by numbers; `None` for ICC and sRGB."""
    for body in colours:
        if body[:4] == b"nclx" and len(body) >= 8:
            return color_profiles.cicp_profile(*struct.unpack_from(">HH", body, 4))
    return None


def _av1_bits(settings: list[bytes]) -> int:
    """Bits of a sample: AV1 Codec ISO Media File Format Binding, 2.3.3."""
    if not settings or len(settings[0]) < 3:
        return 8
    flags = settings[0][2]
    return (12 if flags & 0x20 else 10) if flags & 0x40 else 8
