"""The start of a run: its first picture, the losses there, and weights from them."""

import dataclasses

import numpy as np

from kstyle.config import layer_balance
from kstyle.files import write_text
from kstyle.images.picture import resize
from kstyle.losses.terms import loss_terms
from kstyle.networks.registry import get_architecture
from kstyle.runs.models import ModelCache, build_model, on_device


def initial_picture(job, content):
    """The start picture, `(height, width, 3)`, for a content of that size."""
    if job.config.init == "content":
        return content
    if job.config.init == "noise":
        return noise_picture(content.shape, job.config.seed)
    return resize(job.start.pixels, content.shape[:2])


def noise_picture(shape, seed):
    """The reference's noise: uniform(-0.5, 0.5) + 127.5 grey levels, all but flat."""
    generator = np.random.default_rng(seed)
    return (generator.uniform(-0.5, 0.5, shape) + 127.5) / 255


@on_device
def layer_losses(job, shared=None):
    """Unweighted `{layer: (content loss, style loss)}` of every layer at the start.

    At the result's full size, as the reference prints before a run. Layers that the
    pictures are too small for are left out.
    """
    config, edge = job.config, job.config.size
    content, style = job.content_at(edge), job.style_at(edge)
    least = min(*content.shape[:2], *style.shape[:2])
    architecture = get_architecture(config.net)
    names = [
        name
        for name in architecture.layer_names
        if architecture.minimum_size([name], config.padding) <= least
    ]
    terms = loss_terms(dict.fromkeys(names, 1.0), dict.fromkeys(names, 1.0))
    start = initial_picture(job, content)
    model = build_model(job, edge, shared or ModelCache(), terms, start)
    losses = model.measure_losses()
    pairs = {n: (losses[f"raw/content/{n}"], losses[f"raw/style/{n}"]) for n in names}
    return {name: (float(a), float(b)) for name, (a, b) in pairs.items()}


@on_device
def solve_job_weights(job, shared=None):
    """The job with plain numbers in place of `style_weights`, in its folder as well.

    As it was if there is nothing to solve. Raises: ConfigError: no weights exist.
    """
    config = job.config
    if config.style_weights is None:
        return job
    method = layer_balance.parse_balance_method(config.style_weights)
    style, content = initial_layer_values(job, method, shared or ModelCache())
    solved = layer_balance.solve_layer_weights(method, config, style, content)
    plain = config.replace(style_weights=None, **solved)
    comment = f"# The layers' weights were solved by style_weights: {method}\n"
    write_text(job.folder / "config.yaml", comment + plain.to_yaml())
    return dataclasses.replace(job, config=plain)


def initial_layer_values(job, method, shared):
    """`{layer: loss or gradient norm}` of style and of content at the first scale."""
    config, edge = job.config, job.scales[0].edge
    ones = [dict.fromkeys(c, 1.0) for c in (config.content_layers, config.style_layers)]
    content = job.content_at(edge)
    starts = {"style": initial_picture(job, content)}
    # The content as a start has no content loss, and no gradient: grey noise has.
    absent = noise_picture(content.shape, config.seed)
    starts["content"] = absent if config.init == "content" else starts["style"]
    pulls = []
    for kind, start in starts.items():
        model = build_model(job, edge, shared, loss_terms(*ones), start)
        values = initial_values(model, method)
        layers = getattr(config, f"{kind}_layers")
        pulls.append({layer: values[f"{kind}/{layer}"] for layer in layers})
    return pulls


def initial_values(model, method):
    """`{tag: loss or gradient norm}` of the model's terms at its picture."""
    losses = {tag: float(loss) for tag, loss in model.measure_losses().items()}
    if method.name != "equal-gradient":
        return losses
    norms = model.gradient_norms()
    # Where there is no loss there is no gradient, but a graph, which rounds otherwise
    # than what made the targets, finds a little of it.
    return {tag: float(norm) if losses[tag] else 0.0 for tag, norm in norms.items()}
