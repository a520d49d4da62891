"""Estimate the time and memory of a run before it starts: arithmetic.

The memory constants were fitted to the peaks of runs of the built-in samples, 64 to
7680 px, each in a new process on x86-64 processors without a GPU (TensorFlow 2.21,
Keras 3.15); `benchmarks/memory.py` compares estimates with peaks. Not counted:
`log_gradients`, `all_losses`, solving `style_weights`, and the models that a process
keeps for its next run.
"""

import dataclasses
import math
from collections.abc import Callable, Iterable, Mapping, Sequence

from kstyle.config.finishes import pulled_layers
from kstyle.config.style_config import StyleConfig
from kstyle.losses.names import CONTENT_LOSS_NAMES, STYLE_LOSS_NAMES, choose_losses
from kstyle.networks.architecture import LayerInfo
from kstyle.networks.registry import get_architecture, get_chain, is_built_in
from kstyle.planning.loss_costs import (
    FINISH_STATISTIC,
    statistic_gflop,
    statistic_values,
)
from kstyle.planning.scales import ScalePlan, Size
from kstyle.tiling.geometry import split_stages, stage_boundary_values

PROCESS_BYTES = 880e6  # Python, TensorFlow, Keras, and the traced graphs
SCIPY_VECTORS = 40  # arrays of the picture's size in float32, besides its pairs
PICTURE_COPIES = 9  # besides the optimizer's: the image, its gradient, the best, ...
NETWORK_COPIES = 2.1  # of weights (read, in Keras) and of features (with gradients)
TEMPLATE_COPIES = 1  # of weights: the model that a network is read from, kept
BFLOAT16_SHARE = 0.66  # of the features' bytes in float32; Gram matrices stay float32
SCALE_SECONDS = 2.5  # to build and trace the model of a scale
GRAPH_LAYER_SECONDS = 0.03  # more for each layer of a network that is not built in
TILED_FACTOR = 1.35  # on a step with tiles: recomputed features (benchmarks/scale.py)
FLOAT_BYTES = 4
# In float32, of one of several tiles: for mse, both features, difference and gradient.
CONTENT_COPIES = 4
CHARBONNIER_COPIES = 10  # of the pixels


@dataclasses.dataclass(frozen=True)
class Estimate:
    """Of a run or one of its scales: `seconds` after TensorFlow is loaded, `bytes` of
    resident memory at most, `steps` in all."""

    seconds: float
    bytes: int
    steps: int


@dataclasses.dataclass(frozen=True)
class CostModel:
    """Operations and memory of a run's steps, as functions of the sizes of pictures.

    layers: all that have a loss. style_layers: those with a style loss.
    optimizer_pictures: arrays of the picture's size that the optimizer keeps.
    statistics: `{layer: name}` of the style losses that are not of Gram matrices.
    finish_statistics: the same in the finish of a run. content_losses: `{layer: name}`
    of the content losses. has_palette: whether the palette has a weight.
    has_charbonnier: whether the total variation is Charbonnier's.
    """

    net: str
    padding: str
    layers: tuple[str, ...]
    style_layers: tuple[str, ...]
    optimizer_pictures: int = 0
    statistics: Mapping[str, str] = dataclasses.field(default_factory=dict)
    finish_statistics: Mapping[str, str] = dataclasses.field(default_factory=dict)
    content_losses: Mapping[str, str] = dataclasses.field(default_factory=dict)
    has_palette: bool = False
    has_charbonnier: bool = False

    def computed_layers(self, size: Size) -> list[LayerInfo]:
        """Describe the layers of the network that are computed at `size`."""
        architecture = get_architecture(self.net)
        return architecture.trunk_table(self.layers, size, self.padding)

    def pass_gflop(self, size: Size, *, finish: bool = False) -> float:
        """Return 1e9 operations of one pass, forward or backward to the picture; both
        cost the same, as there is no gradient of the kernels.

        finish: whether it is a pass of the finish of a run.
        """
        network = sum(row.gflops for row in self.computed_layers(size))
        return network + self.sum_over_statistics(statistic_gflop, size, finish)

    def sum_over_statistics(
        self,
        cost: Callable[[str, int, int], float],
        size: Size,
        finish: bool,
    ) -> float:
        """Sum `cost(name, positions, channels)` over the losses.

        finish: as for `pass_gflop`.
        """
        statistics = self.finish_statistics if finish else self.statistics
        found = cost("palette", math.prod(size), 3) if self.has_palette else 0.0
        for row in self.computed_layers(size):
            names = []
            if row.name in self.style_layers:
                names.append(statistics.get(row.name, "gram"))
            if row.name in self.content_losses:
                names.append(self.content_losses[row.name])
            positions = row.height * row.width
            found += sum(cost(name, positions, row.channels) for name in names)
        return found

    def build_seconds(self) -> float:
        """Return the seconds to build and trace the model of a scale."""
        if is_built_in(self.net):
            return SCALE_SECONDS
        layers = get_architecture(self.net).trunk(self.layers)
        return SCALE_SECONDS + GRAPH_LAYER_SECONDS * len(layers)

    def scale_gflop(self, scale: ScalePlan) -> float:
        """Return 1e9 operations of a scale: targets, first evaluation and steps."""
        content = self.pass_gflop(scale.content_size, finish=scale.finish)
        factor = 1.0 if scale.tile is None else TILED_FACTOR
        evaluations = 2 * factor * (scale.steps + 1) * content
        styles = sum(map(self.pass_gflop, scale.style_sizes))
        return evaluations + content + styles

    def scale_bytes(self, scales: Sequence[ScalePlan]) -> list[int]:
        """Return the resident memory of the process at most at each scale.

        TensorFlow's allocator does not give back what coarser scales without tiles
        took, so that is included.
        """
        found, kept = [], PROCESS_BYTES
        for scale in scales:
            layers = self.computed_layers(scale.content_size)
            pictures = PICTURE_COPIES + self.optimizer_pictures
            copies = NETWORK_COPIES + (0 if is_built_in(self.net) else TEMPLATE_COPIES)
            values = copies * sum(layer.parameters for layer in layers)
            values += pictures * 3 * math.prod(scale.content_size)
            values += self.sum_over_statistics(
                statistic_values, scale.content_size, scale.finish
            )
            if scale.tile is not None:
                values += self.tile_loss_values(scale.content_size, scale.tile)
            features = self.feature_bytes(scale)
            found.append(round(kept + FLOAT_BYTES * values + features))
            kept += features if scale.tile is None else 0.0
        return found

    def peak_bytes(self, scales: Sequence[ScalePlan]) -> int:
        """Return the resident memory of the process at most in a run of `scales`."""
        return max(self.scale_bytes(scales))

    def feature_bytes(self, scale: ScalePlan) -> float:
        """Return the bytes of the features that a scale holds at most: of a step on the
        content, or of one pass over the style."""
        sizes = scale.content_size, *scale.style_sizes
        if scale.tile is None:
            content, *styles = (
                stored_values(self.computed_layers(size)) for size in sizes
            )
            values = max(NETWORK_COPIES * content, *styles)
        else:
            values = max(self.tiled_values(size, scale.tile) for size in sizes)
        share = BFLOAT16_SHARE if scale.precision == "bfloat16" else 1.0
        return FLOAT_BYTES * share * values

    def tile_loss_values(self, size: Size, edge: int) -> float:
        """Return how many float32 values the losses of a tile of `edge` pixels hold
        besides its features; none of a single tile, whose features alone take more."""
        if edge >= max(size):
            return 0.0
        height, width = (min(edge, n) for n in size)
        content = sum(
            row.values
            for row in self.computed_layers((height, width))
            if self.content_losses.get(row.name) == "mse"
        )
        pixels = 3 * edge**2 if self.has_charbonnier else 0
        return CONTENT_COPIES * content + CHARBONNIER_COPIES * pixels

    def tiled_values(self, size: Size, edge: int) -> float:
        """Return how many values a step in tiles of `edge` pixels holds: outputs of all
        stages for the whole picture, and the features of one tile in one stage."""
        values = {row.name: row.values for row in self.computed_layers(size)}
        height, width = (math.ceil(n / math.ceil(n / edge)) for n in size)
        tile = {row.name: row for row in self.computed_layers((height, width))}
        stages = split_stages(get_chain(self.net).trunk(self.layers))
        of_stages = (
            (tile[r.name] for r in stage if r.name in tile) for stage in stages
        )
        features = max(stored_values(rows) for rows in of_stages)
        return stage_boundary_values(stages, values) + NETWORK_COPIES * features


