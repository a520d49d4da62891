"""A style loss that pulls each position to the style feature nearest to it."""

from typing import Any

import keras
import numpy as np
import tensorflow as tf
from keras import ops

from kstyle.losses.names import STYLE_BALANCE
from kstyle.losses.optimal_transport import unit_vectors
from kstyle.losses.samples import SampleLoss, positions_inside
from kstyle.losses.statistics import distance_scale

CHUNK = 1024  # samples of the picture that are compared with all of the style at once
BORDER = 1  # positions at each edge that are not drawn: they saw the padding
LEAST_INNER = 0.25  # share of the positions that has to be left without them


@keras.saving.register_keras_serializable("kstyle")
class NearestLoss(SampleLoss):
    """Mean cosine distance of the samples to the nearest sample of the style.

    `k mean_i min_j (1 - cos(x_i - m, y_j - m))` with k `balance` times
    `distance_scale` and the style's mean m, without which everything would match the
    brightest patch (second phase of Kolkin et al. 2022, "Neural neighbor style
    transfer", section 3.4). Which sample is the nearest is constant in the gradient.
    Positions at the layer's border are not drawn.

    samples: number of positions.
    """

    balance = STYLE_BALANCE["nearest"]

    def __init__(
        self, name: str = "nearest", samples: int = 4096, **kwargs: Any
    ) -> None:
        super().__init__(name, samples, **kwargs)

    def select(
        self,
        size: tuple[int, int],
        weights: np.ndarray | None = None,
        *,
        share: float = 1.0,
        draw: int = 0,
    ) -> dict[str, np.ndarray]:
        """Return the `positions` of the samples, none of them at the layer's border.

        Where that leaves less than `LEAST_INNER` of the positions, as in a region along
        the border, all are drawn.
        """
        inside = positions_inside(size, weights)
        inner = np.zeros(size, bool)
        inner[BORDER:-BORDER, BORDER:-BORDER] = True
        chosen = inside & inner
        if chosen.sum() < LEAST_INNER * inside.sum():
            chosen = inside
        return super().select(size, chosen.astype("float32"), share=share, draw=draw)

    def loss_of_zeros(self, target: tf.Tensor) -> tf.Tensor:
        """Compute the loss, `(batch,)`, of features that resemble none of the style.

        That is the measure of this loss: features of 0 resemble a dark place.
        """
        target = ops.cast(target, "float32")
        power = ops.mean(ops.square(target), axis=(1, 2))
        return self.balance * distance_scale(power)

    def call(self, target: tf.Tensor, samples: tf.Tensor) -> tf.Tensor:
        """Compare two `(batch, count, C)` of samples: `(batch,)`."""
        mean = ops.mean(target, axis=1, keepdims=True)
        style, found = unit_vectors(target - mean), unit_vectors(samples - mean)
        index = nearest_samples(ops.stop_gradient(found), style)
        nearest = tf.gather(style, index, axis=1, batch_dims=1)
        distances = 1 - ops.sum(found * nearest, axis=-1)
        power = ops.mean(ops.square(target), axis=(1, 2))
        return self.balance * distance_scale(power) * ops.mean(distances, axis=1)


def nearest_samples(found: tf.Tensor, style: tf.Tensor) -> tf.Tensor:
    """Return the index of the nearest of `style` for each of `found`: `(batch, n)`.

    Both are unit vectors, `(batch, n, C)` and `(batch, m, C)`.
    """
    return tf.concat(
        [
            tf.argmax(
                tf.matmul(found[:, k : k + CHUNK], style, transpose_b=True), axis=-1
            )
            for k in range(0, found.shape[1], CHUNK)
        ],
        axis=1,
    )
