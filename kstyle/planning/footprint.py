"""The memory of a scale's features in bytes: arithmetic.

The constants were fitted to the peaks of runs of the built-in samples, 64 to 7680 px,
each in a fresh process on two x86-64 cores with AVX-512 and no GPU (TensorFlow 2.21,
Keras 3.15). `benchmarks/memory.py` compares estimates with peaks.
"""

import math
from collections.abc import Collection, Sequence

from kstyle.networks.architecture import LayerInfo
from kstyle.networks.registry import get_architecture
from kstyle.planning.scales import ScalePlan, Size
from kstyle.tiling.geometry import split_stages, stage_boundary_values

FLOAT_BYTES = 4
FEATURE_COPIES = 2.2  # of the convolutions' outputs, for a step: with their gradients
TILE_FEATURE_COPIES = 1.45  # of a tile's, for a step: its stages come one by one
BFLOAT16_SHARE = 0.63  # of float32's bytes: the Gram matrices are in float32


def network_rows(
    net: str, padding: str, layers: Collection[str], size: Size
) -> list[LayerInfo]:
    """Describe all layers of `net` that are computed for `layers` at `size`."""
    architecture = get_architecture(net)
    return architecture.table(size, padding)[: len(architecture.trunk(layers))]


def feature_bytes(
    net: str, padding: str, layers: Collection[str], scale: ScalePlan
) -> float:
    """Return the bytes of the features that a scale holds at most.

    Without tiles: those of a step on the content, or of one pass over the style. The
    losses of the result are measured in float32, with fewer features at once.
    """
    share = BFLOAT16_SHARE if scale.precision == "bfloat16" else 1.0
    sizes = scale.content_size, scale.style_size
    if scale.tile is not None:
        edge, each = scale.tile, (net, padding, layers)
        return share * max(tiled_bytes(*each, size, edge) for size in sizes)
    content, style = (
        FLOAT_BYTES * conv_values(network_rows(net, padding, layers, size))
        for size in sizes
    )
    return max(share * FEATURE_COPIES * content, style)


def tiled_bytes(
    net: str, padding: str, layers: Collection[str], size: Size, edge: int
) -> float:
    """Return the bytes of a step's features in float32, in tiles of `edge` pixels: the
    outputs of all stages for the whole picture, and the features of one tile."""
    rows = network_rows(net, padding, layers, size)
    stages = split_stages(get_architecture(net).trunk(layers))
    stored = stage_boundary_values(stages, {r.name: layer_values(r) for r in rows})
    height, width = (math.ceil(n / math.ceil(n / edge)) for n in size)
    tile = conv_values(network_rows(net, padding, layers, (height, width)))
    return FLOAT_BYTES * (stored + TILE_FEATURE_COPIES * tile)


def layer_values(row: LayerInfo) -> int:
    return row.height * row.width * row.channels


def conv_values(rows: Sequence[LayerInfo]) -> int:
    """Return how many values the outputs of the convolutions have."""
    return sum(layer_values(row) for row in rows if row.kind == "conv")
