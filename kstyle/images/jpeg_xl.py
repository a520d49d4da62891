"""JPEG XL files: the header, and the samples of any depth.

They need a package that comes with an extra of kstyle.
Source of the format: ISO/IEC 18181-1 and -2, as in libjxl's `image_metadata.h`.
"""

import dataclasses
from pathlib import Path

import imagecodecs
from PIL import Image

from kstyle.images.decoded import Header, StoredPicture, check_floats, check_size
from kstyle.images.isobmff_formats import boxes, import_extra, split_samples

BOXES, STREAM = b"\0\0\0\x0cJXL \r\n\x87\n", b"\xff\x0a"
STREAM_BOXES = (b"jxlc", b"jxlp")  # the whole stream, or a part of it
JPEG_XL_SIGNATURES = (BOXES, STREAM)
LONGEST_HEADER = 64  # bytes, as far as the depth of the samples
# Width as a part of the height, by its number.
RATIOS = ((0, 1), (1, 1), (12, 10), (4, 3), (3, 2), (16, 9), (5, 4), (2, 1))
# A number is an offset and some more bits, in one of four ways.
Ways = tuple[tuple[int, int], tuple[int, int], tuple[int, int], tuple[int, int]]
EDGE: Ways = ((1, 9), (1, 13), (1, 18), (1, 30))
PREVIEW_SIZE_BITS: Ways = ((1, 6), (65, 8), (321, 10), (1345, 12))
PREVIEW_EIGHTHS: Ways = ((16, 0), (32, 0), (1, 5), (33, 9))
TICKS: Ways = ((100, 0), (1000, 0), (1, 10), (1, 30))
TICK_DIVISOR: Ways = ((1, 0), (1001, 0), (1, 8), (1, 10))
LOOPS: Ways = ((0, 0), (0, 3), (0, 16), (0, 32))
WHOLE_BITS: Ways = ((8, 0), (10, 0), (12, 0), (1, 6))


@dataclasses.dataclass(frozen=True)
class JPEGXLHeader:
    """The start of a JPEG XL picture. bits: of a sample; `None` for floats."""

    stored: Header
    bits: int | None


def read_jpeg_xl_header(path: Path) -> Header:
    """Read the size and the orientation of a JPEG XL picture.

    Raises: ValueError, struct.error: it is damaged.
    """
    return parse_header(path.read_bytes()).stored


def read_jpeg_xl(path: Path) -> StoredPicture:
    """Read a JPEG XL picture of any depth; of an animation, the first frame.

    imagecodecs reads all bits of the samples, but no profile; the other package reads
    the profile, and 8 bits. Both turn the picture upright.

    Raises: ImageError: it is too large, or the package for it is not installed. What
        both packages raise.
    """
    data = path.read_bytes()
    header = parse_header(data)
    check_size(header.stored.height, header.stored.width)
    import_extra("pillow_jxl", "jxl", "a JPEG XL picture")
    with Image.open(path, formats=["JXL"]) as image:
        profile = image.info.get("icc_profile")
    samples = imagecodecs.jpegxl_decode(data, index=0)
    if samples.dtype.kind == "f":
        samples = check_floats(samples)
    top = None if header.bits is None else 2**header.bits - 1
    levels, alpha = split_samples(samples.reshape(*samples.shape[:2], -1), top)
    return StoredPicture(levels, alpha, profile)


def parse_header(data: bytes) -> JPEGXLHeader:
    """Parse the start of the bytes of a file.

    Raises: ValueError: they are damaged.
    """
    stream = data
    if not data.startswith(STREAM):
        parts = ((kind, body) for kind, body in boxes(data) if kind in STREAM_BOXES)
        kind, stream = next(parts, (b"", b""))
        stream = stream[4:] if kind == b"jxlp" else stream  # after the part's number
    if not stream.startswith(STREAM):
        raise ValueError("it has no header")
    bits = _Bits(stream[2:LONGEST_HEADER])
    height, width = bits.take_size()
    if bits.take(1):  # all that follows is as usual
        return JPEGXLHeader(Header(height, width), 8)
    orientation = _take_extra_fields(bits) if bits.take(1) else 1
    floats = bits.take(1)
    depth = None if floats else bits.take_number(WHOLE_BITS)
    return JPEGXLHeader(Header(height, width, orientation), depth)


def _take_extra_fields(bits: "_Bits") -> int:
    """Take the orientation, and what may follow it before the depth."""
    orientation = 1 + bits.take(3)
    if bits.take(1):  # the size at which it is meant to be shown
        bits.take_size()
    if bits.take(1):  # a preview
        ways = PREVIEW_EIGHTHS if bits.take(1) else PREVIEW_SIZE_BITS
        bits.take_number(ways)
        if not bits.take(3):
            bits.take_number(ways)
    if bits.take(1):  # an animation
        for ways in (TICKS, TICK_DIVISOR, LOOPS):
            bits.take_number(ways)
        bits.take(1)
    return orientation


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

    def take_number(self, ways: Ways) -> int:
        """Take a number written in the way that its first two bits say."""
        offset, count = ways[self.take(2)]
        return offset + self.take(count)

    def take_size(self) -> tuple[int, int]:
        """Take a height and a width."""
        small = self.take(1)
        height = 8 * (self.take(5) + 1) if small else self.take_number(EDGE)
        above, below = RATIOS[self.take(3)]
        if above:
            return height, height * above // below
        return height, 8 * (self.take(5) + 1) if small else self.take_number(EDGE)
