"""Helpers for TensorFlow's graphs: tracing, signatures, gradients, values."""

import contextlib
import functools
import logging
from collections.abc import Callable, Iterator

import keras
import numpy as np
import tensorflow as tf


@contextlib.contextmanager
def no_retracing_warning() -> Iterator[None]:
    """Keep TensorFlow from warning that Keras's step is traced too often.

    Each model has to be traced once, but TensorFlow counts all models together, and
    many short fits (the scales of a run, the trials of an experiment) look like one
    that is traced again and again.
    """

    def wanted(record: logging.LogRecord) -> bool:
        return "triggered tf.function retracing" not in record.getMessage()

    logger = logging.getLogger("tensorflow")
    logger.addFilter(wanted)
    try:
        yield
    finally:
        logger.removeFilter(wanted)


def model_function(
    method: Callable, signature: tuple | None = None, jit_compile: bool | None = None
) -> tf.types.experimental.PolymorphicFunction:
    """Make `method` a `tf.function` that belongs to one model.

    TensorFlow counts traces by code object and warns of too many; the models of a
    run's scales share the code, but each has to be traced. A partial has no code.
    """
    return tf.function(
        functools.partial(method),
        input_signature=signature,
        jit_compile=jit_compile,
        autograph=False,  # nothing to rewrite; with Python 3.13 it warns
    )


def override_gradient(gradient: str, y: tf.Tensor, *inputs: tf.Tensor) -> tf.Tensor:
    """Give `y`, made of `inputs` in a graph, the gradient registered as `gradient`.

    Only `tf.gradients` uses it: a tape, and eager execution, go through the ops that
    made `y`. No graph is kept alive, as `tf.custom_gradient` does.
    gradient: of an op with the inputs `y, *inputs`; for `y` it returns `None`.
    """
    if tf.executing_eagerly():
        return y
    with y.graph.gradient_override_map({"IdentityN": gradient}):
        return tf.identity_n([y, *inputs])[0]


FAN_OUT_GRADIENT = "KStyleFanOut"


def fan_out(x: tf.Tensor, users: int) -> list[tf.Tensor]:
    """Return `x` once for each of its users; their gradients are added in this order.

    In large graphs TensorFlow replaces a sum of three or more tensors (`AddN`, or
    additions that it merges) by additions in the order in which the tensors are ready,
    so that the last bits differ from run to run. It does not merge additions across a
    `Snapshot`. A tape, and eager execution, add as they always do.
    """
    if tf.executing_eagerly():
        return [x] * users
    x = tf.convert_to_tensor(x)
    with x.graph.gradient_override_map({"IdentityN": FAN_OUT_GRADIENT}):
        return tf.identity_n([x] * users)


@tf.RegisterGradient(FAN_OUT_GRADIENT)
def fan_out_gradient(
    op: tf.Operation, *output_gradients: tf.Tensor
) -> list[tf.Tensor | None]:
    """Add the gradients of `fan_out`; all of its inputs are the same tensor."""
    first, *others = map(snapshot, output_gradients)
    for gradient in others:
        first = snapshot(first + gradient)
    return [first] + [None] * (len(op.inputs) - 1)


def snapshot(x: tf.Tensor) -> tf.Tensor:
    """Return `x`, without a copy where it has no other user; it has no gradient."""
    return tf.raw_ops.Snapshot(input=x)


def pixel_spec(
    channels: int,
    dtype: str | np.dtype | type = "float32",
    shape: tuple[int | None, ...] = (None, None, None),
) -> tf.TensorSpec:
    """Return the signature of `channels` channels, of any size or of `shape`."""
    return tf.TensorSpec((*shape, channels), dtype)


def variable_values(variable: keras.Variable) -> np.ndarray:
    """Return the values of a Keras variable, which must not be written to.

    On a CPU nothing is copied; the array stays as it is when the variable is assigned.
    """
    return np.asarray(tf.convert_to_tensor(variable.value))
