"""What an optimiser's state is before its first step, to be put back."""

import numpy as np

from kstyle.variables import values_of


class Beginning:
    """The values of the variables of an optimiser that was built just now."""

    def __init__(self, optimizer):
        self.values = [(v, compact(values_of(v))) for v in optimizer.variables]

    def restore(self):
        """Put the values back, in place."""
        for variable, value in self.values:
            variable.assign(value)


def compact(array):
    """`array`, kept as one number if that is all there is in it.

    Optimisers begin with zeros, and L-BFGS has 23 times the picture's memory of them.
    """
    array = np.asarray(array)
    first = array.reshape(-1)[:1]
    if array.size > 1 and np.array_equal(array, np.broadcast_to(first, array.shape)):
        return np.broadcast_to(first.copy(), array.shape)
    return array
