"""Networks with branches, residuals and strides: the same arithmetic as for chains.

`networks/graph_reader.py` reads them from Keras models. Nothing here imports
TensorFlow.
"""

import dataclasses
import functools
import math
from collections.abc import Iterable, Mapping, Sequence
from fractions import Fraction
from typing import Literal

from kstyle.errors import ConfigError
from kstyle.networks.architecture import LayerInfo, Network

LayerKind = Literal[
    "input", "conv", "pool", "pad", "crop", "resize", "mean", "norm", "merge", "other"
]
Pair = tuple[int, int]  # (height, width)
PADDINGS_OF_GRAPHS = ("same", "reflect", "replicate")
CONTENT_STRIDE = 8  # px: of the default content layer, as of VGG's conv4_2
MAX_MINIMUM_SIZE = 1024  # px; networks that need more are not supported
# Kinds that compute nothing new: the layer of a stage is one of the others.
PASSING_KINDS = ("input", "pad", "crop")


@dataclasses.dataclass(frozen=True)
class GraphLayer:
    """One layer of a graph, or one operation such as an addition.

    inputs: names of the layers before it. channels: of the output. window, strides:
        (height, width) of the window, dilated, and of its steps. padding: of the
        window. amounts: ((top, bottom), (left, right)) positions that "pad" adds and
        "crop" takes.
    scale: of "resize": positions of the output for one of the input. operations:
        floating-point operations for one position of the output. is_map: whether the
        output is `(height, width, channels)`; else it has no positions.
    """

    name: str
    kind: LayerKind
    inputs: tuple[str, ...]
    channels: int
    window: Pair = (1, 1)
    strides: Pair = (1, 1)
    padding: Literal["valid", "same"] = "valid"
    amounts: tuple[Pair, Pair] = ((0, 0), (0, 0))
    scale: Pair = (1, 1)
    parameters: int = 0
    operations: int = 0
    is_map: bool = True
    has_maximum: bool = False  # of a pooling: a maximum, which an average can replace

    def output_length(self, length: int, axis: int) -> int:
        """Return the positions of the output along an axis: 0 height, 1 width."""
        if self.kind == "mean" or not self.is_map:
            return 1
        if self.kind == "resize":
            return length * self.scale[axis]
        if self.kind == "crop":
            return length - sum(self.amounts[axis])
        if self.kind == "pad":
            return length + sum(self.amounts[axis])
        window, stride = self.window[axis], self.strides[axis]
        if self.padding == "same":
            return math.ceil(length / stride)
        return (length - window) // stride + 1


@dataclasses.dataclass(frozen=True)
class Reach:
    """How an output relates to the pixels.

    stride: input pixels from one output to the next. field: edge in input pixels of
        the square that an output depends on, `None` for the whole picture.
    """

    stride: Fraction
    field: Fraction | None


