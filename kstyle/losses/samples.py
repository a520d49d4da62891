"""`SampleLoss`: losses that compare the features at some positions of a layer."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf
from keras import ops

from kstyle.losses.moments import check_position_weights
from kstyle.losses.statistics import PositionSelection, StatisticLoss

POSITION_SEED = 1
# A position belongs to a region if its weight is at least this share of the largest.
INSIDE_SHARE = 0.5


def draw_positions(
    size: tuple[int, int], count: int, weights: np.ndarray | None = None, draw: int = 0
) -> np.ndarray:
    """Draw `(count, 2)` int32 (row, column) positions of a layer without repetition.

    size: (height, width) of the layer. weights: `(height, width)` of the positions in
        a region: drawn are those with at least half of the largest weight.
    draw: number of the drawing. One after the other, drawings go through a random
        order of all positions, so that each is drawn before one is drawn again.
    Fewer positions than `count` are all returned.
    """
    known = np.flatnonzero(positions_inside(size, weights))
    order = np.random.default_rng(POSITION_SEED).permutation(known)
    count = min(count, len(order))
    start = draw * count % len(order)
    chosen = np.take(order, np.arange(start, start + count), mode="wrap")
    return np.stack(np.divmod(np.sort(chosen), size[1]), axis=1).astype("int32")


def positions_inside(
    size: tuple[int, int], weights: np.ndarray | None = None
) -> np.ndarray:
    """Return which positions of a layer may be drawn, `(height, width)` of bool.

    Arguments as for `draw_positions`.
    """
    if weights is None:
        return np.ones(size, bool)
    check_position_weights(weights, size)
    return weights >= INSIDE_SHARE * weights.max()


class SampleLoss(StatisticLoss):
    """Compares the features at `samples` random positions, `(batch, samples, C)`.

    In a region only its positions are drawn. Of several styles, each gives a part of
    the target's samples in proportion to its share: where a layer has too few positions
    for that, they are repeated.
    """

    collects_means = False

    def __init__(self, name: str, samples: int, **kwargs: Any) -> None:
        super().__init__(name, **kwargs)
        self.samples = samples

    def select(
        self,
        size: tuple[int, int],
        weights: np.ndarray | None = None,
        *,
        share: float = 1.0,
        draw: int = 0,
    ) -> dict[str, np.ndarray]:
        """Return the `positions` (row, column) of the samples, `(samples, 2)`."""
        count = max(1, round(share * self.samples))
        return {"positions": draw_positions(size, count, weights, draw)}

    def select_tile(
        self,
        selection: PositionSelection,
        rows: tuple[int, int],
        columns: tuple[int, int],
    ) -> dict[str, np.ndarray]:
        """Count positions from the tile's own corner: some lie outside of it."""
        corner = np.array([rows[0], columns[0]], "int32")
        return {"positions": selection["positions"] - corner}

    def collect(self, features: tf.Tensor, selection: PositionSelection) -> tf.Tensor:
        """Return the features at the positions, 0 for those outside: float32."""
        positions = ops.convert_to_tensor(selection["positions"])
        size = tf.shape(features)[1:3]
        inside = tf.reduce_all((positions >= 0) & (positions < size), axis=1)
        index = tf.clip_by_value(positions, 0, size - 1)
        index = index[:, 0] * size[1] + index[:, 1]
        # The number of channels is not known in the graph of a tile.
        batch, _, _, channels = tf.unstack(tf.shape(features))
        flat = tf.reshape(features, [batch, -1, channels])
        found = tf.cast(tf.gather(flat, index, axis=1), tf.float32)
        found = tf.ensure_shape(found, (None, None, features.shape[-1]))
        return tf.where(inside[None, :, None], found, 0.0)

    def complete(self, collected: tf.Tensor, selection: PositionSelection) -> tf.Tensor:
        """Return the samples as they are."""
        return collected

    def blend(
        self, statistics: Sequence[tf.Tensor], shares: Sequence[float]
    ) -> tf.Tensor:
        """Put the samples of several pictures together, in proportion to the shares."""
        parts = list(zip(statistics, shares, strict=True))
        # So many that no sample is left out, at most as many as are drawn of one style.
        total = min(self.samples, max(x.shape[1] / share for x, share in parts))
        resampled = [spread_samples(x, share * total) for x, share in parts]
        return ops.concatenate(resampled, axis=1)

    def collected_shape(self, channels: int) -> tuple[int | None, ...]:
        return None, channels

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "samples": self.samples}


def spread_samples(samples: tf.Tensor, wanted: float) -> tf.Tensor:
    """Repeat or leave out samples `(batch, n, C)`, evenly, for about `wanted`."""
    count, wanted = samples.shape[1], max(1, round(wanted))
    index = np.arange(wanted) * count // wanted
    return tf.gather(tf.cast(samples, "float32"), index, axis=1)
