"""PNG files of 1 to 16 bits: chunks, samples and colours, read and written.

Source of the format: PNG (third edition), W3C 2025. libpng unpacks and packs the
samples, through imagecodecs; the chunks that it is not given are read here.
"""

import logging
import re
import struct
import zlib
from pathlib import Path

import imagecodecs
import numpy as np
from PIL import Image

from kstyle.errors import ImageError
from kstyle.images import color_profiles
from kstyle.images.decoded import (
    ORIENTATION,
    Header,
    StoredPicture,
    check_size,
    exif_orientation,
    exif_profile,
)

log = logging.getLogger("kstyle")

PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
FOR_LIBPNG = (b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND")
MAX_TEXT = 2**20  # bytes of a text, unpacked
MAX_PROFILE = 2**24
TEXT_CHUNKS = (b"tEXt", b"zTXt", b"iTXt")
GRAY_KINDS = (0, 4)  # colour types
SRGB_GAMMA = 1 / 2.2  # what editors have long written for sRGB's curve
RECORD = b"kstyle"  # keyword of the text that holds a result's metadata
XMP, OLD_EXIF = b"XML:com.adobe.xmp", b"Raw profile type exif"
COMPRESSION = {8: 6, 16: 4}  # zlib's level by bits: deep samples hardly pack


def read_png_header(path: Path) -> Header:
    """Read the size and the orientation of a PNG.

    Raises: ValueError: there is no header.
    """
    return _header(_chunks(path.read_bytes()))


def read_png(path: Path) -> StoredPicture:
    """Read a PNG; of an animation, the picture that other programs show.

    Raises: RuntimeError, ValueError: it is damaged. ImageError: it is too large, or of
        high dynamic range.
    """
    data = path.read_bytes()
    chunks = _chunks(data)
    header = _header(chunks)
    check_size(header.height, header.width)
    kept = b"".join(chunk for name, chunk in chunks if name in FOR_LIBPNG)
    samples = imagecodecs.png_decode(PNG_SIGNATURE + kept)
    levels = samples.reshape(header.height, header.width, -1)
    alpha = None
    if levels.shape[2] in (2, 4):
        levels, alpha = levels[..., :-1], levels[..., -1]
    return StoredPicture(levels, alpha, _profile(chunks), header.orientation)


def read_png_record(path: Path) -> str | None:
    """Read the text that `write_png` was given; `None` if there is none."""
    found = _texts(_chunks(path.read_bytes())).get(RECORD)
    return None if found is None else found.decode("utf-8", "replace")


def _chunks(data: bytes) -> list[tuple[bytes, bytes]]:
    """Name and bytes of every chunk: its length, name, body and checksum.

    The last one is shorter where the file was cut.
    """
    at, found = len(PNG_SIGNATURE), []
    while at + 8 <= len(data):
        length, name = struct.unpack_from(">I4s", data, at)
        found.append((name, data[at : at + length + 12]))
        at += length + 12
    return found


def _body(chunks: list[tuple[bytes, bytes]], wanted: bytes) -> bytes | None:
    """Return the body of the first chunk of that name, if there is a whole one."""
    for name, chunk in chunks:
        if name == wanted:
            return _checked_body(chunk)
    return None


def _checked_body(chunk: bytes) -> bytes | None:
    """Return a chunk's body; `None` if its checksum is wrong."""
    whole = len(chunk) >= 12 and struct.unpack(">I", chunk[-4:])[0] == zlib.crc32(
        chunk[4:-4]
    )
    return chunk[8:-4] if whole else None


def _header(chunks: list[tuple[bytes, bytes]]) -> Header:
    body = _body(chunks, b"IHDR")
    if body is None or len(body) != 13:
        raise ValueError("it has no header")
    width, height = struct.unpack_from(">II", body)
    return Header(height, width, exif_orientation(_exif(chunks)))


def _exif(chunks: list[tuple[bytes, bytes]]) -> Image.Exif:
    """Return the EXIF block of a chunk or of a text, or an empty one.

    Without an orientation in either, it takes that of XMP.
    """
    exif, texts = Image.Exif(), _texts(chunks)
    block = _body(chunks, b"eXIf")
    try:
        if block is None and OLD_EXIF in texts:
            block = bytes.fromhex(texts[OLD_EXIF].split(b"\n", 3)[3].decode())
        if block is not None:
            exif.load(block)
    except Exception:  # a damaged block does not spoil the picture
        exif = Image.Exif()
    found = re.search(rb'tiff:Orientation(?:="|>)([1-8])', texts.get(XMP, b""))
    if found and ORIENTATION not in exif:
        exif[ORIENTATION] = int(found[1])
    return exif


def _texts(chunks: list[tuple[bytes, bytes]]) -> dict[bytes, bytes]:
    """Texts that are used here, by keyword; those over `MAX_TEXT` are left out."""
    found = {}
    for name, chunk in chunks:
        keyword = chunk[8:88].partition(b"\0")[0]
        if name in TEXT_CHUNKS and keyword in (RECORD, XMP, OLD_EXIF):
            text = _text(name, _checked_body(chunk))
            if text is not None:
                found[keyword] = text
    return found


def _text(name: bytes, body: bytes | None) -> bytes | None:
    """Unpack the text of a chunk; `None` if it is damaged or over `MAX_TEXT`."""
    if body is None:
        return None
    rest, packed = body.partition(b"\0")[2], name == b"zTXt"
    if packed:
        rest = rest[1:]
    elif name == b"iTXt":
        packed, rest = rest[:1] == b"\1", rest[2:].split(b"\0", 2)[-1]
    if not packed:
        return rest if len(rest) <= MAX_TEXT else None
    try:
        return _inflate(rest, MAX_TEXT)
    except (ValueError, zlib.error):
        return None


def _inflate(packed: bytes, limit: int) -> bytes:
    """Unpack at most `limit` bytes.

    Raises: ValueError: there are more. zlib.error: they are damaged.
    """
    found = zlib.decompressobj().decompress(packed, limit + 1)
    if len(found) > limit:
        raise ValueError(f"a chunk unpacks to more than {limit} bytes")
    return found


def _profile(chunks: list[tuple[bytes, bytes]]) -> bytes | None:
    """Return the ICC profile of the samples, by the precedence of PNG, 4.3."""
    cicp = _body(chunks, b"cICP")
    if cicp is not None and len(cicp) == 4:
        if cicp[3] == 0:
            raise ImageError("its levels are video's (16 to 235). Save it as sRGB.")
        return color_profiles.cicp_profile(cicp[0], cicp[1])
    icc = _body(chunks, b"iCCP")
    if icc is not None:
        packed = icc.partition(b"\0")[2][1:]
        try:
            return _inflate(packed, MAX_PROFILE)
        except zlib.error:
            return b"damaged"  # said where it is used
    if _body(chunks, b"sRGB") is not None:
        return None
    gamma = _body(chunks, b"gAMA")
    if gamma is not None and len(gamma) == 4:
        (power,) = struct.unpack(">I", gamma)
        return _gamma_profile(power / 100_000, _body(chunks, b"cHRM"), chunks)
    return exif_profile(_exif(chunks))


def _gamma_profile(
    power: float, corners: bytes | None, chunks: list[tuple[bytes, bytes]]
) -> bytes | None:
    """Make the profile of gAMA and cHRM; `None` if they mean sRGB or are invalid."""
    if not 0.1 < power < 10:
        return None
    gamma = None if abs(power - SRGB_GAMMA) < 0.005 else 1 / power
    header = _body(chunks, b"IHDR")
    if header is not None and header[9] in GRAY_KINDS:
        return None if gamma is None else color_profiles.gray_profile(gamma)
    xy = color_profiles.BT709
    white = color_profiles.D65
    if corners is not None and len(corners) == 32:
        points = tuple(v / 100_000 for v in struct.unpack(">8I", corners))
        white, xy = (points[0], points[1]), points[2:]
    usual = np.array((*color_profiles.D65, *color_profiles.BT709))
    if gamma is None and np.abs(usual - (*white, *xy)).max() < 0.002:
        return None
    try:
        return color_profiles.rgb_profile(xy, white, gamma)
    except RuntimeError:
        log.warning("the chunk cHRM names no colours, sRGB's are taken")
        return color_profiles.rgb_profile(
            color_profiles.BT709, color_profiles.D65, gamma
        )


def write_png(path: Path, samples: np.ndarray, record: str | None) -> None:
    """Write a PNG with an sRGB profile.

    samples: uint8 or uint16 `(height, width, 3 or 4)`, sRGB. record: ASCII for
        `read_png_record`, or `None`.
    Raises: OSError; RuntimeError, struct.error: an edge or the text is too long.
    """
    level = COMPRESSION[8 * samples.itemsize]
    data = imagecodecs.png_encode(samples, level=level)
    profile = zlib.compress(color_profiles.SRGB_BYTES)
    extra = _packed(b"iCCP", b"sRGB\0\0" + profile)
    if record:
        extra += _packed(b"iTXt", RECORD + b"\0\0\0\0\0" + record.encode())
        extra += _packed(b"tEXt", b"Software\0kstyle")
    after_header = len(PNG_SIGNATURE) + 25
    with open(path, "wb") as file:
        file.write(data[:after_header])
        file.write(extra)
        file.write(data[after_header:])


def _packed(name: bytes, body: bytes) -> bytes:
    """Make a chunk: length, name, body and checksum."""
    checksum = zlib.crc32(name + body)
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", checksum)
