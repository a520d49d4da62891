"""What the terms of the loss compare the picture with."""

from collections.abc import Iterable, Mapping
from typing import Any

import keras
import numpy as np

from kstyle.losses.base import LossTerm
from kstyle.transfer.tiled_evaluator import tiled_representations
from kstyle.transfer.whole_evaluator import layer_features


def compute_targets(
    extractor: keras.Model,
    terms: Iterable[LossTerm],
    pictures: Mapping[str, np.ndarray],
    tile: int | None = None,
) -> dict[str, Any]:
    """Compute what each term compares with: `{tag: array or tensor}`.

    pictures: `{"content": …, "style": …}`, each `(height, width, 3)` in [0, 1].
    tile: largest edge in pixels of the tiles that a picture is cut into; `None`: a
        picture goes through the network as a whole.
    """
    by_source: dict[str, list[LossTerm]] = {}
    for term in terms:
        if term.source:
            by_source.setdefault(term.source, []).append(term)
    targets: dict[str, Any] = {}
    for source, own in by_source.items():
        picture = as_batch(pictures[source])
        if tile:
            targets |= tiled_representations(extractor, own, picture, tile)
        else:
            features = layer_features(extractor, picture, {term.layer for term in own})
            for term in own:
                targets[term.tag] = term.loss.represent(features[term.layer])
    return targets


def as_batch(picture: np.ndarray) -> np.ndarray:
    """Convert `(height, width, 3)`, or a batch of one, to `(1, height, width, 3)`."""
    picture = np.asarray(picture, "float32")
    return picture if picture.ndim == 4 else picture[None]
