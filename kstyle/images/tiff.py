"""TIFF files, read with tifffile: 1 to 64 bits, floats, planes, alpha, every packing.

Source of the format: TIFF revision 6.0 (1992) and Adobe's technical notes on it.
"""

import io
import math
from pathlib import Path

import numpy as np
import tifffile
from PIL import Image, UnidentifiedImageError

from kstyle.errors import ImageError
from kstyle.images import color_profiles
from kstyle.images.decoded import (
    COLOR_SPACE,
    DESCRIPTION,
    MAX_PIXELS,
    ORIENTATION,
    SOFTWARE,
    Header,
    StoredPicture,
    check_floats,
    check_size,
    divide_by_alpha,
    profile_of_tags,
)
from kstyle.images.jpeg_xl import parse_header
from kstyle.images.pillow_formats import read_with_pillow

# How such a file begins, and the newer kind for more than 4 GB.
TIFF_SIGNATURES = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
WHITE_IS_ZERO, BLACK_IS_ZERO, RGB, CMYK, YCBCR = 0, 1, 2, 5, 6
COLOUR_BANDS = {WHITE_IS_ZERO: 1, BLACK_IS_ZERO: 1, RGB: 3, CMYK: 4, YCBCR: 3}
PLANAR = 2  # one plane after the other
FAX, OLD_JPEG, JPEG = (2, 3, 4), 6, 7  # compressions
# They unpack to no more than the page has room for: none, LZW, deflate by two numbers,
# PackBits, LZMA, Zstandard.
BOUNDED = (1, 5, 8, 32946, 32773, 34925, 50000)
# A strip or tile that says itself how large it is: JPEG by three numbers, PNG, WebP,
# JPEG 2000 by four, JPEG XL by two.
JPEG_XL_COMPRESSIONS = (50002, 52546)
SELF_DESCRIBED = (
    JPEG,
    33007,
    34892,
    34933,
    50001,
    33003,
    33004,
    33005,
    34712,
    *JPEG_XL_COMPRESSIONS,
)
JPEG_END, MOST_FILLING = b"\xff\xd9", 64  # bytes that may follow it
INNER_TYPES = ("JPEG", "PNG", "WEBP", "JPEG2000")  # as Pillow calls them
# Pixels that a strip or tile may have beyond the page's: some encoders pad them.
PADDING = 2**16
CAMERA_RAW = (32803, 34892)  # samples of a sensor: colour filter array, linear raw
# How raw files begin that are almost TIFF: Olympus, Panasonic, Fujifilm, Sigma.
OTHER_RAW = (b"IIRO", b"IIRS", b"MMOR", b"IIU\0", b"FUJIFILMCCD-RAW", b"FOVb")
DNG_VERSION, EXIF_DIRECTORY = 50706, 34665
PREMULTIPLIED, ALPHA = 1, 2  # kinds of extra samples
MOST_SAMPLES = 5 * MAX_PIXELS
MOST_PAGES = 100  # searched for the picture that a small copy stands before


def read_tiff_header(path: Path) -> Header:
    """Read the size and the orientation of a TIFF's picture.

    Raises: ImageError: it is a camera's raw file. tifffile's errors: it is damaged.
    """
    with tifffile.TiffFile(path) as tiff:
        page = _picture_page(tiff)
        return Header(page.imagelength, page.imagewidth, _orientation(page))


def read_tiff_record(path: Path) -> str | None:
    """Read the description, if kstyle wrote it.

    Raises: tifffile's errors: the file is damaged.
    """
    with tifffile.TiffFile(path) as tiff:
        tags = tiff.pages.first.tags
        ours = tags.valueof(SOFTWARE) == "kstyle"
        return tags.valueof(DESCRIPTION) if ours else None


def read_tiff(path: Path) -> StoredPicture:
    """Read a TIFF.

    Raises: ImageError: the samples are not a picture, or not all there. tifffile's and
        imagecodecs' errors: it is damaged, or of a kind that they do not read.
    """
    with tifffile.TiffFile(path) as tiff:
        page = _picture_page(tiff)
        check_size(page.imagelength, page.imagewidth)
        _check_segments(page)
        if not _is_read_here(page):
            return _read_first_with_pillow(path, page, page is tiff.pages.first)
        _check_compression(tiff.filehandle, page)
        samples = _bands_last(page)
        if page.photometric == YCBCR and page.planarconfig == PLANAR:
            samples = _ycbcr_to_rgb(samples)  # else the JPEG reader has done it
        levels = _levels(samples, page.bitspersample)
        if page.photometric == WHITE_IS_ZERO:
            top = 1 if levels.dtype.kind == "f" else np.iinfo(levels.dtype).max
            levels = (top - levels).astype(levels.dtype)
        levels, alpha = _split_alpha(levels, page)
        return StoredPicture(levels, alpha, _profile(page), _orientation(page))


