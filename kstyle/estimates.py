"""How long a run will take and how much memory, before it starts: arithmetic.

The constants were fitted to runs of the built-in samples in fresh processes on two
x86-64 cores without a GPU, TensorFlow 2.21 and Keras 3.15. Memory is that of a process
which makes one run with `fit`. Not counted: `log_gradients`, `all_losses` and the
solving of `style_weights`; what a process of many runs keeps for the next.
"""

import dataclasses
import itertools
import math
import statistics
import time

from kstyle.job import style_size, usable_scales
from kstyle.layers import layer_table, trunk
from kstyle.resize import fit_long_edge
from kstyle.tiles import kept_between

FLOAT = 4  # bytes
# Memory, fitted to the peaks of 26 runs (64 to 1024 px, within 7 %); what each factor
# stands for is a guess. "The outputs" are those of all layers, "the largest" is one.
PROCESS = 710e6  # Python, TensorFlow, Keras, and the traced graphs
WEIGHTS = 3.0  # copies of the float32 weights: read, checked, in Keras
KEPT = 2.3  # the convolutions' outputs, for the backward pass, and their gradients
WORKSPACE = 7.0  # the largest: what oneDNN lays out anew around a convolution
EAGER_OUTPUTS = 0.57  # outputs and padded inputs of the forward pass for the targets
EAGER_WORKSPACE = 9.2  # the largest, in that pass
COARSER = 0.33  # of a coarser scale's step, which the allocator does not give back
PAIRS = 10  # the history of `optimizers.LBFGS`
COPIES = 6  # of the picture beside a tile: gradient, the one before a move, ...
VECTORS = 3  # its point, slope and step
# Time, measured on a busy machine and so only roughly. The targets' forward pass is
# eager, and costs more than its operations do in a step.
EAGER = 1.5
START_SECONDS = 1.0  # the extractor, TensorBoard's header, the result's file
SCALE_SECONDS = 0.5  # to trace a scale's two graphs: a constant, and so much a layer
LAYER_SECONDS = 0.1
CALIBRATION_EDGE = 128  # px; the steps of a larger picture cost much the same a GFLOP


@dataclasses.dataclass(frozen=True)
class Estimate:
    """A whole run: `seconds` from its start (TensorFlow loaded) to its result's file,
    `bytes` of resident memory at the most, `steps` over all scales."""

    seconds: float
    bytes: int
    steps: int


def estimate(config, content_size, style_size, seconds_per_gflop):
    """The `Estimate` of the run of `config`.

    content_size, style_size: (height, width) of the pictures as loaded, the style
        already cropped. seconds_per_gflop: what the function of that name measured.
    Raises: ConfigError: the pictures are too small for the layers.
    """
    scales, operations = usable_scales(config, content_size, style_size), 0.0
    for scale in scales:
        content, style = sizes_at(config, content_size, style_size, scale.edge)
        # `fit` looks at the picture once before the first step.
        operations += (scale.steps + 1) * step_gflop(config, content, style)
        targets = (forward_gflop(config, s, config.layers()) for s in (content, style))
        operations += EAGER * sum(targets)
    operations += step_gflop(config, content, style)  # the result's own losses
    tracing = SCALE_SECONDS + LAYER_SECONDS * len(trunk(config.net, config.layers()))
    return Estimate(
        START_SECONDS + tracing * len(scales) + operations * seconds_per_gflop,
        peak_bytes(config, content_size, style_size),
        sum(scale.steps for scale in scales),
    )


def sizes_at(config, content_size, style, edge):
    """(height, width) of the content and of the style at the scale of long `edge`."""
    return fit_long_edge(content_size, edge), style_size(config, style, edge)


def step_gflop(config, content_size, style_size=None):
    """1e9 operations of one step for a result of `content_size`, (height, width).

    Forward through all layers, and backward to the picture from those with a weight,
    which costs the same (no gradient of the kernels); the Gram matrices likewise.
    """
    del style_size  # a step looks at the result; the style was looked at before
    backward = forward_gflop(config, content_size, weighted_layers(config))
    return forward_gflop(config, content_size, config.layers()) + backward


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


