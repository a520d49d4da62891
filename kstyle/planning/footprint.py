"""The memory that the steps of a run hold, in bytes: arithmetic.

Fitted to the peaks of 27 runs of the built-in samples in fresh processes (64 to 7680
px) on two x86-64 cores with AVX-512 without a GPU, those in tiles on an AMD EPYC, the
others on an Intel Xeon with AMX; TensorFlow 2.21, Keras 3.15. What each factor stands
for is a guess. "The outputs" are those of all layers, "the largest" is one. Memory is
that of a process which makes one run with `fit`.
"""

import math

from kstyle.networks.registry import get_architecture
from kstyle.tiling.geometry import (
    recomputed_layers,
    split_stages,
    stage_boundary_values,
    stage_edge,
    total_stride,
)

FLOAT_BYTES = 4  # bytes
PROCESS_BYTES = 800e6  # Python, TensorFlow, Keras, and the traced graphs
WEIGHT_COPIES = 3.0  # copies of the float32 weights: read, checked, in Keras
FEATURE_COPIES = (
    2.2  # the convolutions' outputs, for the backward pass, and their gradients
)
FORWARD_WORKSPACE = 1.5  # the largest, in the forward pass for the targets
BFLOAT16_SHARE = (
    0.63  # of a step's features where the network is in bfloat16; Grams are not
)
COARSER_SHARE = (
    0.77  # of a coarser scale's step, which the allocator does not give back
)
LBFGS_VECTORS = 4  # of L-BFGS beside its pairs: its point, slope, pull and step
# With tiles, where nothing of the step's is there to be used again:
TILE_FEATURE_COPIES = 1.9  # in place of KEPT
PICTURE_COPIES = 5  # of the picture: gradient, the one before a move, ...


def tile_edge(config, content, style):
    """The edge in pixels of the tiles of a scale with pictures of those sizes, `None`
    where it is worked on without. One tile of the whole picture is recomputation."""
    largest = max(*content, *style)
    if config.tile == "whole":
        return largest
    return config.tile if config.tile != "off" and largest > config.tile else None


def scale_bytes(config, content, style, precision="float32"):
    """What one scale holds at the most, without the weights, and what the allocator
    does not give back after it: nothing that the next one's tiles would not take.

    A run's last losses are measured in float32 at the latest, so its forward pass is
    reckoned with whatever the `precision` of the steps."""
    part = BFLOAT16_SHARE if precision == "bfloat16" else 1
    edge = tile_edge(config, content, style)
    if edge:
        sizes = content, style
        return max(tiled_bytes(config, size, edge, part) for size in sizes), 0
    step = step_bytes(config, content, part)
    looks = [forward_bytes(config, size) for size in (content, style)]
    return max(step, *looks), COARSER_SHARE * step


def tiled_bytes(config, size, edge, part=1):
    """What a scale in tiles of `edge` holds: one tile's step in the stage that needs
    most, and what is whole. part: as for `step_bytes`."""
    whole = layer_values(config, size)
    stages = split_stages(get_architecture(config.net).trunk(config.layers()))
    kept = stage_boundary_values(stages, whole) + sum(
        whole[name] for name in config.content_layers
    )
    most, step = 0, 1  # pixels from one position of the stage's input to the next
    signs = 0
    for number, stage in enumerate(stages):
        tile = step * stage_edge(edge, number, stage)
        share = math.prod(1 / math.ceil(length / tile) for length in size)
        most = max(most, share * sum(whole[k.name] for k in stage if k.is_conv))
        rest = stage[len(recomputed_layers(stage, config.layers())) :]
        signs += sum(whole[layer.name] for layer in rest if layer.is_conv)
        step *= total_stride(stage)
    pictures = (optimizer_pictures(config) + PICTURE_COPIES) * 3 * math.prod(size)
    return (
        FLOAT_BYTES * (pictures + part * (kept + TILE_FEATURE_COPIES * most))
        + signs // 8
    )


def optimizer_pictures(config):
    """How many copies of the picture the optimiser keeps, Adam two moments, and the
    guard: the best picture so far."""
    return 1 + (
        2 * config.history + LBFGS_VECTORS if config.optimizer == "lbfgs" else 2
    )


def step_bytes(config, size, part=1):
    """What one scale's steps hold for a picture of `size`, the weights aside.

    part: that the features take of what they take in float32.
    """
    values = layer_values(config, size)
    rows = config_rows(config, size)
    kept = sum(values[row.name] for row in rows if row.kind == "conv")
    targets = sum(values[name] for name in config.content_layers)
    targets += sum(r.channels**2 for r in rows if r.name in config.style_layers)
    optimizer = optimizer_pictures(config) * 3 * math.prod(size)
    return FLOAT_BYTES * (part * FEATURE_COPIES * kept + targets + optimizer)


def forward_bytes(config, size):
    """What the forward pass for the targets holds at the most, for a picture of `size`.

    What no later layer reads is given back; the layers that have a loss stay.
    """
    values = layer_values(config, size)
    wanted = sum(values[name] for name in config.layers())
    return FLOAT_BYTES * (wanted + FORWARD_WORKSPACE * max(values.values()))


def layer_values(config, size):
    """`{layer: how many values it has}` for a picture of `size`."""
    rows = config_rows(config, size)
    return {row.name: row.height * row.width * row.channels for row in rows}


def config_rows(config, size):
    return trunk_rows(config.net, size, config.layers(), config.padding)


def trunk_rows(net, size, layers, padding):
    """`LayerInfo` of all that is run for `layers` of a picture of `size`."""
    architecture = get_architecture(net)
    return architecture.table(size, padding)[: len(architecture.trunk(layers))]
