"""Picture files: writing, the check before it, and the record inside."""

import io
import json
import logging
import os
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, features

from kstyle.errors import ConfigError, ImageError
from kstyle.files import atomic_path, is_web_address
from kstyle.images import color_profiles, png
from kstyle.images.arrays import as_picture
from kstyle.images.decoded import DESCRIPTION, SOFTWARE
from kstyle.images.picture import Picture
from kstyle.images.reading import read_embedded_record

log = logging.getLogger("kstyle")

WRITABLE_BITS = {
    ".png": (8, 16),
    ".jpg": (8,),
    ".jpeg": (8,),
    ".tif": (8, 16),
    ".tiff": (8, 16),
    ".webp": (8,),
    ".avif": (8,),
    ".bmp": (8,),
}
PILLOW_FORMATS = {
    ".jpg": "JPEG",
    ".jpeg": "JPEG",
    ".webp": "WEBP",
    ".avif": "AVIF",
    ".bmp": "BMP",
}
CLIPPED_RANGE = 1.0  # outside [0, 1]; what is further off is no picture in 0..1
OPAQUE_SUFFIXES = (".jpg", ".jpeg", ".bmp")


def check_writable(
    path: str | os.PathLike[str],
    *,
    bits: int = 8,
    alpha: bool = False,
    overwrite: bool = False,
) -> None:
    """Check before a long run that `save_picture` will be able to write `path`.

    Nothing is made or changed. alpha: whether the picture has one; it is only logged
    when the file type will lose it.

    Raises: ConfigError: the suffix is not known, the type cannot hold `bits`, or the
        file exists and `overwrite` is false. ImageError: `path` is a folder, or its
        folder can neither be written to nor made.
    """
    if is_web_address(os.fspath(path)):
        raise ConfigError(f"{path} is a web address. Name a file for the result.")
    path = Path(path)
    _check_type(path, bits)
    check_target(path, overwrite=overwrite)
    if alpha and path.suffix.lower() in OPAQUE_SUFFIXES:
        log.info("%s cannot hold transparency; it is put over white", path)


def check_target(path: Path, *, overwrite: bool = False) -> None:
    """Check that a file of any type can be written at `path`; nothing is changed.

    Raises: as `check_writable`.
    """
    if is_web_address(os.fspath(path)):
        raise ConfigError(f"{path} is a web address. Name a file for the result.")
    _check_name(path)
    if os.path.exists(path) and not os.path.isfile(path):
        raise ImageError(f"{path} is a folder or device. Name a file for the result.")
    if os.path.isfile(path) and not overwrite:
        raise ConfigError(f"{path} exists. Name another file, or give --overwrite.")
    folder = next(p for p in path.absolute().parents if os.path.lexists(p))
    if not os.path.isdir(folder):
        raise ImageError(f"{folder} is not a folder. Name another place for {path}.")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise ImageError(f"{folder} may not be written to. Name another place.")


def _check_name(path: Path) -> None:
    """Refuse a name that no file can have: too long, or with a NUL in it."""
    try:
        os.lstat(path)
    except (FileNotFoundError, NotADirectoryError, PermissionError):
        pass  # said better further on
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise ImageError(
            f"{path} cannot be made: {reason}. Use another name."
        ) from None


def _check_type(path: Path, bits: int) -> None:
    """Refuse a suffix that is not known here, or whose type lacks the bits."""
    allowed = WRITABLE_BITS.get(path.suffix.lower())
    if allowed is None:
        raise ConfigError(
            f"{path}: {path.suffix or 'no suffix'} is not a type that can be written. "
            f"Use one of {', '.join(WRITABLE_BITS)}."
        )
    if path.suffix.lower() == ".avif" and not features.check("avif"):
        raise ConfigError(f"{path}: Pillow writes no AVIF here. pip install -U pillow.")
    if bits not in allowed:
        others = ", ".join(s for s, depths in WRITABLE_BITS.items() if bits in depths)
        raise ConfigError(
            f"{path}: {path.suffix} holds {allowed[0]} bits a sample, not {bits}. "
            + (f"Use one of {others}." if others else "Use 8 or 16.")
        )