def trunk_rows(net, size, layers, padding):
    """`LayerInfo` of all that is run for `layers` of a picture of `size`."""
    return layer_table(net, size, padding)[: len(trunk(net, layers))]


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
    *coarser, last = (
        sizes_at(config, content_size, style_size, scale.edge)
        for scale in usable_scales(config, content_size, style_size)
    )
    parameters = sum(r.parameters for r in config_rows(config, last[0]))
    most = scale_bytes(config, *last)
    left = COARSER * sum(scale_bytes(config, *sizes) for sizes in coarser)
    return round(PROCESS + WEIGHTS * FLOAT * parameters + most + left)


def scale_bytes(config, content, style):
    """What one scale holds at the most, the weights aside."""
    if isinstance(config.tile, int) and max(*content, *style) > config.tile:
        return max(tiled_bytes(config, size) for size in (content, style))
    eager = max(eager_bytes(config, size) for size in (content, style))
    return max(step_bytes(config, content), eager)


def tiled_bytes(config, size):
    """What a scale in tiles holds: one tile, and what is whole. Not fitted."""
    whole = {r.name: r.height * r.width * r.channels for r in config_rows(config, size)}
    kept = kept_between(whole) + sum(whole[name] for name in config.content_layers)
    vectors = 2 * PAIRS + VECTORS if config.optimizer == "lbfgs" else 2
    kept += (vectors + COPIES) * 3 * math.prod(size)
    return FLOAT * kept + step_bytes(config, [min(n, config.tile) for n in size])


def config_rows(config, size):
    return trunk_rows(config.net, size, config.layers(), config.padding)


def step_bytes(config, size):
    """What one scale's steps hold for a picture of `size`, the weights aside."""
    rows = config_rows(config, size)
    values = {row.name: row.height * row.width * row.channels for row in rows}
    kept = sum(count for name, count in values.items() if name.startswith("conv"))
    targets = sum(values[name] for name in config.content_layers)
    targets += sum(r.channels**2 for r in rows if r.name in config.style_layers)
    # Adam has two moments.
    vectors = 2 * PAIRS + VECTORS if config.optimizer == "lbfgs" else 2
    optimizer = vectors * 3 * math.prod(size)
    largest = WORKSPACE * max(values.values())
    return FLOAT * (KEPT * kept + largest + targets + optimizer)


def eager_bytes(config, size):
    """What the forward pass for the targets holds at the most, for a picture of `size`.

    Keras keeps every layer's output until the last is there, padded copies included.
    """
    rows = config_rows(config, size)
    outputs = [row.height * row.width * row.channels for row in rows]
    padded = 0
    if config.padding in ("reflect", "replicate"):
        inputs = ((*size, 3), *((r.height, r.width, r.channels) for r in rows))
        for (height, width, channels), row in zip(inputs, rows, strict=False):
            if row.name.startswith("conv"):
                padded += (height + 2) * (width + 2) * channels
    largest = EAGER_WORKSPACE * max(outputs)
    return FLOAT * (EAGER_OUTPUTS * (sum(outputs) + padded) + largest)


def seconds_per_gflop(rounds=5):
    """Seconds that this machine now takes for 1e9 operations of a step.

    The median of `rounds` steps of a small VGG16, after one that traces the graph.
    Imports TensorFlow, which takes most of the time.
    """
    import keras
    import numpy as np

    from kstyle.extractor import build_extractor
    from kstyle.losses import loss_terms
    from kstyle.model import StyleTransfer
    from kstyle.optimizers import make_optimizer

    net, layers, style_layers = "vgg16", ("conv2_2", "conv3_1"), ("conv3_1",)
    size = (CALIBRATION_EDGE, CALIBRATION_EDGE)
    picture = np.random.default_rng(0).uniform(size=(*size, 3))
    terms = loss_terms({"conv2_2": 8}, {"conv3_1": 200}, tv=200)
    model = StyleTransfer(build_extractor(net, layers), terms, picture, picture)
    model.compile(make_optimizer("lbfgs"))
    ends = []
    clock = keras.callbacks.LambdaCallback(
        on_train_batch_end=lambda batch, logs: ends.append(time.perf_counter())
    )
    model.fit(steps_per_epoch=rounds + 1, callbacks=[clock])
    steps = [after - before for before, after in itertools.pairwise(ends)]
    return statistics.median(steps) / (2 * pass_gflop(net, size, layers, style_layers))
