"""Plan the scales of a run: sizes, steps, precision and tiles. Arithmetic only."""

import dataclasses
import math
from collections.abc import Sequence
from typing import Self, cast

from kstyle.config.finishes import parse_finish
from kstyle.config.style_config import StyleConfig
from kstyle.errors import ConfigError
from kstyle.images.decoded import MAX_PIXELS
from kstyle.images.picture import fit_long_edge, scale_size
from kstyle.networks.registry import get_architecture

COARSEST_EDGE = 128  # px: below it VGG's deep layers have too few positions
MIXED_FINAL_STEPS = 15  # steps in float32 that end a "mixed" run (benchmarks/precision)
# A style picture is enlarged at most so many times, to the size of the result. Without
# it, a result above the style's size shows many small copies of it; by eye 3 times is
# still sharp, and with 6 times the result is blurred (docs/gallery.md, Sizes).
MAX_ENLARGEMENT = 3
STEP_COSTS = {"float32": 1.0, "bfloat16": 0.3}  # of a step, where bfloat16 is fast
Size = tuple[int, int]  # (height, width) in pixels


@dataclasses.dataclass(frozen=True)
class Scale:
    """One size of the picture: its long `edge` in pixels, the number of steps, and
    their precision, "float32" or "bfloat16". A size with both has two scales."""

    edge: int
    steps: int
    precision: str = "float32"

    def work(self, steps: float | None = None) -> float:
        """Return the cost of `steps` steps (default: all), up to a constant."""
        count = self.steps if steps is None else steps
        return count * self.edge**2 * STEP_COSTS[self.precision]


def plan_scales(
    size: int,
    steps: int,
    scales: str | int | Sequence[int],
    scale_steps: int,
    precision: str = "float32",
) -> tuple[Scale, ...]:
    """List the scales from coarse to the long edge `size`.

    scales: "auto": `size`, and smaller ones by a factor of sqrt 2 each while they are
        128 px or more (as in style-transfer-pytorch); a number: so many, by sqrt 2; a
        list of growing long edges (`size` is added if it is not the last).
    The last scale gets `steps`, each coarser one `scale_steps`.
    precision: "float32", "bfloat16", or "mixed": bfloat16, but float32 for the last
        `MIXED_FINAL_STEPS` steps. ("auto" is taken for float32; see
        `resolve_precision`.)
    Raises: ConfigError: the edges do not grow, or there are too many.
    """
    if scales == "auto":
        scales = 1 + max(0, math.floor(2 * math.log2(size / COARSEST_EDGE) + 1e-9))
    if isinstance(scales, int):
        if scales > 2 + 2 * math.log2(size):
            raise ConfigError(
                f"{scales} scales are too many for the size {size}: each is 0.7 of the "
                "next one. Use fewer scales, or auto."
            )
        edges = [round(size / math.sqrt(2) ** k) for k in range(scales)][::-1]
    else:
        edges = [*scales] if scales[-1] == size else [*scales, size]
    if any(a >= b for a, b in zip(edges, edges[1:], strict=False)) or edges[0] < 1:
        raise ConfigError(f"The scales {edges} must grow up to the size {size}.")
    fast = "float32" if precision in ("auto", "float32") else "bfloat16"
    coarse = [Scale(edge, scale_steps, fast) for edge in edges[:-1]]
    if precision != "mixed":
        return (*coarse, Scale(size, steps, fast))
    early = max(0, steps - MIXED_FINAL_STEPS)
    last = [Scale(size, early, fast)] if early else []
    return (*coarse, *last, Scale(size, steps - early))


@dataclasses.dataclass(frozen=True)
class ScalePlan:
    """One scale of a run, with all that is decided about it before the run starts.

    content_size, style_size: (height, width) in pixels of the resized pictures; the
        result has the size of the content. precision: of the network, "float32" or
        "bfloat16". tile: the edge of the tiles in pixels; `None` without tiles.
    finish: whether its steps are those of the option `finish`, at the size of the last
        scale, with other losses.
    more_style_sizes: of the second and further styles.
    """

    content_size: tuple[int, int]
    style_size: tuple[int, int]
    steps: int
    precision: str = "float32"
    tile: int | None = None
    finish: bool = False
    more_style_sizes: tuple[tuple[int, int], ...] = ()

    @property
    def style_sizes(self) -> tuple[tuple[int, int], ...]:
        """(height, width) of every style picture."""
        return self.style_size, *self.more_style_sizes

    @property
    def least_edge(self) -> int:
        """The shortest edge of all resized pictures in pixels."""
        return min(min(size) for size in (self.content_size, *self.style_sizes))

    @property
    def longest_edge(self) -> int:
        """The longest edge of all resized pictures in pixels."""
        return max(max(size) for size in (self.content_size, *self.style_sizes))

    @property
    def edge(self) -> int:
        """The long edge of the result in pixels."""
        return max(self.content_size)

    def work(self, steps: float | None = None) -> float:
        """Return the cost of `steps` steps (default: all), up to a constant."""
        return Scale(self.edge, self.steps, self.precision).work(steps)

    def for_measuring(self) -> Self:
        """Return the scale as losses are measured: in float32.

        After steps in bfloat16 the tiles have half the edge, so that measuring takes
        no more memory than the steps.
        """
        tile = self.tile
        if tile is not None and self.precision == "bfloat16":
            tile //= 2
        return dataclasses.replace(self, precision="float32", tile=tile)


