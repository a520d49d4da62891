"""The state of an optimiser: a snapshot, and a warm start from another optimiser."""

import math
from collections.abc import Sequence

import keras
import numpy as np
import tensorflow as tf
from keras import ops

from kstyle.ops.tf_utils import variable_values
from kstyle.optimizers.lbfgs import LBFGS

# Factor on the changes of the gradient of a coarser scale, which lacks the details of
# the finer one: 2 led to lower losses than 1 and 4.
CURVATURE_GROWTH = 2.0


def warm_start(
    optimizer: keras.optimizers.Optimizer,
    before: keras.optimizers.Optimizer,
    picture: keras.Variable,
) -> None:
    """Build `optimizer` and load what `before` has stored for the same picture.

    L-BFGS takes the pairs, resized to the picture. Adam takes the moments if the size
    is the same; at another size it starts without, as they adapt within some steps.

    before: an optimiser of the same class, at another precision or a coarser scale.
    picture: the variable that `optimizer` will optimise.
    """
    optimizer.build([picture])
    if isinstance(optimizer, LBFGS):
        optimizer.load_pairs(*resized_pairs(before, picture.shape))
    elif variable_shapes(optimizer) == variable_shapes(before):
        for variable, value in zip(optimizer.variables, before.variables, strict=True):
            variable.assign(value)


def variable_shapes(optimizer: keras.optimizers.Optimizer) -> list[tuple[int, ...]]:
    """Return the shapes of the variables of `optimizer`, in their order."""
    return [tuple(variable.shape) for variable in optimizer.variables]


def resized_pairs(
    before: LBFGS, shape: Sequence[int]
) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """Return the arguments of `LBFGS.load_pairs` from `before`, resized to `shape`.

    shape: of the picture, `(1, height, width, 3)`. The losses are means over positions,
        so the gradient of a pixel is divided by the growth of their number.
    """
    small = before.shapes[0]
    steps, changes = (
        ops.image.resize(
            ops.reshape(rows.value, (-1, *small[1:])),
            shape[1:3],
            "bicubic",
            data_format="channels_last",
        )
        for rows in (before.steps, before.changes)
    )
    if small != tuple(shape):
        changes *= CURVATURE_GROWTH * math.prod(small) / math.prod(shape)
    return steps, changes, before.pairs.value


class OptimizerSnapshot:
    """The values of an optimiser's variables, to restore them later."""

    def __init__(self, optimizer: keras.optimizers.Optimizer) -> None:
        self.values = [
            (v, compact_constant(variable_values(v))) for v in optimizer.variables
        ]

    def restore(self) -> None:
        """Assign the values to the variables that they were read from."""
        for variable, value in self.values:
            variable.assign(value)


def compact_constant(array: np.ndarray) -> np.ndarray:
    """Return `array`, as a broadcast of one number if all its elements are equal.

    Optimisers start with zeros, and L-BFGS with 23 times the picture's memory of them.
    """
    array = np.asarray(array)
    first = array.reshape(-1)[:1]
    if array.size > 1 and np.array_equal(array, np.broadcast_to(first, array.shape)):
        return np.broadcast_to(first.copy(), array.shape)
    return array
