"""The finish of a run: steps with other style losses after the last scale."""

import dataclasses
from collections.abc import Sequence

import numpy as np

from kstyle.config.finishes import pulled_layers
from kstyle.losses.base import LossTerm
from kstyle.losses.names import IMAGE
from kstyle.losses.nearest import NearestLoss
from kstyle.planning.scales import ScalePlan
from kstyle.runs.job import Job
from kstyle.runs.model_cache import ModelCache, job_targets

# Weight of the style in a finish next to that of a run with `--style-loss nearest`. By
# eye on three pairs: with 2 the eyes of a cat dissolved, with 0.5 strokes were few, and
# with 0.4 its colours became dull.
FINISH_SHARE = 0.7


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
    weighted = {term.layer for term in terms if term.is_style and term.weight}
    layers = pulled_layers(job.config.net, weighted - {IMAGE})
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
