"""Which positions of each layer of a picture count for the statistics of its terms."""

from collections.abc import Iterable, Mapping

import keras
import numpy as np

from kstyle.losses.base import LossTerm
from kstyle.losses.names import IMAGE
from kstyle.losses.samples import SampleLoss
from kstyle.losses.statistics import StatisticLoss

# Steps with the same random positions. L-BFGS needs a loss that does not change, and a
# layer more of its positions than are drawn at once.
STEPS_PER_DRAW = 20
Selections = dict[str, dict[str, np.ndarray]]


def make_selections(
    extractor: keras.Model,
    terms: Iterable[LossTerm],
    size: tuple[int, int],
    weights: Mapping[str, np.ndarray] | None = None,
    *,
    share: float = 1.0,
    draw: int = 0,
) -> Selections:
    """Make `{tag: selection}` for the statistics among `terms`.

    size: (height, width) of the picture. weights: `{tag: (height, width)}` of the
        positions of the term's layer, where a term is for a region; those of other
        terms all count alike. share: of the picture in a blend of several. draw: number
        of the drawing of random positions. Terms at which all positions count alike are
        left out.
    Raises: ConfigError: weights do not have the size of their layer, or are all 0.
    """
    terms = [term for term in terms if isinstance(term.loss, StatisticLoss)]
    if not terms:
        return {}
    sizes = layer_sizes(extractor, size)
    found = {}
    for term in terms:
        of_term = (weights or {}).get(term.tag)
        # The positions of a content's target are drawn once: it is the content there.
        number = draw if term.is_style else 0
        found[term.tag] = term.loss.select(
            sizes[term.layer], of_term, share=share, draw=number
        )
    return {tag: selection for tag, selection in found.items() if selection}


def draws_positions(terms: Iterable[LossTerm]) -> bool:
    """Return whether some term compares positions that are drawn again during a run."""
    return any(isinstance(term.loss, SampleLoss) and term.is_style for term in terms)


def layer_sizes(
    extractor: keras.Model, size: tuple[int, int]
) -> dict[str, tuple[int, int]]:
    """Return `{layer: (height, width)}` of the outputs for a picture of `size`."""
    shapes = extractor.compute_output_shape((1, *size, 3))
    found = {name: (height, width) for name, (_, height, width, _) in shapes.items()}
    return found | {IMAGE: size}
