"""The terms of the total loss: content, style and total variation.

The formulas follow the convention of an article (S. Singla, "Experiments on different
loss configurations for style transfer", 2017): 0..255 units, halves from TensorFlow's
`l2_loss`, and a fixed 1e-4 on style, so that the weights 8 / 200 / 200 of that article
mean the same here. The image variable is in [0, 1]; `total_variation` brings it to
0..255 and the extractor does so for the rest.
"""

import collections
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from keras import ops

from kstyle.errors import ConfigError
from kstyle.losses.base import LossTerm, TermLoss
from kstyle.losses.content import ContentLoss
from kstyle.losses.moments import CovarianceLoss, GramLoss, MeanStdLoss
from kstyle.losses.names import IMAGE, choose_losses
from kstyle.losses.nearest import NearestLoss
from kstyle.losses.optimal_transport import RelaxedEMDLoss, SlicedWassersteinLoss
from kstyle.losses.palette import PaletteLoss
from kstyle.losses.regularization import CHARBONNIER_THRESHOLD, TotalVariationLoss
from kstyle.losses.self_similarity import SelfSimilarityLoss
from kstyle.losses.statistics import PositionSelection, StatisticLoss
from kstyle.losses.wasserstein import WassersteinLoss
from kstyle.ops.tf_utils import fan_out

# In the order of `losses/names.py`.
STYLE_LOSSES: dict[str, Callable[[], TermLoss]] = {
    "gram": GramLoss,
    "covariance": CovarianceLoss,
    "mean-std": MeanStdLoss,
    "wasserstein": WassersteinLoss,
    "sliced": SlicedWassersteinLoss,
    "emd": RelaxedEMDLoss,
    "nearest": NearestLoss,
}
CONTENT_LOSSES: dict[str, Callable[[], TermLoss]] = {
    "mse": ContentLoss,
    "self-similarity": SelfSimilarityLoss,
}

TV_THRESHOLDS: dict[str, float | None] = {
    "squared": None,
    "charbonnier": CHARBONNIER_THRESHOLD,
}


def loss_terms(
    content: Mapping[str, float],
    style: Mapping[str, float],
    tv: float = 0.0,
    *,
    style_loss: str = "gram",
    content_loss: str = "mse",
    palette: float = 0.0,
    tv_loss: str = "squared",
    regions: Mapping[str, Mapping[str, float]] | None = None,
) -> tuple[LossTerm, ...]:
    """Make the terms for `{layer: weight}` of content and of style.

    tv: weight of the total variation. style_loss, content_loss: the name of a loss, or
        of those of single layers, as "wasserstein,conv1_1=gram": `choose_losses`.
    palette: weight of the palette of the style; 0: no such term.
    tv_loss: "squared" or "charbonnier", the penalty of `total_variation`.
    regions: `{name: {layer: weight}}` of regions that have a style, in place of
        terms for the whole picture. The layers are among those of `style`, or `IMAGE`
        for the palette of a region, in place of `palette`.
    Raises: ConfigError: there is no such loss or layer.

    `loss_terms({"conv2_2": 8}, {"conv3_1": 200}, tv=200)` is the loss of the article.
    """
    names = choose_losses(content_loss, content, tuple(CONTENT_LOSSES))
    terms = [
        LossTerm(
            f"content/{layer}",
            layer,
            CONTENT_LOSSES[name](),
            float(content[layer]),
            "content",
        )
        for layer, name in names.items()
    ]
    names = choose_losses(style_loss, style, tuple(STYLE_LOSSES))
    whole = {**style, IMAGE: palette} if palette else style
    for region, layers in ({"": whole} if regions is None else regions).items():
        place = f"/{region}" if region else ""
        for layer in layers.keys() - {*names, IMAGE}:
            raise ConfigError(
                f"The region {region!r} has {layer}, which is not among the layers of "
                f"the style: {', '.join(names)}."
            )
        terms += [
            LossTerm(
                f"style/{layer}{place}",
                layer,
                PaletteLoss() if layer == IMAGE else STYLE_LOSSES[names[layer]](),
                float(weight),
                f"style{place}",
            )
            for layer, weight in layers.items()
        ]
    if tv_loss not in TV_THRESHOLDS:
        raise ConfigError(
            f"Unknown tv_loss {tv_loss!r}: it must be one of "
            f"{', '.join(TV_THRESHOLDS)}."
        )
    smoothness = TotalVariationLoss(threshold=TV_THRESHOLDS[tv_loss])
    return (*terms, LossTerm("tv", IMAGE, smoothness, float(tv), None))


def compute_losses(
    terms: Iterable[LossTerm],
    features: Mapping[str, Any],
    targets: Mapping[str, Any],
    weights: Mapping[str, Any] | None = None,
    selections: Mapping[str, PositionSelection] | None = None,
) -> dict[str, Any]:
    """Compute the losses of `features`, in the form of `weight_losses`.

    features: `{layer: (1, H, W, C)}`, with the picture itself under `IMAGE`.
    targets: `{tag: representation of the target}`.
    weights: as for `weight_losses`.
    selections: `{tag: selection}` of the positions that count for a `StatisticLoss`;
        a tag that is missing has none, as where all count alike.
    Returns: float32 scalars by name.
    """
    terms = tuple(terms)
    optimised = collections.Counter(term.layer for term in terms if term.weight)
    copies = {
        layer: iter(fan_out(features[layer], users))
        for layer, users in optimised.items()
    }
    unweighted = {}
    for term in terms:
        if term.weight:
            value = next(copies[term.layer])
        else:  # measured only: no backward pass
            value = ops.stop_gradient(features[term.layer])
        target = targets.get(term.tag, value)
        if isinstance(term.loss, StatisticLoss):
            selection = (selections or {}).get(term.tag, {})
            found = term.loss.represent(value, selection)
            unweighted[term.tag] = term.loss.compare(target, found)
        else:
            unweighted[term.tag] = term.loss(target, value)
    return weight_losses(terms, unweighted, weights)


def weight_losses(
    terms: Iterable[LossTerm],
    unweighted: Mapping[str, Any],
    weights: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Return `{"loss": total, tag: weighted loss, "raw/" + tag: unweighted loss}`.

    unweighted: `{tag: loss}` of every term.
    weights: `{tag: weight}` in place of those of the terms, as variables of a graph.
    """
    terms = tuple(terms)
    weights = weights or {term.tag: term.weight for term in terms}
    weighted = {term.tag: weights[term.tag] * unweighted[term.tag] for term in terms}
    raw = {f"raw/{term.tag}": unweighted[term.tag] for term in terms}
    # One after the other: TensorFlow adds a `sum` of many in any order (see `fan_out`).
    total = ops.cumsum(ops.stack(list(weighted.values())))[-1]
    return {"loss": total, **weighted, **raw}
