"""Large arrays in TensorFlow's memory: room for whole layers, what variables hold."""

import math

import numpy as np
import tensorflow as tf


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
