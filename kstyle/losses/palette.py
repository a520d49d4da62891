"""A style loss of the colours of pixels, whatever is painted with them."""

from typing import Any

import keras
import tensorflow as tf
from keras import ops

from kstyle.losses.samples import SampleLoss
from kstyle.losses.statistics import PositionSelection

# Pixels each way whose mean is a sample: the gradient at single pixels would be dots.
BOX = 5
LEVELS = 255.0
DISTANCE_EPSILON = 1.0  # squared grey levels: the root has no gradient at 0


@keras.saving.register_keras_serializable("kstyle")
class PaletteLoss(SampleLoss):
    """Relaxed earth mover's distance of sampled colours, in grey levels of 0..255.

    `max(mean_i min_j d_ij, mean_j min_i d_ij)` of the Euclidean distances d of colours
    of the picture and of the style (Kolkin et al. 2019, "Style transfer by relaxed
    optimal transport and self-similarity", the palette term of section 2.3). The paper
    rotates RGB to a decorrelated space first, which changes no Euclidean distance.
    Written from the paper.

    samples: number of positions.
    """

    def __init__(
        self, name: str = "palette", samples: int = 1024, **kwargs: Any
    ) -> None:
        super().__init__(name, samples, **kwargs)

    def collect(self, features: tf.Tensor, selection: PositionSelection) -> tf.Tensor:
        """Return the mean colours around the positions, float32 in 0..255."""
        means = tf.nn.avg_pool2d(tf.cast(features, tf.float32), BOX, 1, "SAME")
        return super().collect(LEVELS * means, selection)

    def call(self, target: tf.Tensor, samples: tf.Tensor) -> tf.Tensor:
        """Compare two `(batch, count, 3)` of colours: `(batch,)`."""
        squares = ops.sum(ops.square(samples), axis=-1)[:, :, None]
        squares += ops.sum(ops.square(target), axis=-1)[:, None]
        squares -= 2 * tf.matmul(samples, target, transpose_b=True)
        distances = ops.sqrt(ops.maximum(squares, 0.0) + DISTANCE_EPSILON)
        return ops.maximum(
            ops.mean(ops.min(distances, axis=2), axis=1),
            ops.mean(ops.min(distances, axis=1), axis=1),
        )