def save_picture(
    path: str | os.PathLike[str],
    picture: Picture | Image.Image | np.ndarray,
    *,
    bits: int = 8,
    quality: int = 95,
    metadata: Mapping[str, str] | None = None,
) -> None:
    """Write a picture as the type that the suffix of `path` names.

    The file is whole or not there: what was there before stays on an error. Missing
    folders are made. All types but BMP get an sRGB profile and the metadata.

    picture: a `Picture`, a Pillow image, or `(H, W, 3)` or `(1, H, W, 3)` as uint8,
        uint16 or floats in [0, 1]. Floats up to 1 outside of that are clipped.
    bits: 8, or 16 for PNG and TIFF. Rounded to nearest.
    quality: 1 to 100, for JPEG, AVIF (both with full colour resolution) and WebP.
    metadata: `{str: str}` for `read_metadata`.

    Alpha is kept in PNG, TIFF, WebP and AVIF; JPEG and BMP show the picture over white.

    Raises: ConfigError: as `check_writable`. ImageError: the numbers are not a picture,
        or the file system or the file type refuses.
    """
    path = Path(path)
    _check_type(path, bits)
    samples = _levels(
        _planes(picture, opaque=path.suffix.lower() in OPAQUE_SUFFIXES), bits
    )
    text = json.dumps(metadata) if metadata else None  # all ASCII, so any tag holds it
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with atomic_path(path) as temporary:
            _write(temporary, samples, text, quality)
    except (OSError, ValueError, RuntimeError, struct.error) as error:
        reason = getattr(error, "strerror", None) or error
        raise ImageError(
            f"{path} cannot be written ({reason}). Name another place or type, or "
            "make room."
        ) from error


def _write(path: Path, samples: np.ndarray, text: str | None, quality: int) -> None:
    """Write uint8 or uint16 samples as the type of the suffix, straight to `path`."""
    suffix = path.suffix.lower()
    if suffix in (".tif", ".tiff"):
        _write_tiff(path, samples, text)
    elif suffix == ".png":
        png.write_png(path, samples, text)
    else:
        _write_with_pillow(path, samples, text, quality)


def _planes(picture: Any, *, opaque: bool) -> np.ndarray:
    """Checked float32 `(H, W, 3 or 4)`; without alpha if `opaque`."""
    picture = as_picture(picture, "the picture", tolerance=CLIPPED_RANGE)
    if picture.alpha is None:
        return picture.pixels
    planes = np.concatenate([picture.pixels, picture.alpha[..., None]], axis=-1)
    return _over_white(planes) if opaque else planes


def _over_white(planes: np.ndarray) -> np.ndarray:
    """Compose `(H, W, 4)` with alpha over white: `(H, W, 3)`."""
    planes, cover = np.clip(planes, 0, 1), np.clip(planes[..., 3:], 0, 1)
    return planes[..., :3] * cover + (1 - cover)


def _levels(samples: np.ndarray, bits: int) -> np.ndarray:
    """Floats, clipped to [0, 1], to whole levels, to nearest (halves up)."""
    kind, top = np.uint16 if bits == 16 else np.uint8, np.float32(2**bits - 1)
    # Some rows at once: copies of a large picture in floats would be the run's peak.
    strips = np.array_split(samples, 1 + len(samples) // 256)
    rounded = (np.floor(np.clip(x, 0, 1) * top + np.float32(0.5)) for x in strips)
    # In C order, which the writers need, whatever that of the samples is.
    return np.concatenate([x.astype(kind, order="C") for x in rounded])


def _write_with_pillow(
    path: Path, samples: np.ndarray, text: str | None, quality: int
) -> None:
    """Write JPEG, WebP, AVIF or BMP."""
    kind = PILLOW_FORMATS[path.suffix.lower()]
    options: dict[str, Any] = {}
    if kind != "BMP":
        options = {"icc_profile": color_profiles.SRGB_BYTES, "exif": _exif(text)}
        options["quality"] = quality
    if kind == "WEBP":
        options["exact"] = True  # also the colours of what is transparent
    elif kind != "BMP":
        options["subsampling"] = "4:4:4"
    # Not straight to the file: Pillow does not see that a full disk cut its write.
    file = io.BytesIO()
    Image.fromarray(samples).save(file, kind, **options)
    path.write_bytes(file.getbuffer())


def _exif(text: str | None) -> Image.Exif:
    """Return the EXIF tags that `read_metadata` finds."""
    exif = Image.Exif()
    if text:
        exif[DESCRIPTION] = text
        exif[SOFTWARE] = "kstyle"
    return exif


def _write_tiff(path: Path, samples: np.ndarray, text: str | None) -> None:
    """Write a TIFF of 8 or 16 bits."""
    import tifffile  # 0.2 s, which only a TIFF is to cost

    plain_bytes, data = 7, color_profiles.SRGB_BYTES
    tifffile.imwrite(
        path,
        samples,
        photometric="rgb",
        extrasamples=["unassalpha"] if samples.shape[2] == 4 else None,
        compression="zlib",
        predictor=True,
        description=text,
        software="kstyle",
        extratags=[(color_profiles.PROFILE_TAG, plain_bytes, len(data), data, True)],
        metadata=None,  # else the library writes a description of its own
    )


def read_metadata(path: str | os.PathLike[str]) -> dict[str, str]:
    """Read the `metadata` that `save_picture` put into `path`; `{}` if there is none.

    Raises: ImageError: `path` is not a picture file that can be read.
    """
    try:
        found = json.loads(read_embedded_record(Path(path)) or "{}")
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}
