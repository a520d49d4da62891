"""The values that the pixels of the optimised picture can have."""

import keras
import numpy as np
import tensorflow as tf
from keras import ops

from kstyle.transfer.targets import as_batch


@keras.saving.register_keras_serializable("kstyle")
class PixelRange(keras.constraints.Constraint):
    """Clamp to [0, 1], so that what is optimised is what can be saved."""

    def __call__(self, image: tf.Tensor) -> tf.Tensor:
        return ops.clip(image, 0.0, 1.0)


class PixelLimits(PixelRange):
    """Clamp each pixel to its limits within [0, 1].

    low, high: `(height, width, 3)`.
    """

    def __init__(self, low: np.ndarray, high: np.ndarray) -> None:
        self.low = tf.Variable(as_batch(low), trainable=False)
        self.high = tf.Variable(as_batch(high), trainable=False)

    def assign(self, low: np.ndarray, high: np.ndarray) -> None:
        """Replace the limits by others of the same size."""
        self.low.assign(as_batch(low))
        self.high.assign(as_batch(high))

    def __call__(self, image: tf.Tensor) -> tf.Tensor:
        return tf.clip_by_value(image, self.low, self.high)

    def mask_gradient(self, gradient: tf.Tensor) -> tf.Tensor:
        """Return the gradient of the picture, 0 at pixels that cannot change."""
        return tf.where(self.high > self.low, gradient, 0.0)
