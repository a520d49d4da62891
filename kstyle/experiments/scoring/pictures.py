"""Scores of any pictures, also those that another program made."""

import logging
import os
from collections.abc import Sequence
from typing import TypedDict

import numpy as np
from PIL import Image

from kstyle.config.option_types import MAX_SHARE
from kstyle.config.style_source import blend_shares
from kstyle.errors import ConfigError
from kstyle.experiments.scoring.judge import MIN_JUDGED_EDGE
from kstyle.experiments.scoring.scorer import (
    MAX_JUDGED_EDGE,
    Judges,
    judge_picture,
    make_judges,
    ordered_scores,
)
from kstyle.images.arrays import as_picture
from kstyle.images.picture import Picture, cover, fit_long_edge, resize

SAME_PROPORTIONS = (
    0.02  # of height / width: rounding to whole pixels changes it by less
)

PictureSource = str | os.PathLike | Picture | Image.Image | np.ndarray

log = logging.getLogger("kstyle")


class PictureScores(TypedDict):
    """The scores of one picture and the size at which it was judged, in pixels."""

    height: int
    width: int
    scores: dict[str, float]


def score(
    result: PictureSource,
    content: PictureSource,
    style: PictureSource | Sequence[PictureSource],
    *,
    blend: Sequence[float] | None = None,
    size: int | None = None,
) -> dict[str, float]:
    """Score a result by its content and style pictures; any program may have made it.

    result, content, style: a path, or a picture in memory as `images.arrays.as_picture`
        takes it. Several styles, as a list, are compared as the mixture that they are.
    blend: share of each of several styles; `None`: equal shares.
    size: long edge in pixels at which the result is judged, larger or smaller than it
        is; by default its own, at most 1024. Give one size for results to be compared.

    The content is resized to the judged result. If their proportions differ by more
    than 2 %, the middle of the content is compared, and a warning says so.

    Returns: `{name: score}`, those of an experiment but for the speed of the run; NaN
        where the picture is too small or too flat for a score.
    Raises: ImageError: a picture cannot be read. ConfigError: it is too small, or
        `blend` does not fit the styles.
    """
    (found,) = score_pictures([result], content, style, blend=blend, size=size)
    return found["scores"]


def score_pictures(
    results: Sequence[PictureSource],
    content: PictureSource,
    style: PictureSource | Sequence[PictureSource],
    *,
    blend: Sequence[float] | None = None,
    size: int | None = None,
) -> list[PictureScores]:
    """Score results of the same content and style, all at one size; see `score`.

    size: by default the long edge of the smallest result, at most 1024.
    """
    if size is not None and size < MIN_JUDGED_EDGE:
        raise ConfigError(
            f"A picture cannot be judged at {size} pixels: give at least "
            f"{MIN_JUDGED_EDGE}."
        )
    pictures = [as_picture(result, "result").pixels for result in results]
    content_pixels = as_picture(content, "content").pixels
    styles = list(style) if isinstance(style, (list, tuple)) else [style]
    if not styles:
        raise ConfigError("style: the list is empty. Give one picture or more.")
    shares = shares_of_pictures(blend, len(styles))
    mixture = [
        (share, as_picture(each, "style").pixels)
        for share, each in zip(shares, styles, strict=True)
    ]
    if size is None:
        size = min(MAX_JUDGED_EDGE, *(max(pixels.shape[:2]) for pixels in pictures))
    judges: dict[tuple[int, int], Judges] = {}
    found: list[PictureScores] = []
    for result, pixels in zip(results, pictures, strict=True):
        height, width = fit_long_edge(pixels.shape[:2], size)
        if (height, width) not in judges:
            frame = frame_content(content_pixels, pixels.shape[:2], (height, width))
            judges[height, width] = make_judges(frame, mixture)
        warn_of_proportions(result, pixels, content_pixels)
        picture = resize(pixels, (height, width))
        scores = ordered_scores(judge_picture(picture, judges[height, width]))
        found.append({"height": height, "width": width, "scores": scores})
    return found


def shares_of_pictures(blend: Sequence[float] | None, count: int) -> tuple[float, ...]:
    """Return the shares of `count` style pictures, which add up to 1.

    Raises: ConfigError: `blend` is not a number above 0, up to `MAX_SHARE`, for each.
    """
    try:
        numbers = [1.0] * count if blend is None else [float(each) for each in blend]
    except (TypeError, ValueError):
        numbers = []
    if len(numbers) != count or not all(0 < each <= MAX_SHARE for each in numbers):
        given = ",".join(map(str, blend)) if isinstance(blend, list) else repr(blend)
        raise ConfigError(
            f"blend: give a number above 0 and up to {MAX_SHARE:g} for each style "
            f"picture, {count} in all. Received: {given}",
            option="blend",
        )
    return blend_shares(numbers, count)


def frame_content(
    content: np.ndarray, result_size: tuple[int, int], size: tuple[int, int]
) -> np.ndarray:
    """Return what a result shows of the content picture, at `size` (height, width)."""
    if same_proportions(content.shape[:2], result_size):
        return resize(content, size)
    return cover(content, size)


def same_proportions(size: tuple[int, int], other: tuple[int, int]) -> bool:
    """Return whether two sizes (height, width) differ by rounding at most."""
    ratio = (size[0] * other[1]) / (size[1] * other[0])
    return abs(ratio - 1) <= SAME_PROPORTIONS


def warn_of_proportions(
    result: PictureSource, pixels: np.ndarray, content: np.ndarray
) -> None:
    """Say what a result of other proportions than the content is compared with."""
    (height, width), (rows, columns) = pixels.shape[:2], content.shape[:2]
    if not same_proportions((height, width), (rows, columns)):
        name = result if isinstance(result, (str, os.PathLike)) else "The result"
        log.warning(
            "%s is %d x %d, the content %d x %d: compared with the middle of the "
            "content. If the picture was squeezed, resize it to the content's "
            "proportions first.",
            name,
            width,
            height,
            columns,
            rows,
        )
