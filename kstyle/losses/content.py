"""The content loss: the squared difference of features, position by position."""

from typing import Any

import keras
import tensorflow as tf
from keras import ops

from kstyle.losses.base import TermLoss, half_square_sum

# Rows of a layer that `loss_of_zeros` takes at a time: the layers of a large picture
# are gigabytes.
ROWS_PER_CHUNK = 64


@keras.saving.register_keras_serializable("kstyle")
class ContentLoss(TermLoss):
    """`sum((F - F_content)^2) / 2 / (H W C)` (Gatys et al. 2016, eq. 1, per number)."""

    def __init__(self, name: str = "content", **kwargs: Any) -> None:
        super().__init__(name, **kwargs)

    def call(self, target: tf.Tensor, features: tf.Tensor) -> tf.Tensor:
        """Compare two `(batch, H, W, C)`: `(batch,)`."""
        count = ops.prod(ops.shape(features)[1:])
        error = half_square_sum(features - target)
        return error / ops.cast(count, error.dtype)

    def loss_of_zeros(self, target: tf.Tensor) -> tf.Tensor:
        """Compute the loss, `(batch,)`, of features that are all 0, rows by rows."""
        parts = [
            target[:, k : k + ROWS_PER_CHUNK]
            for k in range(0, target.shape[1], ROWS_PER_CHUNK)
        ]
        sums = [part.shape[1] * TermLoss.loss_of_zeros(self, part) for part in parts]
        return sum(sums) / target.shape[1]
