"""Graphs of one model alone, and quiet about being traced once each."""

import contextlib
import functools
import logging

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


def own_graph(method, signature=None, jit_compile=None):
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


def with_gradient(gradient, y, *inputs):
    """`y`, made of `inputs` in a graph, with the gradient registered as `gradient`.

    `tf.gradients` alone hears of it: a tape goes the way that `y` was made. Nothing is
    kept of a graph, as `tf.custom_gradient` does.
    gradient: of an op with the inputs `y, *inputs`; for `y` it returns `None`.
    """
    with y.graph.gradient_override_map({"IdentityN": gradient}):
        return tf.identity_n([y, *inputs])[0]


def pixels(channels, dtype="float32", shape=(None, None, None)):
    """So many channels of any batch, height and width, or of `shape`, for a graph's
    signature."""
    return tf.TensorSpec((*shape, channels), dtype)
