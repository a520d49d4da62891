"""Graphs of one model alone, and quiet about being traced once each."""

import contextlib
import functools
import logging
import math

import numpy as np
import tensorflow as tf


@contextlib.contextmanager
def no_retracing_warning():
    """Keep TensorFlow from warning that Keras's step is traced too often.

    Each model has to be traced once, but TensorFlow counts all models together, and
    many short fits (the scales of a run, the trials of an experiment) look like one
    that is traced again and again.
    """

    def wanted(record):
        return "triggered tf.function retracing" not in record.getMessage()

    logger = logging.getLogger("tensorflow")
    logger.addFilter(wanted)
    try:
        yield
    finally:
        logger.removeFilter(wanted)


def model_function(method, signature=None, jit_compile=None):
    """`method` as a `tf.function` of one model alone.

    TensorFlow counts traces by code object and warns of too many; the models of a
    run's scales share the code, but each has to be traced. A partial has no code.
    """
    return tf.function(
        functools.partial(method),
        input_signature=signature,
        jit_compile=jit_compile,
        autograph=False,  # nothing to rewrite; with Python 3.13 it warns
    )


def override_gradient(gradient, y, *inputs):
    """`y`, made of `inputs` in a graph, with the gradient registered as `gradient`.

    `tf.gradients` alone hears of it: a tape goes the way that `y` was made. Nothing is
    kept of a graph, as `tf.custom_gradient` does.
    gradient: of an op with the inputs `y, *inputs`; for `y` it returns `None`.
    """
    with y.graph.gradient_override_map({"IdentityN": gradient}):
        return tf.identity_n([y, *inputs])[0]


def pixel_spec(channels, dtype="float32", shape=(None, None, None)):
    """So many channels of any batch, height and width, or of `shape`, for a graph's
    signature."""
    return tf.TensorSpec((*shape, channels), dtype)


def zeros_in_tf_memory(shape, dtype):
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


def variable_values(variable):
    """What a Keras variable holds now: an array that is not to be written to. On a CPU
    it is no copy; where the variable is assigned to, it stays as it is."""
    return np.asarray(tf.convert_to_tensor(variable.value))
