"""The memory that the steps of a run hold, in bytes: arithmetic.

Fitted to the peaks of 15 runs of the built-in samples in fresh processes (64 to 2048
px) on two x86-64 cores with AVX-512 and AMX without a GPU, TensorFlow 2.21 and Keras
3.15. Cores with AVX2 alone took a tenth more before. What each factor stands for is a
guess. "The outputs" are those of all layers, "the largest" is one. Memory is that of a
process which makes one run with `fit`.
"""

import math

from kstyle.layers import layer_table, trunk
from kstyle.tiles import kept_between, split_stages, stage_edge, stride

FLOAT = 4  # bytes
PROCESS = 710e6  # Python, TensorFlow, Keras, and the traced graphs
WEIGHTS = 3.0  # copies of the float32 weights: read, checked, in Keras
KEPT = 2.1  # the convolutions' outputs, for the backward pass, and their gradients
WORKSPACE = 3.5  # the largest: what oneDNN lays out anew; less with AVX-512 than AVX2
LOOK_WORKSPACE = 2.5  # the largest, in the forward pass for the targets
ROUGH = 0.6  # of a step's features where the network is in bfloat16; Grams are not
SECOND = 170e6  # a network in bfloat16 beside that in float32, and its graphs
COARSER = 0.45  # of a coarser scale's step, which the allocator does not give back
COPIES = 6  # of the picture beside a tile: gradient, the one before a move, ...
VECTORS = 4  # its point, slope, pull and step


def tile_edge(config, content, style):
    """The edge in pixels of the tiles of a scale with pictures of those sizes, `None`
    where it is worked on without. One tile of the whole picture is recomputation."""
    largest = max(*content, *style)
    if config.tile == "whole":
        return largest
    return config.tile if config.tile != "off" and largest > config.tile else None


def scale_bytes(config, content, style, precision="float32"):
    """What the steps of one scale hold, and what it holds at the most; both without
    the weights.

    A run's last losses are measured in float32 at the latest, so its forward pass is
    reckoned with whatever the `precision` of the steps."""
    part = ROUGH if precision == "bfloat16" else 1
    edge = tile_edge(config, content, style)
    if edge:
        tiled = max(tiled_bytes(config, size, edge, part) for size in (content, style))
        return tiled, tiled
    step = part * step_bytes(config, content)
    return step, max(step, *(look_bytes(config, size) for size in (content, style)))


def tiled_bytes(config, size, edge, part=1):
    """What a scale in tiles of `edge` holds: `part` of one tile's step in the stage
    that needs most, and what is whole."""
    rows = config_rows(config, size)
    whole = {row.name: row.height * row.width * row.channels for row in rows}
    kept = kept_between(whole) + sum(whole[name] for name in config.content_layers)
    pictures = (vectors(config) + COPIES) * 3 * math.prod(size)
    most, step = 0, 1  # pixels from one position of the stage's input to the next
    for number, stage in enumerate(split_stages(list(whole))):
        tile = step * stage_edge(edge, number, stage)
        share = math.prod(min(1, tile / length) for length in size)
        outputs = sum(whole[name] for name in stage if name.startswith("conv"))
        largest = WORKSPACE * max(whole[name] for name in stage)
        most = max(most, share * (KEPT * outputs + largest))
        step *= stride(stage)
    return FLOAT * (pictures + part * (kept + most))


def vectors(config):
    """How many copies of the picture the optimiser keeps, Adam two moments, and the
    guard: the best picture so far."""
    return 1 + (2 * config.history + VECTORS if config.optimizer == "lbfgs" else 2)


def step_bytes(config, size):
    """What one scale's steps hold for a picture of `size`, the weights aside."""
    rows = config_rows(config, size)
    values = {row.name: row.height * row.width * row.channels for row in rows}
    kept = sum(count for name, count in values.items() if name.startswith("conv"))
    targets = sum(values[name] for name in config.content_layers)
    targets += sum(r.channels**2 for r in rows if r.name in config.style_layers)
    optimizer = vectors(config) * 3 * math.prod(size)
    largest = WORKSPACE * max(values.values())
    return FLOAT * (KEPT * kept + largest + targets + optimizer)


def look_bytes(config, size):
    """What the forward pass for the targets holds at the most, for a picture of `size`.

    What no later layer reads is given back; the layers that have a loss stay.
    """
    rows = config_rows(config, size)
    outputs = {row.name: row.height * row.width * row.channels for row in rows}
    wanted = sum(outputs[name] for name in config.layers())
    return FLOAT * (wanted + LOOK_WORKSPACE * max(outputs.values()))


def config_rows(config, size):
    return trunk_rows(config.net, size, config.layers(), config.padding)


def trunk_rows(net, size, layers, padding):
    """`LayerInfo` of all that is run for `layers` of a picture of `size`."""
    return layer_table(net, size, padding)[: len(trunk(net, layers))]