def stored_values(rows: Iterable[LayerInfo]) -> float:
    """Return how many values of the outputs of `rows` a step keeps."""
    return sum(row.stored_values for row in rows)


def cost_model(config: StyleConfig) -> CostModel:
    """Return the costs of runs of `config`."""
    # Adam: two moments. L-BFGS: pairs, point, gradient, preconditioned one and step.
    # SciPy, in float64: pairs, which it copies at the end, bounds, points, gradients.
    pictures = {
        "adam": 2,
        "lbfgs": 2 * config.history + 4,
        "scipy": 8 * config.history + SCIPY_VECTORS,
    }[config.optimizer]
    statistics = choose_losses(config.style_loss, config.style_layers, STYLE_LOSS_NAMES)
    weighted = (name for name, weight in config.style_layers.items() if weight)
    pulled = pulled_layers(config.net, weighted)
    return CostModel(
        net=config.net,
        padding=config.padding,
        layers=config.layers(),
        style_layers=tuple(config.style_layers),
        optimizer_pictures=pictures,
        statistics=statistics,
        finish_statistics={**statistics, **dict.fromkeys(pulled, FINISH_STATISTIC)},
        content_losses=choose_losses(
            config.content_loss, config.content_layers, CONTENT_LOSS_NAMES
        ),
        has_palette=config.palette_weight > 0,
        has_charbonnier=config.tv_loss == "charbonnier",
    )


def estimate_scales(
    costs: CostModel,
    scales: Sequence[ScalePlan],
    seconds_per_gflop: Callable[[str], float],
    traced: bool = False,
) -> list[Estimate]:
    """Estimate each scale, coarse to fine; the last with the final losses in float32.

    seconds_per_gflop: a function from a precision to the seconds of 1e9 operations of
        a step, such as `calibration.seconds_per_gflop`.
    traced: whether the models are there from an earlier run.
    """
    found = []
    for scale, peak in zip(scales, costs.scale_bytes(scales), strict=True):
        seconds = costs.scale_gflop(scale) * seconds_per_gflop(scale.precision)
        if scale is scales[-1]:
            final = 2 * costs.pass_gflop(scale.content_size)
            seconds += final * seconds_per_gflop("float32")
        seconds += 0.0 if traced else costs.build_seconds()
        found.append(Estimate(seconds, peak, scale.steps))
    return found


def estimate_run(
    costs: CostModel,
    scales: Sequence[ScalePlan],
    seconds_per_gflop: Callable[[str], float],
    traced: bool = False,
) -> Estimate:
    """Estimate the whole run; arguments as for `estimate_scales`."""
    each = estimate_scales(costs, scales, seconds_per_gflop, traced)
    seconds, peaks, steps = zip(*map(dataclasses.astuple, each), strict=True)
    return Estimate(sum(seconds), max(peaks), sum(steps))
