"""Networks as chains of layers: shapes, cost and receptive field as arithmetic.

Nothing here imports TensorFlow, so a wrong layer is refused before anything is loaded.
`networks/graph.py` has networks with branches.
"""

import abc
import dataclasses
import difflib
import fnmatch
import re
from collections.abc import Iterable, Mapping
from typing import Any, Literal

from kstyle.errors import ConfigError

PADDINGS = ("same", "valid", "reflect", "replicate")
POOLS = ("avg", "max")
RGB_CHANNELS = 3
MAX_LISTED_LAYERS = 32  # names in a message


@dataclasses.dataclass(frozen=True)
class Layer:
    """One layer of a network: a convolution with its ReLU, or a pooling.

    kind: "conv" or "pool". kernel: edge of the square window in positions of the
        input. stride: positions of the input from one output to the next.
    in_channels, channels: of the input and of the output.
    pad: positions added on each side of a convolution's input, unless the padding is
        "valid"; `None`: half the kernel. A pooling is never padded.
    """

    name: str
    kind: Literal["conv", "pool"]
    kernel: int
    stride: int
    in_channels: int
    channels: int
    pad: int | None = None

    @property
    def is_conv(self) -> bool:
        return self.kind == "conv"

    @property
    def is_pool(self) -> bool:
        return self.kind == "pool"

    @property
    def margin(self) -> int:
        """Positions added on each side where the input is padded."""
        return self.kernel // 2 if self.pad is None else self.pad

    @property
    def kernel_shape(self) -> tuple[int, int, int, int]:
        """(height, width, in, out) of a convolution's kernel."""
        return self.kernel, self.kernel, self.in_channels, self.channels

    @property
    def parameters(self) -> int:
        """Number of values of the kernel and the bias; 0 for a pooling."""
        if self.is_pool:
            return 0
        return self.kernel**2 * self.in_channels * self.channels + self.channels

    @property
    def operations(self) -> int:
        """Floating-point operations for one position of the output, all channels.

        A multiply-add counts as two.
        """
        if self.is_pool:
            return self.kernel**2 * self.channels
        return 2 * self.kernel**2 * self.in_channels * self.channels

    def is_padded(self, padding: str) -> bool:
        """Return whether the input is padded, so that windows reach over its edge."""
        return self.is_conv and padding != "valid"

    def output_length(self, length: int, padding: str) -> int:
        """Return the positions of the output along an axis of `length` positions."""
        if self.is_padded(padding):
            length += 2 * self.margin
        # What does not fill a window at the end is dropped, as in Caffe.
        return (length - self.kernel) // self.stride + 1

    def least_input_length(self, length: int, padding: str) -> int:
        """Return the shortest input, along an axis, for an output of `length`."""
        least = (length - 1) * self.stride + self.kernel
        if not self.is_padded(padding):
            return least
        least = max(1, least - 2 * self.margin)
        # A mirror needs as many positions beside the edge as are padded.
        return max(least, self.margin + 1) if padding == "reflect" else least


@dataclasses.dataclass(frozen=True)
class LayerInfo:
    """One layer for one input size.

    `height`, `width`: of its output. `stride`: input pixels from one output to the
    next. `receptive_field`: edge in input pixels of the square an output sees; `None`:
    the whole picture, as after a mean over all positions.
    `parameters`: kernel and bias. `gflops`: 1e9 floating-point operations of one
    forward pass, a multiply-add counted as two. `kind`: "conv", "pool" or, in a graph,
    what `GraphLayer` has. `stored_values`: values that a step keeps for the gradient.
    `alias`: another name for the layer, if there is one.
    """

    name: str
    height: int
    width: int
    channels: int
    stride: int
    receptive_field: int | None
    parameters: int
    gflops: float
    kind: str
    stored_values: float
    alias: str = ""

    @property
    def values(self) -> int:
        """Number of values of its output."""
        return self.height * self.width * self.channels


@dataclasses.dataclass(frozen=True)
class PositionGrid:
    """Which pixels the positions of a layer stand for, along both axes.

    first_edge: pixel edge at which the first position's box begins; `None`: the
    positions divide the picture evenly, as far as is known. stride: pixels from one
    position to the next, the edge of a box. receptive_field: edge in pixels of the
    square that a position sees, around the middle of its box. channels: of the layer.
    """

    first_edge: float | None
    stride: int
    receptive_field: int
    channels: int


def even_grids(table: Iterable[LayerInfo]) -> dict[str, PositionGrid]:
    """Return `{layer: PositionGrid}` of a network with branches, from its table.

    A layer that sees the whole picture counts as if it saw its own pixels.
    """
    return {
        row.name: PositionGrid(
            None, row.stride, row.receptive_field or row.stride, row.channels
        )
        for row in table
    }


def position_grids(layers: Iterable[Layer], padding: str) -> dict[str, PositionGrid]:
    """Return `{layer: PositionGrid}` of a chain of layers."""
    first_edge, stride, receptive_field = 0.0, 1, 1
    found = {}
    for layer in layers:
        # A window's middle is the middle of the box, which is as wide as the stride.
        pad = layer.margin if layer.is_padded(padding) else 0
        first_edge += stride * (layer.kernel / 2 - pad - layer.stride / 2)
        receptive_field += (layer.kernel - 1) * stride
        stride *= layer.stride
        found[layer.name] = PositionGrid(
            first_edge, stride, receptive_field, layer.channels
        )
    return found


def layer_alias(name: str) -> str:
    """Return kstyle's name of a layer of a built-in network.

    Keras calls conv4_2 `block4_conv2`, and pool4 `block4_pool`; other programs say
    `relu4_2` for the value after the ReLU. Other names stay as they are.
    """
    if found := re.fullmatch(r"block(\d)_conv(\d)", name):
        return f"conv{found[1]}_{found[2]}"
    if found := re.fullmatch(r"block(\d)_pool", name):
        return f"pool{found[1]}"
    return re.sub(r"^relu(\d(?:_\d)?)$", r"conv\1", name)


