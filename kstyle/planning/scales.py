"""The sizes of a run: of its style picture, and of its scales. Arithmetic only."""

import dataclasses
import math

from kstyle.errors import ConfigError
from kstyle.images.picture import fit_long_edge, scale_size
from kstyle.images.stored import MAX_PIXELS
from kstyle.networks.registry import get_architecture

COARSEST_EDGE = (
    128  # px: below this VGG's deep layers have too few positions to say much
)
MIXED_FINAL_STEPS = (
    15  # steps in float32 that end a "mixed" run; benchmarks/precision.py tells
)
STEP_COSTS = {"float32": 1.0, "bfloat16": 0.3}  # of a step, where bfloat16 is worth it


@dataclasses.dataclass(frozen=True)
class Scale:
    """One size of the picture, its long `edge` in pixels, and the steps spent there,
    in "float32" or "bfloat16". A size with steps in both is two scales."""

    edge: int
    steps: int
    precision: str = "float32"

    def work(self, steps=None):
        """What `steps` steps cost, all by default, up to a constant."""
        steps = self.steps if steps is None else steps
        return steps * self.edge**2 * STEP_COSTS[self.precision]


def plan_scales(size, steps, scales, scale_steps, precision="float32"):
    """The scales from coarse to the long edge `size`, as a tuple of `Scale`.

    scales: "auto": by sqrt 2 down from `size` while it is 128 px or more
        (style-transfer-pytorch's rule); a number: so many by sqrt 2; a list of long
        edges in growing order that ends at `size` (added if it does not).
    The last size gets `steps`, each coarser one `scale_steps`.
    precision: "float32", "bfloat16", or "mixed": bfloat16 but for the last `FINISH`
        steps of all. ("auto" is taken for float32; `precision.resolved` decides it.)
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
    exact = {"bfloat16": 0, "mixed": min(MIXED_FINAL_STEPS, steps)}.get(
        precision, steps
    )
    most = "float32" if precision in ("auto", "float32") else "bfloat16"
    coarse = [Scale(edge, scale_steps, most) for edge in edges[:-1]]
    last = [Scale(edges[-1], steps - exact, most), Scale(edges[-1], exact)]
    return (*coarse, *([part for part in last if part.steps] or last[1:]))


def style_size_at(config, size, edge):
    """(height, width) of a style picture of `size` for a result of long `edge`.

    The same part of the picture is seen at every scale of a run: what is asked for
    at `config.size` shrinks with the scale.
    """
    if config.style_size is None:
        factor = min(1, config.size / max(size))
    elif config.style_size == "original":
        factor = 1
    else:
        factor = config.style_size / min(size)
    factor *= config.style_scale * edge / config.size
    return scale_size(size, factor)  # rounded once, so not distorted


def usable_scales(config, content, style):
    """The scales of the run for pictures of those sizes, (height, width) each.

    "auto" begins where the pictures are large enough for the layers; scales that were
    asked for are refused where they are not.
    """
    wanted = (config.size, config.steps, config.scales, config.scale_steps)
    scales = plan_scales(*wanted, config.precision)
    architecture = get_architecture(config.net)
    least = architecture.minimum_size(config.layers(), config.padding)

    def sizes(edge):
        shapes = fit_long_edge(content, edge), style_size_at(config, style, edge)
        return dict(zip(("content", "style"), shapes, strict=True))

    if config.scales == "auto":
        fits = [min(map(min, sizes(s.edge).values())) >= least for s in scales]
        scales = scales[fits.index(True) if any(fits) else -1 :]
    for edge in (scale.edge for scale in scales):
        for name, (height, width) in sizes(edge).items():
            if height * width > MAX_PIXELS:
                raise ConfigError(
                    f"The {name} picture would be {width} x {height} pixels at scale "
                    f"{edge}. Use a smaller size, style_size or style_scale."
                )
            if min(height, width) < least:
                raise ConfigError(
                    f"The {name} picture is {width} x {height} pixels at scale "
                    f"{edge}, but these layers with {config.padding} padding "
                    f"need {least} each way. Use a larger size or shallower layers."
                )
    return scales
