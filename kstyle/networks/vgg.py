"""The layers of VGG16 and VGG19 as arithmetic: names, shapes, cost, receptive field.

`conv{block}_{i}` is a convolution's output **after** its ReLU (Keras's
`block{block}_conv{i}`; what pystiche calls `relu{block}_{i}`), `pool{block}` the
pooling that ends a block. Simonyan and Zisserman 2015, table 1, columns D and E.
Nothing here imports TensorFlow, so a wrong layer is refused at once.
"""

import dataclasses
import difflib

from kstyle.errors import ConfigError

NETWORKS = {"vgg16": (2, 2, 3, 3, 3), "vgg19": (2, 2, 4, 4, 4)}  # convolutions a block
BLOCK_CHANNELS = (64, 128, 256, 512, 512)  # channels a block
PADDINGS = ("same", "valid", "reflect", "replicate")
POOLS = ("avg", "max")


@dataclasses.dataclass(frozen=True)
class LayerInfo:
    """One layer for one input size.

    `height`, `width`: of its output. `stride`: input pixels from one output to the
    next. `receptive_field`: edge in input pixels of the square an output sees.
    `parameters`: kernel and bias. `gflops`: 1e9 floating-point operations of one
    forward pass, a multiply-add counted as two.
    """

    name: str
    height: int
    width: int
    channels: int
    stride: int
    receptive_field: int
    parameters: int
    gflops: float


def layer_names(net):
    """Every layer of `net`, shallow to deep."""
    if net not in NETWORKS:
        raise ConfigError(
            f"Unknown network {net!r}. It must be one of {list(NETWORKS)}."
        )
    names = []
    for block, count in enumerate(NETWORKS[net], start=1):
        names += [f"conv{block}_{i}" for i in range(1, count + 1)]
        names.append(f"pool{block}")
    return tuple(names)


def check_layers(net, layers):
    """Raise `ConfigError` for the first of `layers` that `net` does not have."""
    known = layer_names(net)
    for layer in layers:
        if layer not in known:
            close = difflib.get_close_matches(layer, known, n=1)
            hint = f"Did you mean {close[0]!r}?" if close else f"It has {list(known)}."
            raise ConfigError(f"{net} has no layer {layer!r}. {hint}")


def trunk(net, layers):
    """The layers of `net` down to the deepest of `layers`: all that must be run."""
    check_layers(net, layers)
    known = layer_names(net)
    depth = max((known.index(layer) for layer in layers), default=-1)
    return known[: depth + 1]


def layer_channels(layer):
    """Channels of `layer`."""
    return BLOCK_CHANNELS[int(layer.removeprefix("conv").removeprefix("pool")[0]) - 1]


def conv_shapes(net):
    """`{layer: kernel shape (3, 3, in, out)}` of every convolution of `net`."""
    shapes, channels = {}, 3
    for name in layer_names(net):
        if name.startswith("conv"):
            shapes[name] = (3, 3, channels, layer_channels(name))
            channels = layer_channels(name)
    return shapes


def minimum_size(net, layers, padding="same"):
    """Shortest edge in pixels for which every one of `layers` has an output."""
    edge = 1
    for name in reversed(trunk(net, layers)):
        if name.startswith("pool"):
            edge *= 2
        elif padding == "valid":
            edge += 2
        elif padding == "reflect":  # a mirror needs a pixel beside the edge
            edge = max(edge, 2)
    return edge


def layer_table(net, size=(224, 224), padding="same"):
    """`LayerInfo` of every layer of `net` for an input of `size` (height, width).

    Layers that `size` is too small for (a valid padding, a deep pooling) are left
    out at the end of the list.
    """
    (height, wide), stride, field, channels, table = size, 1, 1, 3, []
    for name in layer_names(net):
        out = layer_channels(name)
        if name.startswith("pool"):
            height, wide, parameters = height // 2, wide // 2, 0
            field, stride = field + stride, stride * 2
            flops = 4 * height * wide * out
        else:
            trim = 2 if padding == "valid" else 0
            height, wide, field = height - trim, wide - trim, field + 2 * stride
            parameters = 9 * channels * out + out
            flops = 2 * 9 * channels * out * height * wide
        if min(height, wide) < 1:
            break
        channels = out
        row = (name, height, wide, out, stride, field, parameters, flops / 1e9)
        table.append(LayerInfo(*row))
    return table
