"""An optimiser's state: its snapshot, and a warm start from a coarser scale."""

import math

import numpy as np
from keras import ops

from kstyle.ops.tf_utils import variable_values
from kstyle.optimizers.lbfgs import LBFGS

# How much more the gradient changes at a finer scale than the pairs of the coarser one
# say, which know nothing of its details: 2 led to lower losses than 1 and 4.
CURVATURE_GROWTH = 2.0


def warm_start(optimizer, before, picture):
    """Let `optimizer` begin with what `before` knows of the same picture, in another
    precision or smaller: L-BFGS with its pairs, Adam with its moments.

    picture: the variable that it is to move. Adam keeps nothing from another size: its
        moments are soon those of the new one.
    """
    optimizer.build([picture])
    if isinstance(optimizer, LBFGS):
        optimizer.learn(*resized_pairs(before, picture.shape))
    elif variable_shapes(optimizer) == variable_shapes(before):
        for variable, value in zip(optimizer.variables, before.variables, strict=True):
            variable.assign(value)


def variable_shapes(optimizer):
    return [tuple(variable.shape) for variable in optimizer.variables]


def resized_pairs(before, shape):
    """What `LBFGS.learn` takes of `before`, for a picture of `shape`.

    The loss is one of means over positions, so a pixel has the less of the gradient the
    more there are.
    """
    small = before.shapes[0]
    steps, changes = (
        ops.image.resize(
            ops.reshape(kept.value, (-1, *small[1:])),
            shape[1:3],
            "bicubic",
            data_format="channels_last",
        )
        for kept in (before.steps, before.changes)
    )
    if small != tuple(shape):
        changes *= CURVATURE_GROWTH * math.prod(small) / math.prod(shape)
    return steps, changes, before.pairs.value


class OptimizerSnapshot:
    """The values of the variables of an optimiser that was built just now."""

    def __init__(self, optimizer):
        self.values = [
            (v, compact_constant(variable_values(v))) for v in optimizer.variables
        ]

    def restore(self):
        """Put the values back, in place."""
        for variable, value in self.values:
            variable.assign(value)


def compact_constant(array):
    """`array`, kept as one number if that is all there is in it.

    Optimisers begin with zeros, and L-BFGS has 23 times the picture's memory of them.
    """
    array = np.asarray(array)
    first = array.reshape(-1)[:1]
    if array.size > 1 and np.array_equal(array, np.broadcast_to(first, array.shape)):
        return np.broadcast_to(first.copy(), array.shape)
    return array
