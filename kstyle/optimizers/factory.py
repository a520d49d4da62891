"""The optimisers of the picture: Adam and L-BFGS, on its pixels or in a basis."""

from kstyle.errors import ConfigError
from kstyle.optimizers.adam import BasisAdam
from kstyle.optimizers.lbfgs import LBFGS
from kstyle.optimizers.parameterization import make_basis

GREY_LEVELS = 255


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
