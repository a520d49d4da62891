"""Which sizes a run goes through, coarse to fine. Arithmetic only."""

import dataclasses
import math

from kstyle.errors import ConfigError

COARSEST = 128  # px: below this VGG's deep layers have too few positions to say much


@dataclasses.dataclass(frozen=True)
class Scale:
    """One size of the picture, its long `edge` in pixels, and the steps spent there."""

    edge: int
    steps: int


def plan_scales(size, steps, scales, scale_steps):
    """The scales from coarse to the long edge `size`, as a tuple of `Scale`.

    scales: "auto": by sqrt 2 down from `size` while it is 128 px or more
        (style-transfer-pytorch's rule); a number: so many by sqrt 2; a list of long
        edges in growing order that ends at `size` (added if it does not).
    The last scale gets `steps`, each coarser one `scale_steps`.
    """
    if scales == "auto":
        scales = 1 + max(0, math.floor(2 * math.log2(size / COARSEST) + 1e-9))
    if isinstance(scales, int):
        edges = [round(size / math.sqrt(2) ** k) for k in range(scales)][::-1]
    else:
        edges = [*scales] if scales[-1] == size else [*scales, size]
    if any(a >= b for a, b in zip(edges, edges[1:], strict=False)) or edges[0] < 1:
        raise ConfigError(f"The scales {edges} must grow up to the size {size}.")
    coarse = [Scale(edge, scale_steps) for edge in edges[:-1]]
    return (*coarse, Scale(edges[-1], steps))
