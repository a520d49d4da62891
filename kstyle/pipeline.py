"""The main path: `stylize(config)` from two pictures to a third."""

import contextlib
import dataclasses
import json
import time
from pathlib import Path

import numpy as np
import tensorflow as tf

from kstyle import images, saving, tensorboard
from kstyle.callbacks import LossCSV, SnapshotFiles, StopOnNaN
from kstyle.extractor import build_extractor
from kstyle.job import prepare
from kstyle.layers import layer_names, minimum_size
from kstyle.losses import build_terms, loss_terms
from kstyle.model import StyleTransfer
from kstyle.optimizers import make_optimizer
from kstyle.resize import fit_long_edge, resize


@dataclasses.dataclass(frozen=True)
class StyleResult:
    """What a run leaves: the picture and where it is, its folder, the last losses."""

    picture: images.Picture
    path: Path
    folder: Path
    steps: int
    seconds: float
    losses: dict
    interrupted: bool


def stylize(config, callbacks=(), *, overwrite=False):
    """Run every scale of `config` and write the picture. Returns a `StyleResult`.

    callbacks: Keras callbacks, given to every `fit`. overwrite: whether an existing
        `config.output` may be replaced.
    Raises: KStyleError: one of its children, with what to do about it.
    """
    return run(prepare(config, overwrite=overwrite), callbacks)


def run(job, callbacks=()):
    """Run a `Job`. Ctrl-C ends it early and keeps the picture so far."""
    begun, config = time.perf_counter(), job.config
    extractor = make_extractor(job, config.layers())
    interrupted, model = False, None
    with contextlib.ExitStack() as stack:
        watchers = [*open_watchers(stack, job), *callbacks]
        try:
            for scale in job.scales:
                model = scale_model(job, scale, extractor, model)
                fit(model, scale.steps, config.report_every, watchers)
        except KeyboardInterrupt:
            if model is None:
                raise
            interrupted = True
            for watcher in watchers:  # Keras ends a fit only where nothing was raised
                watcher.on_train_end()
    picture = finish(job, model)
    return StyleResult(
        picture,
        job.output,
        job.folder,
        int(model.global_step),
        time.perf_counter() - begun,
        {name: float(value) for name, value in model.look().items()},
        interrupted,
    )


def make_extractor(job, layers):
    """The extractor that the job's config describes, for `layers`."""
    net, pool, padding = job.config.net, job.config.pool, job.config.padding
    return build_extractor(net, layers, pool=pool, padding=padding, weights=job.weights)


def open_watchers(stack, job):
    """The run's own callbacks; `stack` closes what they write to."""
    config = job.config
    file = stack.enter_context(open(job.folder / "losses.csv", "w", newline=""))
    writer = tf.summary.create_file_writer(str(job.folder))
    stack.callback(writer.close)
    pictures = job.content_at(config.size), job.style_at(config.size)
    tensorboard.write_header(writer, config, build_terms(config), *pictures)
    return [
        StopOnNaN(),
        LossCSV(file, config.report_every),
        tensorboard.Scalars(
            writer, config.report_every, gradients=config.log_gradients
        ),
        tensorboard.Snapshots(writer, config.snapshot_every),
        SnapshotFiles(job.folder / "snapshots", config.snapshot_every),
    ]


def scale_model(job, scale, extractor, before):
    """The compiled model of one scale, starting where `before` left off."""
    content = job.content_at(scale.edge)
    if before is None:
        start, step = initial_picture(job, content), 0
    else:
        start = resize(before.pixels(), content.shape[:2])
        step = int(before.global_step)
    terms = build_terms(job.config)
    style = job.style_at(scale.edge)
    model = StyleTransfer(extractor, terms, content, style, start, start_step=step)
    model.compile(make_optimizer(job.config.optimizer, job.config.learning_rate))
    return model


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


def fit(model, steps, report_every, callbacks):
    """Take `steps` steps; an epoch is a report interval wherever that divides them."""
    length = report_every if steps % report_every == 0 else steps
    epochs = steps // length if steps else 0  # 0: callbacks report the start alone
    model.fit(epochs=epochs, steps_per_epoch=length, callbacks=list(callbacks))


def finish(job, model):
    """Write the result with its record inside. Returns the `Picture`."""
    size = fit_long_edge(job.content.size, job.config.size)
    alpha = job.content.resized(size).alpha
    picture = images.Picture(resize(model.pixels(), size), alpha)
    record = {
        "config": json.dumps(job.config.model_dump(mode="json")),
        "weights": f"{job.config.net} {job.weights.source} sha256:{job.weights.sha256}",
    }
    saving.save_picture(
        job.output,
        picture,
        bits=job.config.bits,
        quality=job.config.quality,
        metadata=record,
    )
    return picture


def layer_losses(job):
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
    model = StyleTransfer(make_extractor(job, names), terms, content, style, start)
    losses = model.compute_losses(model())
    pairs = {n: (losses[f"raw/content/{n}"], losses[f"raw/style/{n}"]) for n in names}
    return {name: (float(a), float(b)) for name, (a, b) in pairs.items()}
