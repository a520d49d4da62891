"""The optimisers of the picture: Adam and L-BFGS in any basis, SciPy's on pixels."""

import keras

from kstyle.errors import ConfigError
from kstyle.optimizers.adam import BasisAdam
from kstyle.optimizers.lbfgs import LBFGS
from kstyle.optimizers.parameterization import make_basis
from kstyle.optimizers.scipy_lbfgsb import SciPyLBFGSB

GREY_LEVELS = 255


def make_optimizer(
    name: str,
    learning_rate: float | None = None,
    *,
    average: float = 0.0,
    history: int = 10,
    parameterization: str = "pixels",
    iterations: int | None = None,
) -> keras.optimizers.Optimizer:
    """Make the optimiser for an image variable in [0, 1].

    name: "adam", "lbfgs" or "scipy" (L-BFGS-B).
    learning_rate: of Adam in grey levels of 0..255 (default 5); of L-BFGS a factor on
        the step (default 1).
    average: of Adam, in [0, 1): a `fit` ends at the moving average of its pictures,
        each weighted `average` times the next; 0: at the last picture.
    history: of L-BFGS: number of pairs that are kept.
    parameterization: a name in `parameterization.BASES`; of SciPy's only "pixels".
    iterations: of SciPy's: how many at most; `None`: no limit.
    Raises: ConfigError: an unknown name, or a history below 1.
    """
    basis = make_basis(parameterization)
    if name == "adam":
        rate = (5.0 if learning_rate is None else learning_rate) / GREY_LEVELS
        return BasisAdam(
            rate,
            basis=basis,
            # The loss changes by orders of magnitude in the first hundred steps, so the
            # second moment averages over about 100, as in style-transfer-pytorch.
            beta_2=0.99,
            use_ema=average > 0,
            ema_momentum=average,
        )
    if name == "lbfgs":
        rate = 1.0 if learning_rate is None else learning_rate
        return LBFGS(rate, history, basis)
    if name == "scipy":
        return SciPyLBFGSB(history, iterations)
    raise ConfigError(f"Unknown optimizer {name!r}: use 'adam', 'lbfgs' or 'scipy'.")
