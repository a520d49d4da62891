"""Losses and gradients of a picture that goes through the network tile by tile."""

from collections.abc import Callable, Iterable, Iterator, Mapping

import keras
import numpy as np
import tensorflow as tf
from keras import ops

from kstyle.losses.base import LossTerm
from kstyle.losses.names import IMAGE
from kstyle.losses.statistics import PositionSelection, StatisticLoss
from kstyle.losses.terms import weight_losses
from kstyle.ops.tf_utils import model_function, pixel_spec
from kstyle.tiling.geometry import Tile
from kstyle.tiling.tiled_extractor import StageInput, TiledExtractor


class TiledEvaluator:
    """Evaluates the losses of `terms` on a picture, tile by tile.

    The results are those of a `WholeEvaluator` up to rounding, in memory that grows
    with the tile and a few copies of the picture, for a third more time. The losses at
    layers are summed over tiles, those of the picture itself (total variation) over
    strips of rows.

    terms, targets, selections: as for `WholeEvaluator`.
    size: (height, width) of the picture. tile: largest edge of a tile in pixels; deeper
        in the network it covers more of the picture.
    """

    # The loop over the tiles is eager; each tile's work is a graph.
    runs_in_graph = False

    def __init__(
        self,
        extractor: keras.Model,
        terms: Iterable[LossTerm],
        targets: Mapping[str, np.ndarray],
        selections: Mapping[str, PositionSelection],
        size: tuple[int, int],
        tile: int,
    ) -> None:
        self.size, self.tile = size, tile
        self.set_terms(terms)
        self.set_targets(targets)
        self.tiled_extractor = (
            TiledExtractor(extractor, self.layer_terms, tile, selections)
            if self.layer_terms
            else None
        )
        self.set_selections(selections)
        height, width = size
        self.rows_per_strip = max(1, tile**2 // width)  # as many pixels as a tile
        self.strip_starts = range(0, height, self.rows_per_strip)
        rows = pixel_spec(3, shape=(1, None, width))
        weights = {term.tag: tf.TensorSpec(()) for term in self.image_terms}
        self._strip_losses = model_function(self._compute_strip_losses, (rows, rows))
        self._strip_gradient = model_function(
            self._compute_strip_gradient, (rows, rows, weights)
        )

    def set_targets(self, targets: Mapping[str, np.ndarray]) -> None:
        """Replace the targets by others of the same shapes."""
        self.targets = dict(targets)

    def set_terms(self, terms: Iterable[LossTerm]) -> None:
        """Replace the terms by the same with other weights."""
        self.terms = tuple(terms)
        at_image = [term for term in self.terms if term.layer == IMAGE]
        self.image_statistics = [
            term for term in at_image if isinstance(term.loss, StatisticLoss)
        ]
        self.image_terms = [t for t in at_image if t not in self.image_statistics]
        self.layer_terms = [term for term in self.terms if term.layer != IMAGE]

    def forget_selections(self) -> None:
        """Do nothing: selections of any shapes can follow."""

    def set_selections(self, selections: Mapping[str, PositionSelection]) -> None:
        """Replace the selections by others of the same types."""
        self.selections = selections
        if self.tiled_extractor:
            self.tiled_extractor.selections = selections

    def losses(self, image: tf.Tensor) -> dict[str, tf.Tensor]:
        """Compute the losses of the picture, as `compute_losses` returns them."""
        return self._forward(np.asarray(image))[0]

    def losses_and_gradient(
        self,
        image: tf.Tensor,
        scale_loss: Callable[[tf.Tensor], tf.Tensor],
    ) -> tuple[dict[str, tf.Tensor], np.ndarray]:
        """Compute the losses and the gradient of `scale_loss(total)` at the picture."""
        pixels = np.asarray(image)
        losses, collected, stage_inputs = self._forward(pixels, for_gradient=True)
        with tf.GradientTape() as tape:
            tape.watch(losses["loss"])
            scaled_loss = scale_loss(losses["loss"])
        scale = float(tape.gradient(scaled_loss, losses["loss"]))
        weights = {term.tag: scale * term.weight for term in self.terms}
        return losses, self._backward(pixels, collected, stage_inputs, weights)

    def gradient_norms(self, image: tf.Tensor) -> dict[str, np.floating]:
        """Compute `{tag: 2-norm of the weighted term's gradient at the picture}`.

        One backward pass a term.
        """
        pixels = np.asarray(image)
        _, collected, stage_inputs = self._forward(pixels, for_gradient=True)
        norms = {}
        for term in self.terms:
            weights = {t.tag: t.weight if t is term else 0.0 for t in self.terms}
            # `_backward` empties the list that it is given.
            gradient = self._backward(pixels, collected, list(stage_inputs), weights)
            norms[term.tag] = np.linalg.norm(gradient)
        return norms

    def _forward(
        self, pixels: np.ndarray, for_gradient: bool = False
    ) -> tuple[dict[str, tf.Tensor], dict[str, tf.Tensor], list[StageInput]]:
        """Return the losses, `{tag: what its statistic collects}`, the stages' inputs.

        for_gradient: whether the inputs of the stages are kept for `_backward`.
        """
        unweighted = {term.tag: 0.0 for term in self.image_terms}
        for _, rows, row_below in self._strips(pixels):
            for tag, loss in self._strip_losses(rows, row_below).items():
                unweighted[tag] += float(loss)
        collected: dict[str, tf.Tensor] = {}
        stage_inputs: list[StageInput] = []
        for term in self.image_statistics:
            collected[term.tag] = self._collect(term, tf.constant(pixels))
        if self.tiled_extractor:
            terms = {term.tag: term for term in self.layer_terms}
            unweighted |= {tag: 0.0 for tag in self.tiled_extractor.position_terms}

            def add_tile(tag: str, tile: Tile, features: tf.Tensor) -> None:
                term = terms[tag]
                target = self.targets[tag][tile.place(term.layer)]
                loss = float(term.loss(target, features))
                unweighted[tag] += tile.share(term.layer) * loss

            sums, stage_inputs = self.tiled_extractor.forward(
                pixels, add_tile, for_gradient
            )
            collected |= {tag: tf.constant(x, "float32") for tag, x in sums.items()}
        for term in self.terms:
            if term.tag in collected:
                loss = self._statistic_loss(term, collected[term.tag])
                unweighted[term.tag] = float(loss)
        losses = {tag: tf.constant(x, "float32") for tag, x in unweighted.items()}
        return weight_losses(self.terms, losses), collected, stage_inputs

    def _collect(self, term: LossTerm, features: tf.Tensor) -> tf.Tensor:
        return term.loss.collect(features, self.selections.get(term.tag, {}))

    def _statistic_loss(self, term: LossTerm, collected: tf.Tensor) -> tf.Tensor:
        """Compute the loss of what was collected of all tiles."""
        selection = self.selections.get(term.tag, {})
        statistic = term.loss.complete(collected, selection)
        found = term.loss.finish(statistic, selection)
        return ops.sum(term.loss.call(self.targets[term.tag], found))

    def _strips(
        self, pixels: np.ndarray
    ) -> Iterator[tuple[slice, np.ndarray, np.ndarray]]:
        """Yield each strip's place, its rows, and the row below it or none."""
        if not self.image_terms:
            return
        for start in self.strip_starts:
            end = start + self.rows_per_strip
            yield slice(start, end), pixels[:, start:end], pixels[:, end : end + 1]

    def _compute_strip_losses(
        self, rows: tf.Tensor, row_below: tf.Tensor
    ) -> dict[str, tf.Tensor]:
        losses = {}
        for term in self.image_terms:
            losses[term.tag] = ops.sum(
                term.loss.loss_of_rows(rows, row_below, self.size)
            )
        return losses

    def _compute_strip_gradient(
        self, rows: tf.Tensor, row_below: tf.Tensor, weights: dict[str, tf.Tensor]
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Compute the weighted losses' gradient at a strip and at the row below it."""
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch((rows, row_below))
            losses = self._compute_strip_losses(rows, row_below)
            total = sum(weights[tag] * loss for tag, loss in losses.items())
        return tape.gradient(total, (rows, row_below))

    def _backward(
        self,
        pixels: np.ndarray,
        collected: Mapping[str, tf.Tensor],
        stage_inputs: list[StageInput],
        weights: Mapping[str, float],
    ) -> np.ndarray:
        """Compute the gradient of the terms times `weights`; empty `stage_inputs`."""
        gradient = None
        if self.tiled_extractor:
            collected_gradients = {}
            for term in self.layer_terms:
                if term.tag in collected:
                    found = collected[term.tag]
                    with tf.GradientTape() as tape:
                        tape.watch(found)
                        loss = weights[term.tag] * self._statistic_loss(term, found)
                    collected_gradients[term.tag] = tape.gradient(loss, found).numpy()
            gradient = self.tiled_extractor.backward(
                stage_inputs, collected_gradients, weights, self.targets
            )
        if gradient is None:
            gradient = np.zeros(pixels.shape, "float32")
        for term in self.image_statistics:
            if weights[term.tag]:
                gradient += self._image_gradient(term, pixels, weights[term.tag])
        image_weights = {t.tag: np.float32(weights[t.tag]) for t in self.image_terms}
        if any(image_weights.values()):
            for place, rows, row_below in self._strips(pixels):
                at_rows, at_row_below = self._strip_gradient(
                    rows, row_below, image_weights
                )
                gradient[:, place] += at_rows
                gradient[:, place.stop : place.stop + 1] += at_row_below
        return gradient

    def _image_gradient(
        self, term: LossTerm, pixels: np.ndarray, weight: float
    ) -> np.ndarray:
        """Compute the gradient of a statistic of the picture itself."""
        image = tf.constant(pixels)
        with tf.GradientTape() as tape:
            tape.watch(image)
            loss = weight * self._statistic_loss(term, self._collect(term, image))
        return tf.convert_to_tensor(tape.gradient(loss, image)).numpy()


def tiled_features(
    extractor: keras.Model,
    terms: list[LossTerm],
    picture: np.ndarray,
    tile: int,
    selections: Mapping[str, PositionSelection],
) -> dict[str, np.ndarray]:
    """Compute `{tag: what its loss needs}` of a `(1, height, width, 3)` picture.

    Whole layers, in the extractor's precision; what a statistic collects, in float32.
    """
    found = {}
    layers = {term.tag: term.layer for term in terms}

    def keep(tag: str, tile: Tile, features: tf.Tensor) -> None:
        if tag not in found:
            shape = (len(features), *tile.sizes[layers[tag]], features.shape[-1])
            # In the network's precision: float32 would be no more exact.
            dtype = features.dtype.as_numpy_dtype
            found[tag] = np.zeros(shape, dtype)
        found[tag][tile.place(layers[tag])] = features

    extractor_in_tiles = TiledExtractor(extractor, terms, tile, selections)
    collected, _ = extractor_in_tiles.forward(picture, keep)
    return found | {tag: array.astype("float32") for tag, array in collected.items()}
