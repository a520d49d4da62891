"""PNG and TIFF files of more than 8 bits a sample, which Pillow would cut to 8."""

import math
import struct
import sys
import zlib

import numpy as np
import tifffile
from PIL import Image

from kstyle.errors import ImageError
from kstyle.images import color_profiles

MAX_PIXELS = 200_000_000
DEFLATE = (8, 32946)  # TIFF's numbers for it
UNBOUNDED = (34925, 50000)  # LZMA and Zstandard, which tifffile unpacks to any size
DENSEST = 1032  # times that deflate can pack: https://zlib.net/zlib_tech.html
DEEP_FORMATS = ("PNG", "TIFF")
ORIENTATION = 274  # the tag, in TIFF and EXIF


def check_pixel_count(height, width):
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


def read_deep_png(path, image):
    """All 16 bits of a PNG's samples; `image` is the same file, opened in Pillow.

    Returns: float32 `(height, width, 1 to 4)` in [0, 1]; of 2 or 4, alpha is last.
    Raises: what Pillow raises for a damaged file.
    """
    if image.mode.startswith("I"):
        return np.asarray(image).astype(np.float32)[..., None] / 65535
    if "LA" in image.tile[0][3]:
        # Four bytes a pixel, so the reader for 8-bit RGBA hands out all of them.
        quads = _as_raw_mode(path, lambda mode: "RGBA").astype(np.float32)
        return (quads[..., ::2] * 256 + quads[..., 1::2]) / 65535
    return _both_bytes(path)


def _both_bytes(path):
    """All 16 bits of an RGB or RGBA file.

    Pillow keeps the high byte of each sample. Told that the file's byte order is the
    other one, it keeps the low byte; the two together are the sample.
    """
    # N is the byte order of this computer.
    other = {"B": "L", "L": "B", "N": "B" if sys.byteorder == "little" else "L"}
    # RGBa would be divided by its alpha here, one byte at a time; RGBA is left alone.
    high = _as_raw_mode(path, lambda mode: mode.replace("a", "A")).astype(np.float32)
    low = _as_raw_mode(path, lambda mode: mode[:-1].replace("a", "A") + other[mode[-1]])
    return (high * 256 + low) / 65535


def _as_raw_mode(path, change):
    """Decode with `change(mode)` as the layout of the samples in the file."""
    with Image.open(path, formats=DEEP_FORMATS) as image:
        image.tile = [_changed_tile(tile, change) for tile in image.tile]
        return np.asarray(_loaded(image))


def _loaded(image):
    """`image`, decoded: `np.asarray` alone would hide the error of a damaged file."""
    image.load()
    return image


def _changed_tile(tile, change):
    codec, box, offset, given = tile
    if isinstance(given, str):
        given = change(given)
    else:
        given = (change(given[0]), *given[1:])
    if hasattr(tile, "_replace"):  # a named tuple since Pillow 11
        return tile._replace(args=given)
    return codec, box, offset, given


def read_deep_tiff(path):
    """A grey or RGB TIFF of 16-bit, 32-bit or 64-bit samples; `None` for others.

    Returns: `(samples, ICC bytes or None, EXIF orientation)`; samples as `read_png`.
    Raises: ImageError: the samples are not a picture, or not all there. For a damaged
        file, what tifffile or Pillow raises.
    """
    with tifffile.TiffFile(path) as tiff:
        page = tiff.pages[0]
        check_pixel_count(page.imagelength, page.imagewidth)
        # Both readers take missing strips for black, be they a million.
        held, needed = len(page.databytecounts), math.prod(page.chunked)
        if held < needed:
            words = f"it holds {held} of its {needed} strips or tiles"
            raise ImageError(f"{words}. Make or download it again.")
        deep = page.bitspersample in (16, 32, 64)
        if page.photometric not in (0, 1, 2) or not deep:
            return None
        check_tiff_expansion(tiff.filehandle, page)
        samples, turn = _stored_samples(path, page)
        if page.planarconfig == 2 and samples.ndim == 3:
            samples = np.moveaxis(samples, 0, -1)
        samples = _unit_range(samples if samples.ndim == 3 else samples[..., None])
        if page.photometric == 0:  # white is zero
            samples = 1 - samples
        return (
            _known_bands(samples, page),
            page.tags.valueof(color_profiles.TIFF_TAG),
            turn,
        )