class Network(abc.ABC):
    """A network as its layers: their names, sizes and costs.

    `Architecture` is a chain, built into kstyle; `GraphArchitecture` has branches, and
    is read from a Keras model.
    """

    name: str

    @property
    @abc.abstractmethod
    def layer_names(self) -> tuple[str, ...]:
        """Names of all layers that can have a loss, in the order of computation."""

    @property
    @abc.abstractmethod
    def main_layers(self) -> tuple[str, ...]:
        """Names of the layers that tables show unless all are asked for."""

    @abc.abstractmethod
    def layer_alias(self, name: str) -> str:
        """Return the name of the layer that has the other name `name`.

        Names that are no alias stay as they are.
        """

    @abc.abstractmethod
    def trunk(self, names: Iterable[str]) -> tuple[Any, ...]:
        """Return all layers that are computed for `names`, in order.

        Raises: ConfigError: one of `names` is no layer.
        """

    @abc.abstractmethod
    def minimum_size(self, names: Iterable[str], padding: str = "same") -> int:
        """Return the shortest edge in pixels at which all of `names` have an output."""

    @abc.abstractmethod
    def table(self, size: tuple[int, int], padding: str = "same") -> list[LayerInfo]:
        """List the `LayerInfo` of every layer for an input of `size`, (height, width).

        Layers that `size` is too small for (a valid padding, a deep pooling) are left
        out.
        """

    def trunk_table(
        self, names: Iterable[str], size: tuple[int, int], padding: str = "same"
    ) -> list[LayerInfo]:
        """List the `LayerInfo` of all layers that are computed for `names`."""
        computed = {layer.name for layer in self.trunk(names)}
        return [row for row in self.table(size, padding) if row.name in computed]

    def layers_with_weights(self, names: Iterable[str]) -> tuple[str, ...]:
        """List the layers with parameters that are computed for `names`."""
        return tuple(layer.name for layer in self.trunk(names) if layer.parameters)

    def expand_layers(self, weights: Mapping[str, float]) -> dict[str, float]:
        """Replace other names of layers and patterns by the layers' own names.

        weights: `{name: weight}`. Names may be those of `layer_alias`, or patterns such
            as "conv1_*", of which each layer gets the weight.
        Raises: ConfigError: a pattern fits no layer, or a layer is named twice.
        """
        expanded: dict[str, float] = {}
        for name, weight in weights.items():
            if any(sign in name for sign in "*?["):
                found = fnmatch.filter(self.layer_names, name)
                if not found:
                    raise ConfigError(
                        f"{self.name} has no layer like {name!r}. {self.known_layers()}"
                    )
            else:
                found = [self.layer_alias(name)]
            for layer in found:
                if layer in expanded:
                    raise ConfigError(f"layer {layer!r} is named twice")
                expanded[layer] = weight
        return expanded

    def check_layers(self, names: Iterable[str]) -> None:
        """Raise `ConfigError` for the first of `names` that is no layer."""
        known = self.layer_names
        for name in names:
            if name not in known:
                close = difflib.get_close_matches(name, known, n=1)
                hint = f"Did you mean {close[0]!r}?" if close else self.known_layers()
                raise ConfigError(f"{self.name} has no layer {name!r}. {hint}")

    def known_layers(self) -> str:
        """Return a sentence with the names of the layers, or with where they are."""
        names = list(self.layer_names)
        if len(names) <= MAX_LISTED_LAYERS:
            return f"It has {names}."
        return f"`kstyle layers --net {self.name} --all` lists its layers."


@dataclasses.dataclass(frozen=True)
class Architecture(Network):
    """A network as a chain of layers, from the picture down."""

    name: str
    layers: tuple[Layer, ...]

    @property
    def layer_names(self) -> tuple[str, ...]:
        return tuple(layer.name for layer in self.layers)

    @property
    def main_layers(self) -> tuple[str, ...]:
        return self.layer_names

    def layer_alias(self, name: str) -> str:
        return layer_alias(name)

    def trunk(self, names: Iterable[str]) -> tuple[Layer, ...]:
        wanted = tuple(names)
        self.check_layers(wanted)
        depths = [i for i, layer in enumerate(self.layers) if layer.name in wanted]
        return self.layers[: max(depths) + 1] if depths else ()

    def kernel_shapes(self) -> dict[str, tuple[int, int, int, int]]:
        """Map every convolution to its kernel's `(height, width, in, out)`."""
        return {
            layer.name: layer.kernel_shape for layer in self.layers if layer.is_conv
        }

    def minimum_size(self, names: Iterable[str], padding: str = "same") -> int:
        edge = 1
        for layer in reversed(self.trunk(names)):
            edge = layer.least_input_length(edge, padding)
        return edge

    def table(self, size: tuple[int, int], padding: str = "same") -> list[LayerInfo]:
        height, width = size
        stride, receptive_field = 1, 1
        rows = []
        for layer in self.layers:
            height = layer.output_length(height, padding)
            width = layer.output_length(width, padding)
            if min(height, width) < 1:
                break
            receptive_field += (layer.kernel - 1) * stride
            stride *= layer.stride
            rows.append(
                LayerInfo(
                    name=layer.name,
                    height=height,
                    width=width,
                    channels=layer.channels,
                    stride=stride,
                    receptive_field=receptive_field,
                    parameters=layer.parameters,
                    gflops=layer.operations * height * width / 1e9,
                    kind=layer.kind,
                    stored_values=height * width * layer.channels * layer.is_conv,
                )
            )
        return rows
