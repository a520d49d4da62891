"""Masks of regions: grey pictures, colour-coded maps, and their exact averages."""

from collections.abc import Sequence

import numpy as np

from kstyle.errors import ImageError
from kstyle.images.picture import Picture

# Largest difference of the channels of a grey picture; JPEG files have some.
GREY_TOLERANCE = 0.1
# What is less counts as 0: half of a level of 8 bits.
LEAST_WEIGHT = 0.5 / 255
# A mask without a lighter place paints next to nothing: it is one of 0 and 1 in a file
# of 0..255, or worse.
LEAST_PEAK = 0.02
# Relative difference of the proportions of a mask and of its picture.
PROPORTION_TOLERANCE = 0.02
MAX_TOLERANCE = 0.2  # of masks and pictures of few pixels
# Distance of two colours of a map that are taken for one, of RGB in 0..1: JPEG noise
# and soft edges.
COLOR_DISTANCE = 0.2
LEAST_COLOR_SHARE = 0.002  # of a map's pixels; other colours are noise or soft edges
MAX_COLORS = 32


def read_grey_mask(picture: Picture, name: str) -> np.ndarray:
    """Return the weights of a grey picture: float32 `(height, width)` in [0, 1].

    name: what messages call it.
    Raises: ImageError: it has transparency or colours, or is black or almost black all
        over.
    """
    hint = (
        " A mask's weights are its grey levels; the content's own alpha is the mask "
        "with --region alpha."
    )
    check_opaque(picture, name, hint)
    low, high = picture.pixels.min(axis=2), picture.pixels.max(axis=2)
    if (high - low).max() > GREY_TOLERANCE:
        raise ImageError(
            f"{name} has colours, and a region's mask is grey: white where the style "
            "applies. Colour-coded maps are for --content-map and --style-map."
        )
    mask = picture.pixels.mean(axis=2)
    mask = np.where(mask < LEAST_WEIGHT, 0, mask).astype("float32")
    if not mask.any():
        raise ImageError(
            f"{name} is black all over, so no place would have its style. Draw the "
            "region in white."
        )
    check_peak(mask, name)
    return mask


def check_peak(mask: np.ndarray, name: str) -> None:
    """Refuse a mask that is almost black all over. Raises: ImageError."""
    peak = float(mask.max())
    if peak < LEAST_PEAK:
        raise ImageError(
            f"{name} is almost black: its lightest grey level is {255 * peak:.3g} of "
            "255, and a mask is white where the style applies. Multiply one of 0 and 1 "
            "by 255, or make it lighter in a paint program."
        )


def check_opaque(picture: Picture, name: str, hint: str = "") -> None:
    """Refuse a mask or map with transparency, which could mean either.

    hint: what the message ends with.
    Raises: ImageError.
    """
    if picture.alpha is not None and picture.alpha.min() < 1:
        raise ImageError(
            f"{name} is transparent in places. Save it without alpha.{hint}"
        )


def check_proportions(
    mask: tuple[int, int], size: tuple[int, int], name: str, of: str
) -> None:
    """Refuse a mask whose proportions are not those of its picture.

    mask, size: (height, width) of both. of: what the message calls the picture.
    Raises: ImageError.
    """
    ratio = (mask[1] / mask[0]) / (size[1] / size[0])
    # A pixel of a small picture is more than the tolerance.
    tolerance = min(PROPORTION_TOLERANCE + 1 / min(*mask, *size), MAX_TOLERANCE)
    if abs(np.log(ratio)) > tolerance:
        raise ImageError(
            f"{name} is {mask[1]} x {mask[0]} pixels, and the {of} is {size[1]} x "
            f"{size[0]}: their proportions differ. Draw it at the {of}'s size."
        )


def main_colors(pixels: np.ndarray) -> np.ndarray:
    """Return the colours of a colour-coded map, the most frequent first: `(n, 3)`.

    pixels: `(height, width, 3)` in [0, 1]. Colours near a more frequent one are taken
        for that one, and those of very few pixels are left out.
    """
    levels = np.rint(pixels * 255).astype("int32").reshape(-1, 3)
    # Numbers are sorted in a tenth of the time of rows.
    numbers = levels @ np.array([1 << 16, 1 << 8, 1], "int32")
    numbers, counts = np.unique(numbers, return_counts=True)
    order = np.argsort(-counts, kind="stable")
    channels = numbers[order, None] >> np.array([16, 8, 0]) & 255
    colors, counts = channels / 255, counts[order]
    found: list[np.ndarray] = []
    while len(colors) and len(found) < MAX_COLORS:
        near = np.linalg.norm(colors - colors[0], axis=1) < COLOR_DISTANCE
        if counts[near].sum() >= LEAST_COLOR_SHARE * len(levels):
            found.append(colors[0])
        colors, counts = colors[~near], counts[~near]
    return np.array(found)


def color_masks(pixels: np.ndarray, colors: np.ndarray) -> list[np.ndarray]:
    """Return a mask for each of `colors` `(n, 3)`: 1 where it is the nearest, else 0.

    pixels: `(height, width, 3)` in [0, 1] of a colour-coded map.
    """
    distances = np.stack([((pixels - c) ** 2).sum(axis=2) for c in colors])
    nearest = distances.argmin(axis=0)
    return [(nearest == n).astype("float32") for n in range(len(colors))]


def color_name(color: Sequence[float]) -> str:
    """Return a colour of RGB in 0..1 as six hexadecimal digits, as "ff0000"."""
    return "".join(f"{round(255 * float(value)):02x}" for value in color)


def box_averages(
    mask: np.ndarray,
    rows: tuple[np.ndarray, np.ndarray],
    columns: tuple[np.ndarray, np.ndarray],
) -> np.ndarray:
    """Average a mask over boxes, each weighing pixels by the part inside it: exact.

    mask: `(height, width)`. rows, columns: (first edges, last edges) of the boxes in
        pixels, which may lie between pixels; what is outside the mask is left out.
    Returns: float32 `(len of rows, len of columns)`; 0 of a box that is all outside.
    """
    found = np.asarray(mask, "float64")
    for axis, (starts, stops) in enumerate((rows, columns)):
        length = found.shape[axis]
        zero = np.zeros_like(np.take(found, [0], axis=axis))
        sums = np.concatenate([zero, np.cumsum(found, axis=axis)], axis=axis)
        starts, stops = (np.clip(edges, 0, length) for edges in (starts, stops))
        total = sums_at(sums, stops, axis) - sums_at(sums, starts, axis)
        lengths = np.maximum(stops - starts, 1e-9)
        found = total / np.expand_dims(lengths, 1 - axis)
    # The difference of two sums leaves a rounding error where the mask is 0.
    found = np.clip(found, 0, 1)
    return np.where(found < 1e-6, 0, found).astype("float32")


def sums_at(sums: np.ndarray, edges: np.ndarray, axis: int) -> np.ndarray:
    """Interpolate running `sums` along an axis at `edges`, in positions."""
    below = np.minimum(edges.astype(int), sums.shape[axis] - 1)
    above = np.minimum(below + 1, sums.shape[axis] - 1)
    part = np.expand_dims(edges - below, 1 - axis)
    low, high = (np.take(sums, index, axis=axis) for index in (below, above))
    return low + part * (high - low)


def resize_mask(mask: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Resample a mask to (height, width) `size` as exact averages over its pixels."""
    edges = [
        np.linspace(0, n, count + 1) for n, count in zip(mask.shape, size, strict=True)
    ]
    down, across = ((each[:-1], each[1:]) for each in edges)
    return box_averages(mask, down, across)