def check_tiff_expansion(file, page):
    """Refuse a TIFF with a strip or tile that deflates to more than its pixels.

    tifffile sets no limit. Raises: ImageError.
    """
    room = math.prod(page.chunks) * page.dtype.itemsize
    for start, size in zip(page.dataoffsets, page.databytecounts, strict=True):
        if page.compression in DEFLATE and size * DENSEST > room + 2**24:
            file.seek(start)
            found = zlib.decompressobj().decompress(file.read(size), room + 1)
            if len(found) > room:
                raise ImageError(
                    f"a strip or tile holds more than its {room} bytes. Make or "
                    "download it again."
                )


def _stored_samples(path, page):
    """The samples of a TIFF's page as they are, and the orientation still to undo."""
    if page.compression in UNBOUNDED:
        return _packed_tiff(path, page), 1
    try:
        return page.asarray(), page.tags.valueof(ORIENTATION, 1)
    except (KeyError, ValueError) as error:
        if "imagecodecs" not in str(error):
            raise
    # A compression that only Pillow knows; Pillow turns the picture as well.
    return _packed_tiff(path, page), 1


def _packed_tiff(path, page):
    """16-bit samples that Pillow has to unpack."""
    if page.planarconfig == 2 and page.samplesperpixel > 1 or page.dtype != np.uint16:
        raise ImageError(
            f"{page.dtype} samples compressed with {page.compression.name} cannot be "
            "read. Save it uncompressed, or with deflate."
        )
    if page.samplesperpixel > 1:
        return _both_bytes(path)
    with Image.open(path, formats=DEEP_FORMATS) as image:
        return np.asarray(_loaded(image)).astype(np.uint16)


def _unit_range(samples):
    """Unsigned integers scaled, floats checked, to float32 in [0, 1]."""
    if samples.dtype.kind == "u":
        return (samples / np.float64(np.iinfo(samples.dtype).max)).astype(np.float32)
    if samples.dtype.kind != "f":
        raise ImageError(f"its samples are {samples.dtype}. Use unsigned or float.")
    if not np.isfinite(samples).all():
        raise ImageError("it holds NaN or infinity. Save it with finite numbers.")
    if samples.min() < 0 or samples.max() > 1:
        raise ImageError(
            f"its floats reach from {samples.min():.3g} to {samples.max():.3g}. "
            "Scale them into 0 to 1."
        )
    return samples.astype(np.float32)


def _known_bands(samples, page):
    """Grey or RGB and alpha of a TIFF; other extra bands are dropped."""
    count = 3 if page.photometric == 2 else 1
    colours, extras = samples[..., :count], page.extrasamples
    if not extras or extras[0] not in (1, 2) or samples.shape[2] == count:
        return colours
    alpha = samples[..., count : count + 1]
    if extras[0] == 1:  # associated: the colours were multiplied by it
        colours = np.clip(colours / np.maximum(alpha, 1e-6), 0, 1)
    return np.concatenate([colours, alpha], axis=-1)


def write_deep_png(path, samples, text):
    """16-bit RGB or RGBA PNG, which Pillow cannot write (PNG, third edition).

    samples: uint16 `(height, width, 3 or 4)`, sRGB. text: ASCII for the chunk `kstyle`,
    or `None`. Raises: OSError; struct.error: an edge or a chunk is too long for PNG.
    """
    height, width, count = samples.shape
    header = struct.pack(">IIBBBBB", width, height, 16, 2 if count == 3 else 6, 0, 0, 0)
    profile = b"sRGB\0\0" + zlib.compress(color_profiles.SRGB_BYTES)
    chunks = [(b"IHDR", header), (b"iCCP", profile)]
    if text:
        chunks.append((b"iTXt", b"kstyle\0\0\0\0\0" + text.encode()))
        chunks.append((b"tEXt", b"Software\0kstyle"))
    chunks += [(b"IDAT", zlib.compress(_filtered(samples), 4)), (b"IEND", b"")]
    with open(path, "wb") as file:
        file.write(b"\x89PNG\r\n\x1a\n")
        for name, data in chunks:
            file.write(struct.pack(">I", len(data)) + name + data)
            file.write(struct.pack(">I", zlib.crc32(name + data)))


def _filtered(samples):
    """The bytes of a PNG's rows, each after the number of its filter."""
    height, _, count = samples.shape
    rows = samples.astype(">u2").reshape(height, -1).view(np.uint8)
    # Filter 1: each byte as the difference from the pixel before, which packs better.
    step = 2 * count
    filtered = np.ones((height, 1 + rows.shape[1]), np.uint8)
    filtered[:, 1 : 1 + step] = rows[:, :step]
    filtered[:, 1 + step :] = rows[:, step:] - rows[:, :-step]
    return filtered.tobytes()
