"""What tells a lost picture from a good one, in numbers."""

import math

from keras import ops

from kstyle.errors import DivergedError


def check_start(losses, gradient, source):
    """Refuse a start from which no step can help.

    losses: `{tag: float}` of the first picture. gradient: there. source: where the
        network's weights come from.
    Raises: DivergedError: a loss, or the gradient's square, is not a finite number.
    """
    bad = [tag for tag, value in losses.items() if not math.isfinite(value)]
    raw = [tag for tag in bad if tag.startswith("raw/")]
    if raw:
        raise DivergedError(
            f"{raw[0].removeprefix('raw/')} is {losses[raw[0]]} at the start, before "
            f"any step: the network's weights ({source}) are damaged or not its own."
        )
    bad = [tag for tag in bad if tag != "loss"] or bad
    what = f"{bad[0]} is {losses[bad[0]]}" if bad else "The gradient is too large"
    if bad or not math.isfinite(float(ops.sum(ops.square(gradient)))):
        raise DivergedError(
            f"{what} at the start, before any step: the weights are too large for "
            "32-bit numbers. Only their ratio counts: divide all by the same number."
        )


def loss_of_nothing(model):
    """The weighted loss of features that are all 0; total variation is left out."""
    known = [term for term in model.terms if term.tag in model.targets]
    losses = [term.loss.of_nothing(model.targets[term.tag]) for term in known]
    return sum(t.weight * float(x[0]) for t, x in zip(known, losses, strict=True))


def saturation(picture):
    """The share of values of a picture in [0, 1] that are at one end of it."""
    picture = ops.convert_to_tensor(picture)
    return 1 - float(ops.mean(ops.cast((picture > 0) & (picture < 1), "float32")))


def thinned(picture, most=512):
    """About `most` rows and columns of `(height, width, 3)`, evenly spread."""
    height, width = picture.shape[:2]
    return picture[:: max(1, height // most), :: max(1, width // most)]


def pull(image, gradient):
    """The largest part of the gradient that can move a pixel within [0, 1]."""
    free = ((image > 0) | (gradient < 0)) & ((image < 1) | (gradient > 0))
    return float(ops.max(ops.where(free, ops.abs(gradient), 0.0)))
