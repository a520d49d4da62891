"""What the options of a run mean for its model: network, losses and optimizer.

The layers below `config` know nothing of `StyleConfig`; here its options become their
arguments.
"""

import dataclasses
from collections.abc import Sequence
from typing import Any

from kstyle.config.style_config import StyleConfig
from kstyle.losses.base import LossTerm
from kstyle.losses.names import IMAGE
from kstyle.losses.terms import loss_terms
from kstyle.networks.weights import NetWeights
from kstyle.planning.regions import RegionAtScale
from kstyle.planning.scales import ScalePlan
from kstyle.runs.job import Job


@dataclasses.dataclass(frozen=True)
class NetworkOptions:
    """The options that define an extractor, its layers aside."""

    net: str
    pool: str
    padding: str
    precision: str
    preprocess: str
    weights: NetWeights

    @property
    def key(self) -> tuple[str, ...]:
        """A hashable value that differs between different networks."""
        options = (self.net, self.pool, self.padding, self.precision, self.preprocess)
        return (*options, self.weights.sha256)


def network_options(job: Job, precision: str) -> NetworkOptions:
    """Return the network of the job, in `precision`."""
    config = job.config
    return NetworkOptions(
        net=config.net,
        pool=config.pool,
        padding=config.padding,
        precision=precision,
        preprocess=config.preprocess,
        weights=job.weights,
    )


def build_terms(
    config: StyleConfig,
    relative_edge: float = 1.0,
    regions: Sequence[RegionAtScale] = (),
) -> tuple[LossTerm, ...]:
    """Make the terms of the loss of a run.

    The weight of a term is that of its layer times `content_weight` or `style_weight`.
    relative_edge: the edge of a scale over that of the last one. At a coarser scale
        style has less weight if the option `style_growth` is above 0.
    regions: of the picture, each with its share of the picture as a factor on its style
        losses; none: the style losses are of the whole picture.
    """
    style_weight = config.style_weight * relative_edge**config.style_growth
    return loss_terms(
        {k: w * config.content_weight for k, w in config.content_layers.items()},
        {k: w * style_weight for k, w in config.style_layers.items()},
        config.tv_weight,
        style_loss=config.style_loss,
        content_loss=config.content_loss,
        palette=config.palette_weight,
        tv_loss=config.tv_loss,
        regions={
            each.region.name: {
                layer: weight * each.share
                for layer, weight in region_weights(config, each, style_weight).items()
            }
            for each in regions
        }
        or None,
    )


def region_weights(
    config: StyleConfig, region: RegionAtScale, style_weight: float
) -> dict[str, float]:
    """Return `{layer: weight}` of the style layers and the palette of a region."""
    layers = config.layers_of_region(region.region.name)
    weights = {
        k: weight * style_weight for k, weight in layers.items() if k in region.weights
    }
    if config.palette_weight:
        weights[IMAGE] = config.palette_weight
    return weights


def job_terms(
    job: Job, scale: ScalePlan, relative_edge: float = 1.0
) -> tuple[LossTerm, ...]:
    """Make the terms of a job at a scale; arguments as for `build_terms`."""
    return build_terms(job.config, relative_edge, job.regions_at(scale))


def optimizer_options(config: StyleConfig) -> dict[str, Any]:
    """Return the arguments of `make_optimizer` for a run."""
    return {
        "name": config.optimizer,
        "learning_rate": config.learning_rate,
        "average": config.average,
        "history": config.history,
        "parameterization": config.parameterization,
        "iterations": config.iterations,
    }
