"""How long a run will take and how much memory, before it starts: arithmetic.

What the memory's part rests on is said in `footprint`. Not counted: `log_gradients`,
`all_losses` and the solving of `style_weights`; what a process of many runs keeps for
the next.
"""

import dataclasses

from kstyle.images.picture import fit_long_edge
from kstyle.networks.registry import get_architecture
from kstyle.planning.footprint import (
    FLOAT_BYTES,
    PROCESS_BYTES,
    WEIGHT_COPIES,
    config_rows,
    scale_bytes,
    tile_edge,
    trunk_rows,
)
from kstyle.planning.scales import style_size_at, usable_scales
from kstyle.tiling.geometry import recomputed_layers, split_stages

# Time, measured on a busy machine and so only roughly.
TILED_FACTOR = 1.1  # margins, and copies between the stages; benchmarks/scale.py
START_SECONDS = 1.0  # the extractor, TensorBoard's header, the result's file
SCALE_SECONDS = 0.5  # to trace a scale's two graphs: a constant, and so much a layer
LAYER_SECONDS = 0.1


@dataclasses.dataclass(frozen=True)
class Estimate:
    """A whole run: `seconds` from its start (TensorFlow loaded) to its result's file,
    `bytes` of resident memory at the most, `steps` over all scales; or one scale."""

    seconds: float
    bytes: int
    steps: int


def estimate_run(config, content_size, style_size, seconds_per_gflop, traced=False):
    """The `Estimate` of the run of `config`.

    content_size, style_size: (height, width) of the pictures as loaded, the style
        already cropped. seconds_per_gflop: a function from a precision to what 1e9
        operations of a step take in it; the one of that name measures it.
    traced: whether the models are there from a run before.
    Raises: ConfigError: the pictures are too small for the layers.
    """
    given = config, content_size, style_size, seconds_per_gflop
    scales = estimate_scales(*given, traced)
    # The result's losses.
    look = step_gflop(config, scales[-1][0]) * seconds_per_gflop("float32")
    return Estimate(
        START_SECONDS + sum(found.seconds for _, found in scales) + look,
        max(found.bytes for _, found in scales),
        sum(found.steps for _, found in scales),
    )


def estimate_scales(config, content_size, style_size, seconds_per_gflop, traced=False):
    """`((height, width) of the result, Estimate)` of every scale, coarse to fine.

    Arguments and errors as those of `estimate`. The bytes are those of the process
    at that scale: what the coarser ones leave is among them.
    """
    layers = get_architecture(config.net).trunk(config.layers())
    tracing = 0.0 if traced else SCALE_SECONDS + LAYER_SECONDS * len(layers)
    scales = usable_scales(config, content_size, style_size)
    found, left = [], PROCESS_BYTES
    for scale in scales:
        content, style = sizes_at(config, content_size, style_size, scale.edge)
        tiled = tile_edge(config, content, style)
        # `fit` looks at the picture once before the first step.
        look = step_gflop(config, content)
        if tiled:
            look += recomputed_gflop(config, content)
        operations = (scale.steps + 1) * look
        targets = (forward_gflop(config, s, config.layers()) for s in (content, style))
        operations += sum(targets)
        parameters = sum(row.parameters for row in config_rows(config, content))
        operations *= TILED_FACTOR if tiled else 1
        most, kept = scale_bytes(config, content, style, scale.precision)
        peak = round(left + WEIGHT_COPIES * FLOAT_BYTES * parameters + most)
        seconds = tracing + operations * seconds_per_gflop(scale.precision)
        found.append((content, Estimate(seconds, peak, scale.steps)))
        left += kept
    return found


def sizes_at(config, content_size, style, edge):
    """(height, width) of the content and of the style at the scale of long `edge`."""
    return fit_long_edge(content_size, edge), style_size_at(config, style, edge)


def step_gflop(config, content_size):
    """1e9 operations of one step for a result of `content_size`, (height, width).

    Forward through all layers, and backward to the picture from those with a weight,
    which costs the same (no gradient of the kernels); the Gram matrices likewise.
    """
    backward = forward_gflop(config, content_size, weighted_layers(config))
    return forward_gflop(config, content_size, config.layers()) + backward


def recomputed_gflop(config, size):
    """1e9 operations of the layers that tiles compute again on the way back."""
    rows, names = config_rows(config, size), config.layers()
    again = {
        layer.name
        for stage in split_stages(get_architecture(config.net).trunk(names))
        for layer in recomputed_layers(stage, names)
    }
    return sum(row.gflops for row in rows if row.name in again)


def forward_gflop(config, size, layers):
    """1e9 operations from a picture of `size` to `layers`, their Grams among them."""
    style = [layer for layer in layers if layer in config.style_layers]
    return pass_gflop(config.net, size, layers, style, config.padding)


def pass_gflop(net, size, layers, style_layers, padding="same"):
    """1e9 operations of one pass through `net` to `layers`, (height, width) `size`,
    and of the Gram matrices of `style_layers`: forward, or backward to the picture."""
    rows = trunk_rows(net, size, layers, padding)
    grams = sum(
        2 * row.height * row.width * row.channels**2
        for row in rows
        if row.name in style_layers
    )
    return sum(row.gflops for row in rows) + grams / 1e9


def weighted_layers(config):
    """The layers whose losses are optimised; the others are only measured."""
    kinds = (
        (config.content_weight, config.content_layers),
        (config.style_weight, config.style_layers),
    )
    return [k for factor, layers in kinds for k, w in layers.items() if factor * w]


def peak_bytes(config, content_size, style_size=None):
    """Peak resident memory of the process: the last scale, and what coarser ones leave.

    content_size, style_size: (height, width) of the pictures, as loaded or at the
        result's size; a style as large as the content if `None`. A large style picture
        can be what needs most: all its features are there at once.
    Tiles count where the config has their edge; "auto" is taken for none.
    """
    style_size = style_size or content_size
    return estimate_run(config, content_size, style_size, zero_time).bytes


def zero_time(precision):
    """In place of `seconds_per_gflop`, where the memory alone is asked for."""
    return 0.0
