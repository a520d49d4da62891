"""What variables hold, without a copy, and room for whole layers beside them."""

import math

import keras
import numpy as np
import tensorflow as tf
from keras import ops


@keras.saving.register_keras_serializable("kstyle")
class PixelRange(keras.constraints.Constraint):
    """Clamp to [0, 1], so that what is optimised is what can be saved."""

    def __call__(self, image):
        return ops.clip(image, 0.0, 1.0)


def room(shape, dtype):
    """A NumPy array of zeros to be filled by tiles, in TensorFlow's memory.

    Its allocator never gives back what it has taken for the optimiser, the tiles or the
    scale before, so an array of NumPy's own would come on top of it.
    """
    dtype = np.dtype(dtype)
    # What NumPy sees of a tensor in bfloat16 is the tensor, and may be written to.
    numbers = tf.zeros(math.prod(shape) * dtype.itemsize // 2, tf.bfloat16)
    held = np.asarray(numbers)
    if not held.flags.writeable:
        return np.zeros(shape, dtype)
    return held.view(dtype).reshape(shape)


def values_of(variable):
    """What a Keras variable holds now: an array that is not to be written to. On a CPU
    it is no copy; where the variable is assigned to, it stays as it is."""
    return np.asarray(tf.convert_to_tensor(variable.value))
