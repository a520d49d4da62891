"""A picture in memory, and its sizes, crops and resampling."""

import dataclasses
import io
import re

import numpy as np
from PIL import Image

from kstyle.errors import ConfigError

PREVIEW_EDGE = 1024  # pixels: the long edge of a picture shown in a notebook


@dataclasses.dataclass(frozen=True, repr=False)
class Picture:
    """An upright sRGB picture.

    pixels: float32 `(height, width, 3)` in [0, 1], not multiplied by alpha.
    alpha: float32 `(height, width)` in [0, 1], or `None` when all of it is opaque.
    """

    pixels: np.ndarray
    alpha: np.ndarray | None = None

    @property
    def size(self) -> tuple[int, int]:
        """`(height, width)`."""
        height, width = self.pixels.shape[:2]
        return height, width

    def __repr__(self) -> str:
        alpha = "" if self.alpha is None else ", with alpha"
        return f"<Picture: height {self.size[0]}, width {self.size[1]}{alpha}>"

    def _repr_png_(self) -> bytes:
        """Return the picture as a notebook shows it: a PNG of at most 1024 pixels."""
        size = fit_long_edge(self.size, min(max(self.size), PREVIEW_EDGE))
        shown = self.resized(size)
        planes = [shown.pixels] if shown.alpha is None else [shown.pixels, shown.alpha]
        levels = np.rint(255 * np.clip(np.dstack(planes), 0, 1)).astype(np.uint8)
        file = io.BytesIO()
        Image.fromarray(levels).save(file, "PNG")
        return file.getvalue()

    def over_white(self) -> np.ndarray:
        """Return the pixels over white where the picture is transparent."""
        if self.alpha is None:
            return self.pixels
        alpha = self.alpha[..., None]
        return alpha * self.pixels + (1 - alpha)

    def resized(self, size: tuple[int, int]) -> "Picture":
        """Resample to `size`, `(height, width)`."""
        alpha = None if self.alpha is None else resize(self.alpha, size)
        return Picture(resize(self.pixels, size), alpha)

    def cropped(self, text: str) -> "Picture":
        """Cut out the part that `text` names; see `parse_crop`."""
        alpha = None if self.alpha is None else crop(self.alpha, text)
        return Picture(crop(self.pixels, text), alpha)


SQUARE_CROPS = ("left", "center", "right")
NUMBER = r"(\d{1,9}(?:\.\d{1,9})?)(%?)"
CROP_EXAMPLE = f"Use {', '.join(SQUARE_CROPS)}, or X,Y,W,H such as 25%,0,50%,100%."


def resize(array: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Resample `(H, W, C)` or `(H, W)` in [0, 1] to `size`, `(height, width)`.

    Lanczos, widened to the old pixels when the picture shrinks, so that fine patterns
    average out instead of making new ones. Returns: float32, clipped to [0, 1].
    """
    array = np.asarray(array, np.float32)
    height, width = size
    if array.shape[:2] == (height, width):
        return array
    bands = array.reshape(*array.shape[:2], -1)
    result = np.empty((height, width, bands.shape[-1]), np.float32)
    # Pillow resamples floats one band at a time, and its sizes are (width, height). A
    # band of a large picture takes half a gigabyte, so no two are kept.
    for number in range(bands.shape[-1]):
        band = Image.fromarray(np.ascontiguousarray(bands[..., number]))
        band = band.resize((width, height), Image.Resampling.LANCZOS)
        result[..., number] = np.asarray(band)
    np.clip(result, 0.0, 1.0, out=result)
    return result.reshape(height, width, *array.shape[2:])


def fit_long_edge(size: tuple[int, int], edge: float) -> tuple[int, int]:
    """Scale `(height, width)` so that the longer edge is `edge`."""
    return scale_size(size, edge / max(size))


def scale_size(size: tuple[int, int], factor: float) -> tuple[int, int]:
    """Multiply both edges by `factor`, halves rounded up, at least one pixel."""
    height, width = (max(1, int(n * factor + 0.5)) for n in size)
    return height, width


def cover(array: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Resample `(H, W, C)` so that it just covers `size`, and cut out its middle.

    size: `(height, width)` of the result. The proportions of what is shown are kept.
    """
    height, width = size
    factor = max(height / array.shape[0], width / array.shape[1])
    found = scale_size(array.shape[:2], factor)
    rows, columns = max(found[0], height), max(found[1], width)
    top, left = (rows - height) // 2, (columns - width) // 2
    covering = resize(array, (rows, columns))
    return covering[top : top + height, left : left + width]


def parse_crop(text: str) -> str | tuple[tuple[float, bool], ...]:
    """Check a crop before there is a picture.

    text: `left`, `center` or `right` (the largest square there; of a portrait, left is
        the top and right the bottom), or `X,Y,W,H`, each in pixels or with `%`.

    Returns: the name, or four pairs (number, whether it is a percentage).
    Raises: ConfigError: `text` is neither.
    """
    name = text.strip().lower()
    if name in SQUARE_CROPS:
        return name
    parts = [part.strip() for part in name.split(",")]
    found = [re.fullmatch(NUMBER, part, re.ASCII) for part in parts]
    matches = [match for match in found if match]
    if len(found) != 4 or len(matches) != 4:
        raise ConfigError(f"{text!r} is not a crop. {CROP_EXAMPLE}")
    return tuple((float(match[1]), match[2] == "%") for match in matches)


def crop_box(text: str, size: tuple[int, int]) -> tuple[int, int, int, int]:
    """Return `(top, left, bottom, right)` of a crop in pixels.

    text: as for `parse_crop`. size: `(height, width)` of the picture.

    Raises: ConfigError: `text` is no crop, or the box is empty or not all inside.
    """
    spec = parse_crop(text)
    height, width = size
    if isinstance(spec, str):
        edge = min(size)
        # Before the square is none, half or all of the rest of the long axis.
        part = SQUARE_CROPS.index(spec)
        top, left = (height - edge) * part // 2, (width - edge) * part // 2
        return top, left, top + edge, left + edge
    lengths = (width, height, width, height)
    x, y, w, h = (
        int(number * (length / 100 if percent else 1) + 0.5)
        for (number, percent), length in zip(spec, lengths, strict=True)
    )
    if w < 1 or h < 1 or x + w > width or y + h > height:
        raise ConfigError(
            f"crop {text!r} is empty or reaches outside the picture, which is {width} "
            f"wide and {height} high. {CROP_EXAMPLE}"
        )
    return y, x, y + h, x + w


def crop(array: np.ndarray, text: str) -> np.ndarray:
    """Cut out the part of `(H, W, …)` that `text` names; see `parse_crop`."""
    height, width = array.shape[:2]
    top, left, bottom, right = crop_box(text, (height, width))
    return array[top:bottom, left:right]