def plan_scales_of_run(
    config: StyleConfig, content_size: Size, *style_sizes: Size
) -> tuple[ScalePlan, ...]:
    """Plan every scale of the run, from coarse to fine, and its finish if it has one.

    content_size, style_sizes: (height, width) of the pictures as loaded, the styles
        already cropped.
    The result has the size of the content at `result_edge`. With `scales` "auto" the
    first scale is the coarsest at which all pictures are
    large enough for the layers.
    Raises: ConfigError: a picture is too small or too large at a scale.
    """
    found: list[ScalePlan] = []
    edge = result_edge(config.size, config.content_size, content_size)
    for scale in plan_scales(
        edge, config.steps, config.scales, config.scale_steps, config.precision
    ):
        content = fit_long_edge(content_size, scale.edge)
        first, *others = (
            style_size_at(
                loaded, scale.edge, edge, style.size, cast(float, style.scale)
            )
            for loaded, style in zip(style_sizes, config.style_sources(), strict=True)
        )
        plan = ScalePlan(
            content,
            first,
            scale.steps,
            scale.precision,
            more_style_sizes=tuple(others),
        )
        tile = tile_edge(config.tile, plan.longest_edge)
        found.append(dataclasses.replace(plan, tile=tile))
    architecture = get_architecture(config.net)
    least = architecture.minimum_size(config.layers(), config.padding)
    if config.scales == "auto":
        fits = [plan.least_edge >= least for plan in found]
        found = found[fits.index(True) if any(fits) else -1 :]
    for plan in found:
        check_sizes(plan, least, config.padding)
    if config.finish is not None:
        steps = parse_finish(config.finish).steps
        found.append(dataclasses.replace(found[-1], steps=steps, finish=True))
    return tuple(found)


def result_edge(size: int, content_size: str | int | None, loaded: Size) -> int:
    """Return the long edge of the result in pixels.

    size, content_size: the options; the second, "original" or a short edge, replaces
    the first. loaded: (height, width) of the content as loaded and cropped.
    """
    if content_size is None:
        return size
    if isinstance(content_size, str):
        return max(loaded)
    return round(content_size * max(loaded) / min(loaded))


def style_size_at(
    loaded: Size,
    edge: int,
    size: int,
    style_size: str | int | None = None,
    style_scale: float = 1.0,
) -> Size:
    """Return the style picture's (height, width) for a result of long edge `edge`.

    loaded: of the picture as loaded and cropped. size: long edge of the run's result.
    style_size, style_scale: the options, which hold at the last scale; at coarser ones
    the style shrinks with the result, so that every scale shows the same part of it.
    """
    if style_size is None:
        factor = min(MAX_ENLARGEMENT, size / max(loaded))
    else:
        factor = 1 if isinstance(style_size, str) else style_size / min(loaded)
    factor *= style_scale * edge / size
    return scale_size(loaded, factor)  # rounded once, so not distorted


def tile_edge(tile: str | int, longest: int) -> int | None:
    """Return the edge of the tiles in pixels, `None` without tiles.

    tile: the option: "off", "whole" (one tile of the whole picture, whose features
        are recomputed) or an edge. longest: the longest edge of the scale's pictures.
    """
    if tile == "whole":
        return longest
    return tile if isinstance(tile, int) and longest > tile else None


def check_sizes(plan: ScalePlan, least: int, padding: str) -> None:
    """Refuse pictures above `MAX_PIXELS` or below `least` pixels on an edge."""
    pictures = [("content", plan.content_size)]
    for number, size in enumerate(plan.style_sizes, start=1):
        is_one = len(plan.style_sizes) == 1
        pictures.append(("style" if is_one else f"style {number}", size))
    for name, size in pictures:
        height, width = size
        options = "size" if name == "content" else "size, style_size or style_scale"
        if height * width > MAX_PIXELS:
            raise ConfigError(
                f"The {name} picture would be {width} x {height} pixels at scale "
                f"{plan.edge}. Use a smaller {options}."
            )
        if min(size) < least:
            raise ConfigError(
                f"The {name} picture is {width} x {height} pixels at scale "
                f"{plan.edge}, but these layers with {padding} padding need {least} "
                f"each way. Use a larger {options}, or shallower layers."
            )
