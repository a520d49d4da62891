"""The start of a run: its first picture, the losses there, and weights from them."""

import dataclasses

import numpy as np

from kstyle import auto_weights
from kstyle.devices import on_device
from kstyle.files import write_text
from kstyle.footprint import tile_edge
from kstyle.layers import layer_names, minimum_size
from kstyle.losses import loss_terms
from kstyle.model import StyleTransfer
from kstyle.optimizers import make_optimizer, optimizer_options
from kstyle.resize import resize
from kstyle.shared import Shared
from kstyle.tiled_model import TiledTransfer


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


def transfer(
    job,
    edge,
    shared,
    terms,
    start,
    *,
    start_step=0,
    precision="float32",
    optimise=False,
):
    """A `StyleTransfer` of the job's pictures at long `edge`.

    A `TiledTransfer` if the config asks for one and a picture is larger than a tile.
    precision: of the network; what is measured and kept is measured in float32: after
        steps in bfloat16 in tiles of half the edge, to take no more memory than they.
    optimise: whether it shall be compiled with the config's optimiser, so that it can
        `fit`. One that `shared` has kept of another run is started again then.
    """
    config = job.config
    pictures = {"content": job.content_at(edge), "style": job.style_at(edge)}
    layers = list(dict.fromkeys(term.layer for term in terms if term.source))
    extractor = shared.extractor(job, layers, precision)
    tile = tile_edge(config, *(p.shape[:2] for p in pictures.values()))
    if tile and not optimise and config.precision == "bfloat16":
        tile //= 2
    options = {"init": start, "start_step": start_step}
    options["targets"] = shared.targets(
        job, extractor, terms, pictures, tile, precision=precision
    )
    # Only their sizes count from here on, and a large one's pixels take memory.
    pictures = {k: np.broadcast_to(np.float32(0), p.shape) for k, p in pictures.items()}

    def build():
        kind, edge = (TiledTransfer, {"edge": tile}) if tile else (StyleTransfer, {})
        model = kind(extractor, terms, **pictures, **options, **edge)
        if optimise:
            model.compile(make_optimizer(**optimizer_options(config)))
        return model

    if not optimise:
        return build()
    return shared.model(job, terms, tile, precision, build, options)


@on_device
def layer_losses(job, shared=None):
    """Unweighted `{layer: (content loss, style loss)}` of every layer at the start.

    At the result's full size, as the reference prints before a run. Layers that the
    pictures are too small for are left out.
    """
    config, edge = job.config, job.config.size
    content, style = job.content_at(edge), job.style_at(edge)
    least = min(*content.shape[:2], *style.shape[:2])
    names = [
        name
        for name in layer_names(config.net)
        if minimum_size(config.net, [name], config.padding) <= least
    ]
    terms = loss_terms(dict.fromkeys(names, 1.0), dict.fromkeys(names, 1.0))
    start = initial_picture(job, content)
    model = transfer(job, edge, shared or Shared(), terms, start)
    losses = model.measure()
    pairs = {n: (losses[f"raw/content/{n}"], losses[f"raw/style/{n}"]) for n in names}
    return {name: (float(a), float(b)) for name, (a, b) in pairs.items()}


@on_device
def solve_weights(job, shared=None):
    """The job with plain numbers in place of `style_weights`, in its folder as well.

    As it was if there is nothing to solve. Raises: ConfigError: no weights exist.
    """
    config = job.config
    if config.style_weights is None:
        return job
    method = auto_weights.parse_method(config.style_weights)
    style, content = start_pull(job, method, shared or Shared())
    solved = auto_weights.solve(method, config, style, content)
    plain = config.replace(style_weights=None, **solved)
    comment = f"# The layers' weights were solved by style_weights: {method}\n"
    write_text(job.folder / "config.yaml", comment + plain.to_yaml())
    return dataclasses.replace(job, config=plain)


def start_pull(job, method, shared):
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
        model = transfer(job, edge, shared, loss_terms(*ones), start)
        values = pull(model, method)
        layers = getattr(config, f"{kind}_layers")
        pulls.append({layer: values[f"{kind}/{layer}"] for layer in layers})
    return pulls


def pull(model, method):
    """`{tag: loss or gradient norm}` of the model's terms at its picture."""
    losses = {tag: float(loss) for tag, loss in model.measure().items()}
    if method.name != "equal-gradient":
        return losses
    norms = model.gradient_norms()
    # Where there is no loss there is no gradient, but a graph, which rounds otherwise
    # than what made the targets, finds a little of it.
    return {tag: float(norm) if losses[tag] else 0.0 for tag, norm in norms.items()}
