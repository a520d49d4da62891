"""Conventions: what a weight of another program is in kstyle's own convention.

Programs agree on what they compare and differ in the factors: halves, sums or means,
Gram matrices divided by positions or channels. Each `Convention` is a table of these
factors, so that weights copied from a program, a paper or a notebook mean the same
here. They are translated to `reference`, the convention of `terms.py`, before a run.

    content        sum((F - F_content)^2) / 2 / (N C)
    style          1e-4 sum((G - G_style)^2) / 2 / C^2,  G = F^T F / N
    tv             sum(dy^2) / 2 / size(dy) + sum(dx^2) / 2 / size(dx), in 0..255

N is the number of positions of the layer, C that of its channels. The factors were
derived from the formulas beside each table, and are tested against them in NumPy.
"""

import dataclasses
from collections.abc import Mapping
from typing import NamedTuple


class LayerSize(NamedTuple):
    """The numbers of positions and of channels of a layer."""

    positions: int
    channels: int


@dataclasses.dataclass(frozen=True)
class Factor:
    """A loss of a convention over that of `reference`, as a product of powers.

    constant * positions^a * channels^b * pixels^c * layers^d

    positions, channels: of the layer. pixels: positions of the picture. layers: number
    of layers of this kind.
    """

    constant: float = 1.0
    positions: int = 0
    channels: int = 0
    pixels: int = 0
    layers: int = 0

    def value(self, size: LayerSize, pixels: int, layers: int = 1) -> float:
        """Compute the factor for a layer."""
        powers = size.positions**self.positions * size.channels**self.channels
        return self.constant * powers * pixels**self.pixels * layers**self.layers


@dataclasses.dataclass(frozen=True)
class Convention:
    """The factors of a program. tv: `None` where its total variation is none that
    kstyle has, or where it has none: the weight is then that of `reference`."""

    content: Factor
    style: Factor
    tv: Factor | None


REFERENCE = "reference"
CONVENTIONS = {
    # S. Singla 2017, the article's program: as above.
    REFERENCE: Convention(Factor(), Factor(), Factor()),
    # Gatys, Ecker and Bethge 2016, eq. 1, 4 and 5: content sum(dF^2) / 2; style
    # sum(dG'^2) / (4 N^2 C^2) with G' = F^T F, so sum(dG^2) / (4 C^2).
    "gatys-paper": Convention(
        content=Factor(positions=1, channels=1), style=Factor(0.5e4), tv=None
    ),
    # leongatys/PytorchNeuralStyleTransfer: content mean(dF^2); style 1e3 / C^2 times
    # mean(dG^2) over C^2 elements, where 1e3 / C^2 are the notebook's layer weights.
    "gatys-code": Convention(
        content=Factor(2.0), style=Factor(2e4 * 1e3, channels=-2), tv=None
    ),
    # jcjohnson/neural-style: content mean(dF^2); style mean(dG^2) with
    # G = F^T F / (N C); TV, by its gradient, sum(d^2) / 2 in pixels of 0..256, without
    # the last row and column: here with them.
    "johnson": Convention(
        content=Factor(2.0),
        style=Factor(2e4, channels=-2),
        tv=Factor((256 / 255) ** 2, positions=1, channels=1),
    ),
    # keras.io, examples/generative/neural_style_transfer: content sum(dF^2); style
    # sum(dG'^2) / (4 3^2 P^2) with G' = F^T F and P the pixels of the picture, over the
    # number of layers; TV sum((dx^2 + dy^2)^1.25), which is no square.
    "keras-example": Convention(
        content=Factor(2.0, positions=1, channels=1),
        style=Factor(2e4 / 36, positions=2, channels=2, pixels=-2, layers=-1),
        tv=None,
    ),
}


def reference_layer_weights(
    factor: Factor,
    weights: Mapping[str, float],
    sizes: Mapping[str, LayerSize],
    pixels: int,
) -> dict[str, float]:
    """Translate the weights of the layers of one kind to the convention `reference`.

    weights: `{layer: weight}`. sizes: of these layers, for the result's size.
    pixels: of the result.
    """
    # A layer of weight 0 is none of the program's.
    count = max(1, sum(weight > 0 for weight in weights.values()))
    return {
        layer: weight * factor.value(sizes[layer], pixels, count)
        for layer, weight in weights.items()
    }


def reference_tv_weight(factor: Factor | None, weight: float, pixels: int) -> float:
    """Translate the weight of the total variation to the convention `reference`."""
    return weight * factor.value(LayerSize(pixels, 3), pixels) if factor else weight
