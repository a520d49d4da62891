"""Where the tiles of a large picture lie: stages, margins and borders, as arithmetic.

The network is cut into stages that end at a pooling, and each stage is run tile by
tile. Only a stage's input and output exist for the whole picture, so a tile needs a
margin no wider than what its own stage sees beyond it: a few positions. Rows and
columns are alike, so all is worked out for one axis. Intervals are (start, stop).
"""

import dataclasses
import itertools
import math
from collections.abc import Collection, Iterable, Mapping

from kstyle.networks.architecture import Layer

Stage = tuple[Layer, ...]
Interval = tuple[int, int]


@dataclasses.dataclass(frozen=True)
class AxisSpan:
    """One axis of one tile of a stage.

    read: the interval of the stage's input that the tile needs, with its margins.
    border: 1 or 0 for each end: whether the tile touches the picture's true border
        there, and is padded.
    inside: `{layer: interval}` of this tile's part, in the layer's positions.
    crop: the same intervals in what the tile computes of the layer.
    """

    read: Interval
    border: tuple[int, int]
    inside: dict[str, Interval]
    crop: dict[str, Interval]


@dataclasses.dataclass(frozen=True)
class Tile:
    """A tile of a stage; `sizes`: `{layer: (height, width)}` of the whole layers."""

    rows: AxisSpan
    columns: AxisSpan
    sizes: dict[str, tuple[int, int]]

    @property
    def read(self) -> tuple[slice, slice, slice]:
        """The index of the tile's input in `(batch, height, width, channels)`."""
        return tile_index(self.rows.read, self.columns.read)

    @property
    def borders(self) -> tuple[tuple[int, int], tuple[int, int]]:
        """((top, bottom), (left, right)), each 1 where the tile is padded."""
        return self.rows.border, self.columns.border

    def place(self, layer: str) -> tuple[slice, slice, slice]:
        """Return the index of the tile's part in the whole layer."""
        return tile_index(self.rows.inside[layer], self.columns.inside[layer])

    def crops(self, layers: Iterable[str]) -> list[tuple[Interval, Interval]]:
        """List the tile's part, ((top, bottom), (left, right)), of each layer."""
        return [(self.rows.crop[name], self.columns.crop[name]) for name in layers]

    def share(self, layer: str) -> float:
        """Return the fraction of the layer's positions that belong to the tile."""
        inside = (self.rows.inside[layer], self.columns.inside[layer])
        return math.prod(b - a for a, b in inside) / math.prod(self.sizes[layer])


def tile_index(rows: Interval, columns: Interval) -> tuple[slice, slice, slice]:
    return slice(None), slice(*rows), slice(*columns)


def split_stages(layers: Iterable[Layer]) -> tuple[Stage, ...]:
    """Cut the chain of `layers` after every pooling but the first.

    The output of the first pooling would be the largest array of all.
    """
    stages: list[Stage] = []
    stage: list[Layer] = []
    poolings = 0
    for layer in layers:
        stage.append(layer)
        poolings += layer.is_pool
        if layer.is_pool and poolings > 1:
            stages.append(tuple(stage))
            stage = []
    return (*stages, tuple(stage)) if stage else tuple(stages)


def passes_signs(layer: Layer) -> bool:
    """Whether signs of the features suffice for the gradient through a layer.

    True for 3 x 3 convolutions with stride 1 and for poolings whose windows of 2 x 2
    do not overlap.
    """
    window = (2, 2) if layer.is_pool else (3, 1)
    return (layer.kernel, layer.stride) == window


def recomputed_layers(stage: Stage, names: Collection[str]) -> Stage:
    """Return the layers of `stage` down to the deepest of `names` and its pooling.

    The gradient of a pooling needs the pooling's input. Layers through which signs do
    not suffice are recomputed too.
    """
    depths = [
        i
        for i, layer in enumerate(stage, start=1)
        if layer.name in names or not passes_signs(layer)
    ]
    depth = max(depths, default=0)
    while depth < len(stage) and stage[depth].is_pool:
        depth += 1
    return stage[:depth]


def stage_boundary_values(stages: tuple[Stage, ...], values: Mapping[str, int]) -> int:
    """Return how many values of whole layers are held at once between the `stages`.

    values: `{layer: how many values it has}`. The outputs of all stages but the last,
    and the gradient of one.
    """
    ends = [values[stage[-1].name] for stage in stages[:-1]]
    return sum(ends) + max(ends, default=0)


def total_stride(layers: Iterable[Layer]) -> int:
    """Return the positions of the input from one output of the last to the next."""
    return math.prod(layer.stride for layer in layers)


