"""Picture files: reading into float sRGB.

In memory a picture is always float32 `(height, width, 3)` in [0, 1], sRGB-encoded and
upright.
"""

import contextlib
import logging
import os
import warnings

import numpy as np
import tifffile
from PIL import Image

from kstyle.errors import ImageError
from kstyle.files import why_unreadable
from kstyle.images import color_profiles, high_bit_depth
from kstyle.images.picture import Picture
from kstyle.images.samples import picture_file

log = logging.getLogger("kstyle")

READABLE = ("JPEG", "PNG", "WEBP", "TIFF", "BMP", "GIF")
SIDEWAYS = (5, 6, 7, 8)  # EXIF orientations that swap height and width
TIFF_MAGIC = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")  # how such a file begins


def load_picture(path):
    """Read a picture file, turned upright and converted to sRGB.

    path: a JPEG, PNG, WebP, TIFF, BMP or GIF (of an animation, the first frame), or
        `sample:NAME`. 16-bit grey and RGB keep their precision, also through matrix
        ICC profiles; 16-bit CMYK and table profiles go through 8 bits. Floats in a
        TIFF count as sRGB-encoded. A profile that cannot be used is logged and the
        picture taken as sRGB.

    Raises: ImageError: there is no such file or sample, or it cannot be used.
    """
    path = regular_file(picture_file(path))
    with reading(path):
        samples, profile, turn = _decode(path)
    samples = _upright(samples, turn)
    colours, alpha = samples, None
    if samples.shape[2] in (2, 4):
        colours, alpha = samples[..., :-1], np.ascontiguousarray(samples[..., -1])
    pixels = np.broadcast_to(
        color_profiles.to_srgb(colours, profile), (*samples.shape[:2], 3)
    )
    return Picture(np.ascontiguousarray(pixels, np.float32), alpha)


def picture_size(path):
    """`(height, width)` of a picture file, upright, from its header alone.

    Raises: ImageError: as `load_picture`, as far as the header tells.
    """
    path = regular_file(picture_file(path))
    with reading(path):
        height, width, turn = _header(path)
        high_bit_depth.check_pixel_count(height, width)
    return (width, height) if turn in SIDEWAYS else (height, width)


def _header(path):
    """Height, width and EXIF orientation of a file, nothing decoded."""
    with open(path, "rb") as file:
        head = file.read(4)
    if head in TIFF_MAGIC:
        with tifffile.TiffFile(path) as tiff:
            page = tiff.pages[0]
            turn = page.tags.valueof(high_bit_depth.ORIENTATION)
            return page.imagelength, page.imagewidth, turn
    with Image.open(path, formats=READABLE) as image:
        # Pillow would decode a PNG in search of a tag that it has not met yet.
        known = image.format != "PNG" or "exif" in image.info
        return image.height, image.width, _orientation(image) if known else 1


def regular_file(path):
    """`path`, a `Path`, if it is a file with something in it.

    Raises: ImageError: it is not.
    """
    if reason := why_unreadable(path):
        raise ImageError(f"{path}: {reason}. Name a picture file, or sample:NAME.")
    if os.stat(path).st_size == 0:
        raise ImageError(f"{path} is empty. Make or download it again.")
    return path


@contextlib.contextmanager
def reading(path):
    """Turn what the decoders raise into an `ImageError`, and keep them quiet.

    For the block that decodes `path`; one thread at a time, since Pillow's limit, the
    warnings' filter and a logger's level are global.
    """
    limit, talk = Image.MAX_IMAGE_PIXELS, logging.getLogger("tifffile")
    level = talk.level
    talk.setLevel(logging.CRITICAL + 1)  # the error says it, in one sentence
    Image.MAX_IMAGE_PIXELS = None  # deep.check_size has a limit of its own
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    except Exception as error:  # damaged files make the decoders raise all kinds
        raise ImageError(_reason(path, error)) from error
    finally:
        Image.MAX_IMAGE_PIXELS = limit
        talk.setLevel(level)


def _reason(path, error):
    """The sentence for what a decoder raised."""
    if isinstance(error, ImageError):
        return f"{path}: {error}"
    if isinstance(error, PermissionError):
        return f"{path} may not be read by you. Change its permissions."
    if isinstance(error, Image.UnidentifiedImageError):
        types = ", ".join(READABLE)
        return f"{path} is not a picture that can be read. Use {types}."
    return f"{path} is damaged or cut short ({error}). Make or download it again."


def _decode(path):
    """`(samples, ICC bytes or None, EXIF orientation)` of a file.

    samples: float32 `(height, width, 1 to 4)`, alpha last if there are 2 or 4.
    """
    with open(path, "rb") as file:
        head = file.read(26)
    if head[:4] in TIFF_MAGIC:
        found = high_bit_depth.read_deep_tiff(path)
        if found is not None:
            return found
    with Image.open(path, formats=READABLE) as image:
        high_bit_depth.check_pixel_count(image.height, image.width)
        deep_png = image.format == "PNG" and head[24] == 16
        samples = high_bit_depth.read_deep_png(path, image) if deep_png else None
        image.load()  # before the tags: the TIFF reader turns the picture itself
        profile, turn = image.info.get("icc_profile"), _orientation(image)
        if samples is None:
            samples, profile = _shallow(image, profile), None
    return samples, profile, turn


def _orientation(image):
    try:
        return image.getexif().get(high_bit_depth.ORIENTATION, 1)
    except Exception:  # a damaged EXIF block does not spoil the picture
        log.info("the EXIF data cannot be read; the picture is not turned")
        return 1


def _upright(samples, orientation):
    """`(H, W, C)` turned as the EXIF value 1 to 8 says; other values do nothing."""
    if orientation in SIDEWAYS:
        samples = samples.swapaxes(0, 1)
    if orientation in (3, 4, 7, 8):
        samples = samples[::-1]
    if orientation in (2, 3, 6, 7):
        samples = samples[:, ::-1]
    return samples


def _shallow(image, profile):
    """Samples of a picture of any 8-bit mode, in sRGB already."""
    if image.mode in ("I", "F") or image.mode.startswith("I;"):
        raise ImageError("its samples are of an unusual depth. Use 8 or 16 bits.")
    alpha = None
    if image.has_transparency_data:
        image = image.convert("RGBA")
        alpha = image.getchannel("A")
    rgb = color_profiles.profile_to_srgb(image, profile)
    bands = [rgb] if alpha is None else [rgb, alpha]
    levels = np.dstack([np.asarray(band) for band in bands])
    return np.divide(levels, 255, dtype=np.float32)
