"""The content loss: the distance of features at their positions."""

import keras
from keras import ops

from kstyle.losses.base import TermLoss, half_square_sum

ROWS_PER_CHUNK = (
    64  # of a layer that are looked at together where all would be too much
)


@keras.saving.register_keras_serializable("kstyle")
class ContentLoss(TermLoss):
    """`sum((F - F_content)^2) / 2 / (H W C)`: what is where (Gatys 2016, eq. 1)."""

    def __init__(self, name="content", **kwargs):
        super().__init__(name, **kwargs)

    def call(self, target, features):
        count = ops.prod(ops.shape(features)[1:])
        error = half_square_sum(features - target)
        return error / ops.cast(count, error.dtype)

    def of_nothing(self, target):
        """By `ROWS` at a time: a large picture's layer takes gigabytes."""
        parts = [
            target[:, k : k + ROWS_PER_CHUNK]
            for k in range(0, target.shape[1], ROWS_PER_CHUNK)
        ]
        sums = [part.shape[1] * TermLoss.of_nothing(self, part) for part in parts]
        return sum(sums) / target.shape[1]
