"""Estimate the time and memory of a run before it starts: arithmetic.

Not counted: `log_gradients`, `all_losses`, solving `style_weights`, and the models
that a process keeps for its next run.
"""

import dataclasses
import math
from collections.abc import Callable, Collection, Sequence

from kstyle.config.style_config import StyleConfig
from kstyle.planning.footprint import FLOAT_BYTES, feature_bytes, network_rows
from kstyle.planning.scales import ScalePlan, Size

PROCESS_BYTES = 800e6  # Python, TensorFlow, Keras, and the traced graphs
WEIGHT_COPIES = 3  # of the float32 weights: read, checked, in Keras
PICTURE_COPIES = 6  # besides the optimizer's: the image, its gradient, the best, ...
SCALE_SECONDS = 2.5  # to build and trace the model of a scale
TILED_FACTOR = 1.35  # on a step with tiles: recomputed features (benchmarks/scale.py)
SecondsPerGflop = Callable[[str], float]


@dataclasses.dataclass(frozen=True)
class Estimate:
    """Of a run or one of its scales: `seconds` after TensorFlow is loaded, `bytes` of
    resident memory at most, `steps` in all."""

    seconds: float
    bytes: int
    steps: int


def estimate_run(
    config: StyleConfig,
    scales: Sequence[ScalePlan],
    seconds_per_gflop: SecondsPerGflop,
    traced: bool = False,
) -> Estimate:
    """Estimate the whole run.

    seconds_per_gflop: a function from a precision to the seconds of 1e9 operations of
        a step, such as `calibration.seconds_per_gflop`.
    traced: whether the models are there from an earlier run.
    """
    each = estimate_scales(config, scales, seconds_per_gflop, traced)
    final = step_gflop(config, scales[-1].content_size) * seconds_per_gflop("float32")
    return Estimate(
        final + sum(estimate.seconds for estimate in each),
        max(estimate.bytes for estimate in each),
        sum(estimate.steps for estimate in each),
    )


def estimate_scales(
    config: StyleConfig,
    scales: Sequence[ScalePlan],
    seconds_per_gflop: SecondsPerGflop,
    traced: bool = False,
) -> list[Estimate]:
    """Estimate each scale, coarse to fine; arguments as for `estimate_run`.

    The bytes are those of the whole process. TensorFlow's allocator does not give back
    what coarser scales without tiles took, so that is included.
    """
    found, kept = [], 0.0
    for scale in scales:
        used = feature_bytes(config.net, config.padding, config.layers(), scale)
        total = round(fixed_bytes(config, scale.content_size) + used + kept)
        kept += used if scale.tile is None else 0.0
        seconds = scale_gflop(config, scale) * seconds_per_gflop(scale.precision)
        seconds += 0.0 if traced else SCALE_SECONDS
        found.append(Estimate(seconds, total, scale.steps))
    return found


def peak_bytes(config: StyleConfig, scales: Sequence[ScalePlan]) -> int:
    """Estimate the resident memory of the process at most, in bytes."""
    return estimate_run(config, scales, zero_time).bytes


def zero_time(precision: str) -> float:
    """Stand in for `seconds_per_gflop` where only the memory is wanted."""
    return 0.0


def fixed_bytes(config: StyleConfig, size: Size) -> float:
    """Return the bytes of the process, of its weights and of pictures of `size`."""
    rows = network_rows(config.net, config.padding, config.layers(), size)
    weights = WEIGHT_COPIES * sum(row.parameters for row in rows)
    pictures = PICTURE_COPIES + optimizer_pictures(config.optimizer, config.history)
    return PROCESS_BYTES + FLOAT_BYTES * (weights + pictures * 3 * math.prod(size))


def optimizer_pictures(optimizer: str, history: int) -> int:
    """Return how many arrays of the picture's size the optimizer keeps.

    Adam: two moments. L-BFGS: `history` pairs, its point, gradient, preconditioned
    gradient and step.
    """
    return 2 * history + 4 if optimizer == "lbfgs" else 2


def scale_gflop(config: StyleConfig, scale: ScalePlan) -> float:
    """Return 1e9 operations of a scale: two targets, first evaluation and steps."""
    targets = step_gflop(config, scale.content_size) / 2
    targets += step_gflop(config, scale.style_size) / 2
    factor = 1.0 if scale.tile is None else TILED_FACTOR
    return targets + (scale.steps + 1) * factor * step_gflop(config, scale.content_size)


def step_gflop(config: StyleConfig, size: Size) -> float:
    """Return 1e9 operations of one step for a result of `size`: forward, and backward,
    which costs as much, as there is no gradient of the kernels."""
    layers, padding = config.layers(), config.padding
    return 2 * pass_gflop(config.net, size, layers, config.style_layers, padding)


def pass_gflop(
    net: str,
    size: Size,
    layers: Collection[str],
    style_layers: Collection[str],
    padding: str = "same",
) -> float:
    """Return 1e9 operations of one pass through `net` to `layers` and of the Gram
    matrices of `style_layers`: forward, or backward to the picture."""
    rows = network_rows(net, padding, layers, size)
    styles = [row for row in rows if row.name in style_layers]
    grams = sum(2 * row.height * row.width * row.channels**2 for row in styles)
    return sum(row.gflops for row in rows) + grams / 1e9
