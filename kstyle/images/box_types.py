"""File types made of boxes: AVIF, HEIF, JPEG 2000 and JPEG XL.

HEIF and JPEG XL need packages that come with kstyle's extras.

Sources of the formats: ISO/IEC 14496-12 (boxes) and 23008-12 (HEIF), AV1 Image File
Format 1.2, ISO/IEC 15444-1 annex I (JPEG 2000), ISO/IEC 18181 (JPEG XL).
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
from kstyle.images.pillow_types import read_with_pillow
from kstyle.images.stored import Header, StoredPicture, check_floats, check_size

AVIF_BRANDS = (b"avif", b"avis")
HEIF_BRANDS = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1")
JP2_SIGNATURES = (b"\0\0\0\x0cjP  \r\n\x87\n", b"\xff\x4f\xff\x51")
JXL_SIGNATURES = (b"\0\0\0\x0cJXL \r\n\x87\n", b"\xff\x0a")
CODESTREAM = b"\xff\x4f\xff\x51"  # how JPEG 2000's begins
SYCC = 18  # the YCC colours of JPEG 2000
# Width as a part of the height, by JPEG XL's number for it: 18181-1, table A.2.
JXL_RATIOS = ((0, 1), (1, 1), (12, 10), (4, 3), (3, 2), (16, 9), (5, 4), (2, 1))


def read_avif(path: Path) -> StoredPicture:
    """Read an AVIF, at 10 and 12 bits too; of an animation, the first frame.

    Raises: ImageError: it is too large, or of high dynamic range. What Pillow and
        imagecodecs raise.
    """
    data = path.read_bytes()
    properties = primary_properties(data)
    profile = _numbered_profile(properties.get(b"colr", []))
    stored = read_with_pillow(path)
    if stored.profile is None:
        stored = dataclasses.replace(stored, profile=profile)
    bits = _av1_bits(properties.get(b"av1C", []))
    if bits == 8:
        return stored
    deep = imagecodecs.avif_decode(data, index=0)
    levels, alpha = _split(deep.reshape(*deep.shape[:2], -1), 2**bits - 1)
    return dataclasses.replace(stored, levels=levels, alpha=alpha)


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
    samples = np.array(image)  # a copy: the memory is that of `image`
    levels, alpha = _split(samples.reshape(height, width, -1))
    return StoredPicture(levels, alpha, profile or None)


def _open_heif(path: Path) -> Any:
    """The main picture of a file, not decoded yet."""
    pillow_heif = _import_extra("pillow_heif", "heif", "a HEIC or HEIF picture")
    found = pillow_heif.open_heif(path, convert_hdr_to_8bit=False)
    return found[found.primary_index]


def _import_extra(module: str, extra: str, kind: str) -> ModuleType:
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
    if max(bits) <= 8:
        return dataclasses.replace(read_with_pillow(path), profile=profile)
    if len(set(bits)) > 1 or max(bits) > 16 or space == SYCC:
        raise NotImplementedError(f"components of {bits} bits")
    with Image.open(path, formats=["JPEG2000"]) as image:
        check_size(image.height, image.width)
    samples = imagecodecs.jpeg2k_decode(data)
    levels, alpha = _split(samples.reshape(*samples.shape[:2], -1), 2 ** bits[0] - 1)
    return StoredPicture(levels, alpha, profile)


def _jpeg2000_bits(data: bytes) -> tuple[int, ...]:
    """Bits of each component: 15444-1, A.5.1."""
    at = data.index(CODESTREAM) + 4
    (count,) = struct.unpack_from(">H", data, at + 36)
    kinds = data[at + 38 : at + 38 + 3 * count : 3]
    if not kinds or any(kind & 0x80 for kind in kinds):
        raise NotImplementedError("signed components")
    return tuple(kind + 1 for kind in kinds)


def read_jpeg_xl_header(path: Path) -> Header:
    """Read the size and the orientation of a JPEG XL picture: 18181-1, annex D.

    Raises: ValueError, struct.error: it is damaged.
    """
    return jpeg_xl_header(path.read_bytes())


def jpeg_xl_header(data: bytes) -> Header:
    """As `read_jpeg_xl_header`, of the bytes of a file."""
    stream = data
    if data[:2] != JXL_SIGNATURES[1]:
        part = find_box(data, b"jxlp")
        whole = find_box(data, b"jxlc")
        stream = whole if whole is not None else (part or b"")[4:]
    if stream[:2] != JXL_SIGNATURES[1]:
        raise ValueError("it has no header")
    bits = _Bits(stream[2:24])
    small = bits.take(1)
    height = 8 * (bits.take(5) + 1) if small else bits.take_length()
    above, below = JXL_RATIOS[bits.take(3)]
    if above:
        width = height * above // below
    else:
        width = 8 * (bits.take(5) + 1) if small else bits.take_length()
    plain = bits.take(1)
    turned = not plain and bits.take(1)
    return Header(height, width, 1 + bits.take(3) if turned else 1)


class _Bits:
    """Whole numbers out of bytes, lowest bit first."""

    def __init__(self, data: bytes) -> None:
        self._rest, self._left = int.from_bytes(data, "little"), 8 * len(data)

    def take(self, count: int) -> int:
        """Take the next `count` bits. Raises: ValueError: there are fewer."""
        if count > self._left:
            raise ValueError("its header is cut short")
        found = self._rest & ((1 << count) - 1)
        self._rest, self._left = self._rest >> count, self._left - count
        return found

    def take_length(self) -> int:
        """Take the length of an edge, of 9 to 30 bits."""
        return 1 + self.take((9, 13, 18, 30)[self.take(2)])


def read_jpeg_xl(path: Path) -> StoredPicture:
    """Read a JPEG XL picture of any depth; of an animation, the first frame.

    imagecodecs reads all bits of the samples, but no profile; the other package reads
    the profile, and 8 bits. Both turn the picture upright.

    Raises: ImageError: it is too large, or the package for it is not installed. What
        both packages raise.
    """
    data = path.read_bytes()
    header = jpeg_xl_header(data)
    check_size(header.height, header.width)
    _import_extra("pillow_jxl", "jxl", "a JPEG XL picture")
    with Image.open(path, formats=["JXL"]) as image:
        profile = image.info.get("icc_profile")
    samples = imagecodecs.jpegxl_decode(data, index=0)
    if samples.dtype.kind == "f":
        samples = check_floats(samples)
    levels, alpha = _split(samples.reshape(*samples.shape[:2], -1))
    return StoredPicture(levels, alpha, profile)


def _split(
    samples: np.ndarray, top: int | None = None
) -> tuple[np.ndarray, np.ndarray | None]:
    """Colours and alpha of `(H, W, 1 to 4)`.

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
    """The numbers of each item's properties, from 1: 23008-12, 9.3.1."""
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
    """The profile of colours that an AVIF names by numbers; `None` for ICC and sRGB."""
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
