"""The values of variables."""

import keras
import numpy as np

from kstyle.ops.tf_utils import variable_values


def test_values_of_a_variable_are_no_copy():
    variable = keras.Variable(np.ones((4, 5), "float32"))
    values = variable_values(variable)
    assert np.shares_memory(values, variable_values(variable))


def test_values_stay_when_the_variable_is_assigned():
    variable = keras.Variable(np.ones((4, 5), "float32"))
    values = variable_values(variable)
    variable.assign(variable + 1)
    assert values.max() == 1
    variable.value.assign_add(np.ones((4, 5)))
    assert (values.max(), variable_values(variable).min()) == (1, 3)
