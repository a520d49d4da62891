"""Tensors end to end as one vector, and back."""

import numpy as np
from keras import ops


def flatten(tensors):
    """The `tensors` end to end as one float32 vector."""
    return ops.concatenate([ops.cast(ops.ravel(t), "float32") for t in tensors])


def unflatten(vector, variables):
    """Pairs of each of `variables` and its part of `vector`, in its shape."""
    start = 0
    for variable in variables:
        end = start + int(np.prod(variable.shape))
        part = ops.reshape(vector[start:end], variable.shape)
        yield variable, ops.cast(part, variable.dtype)
        start = end
