"""Which sizes a run goes through, coarse to fine, and how precisely. Arithmetic."""

import dataclasses
import math

from kstyle.errors import ConfigError

COARSEST = 128  # px: below this VGG's deep layers have too few positions to say much
FINISH = 15  # steps in float32 that end a "mixed" run; benchmarks/precision.py tells
COSTS = {"float32": 1.0, "bfloat16": 0.3}  # of a step, where bfloat16 is worth it


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
        return steps * self.edge**2 * COSTS[self.precision]


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
        scales = 1 + max(0, math.floor(2 * math.log2(size / COARSEST) + 1e-9))
    if isinstance(scales, int):
        edges = [round(size / math.sqrt(2) ** k) for k in range(scales)][::-1]
    else:
        edges = [*scales] if scales[-1] == size else [*scales, size]
    if any(a >= b for a, b in zip(edges, edges[1:], strict=False)) or edges[0] < 1:
        raise ConfigError(f"The scales {edges} must grow up to the size {size}.")
    exact = {"bfloat16": 0, "mixed": min(FINISH, steps)}.get(precision, steps)
    most = "float32" if precision in ("auto", "float32") else "bfloat16"
    coarse = [Scale(edge, scale_steps, most) for edge in edges[:-1]]
    last = [Scale(edges[-1], steps - exact, most), Scale(edges[-1], exact)]
    return (*coarse, *([part for part in last if part.steps] or last[1:]))