def _read_first_with_pillow(
    path: Path, page: tifffile.TiffPage, is_first: bool
) -> StoredPicture:
    """Read colours that tifffile does not convert; Pillow takes the first page.

    Raises: NotImplementedError: Pillow does not know them either.
    """
    name = getattr(page.photometric, "name", page.photometric)
    words = f"{name} at {page.bitspersample} bits"
    if not is_first:
        raise NotImplementedError(words)
    try:
        return read_with_pillow(path)
    except UnidentifiedImageError:
        raise NotImplementedError(words) from None


def _picture_page(tiff: tifffile.TiffFile) -> tifffile.TiffPage:
    """Find the first page, or the larger one that it is a small copy of.

    Raises: ImageError: the file holds the samples of a camera's sensor.
    """
    first = tiff.pages.first
    tiff.filehandle.seek(8)
    camera_raw = tiff.filehandle.read(2) == b"CR" or DNG_VERSION in first.tags
    others = [] if first.pages is None else _pages(first.pages, 0)
    if first.is_reduced:
        others += _pages(tiff.pages, 1)
    if camera_raw or any(page.photometric in CAMERA_RAW for page in (first, *others)):
        raise camera_raw_error()
    whole = [page for page in others if not page.is_reduced and not page.is_mask]
    if not first.is_reduced:
        whole = [page for page in whole if _area(page) > _area(first)]
    return max(whole, key=_area, default=first)


def camera_raw_error() -> ImageError:
    """Make the error that refuses a camera's raw file."""
    return ImageError(
        "it is a camera's raw file: levels of the sensor, and a small preview. "
        "Develop it in a raw converter and save it as TIFF, PNG or JPEG."
    )


def _pages(pages: tifffile.TiffPages, begin: int) -> list[tifffile.TiffPage]:
    """Return the pages from number `begin`, as far as they can be read."""
    found = []
    for index in range(begin, MOST_PAGES):
        try:
            page = pages[index]
        except IndexError:
            break
        if isinstance(page, tifffile.TiffPage):
            found.append(page)
    return found


def _area(page: tifffile.TiffPage) -> int:
    return page.imagelength * page.imagewidth


def _check_segments(page: tifffile.TiffPage) -> None:
    """Refuse a page that lacks some of its strips or tiles, or unpacks to very much.

    Readers take missing ones for black, be they a million. Raises: ImageError.
    """
    held, needed = len(page.databytecounts), math.prod(page.chunked)
    if held < needed:
        words = f"it holds {held} of its {needed} strips or tiles"
        raise ImageError(f"{words}. Make or download it again.")
    if page.size > MOST_SAMPLES:
        raise ImageError(
            f"it has {page.samplesperpixel} samples a pixel, and {page.size} in all. "
            "Save it as RGB."
        )


def _check_compression(file: tifffile.FileHandle, page: tifffile.TiffPage) -> None:
    """Refuse strips and tiles that would unpack to more than the page has room for.

    Raises: ImageError; NotImplementedError: nothing is known of the compression. What
        Pillow raises for damaged ones.
    """
    if page.compression in BOUNDED:
        return
    if page.compression not in SELF_DESCRIBED:
        name = getattr(page.compression, "name", page.compression)
        raise NotImplementedError(f"compression {name}")
    rows = page.tilelength or min(page.rowsperstrip, page.imagelength)
    room = rows * (page.tilewidth or page.imagewidth) + PADDING
    for start, size in zip(page.dataoffsets, page.databytecounts, strict=True):
        file.seek(start)
        data = file.read(size)
        if page.compression == JPEG and JPEG_END not in data[-2 - MOST_FILLING :]:
            raise ValueError("a strip or tile has no end")  # its reader adds grey
        height, width = _inner_size(data, page.compression)
        if height * width > room:
            raise ImageError(
                f"a strip or tile of it claims {width} x {height} pixels, more than "
                "the page has. Make or download it again."
            )


