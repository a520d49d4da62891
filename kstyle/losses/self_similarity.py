"""A content loss that keeps which places of the photograph resemble each other."""

from typing import Any

import keras
import tensorflow as tf
from keras import ops

from kstyle.losses.names import CONTENT_BALANCE
from kstyle.losses.optimal_transport import cosine_distances
from kstyle.losses.samples import SampleLoss

# Differences of cosine distances below this count by their squares. With the corner of
# an absolute value at 0 the content itself would be a minimum that no step leaves.
SMOOTHING = 0.05


@keras.saving.register_keras_serializable("kstyle")
class SelfSimilarityLoss(SampleLoss):
    """`b m / 2 mean |D(X, X) - D(C, C)|` of pairwise cosine distances D, smooth at 0.

    X and C are the features of the picture and of the content at the same random
    positions, m the mean of C squared (STROTSS: Kolkin et al. 2019, eq. 9, without its
    column sums): where the content's features are alike, those of the picture shall be
    alike, whatever they are. `m / 2` is the `ContentLoss` of features of 0, and b is
    `balance`.

    samples: number of positions.
    """

    balance = CONTENT_BALANCE["self-similarity"]

    def __init__(
        self, name: str = "self_similarity", samples: int = 1024, **kwargs: Any
    ) -> None:
        super().__init__(name, samples, **kwargs)

    def call(self, target: tf.Tensor, samples: tf.Tensor) -> tf.Tensor:
        """Compare two `(batch, count, C)` of the same positions: `(batch,)`."""
        difference = cosine_distances(samples, samples)
        difference -= cosine_distances(target, target)
        scale = ops.mean(ops.square(target), axis=(1, 2)) / 2
        size = ops.sqrt(ops.square(difference) + SMOOTHING**2) - SMOOTHING
        return self.balance * scale * ops.mean(size, axis=(1, 2))
