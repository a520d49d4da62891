"""The start of a run: its initial picture, the losses there, and solved weights."""

import dataclasses
from typing import Any

import numpy as np

from kstyle.config import layer_balance
from kstyle.config.layer_balance import BalanceMethod
from kstyle.config.looks import has_tuned_layers
from kstyle.config.style_config import StyleConfig
from kstyle.files import write_text
from kstyle.images.picture import resize
from kstyle.losses.base import LossTerm
from kstyle.losses.names import IMAGE
from kstyle.losses.terms import loss_terms
from kstyle.networks.registry import get_architecture
from kstyle.planning.scales import ScalePlan, Size
from kstyle.runs.job import Job
from kstyle.runs.model_cache import ModelCache, build_model, job_targets, on_device
from kstyle.runs.model_options import job_terms
from kstyle.transfer.style_transfer import StyleTransfer


def initial_picture(job: Job, size: Size) -> np.ndarray:
    """Return the picture that a run starts from, `(height, width, 3)`.

    size: (height, width) of the content at the first scale.
    """
    if job.config.init == "content":
        return job.content_at(size)
    if job.init_picture is None:
        return noise_picture(size, job.config.seed)
    return resize(job.init_picture.pixels, size)


def noise_picture(size: Size, seed: int) -> np.ndarray:
    """Draw the reference's noise: 127.5 + uniform(-0.5, 0.5) grey levels, nearly flat.

    Returns: `(height, width, 3)` in [0, 1].
    """
    generator = np.random.default_rng(seed)
    return (generator.uniform(-0.5, 0.5, (*size, 3)) + 127.5) / 255


@on_device
def layer_losses(
    job: Job, models: ModelCache | None = None
) -> dict[str, tuple[float, float]]:
    """Measure `{layer: (content loss, style loss)}` of every layer, unweighted, at the
    initial picture.

    At the size of the result, as the reference prints them before a run. Layers that
    the pictures are too small for are left out. The style loss of a run with regions
    is the sum of theirs, each times the region's share of the picture.
    """
    config, scale = job.config, job.scales[-1].for_measuring()
    least = scale.least_edge
    architecture = get_architecture(config.net)
    names = [
        name
        for name in architecture.main_layers
        if architecture.minimum_size([name], config.padding) <= least
    ]
    ones = dict.fromkeys(names, 1.0)
    options = {"content_layers": ones, "style_layers": ones, "region_layers": {}}
    measuring = config.replace(**options, style_loss="gram", content_loss="mse")
    job = dataclasses.replace(job, config=measuring)
    terms = unit_terms(job, scale)
    start = initial_picture(job, scale.content_size)
    losses = build_model(
        job, scale, models or ModelCache(), terms, start
    ).measure_losses()
    found = {name: [0.0, 0.0] for name in names}
    for term in terms:
        if term.source is not None:
            found[term.layer][term.is_style] += float(losses[term.tag])
    return {name: (content, style) for name, (content, style) in found.items()}


def unit_terms(job: Job, scale: ScalePlan) -> tuple[LossTerm, ...]:
    """Make the terms of content and style with weights of 1; those of regions have
    the region's share of the picture."""
    config = job.config
    regions = {
        each.region.name: dict.fromkeys(
            (layer for layer in config.style_layers if layer in each.weights),
            each.share,
        )
        for each in job.regions_at(scale)
    }
    return loss_terms(
        dict.fromkeys(config.content_layers, 1.0),
        dict.fromkeys(config.style_layers, 1.0),
        style_loss=config.style_loss,
        content_loss=config.content_loss,
        regions=regions or None,
    )


@on_device
def solve_job_weights(job: Job, models: ModelCache | None = None) -> Job:
    """Replace `content_weights` and `style_weights` by the weights that they stand
    for, in the run's config.yaml as well.

    Content comes first: the share of style is that beside the solved content layers.

    Returns: the job itself if there is nothing to solve.
    Raises: ConfigError: the initial picture has no loss to solve them from.
    """
    config, models = job.config, models or ModelCache()
    if not config.has_weights_to_solve():
        return job
    comments = []
    if config.content_weights is not None:
        method = layer_balance.parse_content_method(config.content_weights, config.init)
        layers = layer_balance.solve_kind(
            "content",
            method,
            config.content_layers,
            config.content_weight,
            initial_layer_values(job, method, models)["content"],
        )
        config = config.replace(content_weights=None, content_layers=layers)
        comments.append(f"content_weights: {method}")
    if config.style_weights is not None:
        method = layer_balance.parse_balance_method(config.style_weights)
        if method.name == layer_balance.NORMALIZED:
            solved = normalized_options(
                dataclasses.replace(job, config=config),
                models,
                is_content_solved=job.config.content_weights is not None,
            )
        else:
            values = initial_layer_values(job, method, models)
            weights, content_weight = layer_balance.solve_layer_weights(
                method,
                style_layers=shares_of_styles(job),
                content_layers=config.content_layers,
                style_weight=config.style_weight,
                style_values=values,
                content_values=values["content"],
            )
            solved = style_options(job, weights)
            if content_weight is not None:
                solved["content_weight"] = content_weight
        config = replace_method(config, solved)
        comments.append(f"style_weights: {method}")
    comment = f"# The layers' weights were solved by {', '.join(comments)}\n"
    write_text(job.folder / "config.yaml", comment + config.to_yaml())
    return dataclasses.replace(job, config=config)


