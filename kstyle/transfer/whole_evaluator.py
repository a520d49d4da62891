"""Losses and gradients of a picture that goes through the network as a whole."""

from collections.abc import Callable, Collection, Iterable, Mapping

import keras
import numpy as np
import tensorflow as tf

from kstyle.losses.base import LossTerm
from kstyle.losses.names import IMAGE
from kstyle.losses.statistics import PositionSelection
from kstyle.losses.terms import compute_losses
from kstyle.lru_cache import LRUCache
from kstyle.ops.convolution import value_and_gradient
from kstyle.ops.tf_utils import model_function, pixel_spec

MAX_FEATURE_GRAPHS = 8  # kept with each extractor, one for each set of layers


class WholeEvaluator:
    """Evaluates the losses of `terms` on a whole picture, `(1, height, width, 3)`.

    terms: `LossTerm`s at layers of `extractor`, or at the picture itself.
    targets: `{tag: array}` from `compute_targets`. They are kept as variables, so that
        those of another picture of the same size need no new graph.
    selections: from `make_selections` for the picture; kept as variables too.
    """

    # `losses_and_gradient` may be traced as a part of the caller's graph.
    runs_in_graph = True

    def __init__(
        self,
        extractor: keras.Model,
        terms: Iterable[LossTerm],
        targets: Mapping[str, np.ndarray],
        selections: Mapping[str, PositionSelection],
    ) -> None:
        self.extractor, self.terms = extractor, tuple(terms)
        self.weights = {
            term.tag: array_variable(
                f"weight_{term.tag.replace('/', '_')}",
                np.array(term.weight, np.float32),
                trainable=False,
            )
            for term in self.terms
        }
        self.targets: dict[str, keras.Variable] = {}
        self.set_targets(targets)
        self.selections: dict[str, dict[str, tf.Variable]] = {}
        self.set_selections(selections)
        self._gradient_norms = model_function(self._compute_gradient_norms)

    def set_targets(self, targets: Mapping[str, np.ndarray]) -> None:
        """Replace the targets by others of the same shapes, in place."""
        for tag, value in targets.items():
            if tag in self.targets:
                self.targets[tag].assign(value)
            else:
                name = f"target_{tag.replace('/', '_')}"
                self.targets[tag] = array_variable(name, value, trainable=False)

    def set_terms(self, terms: Iterable[LossTerm]) -> None:
        """Replace the terms by the same with other weights, in place.

        A weight that is 0 stays 0, and no other becomes 0: the graphs depend on that.
        """
        self.terms = tuple(terms)
        for term in self.terms:
            self.weights[term.tag].assign(term.weight)

    def forget_selections(self) -> None:
        """Let the next selections have other shapes; only before a graph is made."""
        self.selections = {}

    def set_selections(self, selections: Mapping[str, PositionSelection]) -> None:
        """Replace the selections by others of the same shapes, in place."""
        for tag, selection in selections.items():
            variables = self.selections.setdefault(tag, {})
            for name, array in selection.items():
                if name in variables:
                    variables[name].assign(array)
                else:
                    variables[name] = tf.Variable(array, trainable=False)

    def losses(self, image: tf.Tensor) -> dict[str, tf.Tensor]:
        """Compute the losses of the picture, as `compute_losses` returns them."""
        layers = {term.layer for term in self.terms} - {IMAGE}
        features = layer_features(self.extractor, image, layers)
        return self._losses({**features, IMAGE: image})

    def losses_and_gradient(
        self,
        image: tf.Tensor,
        scale_loss: Callable[[tf.Tensor], tf.Tensor],
    ) -> tuple[dict[str, tf.Tensor], tf.Tensor]:
        """Compute the losses and the gradient of `scale_loss(total)` at the picture."""

        def scaled_total(image: tf.Tensor) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
            features = {**self.extractor(image), IMAGE: image}
            losses = self._losses(features)
            return scale_loss(losses["loss"]), losses

        return value_and_gradient(scaled_total, image)

    def gradient_norms(self, image: tf.Tensor) -> dict[str, tf.Tensor]:
        """Compute `{tag: 2-norm of the weighted term's gradient at the picture}`.

        One backward pass a term.
        """
        return self._gradient_norms(image)

    def _losses(self, features: Mapping[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        return compute_losses(
            self.terms, features, self.targets, self.weights, self.selections
        )

    def _compute_gradient_norms(self, image: tf.Tensor) -> dict[str, tf.Tensor]:
        features = {**self.extractor(image), IMAGE: image}
        losses = self._losses(features)
        norms = {}
        for term in self.terms:
            # Not by a tape, which adds in any order: see `fan_out`.
            (gradient,) = tf.gradients(losses[term.tag], image)
            norms[term.tag] = 0.0 if gradient is None else tf.norm(gradient)
        return norms


def layer_features(
    extractor: keras.Model, picture: np.ndarray | tf.Tensor, layers: Collection[str]
) -> dict[str, tf.Tensor]:
    """Compute `{layer: features}` of a `(1, height, width, 3)` picture for `layers`.

    In a graph, as in a step: a convolution, its bias and its ReLU are one kernel there,
    which is faster, and rounds once. Targets in bfloat16 that are rounded otherwise
    mislead the optimiser: the gradient near the end was 37 % off, and is 9 % so. One
    graph serves pictures of all sizes.
    """
    if not hasattr(extractor, "feature_graphs"):
        extractor.feature_graphs = LRUCache(MAX_FEATURE_GRAPHS)
    names = tuple(sorted(layers))

    def features(picture: tf.Tensor) -> dict[str, tf.Tensor]:
        outputs = extractor.call(picture)
        return {name: outputs[name] for name in names}

    def make_graph() -> tf.types.experimental.PolymorphicFunction:
        return model_function(features, (pixel_spec(3, shape=(1, None, None)),))

    return extractor.feature_graphs.get(names, make_graph)(picture)


def array_variable(name: str, value: np.ndarray, *, trainable: bool) -> keras.Variable:
    """Make a Keras variable that holds `value`, in its dtype."""
    value = np.asarray(value)
    return keras.Variable(
        lambda shape, dtype=None: keras.ops.convert_to_tensor(value, dtype),
        shape=value.shape,
        dtype=str(value.dtype),
        trainable=trainable,
        name=name,
    )
