"""The finish of a run: steps with other style losses after the last scale."""

import dataclasses
from collections.abc import Sequence

import numpy as np

from kstyle.losses.base import LossTerm
from kstyle.losses.names import IMAGE
from kstyle.losses.nearest import NearestLoss
from kstyle.networks.registry import get_architecture
from kstyle.planning.scales import ScalePlan
from kstyle.runs.job import Job
from kstyle.runs.model_cache import ModelCache, job_targets

# Weight of the style in a finish next to that of a run with `--style-loss nearest`. By
# eye on three pairs: with 2 the eyes of a cat dissolved, with 0.5 strokes were few, and
# with 0.4 its colours became dull.
FINISH_SHARE = 0.7


def pulled_layers(net: str, terms: Sequence[LossTerm]) -> set[str]:
    """Return the layers of the network whose style losses a finish replaces.

    All with a weight but the first, the nearest to the pixels, unless it is the only
    one: its statistic keeps the colours and the contrast. A nearest feature may be the
    same one for many positions, and with all layers pictures became pale.
    """
    order = get_architecture(net).layer_names
    layers = {term.layer for term in terms if term.is_style and term.weight} - {IMAGE}
    first, *others = sorted(layers, key=order.index)
    return set(others) or {first}


def finish_terms(
    job: Job, scale: ScalePlan, models: ModelCache, terms: Sequence[LossTerm]
) -> tuple[LossTerm, ...]:
    """Replace style losses of `terms` by `NearestLoss` for the finish of a run.

    It pulls the features at each position to the most similar ones of the style (second
    phase of Kolkin et al. 2022, "Neural neighbor style transfer", layer by layer) at
    the `pulled_layers`. The other terms stay: content and total variation, so that
    forms do not drift.

    Each layer keeps the weight that it has next to features of 0, so that normalized
    weights have a similar effect with all pictures.
    """
    layers = pulled_layers(job.config.net, terms)
    pulled = [
        dataclasses.replace(term, loss=NearestLoss())
        if term.is_style and term.layer in layers
        else term
        for term in terms
    ]
    targets, pulled_targets = (
        job_targets(job, scale, models, each)[1] for each in (terms, pulled)
    )
    found = []
    for before, term in zip(terms, pulled, strict=True):
        if term is not before and term.weight:
            normal = before.loss.normal_loss(targets[term.tag])
            pulled_normal = term.loss.normal_loss(pulled_targets[term.tag])
            ratio = float(np.sum(normal)) / max(float(np.sum(pulled_normal)), 1e-30)
            weight = FINISH_SHARE * ratio * term.weight
            term = dataclasses.replace(term, weight=weight)
        found.append(term)
    return tuple(found)