def normalized_options(
    job: Job, models: ModelCache, is_content_solved: bool
) -> dict[str, Any]:
    """Compute the options that the method `normalized` changes.

    From the targets of the first scale, which its steps need too. Each region has its
    own weights, as the layers of its style have other losses.
    is_content_solved: whether the content layers have weights of another method, which
        they keep.
    """
    values = normal_losses(job, models)
    if has_tuned_layers(job.config.net, job.config.weights):
        return normalized_style(job, values)
    options: dict[str, Any] = {}
    if not is_content_solved:
        options["content_layers"] = layer_balance.normalize_content_weights(
            job.config.content_layers, values["content"]
        )
    solved = dataclasses.replace(job, config=replace_method(job.config, options))
    options |= normalized_style(solved, values)
    normalized = dataclasses.replace(job, config=replace_method(job.config, options))
    norms, weights = style_gradients(normalized, models), shares_of_styles(normalized)
    balanced = {
        source: layer_balance.balance_gradients(weights[source], norms[source], shares)
        for source, shares in shares_of_styles(job).items()
    }
    return options | style_options(job, balanced)


def replace_method(config: StyleConfig, options: dict[str, Any]) -> StyleConfig:
    """Return the config with solved `options` in place of `style_weights`."""
    # Without `style_weights` these would be others.
    names = ("content_layers", "style_loss", "style_growth", "tv_loss", "tv_weight")
    kept = {name: getattr(config, name) for name in names}
    return config.replace(style_weights=None, **kept | options)


def normalized_style(job: Job, values: dict[str, dict[str, float]]) -> dict[str, Any]:
    """Compute the options of the style layers with normalized losses.

    values: from `normal_losses`.
    """
    weights = {
        source: layer_balance.normalize_layer_weights(
            shares,
            job.config.content_layers,
            style_values=values[source],
            content_values=values["content"],
            edge=job.scales[-1].edge,
        )
        for source, shares in shares_of_styles(job).items()
    }
    return style_options(job, weights)


def shares_of_styles(job: Job) -> dict[str, dict[str, float]]:
    """Return `{source of style terms: {layer: weight}}` of the whole picture, or of
    each region."""
    config = job.config
    if not job.regions:
        return {"style": config.style_layers}
    return {
        f"style/{region.name}": config.layers_of_region(region.name)
        for region in job.regions
    }


def style_options(job: Job, weights: dict[str, dict[str, float]]) -> dict[str, Any]:
    """Return the options of which `shares_of_styles` makes `weights`."""
    if not job.regions:
        return {"style_layers": weights["style"]}
    return {
        "style_layers": job.config.style_layers,
        "region_layers": {
            source.removeprefix("style/"): layers for source, layers in weights.items()
        },
    }


def style_gradients(job: Job, models: ModelCache) -> dict[str, dict[str, float]]:
    """Measure `{source of style terms: {layer: norm of its weighted gradient}}`.

    At the content, at the first scale; 0 for a layer that has too few positions there.
    The layers are in the order of the network.
    """
    depth = get_architecture(job.config.net).layer_names.index
    scale = job.scales[0].for_measuring()
    terms = job_terms(job, scale)
    start = job.content_at(scale.content_size)
    norms = build_model(job, scale, models, terms, start).gradient_norms()
    found = {
        source: dict.fromkeys(sorted(layers, key=depth), 0.0)
        for source, layers in shares_of_styles(job).items()
    }
    for term in terms:
        if term.source is not None and term.is_style:
            found[term.source][term.layer] = float(norms[term.tag])
    return found


def normal_losses(job: Job, models: ModelCache) -> dict[str, dict[str, float]]:
    """Compute `{source of a term: {layer: its loss of features of 0}}`.

    Of the targets of the first scale; of a later one where a region has too few
    positions at the first.
    """
    sources = [f"style/{region.name}" for region in job.regions] or ["style"]
    values: dict[str, dict[str, float]] = {name: {} for name in ("content", *sources)}
    for scale in job.scales:
        terms = [
            term
            for term in job_terms(job, scale)
            if term.source
            and term.layer != IMAGE
            and term.layer not in values[term.source]
        ]
        if terms:
            targets = job_targets(job, scale, models, terms)[1]
            for term in terms:
                loss = term.loss.normal_loss(targets[term.tag])
                values[term.source or ""][term.layer] = float(np.sum(loss))
    return values


def initial_layer_values(
    job: Job, method: BalanceMethod, models: ModelCache
) -> dict[str, dict[str, float]]:
    """Measure `{source of a term: {layer: its loss or gradient norm}}`, with all
    weights 1.

    At the first scale; at a later one for layers of which a region has too few
    positions at the first. Content is measured at grey noise where the run starts from
    the content itself, which has no content loss.
    """
    values: dict[str, dict[str, float]] = {
        source: {} for source in ("content", *shares_of_styles(job))
    }
    for scale in [scale.for_measuring() for scale in job.scales]:
        terms = unit_terms(job, scale)
        missing = [t for t in terms if t.source and t.layer not in values[t.source]]
        if not missing:
            continue
        start = initial_picture(job, scale.content_size)
        starts = {True: start, False: start}  # of style, and of content
        if job.config.init == "content":
            starts[False] = noise_picture(scale.content_size, job.config.seed)
        for is_style, picture in starts.items():
            wanted = [term for term in missing if term.is_style == is_style]
            if wanted:
                model = build_model(job, scale, models, terms, picture)
                found = initial_values(model, method)
                for term in wanted:
                    values[term.source or ""][term.layer] = found[term.tag]
    return values


def initial_values(model: StyleTransfer, method: BalanceMethod) -> dict[str, float]:
    """Measure `{tag: loss or gradient norm}` of the model's terms at its picture."""
    losses = {tag: float(loss) for tag, loss in model.measure_losses().items()}
    if method.name != "equal-gradient":
        return losses
    norms = model.gradient_norms()
    # Without a loss there is no gradient, but the graph of the gradients rounds
    # otherwise than that of the targets and finds a little of it.
    return {tag: float(norm) if losses[tag] else 0.0 for tag, norm in norms.items()}