def _inner_size(data: bytes, compression: int) -> tuple[int, int]:
    """Return the `(height, width)` in the header of a strip or tile."""
    if compression in JPEG_XL_COMPRESSIONS:
        header = parse_header(data).stored
        return header.height, header.width
    with Image.open(io.BytesIO(data), formats=INNER_TYPES) as image:
        return image.height, image.width


def _is_read_here(page: tifffile.TiffPage) -> bool:
    """Return whether tifffile reads such samples; Pillow reads the others.

    They are palettes, CIELAB, YCbCr with chroma at half size, fax, and the first JPEG.
    """
    if page.compression in (*FAX, OLD_JPEG):
        return False
    if page.photometric == YCBCR:
        return page.compression == JPEG or page.planarconfig == PLANAR
    return page.photometric in COLOUR_BANDS


def _bands_last(page: tifffile.TiffPage) -> np.ndarray:
    """Return the samples as stored, `(H, W, bands)`."""
    if page.dtype is None or page.imagedepth != 1:
        raise NotImplementedError(f"samples of {page.bitspersample} bits")
    samples = page.asarray()
    if page.planarconfig == PLANAR and samples.ndim == 3:
        return np.moveaxis(samples, 0, -1)
    return samples if samples.ndim == 3 else samples[..., None]


def _levels(samples: np.ndarray, bits: int) -> np.ndarray:
    """Bring samples of any type to uint8, uint16, or float32 in [0, 1].

    Whole numbers of 8 and 16 bits stay as they are. Signed ones count from 0.
    Raises: ImageError: they are negative, no numbers, or of another range.
    """
    if samples.dtype.kind == "f":
        return check_floats(samples)
    if samples.dtype.kind == "i":
        if samples.min() < 0:
            raise ImageError(
                f"its samples are {samples.dtype} and reach from {samples.min()} to "
                f"{samples.max()}. Save them as uint{bits}."
            )
        return (samples / (2.0 ** (bits - 1) - 1)).astype(np.float32)
    if samples.dtype.kind not in "ub":
        raise ImageError(f"its samples are {samples.dtype}. Use uint or float.")
    if bits in (8, 16):
        return samples.astype(f"u{bits // 8}", copy=False)  # of this byte order
    return (samples / (2.0**bits - 1)).astype(np.float32)


def _split_alpha(
    levels: np.ndarray, page: tifffile.TiffPage
) -> tuple[np.ndarray, np.ndarray | None]:
    """Colours, divided by alpha if they were multiplied, and alpha.

    Other extra bands are dropped.
    """
    count = COLOUR_BANDS[page.photometric]
    colours, extras = levels[..., :count], page.extrasamples
    if not extras and page.photometric == RGB and levels.shape[2] == 4:
        extras = (ALPHA,)  # as other programs have it
    kind = extras[0] if extras and levels.shape[2] > count else None
    if kind not in (PREMULTIPLIED, ALPHA):
        return colours, None
    alpha = levels[..., count]
    if kind == PREMULTIPLIED:
        alpha = color_profiles.to_unit_range(alpha)
        colours = divide_by_alpha(color_profiles.to_unit_range(colours), alpha)
    return colours, alpha


def _ycbcr_to_rgb(samples: np.ndarray) -> np.ndarray:
    """Convert `(H, W, 3)` of luma and two chroma bands of 8 bits."""
    if samples.dtype != np.uint8:
        raise NotImplementedError(f"YCbCr of {samples.dtype}")
    bands = [Image.fromarray(np.ascontiguousarray(samples[..., i])) for i in range(3)]
    return np.asarray(Image.merge("YCbCr", bands).convert("RGB"))


def _orientation(page: tifffile.TiffPage) -> int:
    return page.tags.valueof(ORIENTATION, 1)


def _profile(page: tifffile.TiffPage) -> bytes | None:
    """Return the ICC profile of a page, or that of its camera."""
    profile = page.tags.valueof(color_profiles.PROFILE_TAG)
    exif = page.tags.valueof(EXIF_DIRECTORY)
    if profile or not isinstance(exif, dict):
        return profile
    return profile_of_tags({COLOR_SPACE: exif.get("ColorSpace")}, "")
