"""Large arrays in TensorFlow's memory."""

import contextlib

import keras
import numpy as np
import pytest
import tensorflow as tf

from kstyle.ops.tf_utils import variable_values, zeros_in_tf_memory


def taken():
    """Bytes that TensorFlow has given away; `None` where it does not tell."""
    with contextlib.suppress(ValueError, tf.errors.OpError):
        return tf.config.experimental.get_memory_info("CPU:0")["current"]


@pytest.mark.parametrize("kind", ["float32", "bfloat16"])
def test_room_is_an_array_of_zeros_in_the_memory_of_tensorflow(kind):
    kind, before = tf.as_dtype(kind).as_numpy_dtype, taken()
    found = zeros_in_tf_memory((1, 1024, 1024, 4), kind)
    assert before is None or found.nbytes <= taken() - before <= 2 * found.nbytes
    assert (found.shape, found.dtype) == ((1, 1024, 1024, 4), kind)
    found[:, 1:, :2] += 3
    assert found.astype("float32").sum() == 3 * 1023 * 2 * 4


def test_the_values_of_a_variable_are_no_copy_and_stay_when_it_is_assigned_to():
    variable = keras.Variable(np.ones((4, 5), "float32"))
    values = variable_values(variable)
    assert np.shares_memory(values, variable_values(variable))
    variable.assign(variable + 1)
    assert values.max() == 1
    variable.value.assign_add(np.ones((4, 5)))
    assert (values.max(), variable_values(variable).min()) == (1, 3)
