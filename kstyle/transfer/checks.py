"""Checks of the arguments of a `StyleTransfer` and its methods, before any work."""

import collections
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from kstyle.errors import ConfigError
from kstyle.losses.base import LossTerm
from kstyle.losses.content import ContentLoss
from kstyle.losses.names import IMAGE
from kstyle.losses.regularization import TotalVariationLoss
from kstyle.losses.statistics import StatisticLoss
from kstyle.networks.extractor import has_chain

SOURCES = ("content", None)
TILED_LOSSES = (ContentLoss, StatisticLoss, TotalVariationLoss)
# Arguments of `keras.Model.fit` that are about data.
DATA_ARGUMENTS = (
    *("x", "y", "batch_size", "validation_data", "validation_split"),
    *("validation_steps", "validation_batch_size", "class_weight", "sample_weight"),
)


def check_terms(
    terms: Iterable[LossTerm], extractor: keras.Model, *, tiled: bool
) -> tuple[LossTerm, ...]:
    """Return the terms of a loss, checked.

    tiled: whether the picture is evaluated in tiles.
    Raises: ConfigError: there is no term, two have the same tag, one is at a layer that
        the extractor lacks, has an unknown source, or cannot be computed in tiles.
    """
    terms, layers = tuple(terms), tuple(extractor.output)
    if not terms:
        raise ConfigError("There is no loss term. Make some with kstyle.loss_terms.")
    if tiled and not has_chain(extractor):
        raise ConfigError(
            f"The network {extractor.name} cannot be computed in tiles: only those of "
            "build_extractor can. Leave out `tile`."
        )
    for term in terms:
        if not isinstance(term, LossTerm):
            raise ConfigError(
                "Expected terms from kstyle.loss_terms, or kstyle.LossTerm objects. "
                f"Received: {term!r}."
            )
        if term.layer != IMAGE and term.layer not in layers:
            raise ConfigError(
                f"{term.tag!r} is at the layer {term.layer!r}, and the extractor has "
                f"{', '.join(layers)}. Give build_extractor the layers of all terms."
            )
        if term.source not in SOURCES and not term.is_style:
            raise ConfigError(
                f"{term.tag!r} has the source {term.source!r}: it must be 'content', "
                "'style', 'style/NAME' of a region, or None."
            )
        if tiled and not isinstance(term.loss, TILED_LOSSES):
            raise ConfigError(
                f"The loss of {term.tag!r}, {type(term.loss).__name__}, cannot be "
                "computed in tiles. Leave out `tile`."
            )
    tag, count = collections.Counter(term.tag for term in terms).most_common(1)[0]
    if count > 1:
        raise ConfigError(f"{count} terms have the tag {tag!r}. Give each its own.")
    return terms


def check_same_terms(
    terms: Iterable[LossTerm], before: Sequence[LossTerm]
) -> tuple[LossTerm, ...]:
    """Return `terms`, which are those `before` with other weights at most.

    Raises: ConfigError: a tag, layer, source or kind of loss differs.
    """
    terms = tuple(terms)

    def kinds(given: Sequence[LossTerm]) -> list[tuple[Any, ...]]:
        return [(t.tag, t.layer, t.source, type(t.loss)) for t in given]

    if kinds(terms) != kinds(before):
        raise ConfigError(
            "The terms of a model can get other weights, and nothing else of them can "
            f"change: {', '.join(term.tag for term in before)}. Make a new model for "
            "other layers or losses."
        )
    return terms


def check_weighted_tags(
    position_weights: Mapping[str, Any] | None, terms: Sequence[LossTerm]
) -> dict[str, np.ndarray]:
    """Return `position_weights` as arrays, each of a term with a statistic.

    Raises: ConfigError: there is no such term.
    """
    known = [term.tag for term in terms if isinstance(term.loss, StatisticLoss)]
    for tag in position_weights or {}:
        if tag not in known:
            raise ConfigError(
                f"`position_weights` has {tag!r}, which is not the tag of a term with "
                f"a statistic. These are {', '.join(known) or 'none'}."
            )
    given = (position_weights or {}).items()
    return {tag: np.asarray(weights, "float32") for tag, weights in given}


def check_pixel_limits(
    limits: Sequence[np.ndarray], shape: tuple[int, ...]
) -> tuple[np.ndarray, np.ndarray]:
    """Return the lowest and highest values of pixels, checked, as float32.

    Raises: ConfigError: they do not have the picture's `shape`, are outside [0, 1], or
        a lowest value is above the highest.
    """
    low, high = (np.asarray(each, "float32") for each in limits)
    shapes = low.shape, high.shape
    if shapes != (tuple(shape),) * 2:
        raise ConfigError(
            f"`pixel_limits` must be two arrays of the content's shape {tuple(shape)}: "
            f"{shapes[0]} and {shapes[1]}."
        )
    if not (0 <= low.min() and (low <= high).all() and high.max() <= 1):
        raise ConfigError(
            "`pixel_limits` must be (lowest, highest) values within 0..1, the first "
            "nowhere above the second."
        )
    return low, high


def check_no_strategy() -> None:
    """Refuse to make a model inside a distribution strategy. Raises: ConfigError."""
    if tf.distribute.has_strategy():
        name = type(tf.distribute.get_strategy()).__name__
        raise ConfigError(
            f"A StyleTransfer optimises one picture on one device, and {name} "
            "distributes batches. Make the model outside of strategy.scope(); run "
            "several pictures as several processes."
        )


def check_no_data(arguments: Mapping[str, Any]) -> None:
    """Refuse data as arguments of `fit`. Raises: ConfigError."""
    for name in DATA_ARGUMENTS:
        value = arguments.get(name)
        if value is not None and not (name == "validation_split" and value == 0):
            raise ConfigError(
                f"fit() of a StyleTransfer takes no {name}: its pictures were given to "
                "the constructor, and there is nothing to validate on. Monitor 'loss', "
                "as in fit(epochs=10, steps_per_epoch=10)."
            )


def check_no_losses(arguments: Mapping[str, Any]) -> None:
    """Refuse losses and metrics as arguments of `compile`. Raises: ConfigError."""
    for name in ("loss", "loss_weights", "metrics", "weighted_metrics"):
        if arguments.get(name):
            raise ConfigError(
                f"compile() of a StyleTransfer takes no {name}: its losses are the "
                "terms that were given to the constructor, each with its weight."
            )