def stage_edge(tile: int, number: int, stage: Stage) -> int:
    """Return the edge of the tiles of stage `number`, in positions of its input.

    number: from 0. tile: the edge in the first stage, in pixels.
    It halves from one stage to the next: four times fewer positions of twice the
    channels take at most half of the memory, and the margins, as wide in every stage,
    cost less than if it quartered.
    """
    step = total_stride(stage)
    return max(step, (tile >> number) // step * step)


def layer_lengths(stage: Stage, length: int, padding: str) -> dict[str, int]:
    """Map the layers of `stage` to their lengths on an axis of input `length`."""
    found = {}
    for layer in stage:
        length = found[layer.name] = layer.output_length(length, padding)
    return found


def axis_spans(
    stage: Stage, length: int, edge: int, padding: str, wanted: Collection[str]
) -> list[AxisSpan]:
    """Divide one axis into `AxisSpan`s that cover every layer once.

    length: of the stage's input. edge: largest of a tile, a multiple of the stage's
        stride.
    wanted: the layers whose features are used; the last of the stage among them.
    """
    whole = layer_lengths(stage, length, padding)
    strides = {k.name: total_stride(stage[: i + 1]) for i, k in enumerate(stage)}
    last = stage[-1].name
    # Counted in the shortest layer, so that every tile has positions in each; the
    # last tile also takes the rows that a pooling drops in the others. Equal shares
    # take less memory than full edges and a remainder, and have fewer sizes.
    count = math.ceil(whole[last] * strides[last] / edge)
    even = math.ceil(whole[last] / count) * strides[last]

    def interior(name: str, tile: int) -> Interval:
        start, stop = (k * even // strides[name] for k in (tile, tile + 1))
        return start, (whole[name] if tile == count - 1 else stop)

    found = []
    for tile in range(count):
        inside = {name: interior(name, tile) for name in wanted}
        read = input_interval(stage, inside, length, whole, padding)
        border = (int(read[0] == 0), int(read[1] == length))
        crop = layer_crops(stage, inside, read, border, padding)
        found.append(AxisSpan(read, border, inside, crop))
    return found


def input_interval(
    stage: Stage,
    inside: Mapping[str, Interval],
    length: int,
    whole: Mapping[str, int],
    padding: str,
) -> Interval:
    """Return the interval of the stage's input from which `inside` is computed."""
    input_lengths = [length, *whole.values()][: len(stage)]
    start, stop = inside[stage[-1].name]
    reaches_end = False
    for layer, input_length in zip(
        reversed(stage), reversed(input_lengths), strict=True
    ):
        if layer.name in inside:
            first, end = inside[layer.name]
            start, stop = min(start, first), max(stop, end)
        # At the end a layer may leave positions over, and the tile reads them too: a
        # deeper layer is padded only where the tile ends with the input.
        reaches_end = reaches_end or stop == whole[layer.name]
        start = start * layer.stride
        stop = (stop - 1) * layer.stride + layer.kernel
        if layer.is_padded(padding):
            start = max(0, start - layer.margin)
            stop = min(input_length, stop - layer.margin)
        if reaches_end:
            stop = input_length
    return start, stop


def layer_crops(
    stage: Stage,
    inside: Mapping[str, Interval],
    read: Interval,
    border: tuple[int, int],
    padding: str,
) -> dict[str, Interval]:
    """Map each layer of `inside` to its interval in what is computed from `read`.

    At a true border, where the layers pad, a tile that touches the border in the input
    touches it in every layer; elsewhere each convolution takes its margin off.
    """
    origin = read[0]
    found: dict[str, Interval] = {}
    for layer in stage:
        if layer.is_padded(padding) and not border[0]:
            origin += layer.margin
        # No rest: `axis_spans` cuts at multiples of the stride.
        origin //= layer.stride
        if layer.name in inside:
            first, end = inside[layer.name]
            found[layer.name] = first - origin, end - origin
    return found


def make_tiles(
    stage: Stage,
    size: tuple[int, int],
    edge: int,
    padding: str,
    wanted: Collection[str],
) -> list[Tile]:
    """Make the `Tile`s of a stage whose input has the (height, width) `size`."""
    axes = [axis_spans(stage, length, edge, padding, wanted) for length in size]
    each = [layer_lengths(stage, length, padding) for length in size]
    sizes = {k.name: (each[0][k.name], each[1][k.name]) for k in stage}
    return [Tile(rows, columns, sizes) for rows, columns in itertools.product(*axes)]
