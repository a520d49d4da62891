"""What the terms of the loss compare the picture with."""

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from kstyle.errors import ConfigError
from kstyle.images.arrays import as_picture
from kstyle.losses.base import LossTerm
from kstyle.losses.names import IMAGE
from kstyle.losses.statistics import StatisticLoss
from kstyle.transfer.selections import make_selections
from kstyle.transfer.tiled_evaluator import tiled_features
from kstyle.transfer.whole_evaluator import layer_features


@dataclasses.dataclass(frozen=True)
class TargetPicture:
    """One of the pictures that targets are computed from.

    pixels: `(height, width, 3)` in [0, 1]. share: its share of a blend of several; all
    of them together have 1.
    weights: `{tag: (height, width)}` of the positions of the term's layer, for terms
        whose target is a region of this picture; all count alike for the others.
    """

    pixels: np.ndarray
    share: float = 1.0
    weights: Mapping[str, np.ndarray] = dataclasses.field(default_factory=dict)


# One picture, or several to be blended.
TargetSource = np.ndarray | TargetPicture | Sequence[TargetPicture]


def compute_targets(
    extractor: keras.Model,
    terms: Iterable[LossTerm],
    pictures: Mapping[str, TargetSource],
    tile: int | None = None,
) -> dict[str, Any]:
    """Compute what each term compares with: `{tag: array or tensor}`.

    pictures: `{"content": …, "style": …}` by the terms' `source`: each an array
        `(height, width, 3)` in [0, 1], a `TargetPicture`, or several of them, whose
        statistics are blended.
    tile: largest edge in pixels of the tiles that a picture is cut into; `None`: a
        picture goes through the network as a whole.
    Raises: ConfigError: a term has a source that is not among the pictures.
    """
    by_source: dict[str, list[LossTerm]] = {}
    for term in terms:
        if term.source:
            by_source.setdefault(term.source, []).append(term)
    targets: dict[str, Any] = {}
    for source, own in by_source.items():
        if source not in pictures:
            raise ConfigError(
                f"There is no picture {source!r}, with which {own[0].tag!r} is "
                f"compared. Given: {', '.join(pictures) or 'none'}."
            )
        parts = target_pictures(pictures[source])
        found = [picture_statistics(extractor, own, part, tile) for part in parts]
        shares = [part.share for part in parts]
        for term in own:
            statistics = [each[term.tag] for each in found]
            if isinstance(term.loss, StatisticLoss):
                statistic = term.loss.blend(statistics, shares)
                targets[term.tag] = term.loss.make_target(statistic)
            else:  # of one picture
                (targets[term.tag],) = statistics
    return targets


def as_target_source(style: Any) -> TargetSource:
    """Convert a style as users give it: a picture, or `TargetPicture`s of several.

    Raises: ImageError: it is no picture.
    """
    several = isinstance(style, (list, tuple))
    if isinstance(style, TargetPicture) or (
        several and style and all(isinstance(part, TargetPicture) for part in style)
    ):
        return style
    return as_picture(style, "style").pixels


def target_pictures(source: TargetSource) -> list[TargetPicture]:
    """Return the pictures of a source as a list."""
    if isinstance(source, TargetPicture):
        return [source]
    if isinstance(source, np.ndarray):
        return [TargetPicture(source)]
    return list(source)


def picture_statistics(
    extractor: keras.Model,
    terms: Sequence[LossTerm],
    picture: TargetPicture,
    tile: int | None,
) -> dict[str, Any]:
    """Compute `{tag: statistic, or what else the loss represents}` of one picture."""
    pixels = as_batch(picture.pixels)
    selections = make_selections(
        extractor, terms, pixels.shape[1:3], picture.weights, share=picture.share
    )
    at_layers = [term for term in terms if term.layer != IMAGE]
    found: dict[str, Any] = {}
    features: dict[str, tf.Tensor] = {IMAGE: tf.constant(pixels)}
    if tile and at_layers:
        found = tiled_features(extractor, at_layers, pixels, tile, selections)
    elif at_layers:
        layers = {term.layer for term in at_layers}
        features |= layer_features(extractor, pixels, layers)
    for term in terms:
        tag, loss = term.tag, term.loss
        if isinstance(loss, StatisticLoss):
            selection = selections.get(tag, {})
            if tag not in found:
                found[tag] = loss.collect(features[term.layer], selection)
            found[tag] = loss.complete(found[tag], selection)
        elif tag not in found:
            found[tag] = loss.represent(features[term.layer])
    return found


def as_batch(picture: np.ndarray) -> np.ndarray:
    """Convert `(height, width, 3)`, or a batch of one, to `(1, height, width, 3)`."""
    picture = np.asarray(picture, "float32")
    return picture if picture.ndim == 4 else picture[None]