@dataclasses.dataclass(frozen=True, eq=False)
class GraphArchitecture(Network):
    """A network as a graph of layers, in the order of computation.

    aliases: `{other name: name of a layer}`, besides those of the stages.
    preprocess: what the network expects of its input, a mode of `PREPROCESS_MODES`;
        `None` where that is not known. grey_levels: how many grey levels a unit of its
        input is. default_layers: names of the layers of content and of style; `None`:
        stages. has_own_weights: whether weights came with the model.
    """

    name: str
    layers: tuple[GraphLayer, ...]
    aliases: Mapping[str, str] = dataclasses.field(default_factory=dict)
    preprocess: str | None = None
    grey_levels: float = 1.0
    default_layers: tuple[tuple[str, ...], tuple[str, ...]] | None = None
    has_own_weights: bool = False

    @functools.cached_property
    def by_name(self) -> dict[str, GraphLayer]:
        return {layer.name: layer for layer in self.layers}

    @functools.cached_property
    def layer_names(self) -> tuple[str, ...]:  # type: ignore[override]
        """Names of the layers with a feature map; those of inner models left out."""
        return tuple(
            layer.name
            for layer in self.layers
            if layer.is_map
            and layer.kind != "input"
            and "/" not in layer.name
            # Nothing of the picture's positions is left after a mean over all.
            and not self.is_pooled[layer.name]
        )

    @functools.cached_property
    def is_pooled(self) -> dict[str, bool]:
        """Map layers to whether only means over all positions reach them."""
        found: dict[str, bool] = {}
        for layer in self.layers:
            before = [found[name] for name in layer.inputs]
            found[layer.name] = (
                layer.kind == "mean"
                or not layer.is_map
                or (bool(before) and all(before))
            )
        return found

    @functools.cached_property
    def main_layers(self) -> tuple[str, ...]:  # type: ignore[override]
        """Layers that everything after them depends on, each the last of its values.

        A convolution with its normalization and activation counts once, as does a
        block with branches.
        """
        found: list[str] = []
        position = {layer.name: i for i, layer in enumerate(self.layers)}
        last_use = {name: position[name] for name in position}
        for layer in self.layers:
            for name in layer.inputs:
                last_use[name] = max(last_use[name], position[layer.name])
        names = set(self.layer_names)
        open_until = -1  # the last use of any value made so far, but for this layer's
        for layer in self.layers:
            i = position[layer.name]
            sees_one_pixel = self.reaches[layer.name].field == 1  # of the input
            if open_until <= i and layer.name in names and not sees_one_pixel:
                follows = found and layer.inputs == (found[-1],)
                if follows and layer.kind in ("norm", "other"):
                    found[-1] = layer.name
                elif layer.kind not in PASSING_KINDS:
                    found.append(layer.name)
            open_until = max(open_until, last_use[layer.name])
        return tuple(found)

    @functools.cached_property
    def reaches(self) -> dict[str, Reach]:
        """Map every layer to its `Reach`; of branches the largest counts."""
        found: dict[str, Reach] = {}
        for layer in self.layers:
            before = [found[name] for name in layer.inputs]
            maps = [found[name] for name in layer.inputs if not self.is_pooled[name]]
            stride = max((r.stride for r in maps or before), default=Fraction(1))
            fields = [reach.field for reach in before] or [Fraction(1)]
            field = None if None in fields else max(f for f in fields if f is not None)
            if layer.kind == "mean":
                field = None
            elif field is not None:
                field += (max(layer.window) - 1) * stride
            if layer.kind == "resize":
                stride /= layer.scale[0]
            found[layer.name] = Reach(stride * layer.strides[0], field)
        return found

    @functools.cached_property
    def stages(self) -> dict[str, str]:
        """Map "stage1", "stage2", … to the last layer before each loss of resolution.

        One of the main layers where there is one, as programs for other tasks take
        features: the end of a block, or what is expanded from it. The last stage is the
        end of the network.
        """
        last: dict[Fraction, str] = {}
        for name in (*self.layer_names, *self.main_layers):
            if self.by_name[name].kind not in PASSING_KINDS:
                last[self.reaches[name].stride] = name
        return {
            f"stage{number}": name
            for number, (stride, name) in enumerate(
                sorted((s, n) for s, n in last.items() if s > 1), start=1
            )
        }

    @functools.cached_property
    def content_layers(self) -> dict[str, float]:
        """The layers of the content loss, with weights, unless others are given."""
        if self.default_layers is not None:
            return {self.layer_alias(name): 1.0 for name in self.default_layers[0]}
        stages = list(self.stages.values())
        fine = [k for k in stages if self.reaches[k].stride <= CONTENT_STRIDE]
        return {(fine or stages)[-1 if fine else 0]: 1.0}

    @functools.cached_property
    def style_layers(self) -> dict[str, float]:
        """The layers of the style loss, with weights, unless others are given."""
        if self.default_layers is not None:
            return {self.layer_alias(name): 1.0 for name in self.default_layers[1]}
        return dict.fromkeys(self.stages.values(), 1.0)

    @functools.cached_property
    def name_of_alias(self) -> dict[str, str]:
        """Map aliases to names of layers."""
        return {**self.stages, **self.aliases}

    @functools.cached_property
    def alias_of(self) -> dict[str, str]:
        """Map names of layers to their alias."""
        return {name: alias for alias, name in self.name_of_alias.items()}

    def layer_alias(self, name: str) -> str:
        return name if name in self.by_name else self.name_of_alias.get(name, name)

    @functools.cached_property
    def has_maximum_pooling(self) -> bool:
        """Whether there are maximum poolings that averages can replace."""
        return any(k.has_maximum and max(k.strides) > 1 for k in self.layers)

    def trunk(self, names: Iterable[str]) -> tuple[GraphLayer, ...]:
        wanted = tuple(names)
        self.check_layers(wanted)
        needed = set(wanted)
        for layer in reversed(self.layers):
            if layer.name in needed:
                needed.update(layer.inputs)
        return tuple(layer for layer in self.layers if layer.name in needed)

    def layers_with_weights(self, names: Iterable[str]) -> tuple[str, ...]:
        # An inner model has its weights as one layer.
        trunk = self.trunk(names)
        found = [layer.name.split("/")[0] for layer in trunk if layer.parameters]
        return tuple(dict.fromkeys(found))

    def sizes(
        self, size: Pair, layers: Sequence[GraphLayer] | None = None
    ) -> dict[str, Pair]:
        """Return `{layer: (height, width)}` for an input of `size`.

        Layers with a size below 1, and those after them, are left out.
        Raises: ConfigError: branches that are added or joined differ in size.
        """
        found: dict[str, Pair] = {}
        for layer in self.layers if layers is None else layers:
            if not layer.inputs:
                found[layer.name] = size
                continue
            if any(name not in found for name in layer.inputs):
                continue
            before = {found[name] for name in layer.inputs} - {(1, 1)} or {(1, 1)}
            if len(before) > 1:
                text = " and ".join(f"{h} x {w}" for h, w in sorted(before))
                raise ConfigError(
                    f"{self.name} cannot take pictures of {size[1]} x {size[0]} "
                    f"pixels: the branches that end in {layer.name} have {text} "
                    "positions. Use another size, or shallower layers."
                )
            (before_size,) = before
            after = tuple(
                layer.output_length(n, axis) for axis, n in enumerate(before_size)
            )
            if min(after) >= 1:
                found[layer.name] = after[0], after[1]
        return found

    def minimum_size(self, names: Iterable[str], padding: str = "same") -> int:
        return self._minimum_size(tuple(names), padding)

    @functools.lru_cache(maxsize=32)  # noqa: B019 - networks are kept anyway
    def _minimum_size(self, names: tuple[str, ...], padding: str) -> int:
        trunk = self.trunk(names)
        for edge in range(1, MAX_MINIMUM_SIZE + 1):
            try:
                found = self.sizes((edge, edge), trunk)
            except ConfigError:
                continue
            if all(layer.name in found for layer in trunk) and (
                padding != "reflect" or self._mirrors_fit(trunk, found)
            ):
                return edge
        raise ConfigError(
            f"{self.name} needs pictures of more than {MAX_MINIMUM_SIZE} pixels for "
            f"{', '.join(names)}. Name shallower layers."
        )

    def _mirrors_fit(
        self, trunk: Iterable[GraphLayer], sizes: Mapping[str, Pair]
    ) -> bool:
        """Return whether every mirrored edge has enough positions beside it."""
        for layer in trunk:
            if layer.kind not in ("conv", "pad") or self.is_pooled[layer.name]:
                continue
            (before,) = (sizes[name] for name in layer.inputs)
            if layer.kind == "pad":
                needed = [max(sides) for sides in layer.amounts]
            else:
                same = layer.padding == "same"
                needed = [n // 2 if same else 0 for n in layer.window]
            if any(n and n >= length for n, length in zip(needed, before, strict=True)):
                return False
        return True

    def table(self, size: Pair, padding: str = "same") -> list[LayerInfo]:
        sizes = self.sizes(size)
        return [
            self._info(layer, *sizes[layer.name])
            for layer in self.layers
            if layer.name in sizes and layer.kind != "input"
        ]

    def _info(self, layer: GraphLayer, height: int, width: int) -> LayerInfo:
        reach = self.reaches[layer.name]
        positions = height * width
        return LayerInfo(
            name=layer.name,
            height=height,
            width=width,
            channels=layer.channels,
            stride=round(reach.stride),
            receptive_field=None if reach.field is None else math.ceil(reach.field),
            parameters=layer.parameters,
            gflops=layer.operations * positions / 1e9,
            kind=layer.kind,
            # More than the gradient needs: TensorFlow computes branches side by side,
            # and frees what they have made late.
            stored_values=positions * layer.channels,
            alias=self.alias_of.get(layer.name, ""),
        )
