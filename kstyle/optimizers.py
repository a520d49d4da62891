"""The optimisers of the picture: Adam and L-BFGS, on its pixels or in a basis."""

import math

from keras import ops

from kstyle.errors import ConfigError
from kstyle.lbfgs import LBFGS
from kstyle.parameterizations import BasisAdam, make_basis

GREY_LEVELS = 255
# How much more the gradient changes at a finer scale than the pairs of the coarser one
# say, which know nothing of its details: 2 led to lower losses than 1 and 4.
STIFFER = 2.0


def make_optimizer(
    name, learning_rate=None, *, average=0.0, history=10, parameterization="pixels"
):
    """The optimiser `name` for an image variable in [0, 1].

    adam: `learning_rate` in grey levels of 0..255 (default 5). The second moment
        forgets in 100 steps, as the loss changes by orders of magnitude in the first
        hundred (style-transfer-pytorch does so too). A `fit` ends at the moving
        average of its pictures, each counting `average` times the next.
    lbfgs: `learning_rate` is a factor on the step (default 1), `history` how many
        pairs it keeps; it has no average.
    parameterization: one of `parameterizations.KINDS`.
    """
    basis = make_basis(parameterization)
    if name == "adam":
        rate = (5.0 if learning_rate is None else learning_rate) / GREY_LEVELS
        options = {"beta_2": 0.99, "use_ema": average > 0, "ema_momentum": average}
        return BasisAdam(rate, basis=basis, **options)
    if name == "lbfgs":
        rate = 1.0 if learning_rate is None else learning_rate
        return LBFGS(rate, history, basis)
    raise ConfigError(f"Unknown optimizer {name!r}: it must be 'adam' or 'lbfgs'.")


def optimizer_options(config):
    """The arguments of `make_optimizer` for a `StyleConfig`."""
    names = ("learning_rate", "average", "history", "parameterization")
    return {"name": config.optimizer, **{key: getattr(config, key) for key in names}}


def carry_on(optimizer, before, picture):
    """Let `optimizer` begin with what `before` knows of the same picture, in another
    precision or smaller: L-BFGS with its pairs, Adam with its moments.

    picture: the variable that it is to move. Adam keeps nothing from another size: its
        moments are soon those of the new one.
    """
    optimizer.build([picture])
    if isinstance(optimizer, LBFGS):
        optimizer.learn(*enlarged_pairs(before, picture.shape))
    elif shapes(optimizer) == shapes(before):
        for variable, value in zip(optimizer.variables, before.variables, strict=True):
            variable.assign(value)


def shapes(optimizer):
    return [tuple(variable.shape) for variable in optimizer.variables]


def enlarged_pairs(before, shape):
    """What `LBFGS.learn` takes of `before`, for a picture of `shape`.

    The loss is one of means over positions, so a pixel has the less of the gradient the
    more there are.
    """
    small = before.shapes[0]
    steps, changes = (
        ops.image.resize(
            ops.reshape(kept.value, (-1, *small[1:])), shape[1:3], "bicubic"
        )
        for kept in (before.steps, before.changes)
    )
    if small != tuple(shape):
        changes *= STIFFER * math.prod(small) / math.prod(shape)
    return steps, changes, before.pairs.value
