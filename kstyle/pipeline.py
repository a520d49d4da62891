"""The main path: `stylize(config)` from two pictures to a third."""

import contextlib
import dataclasses
import json
import time
from pathlib import Path

import tensorflow as tf

from kstyle import images, saving, tensorboard
from kstyle.callbacks import LossCSV, SnapshotFiles, StopOnNaN
from kstyle.job import prepare
from kstyle.losses import build_terms
from kstyle.memory import with_tiles
from kstyle.optimizers import make_optimizer
from kstyle.resize import fit_long_edge, resize
from kstyle.shared import Shared
from kstyle.start import initial_picture, solve_weights, transfer


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


def run(job, callbacks=(), shared=None):
    """Run a `Job`. Ctrl-C ends it early and keeps the picture so far.

    shared: the `Shared` of several runs, so that nothing is built or measured twice.
    """
    begun, shared = time.perf_counter(), shared or Shared()
    job = solve_weights(with_tiles(job), shared)
    config, interrupted, model = job.config, False, None
    with contextlib.ExitStack() as stack:
        watchers = [*open_watchers(stack, job), *callbacks]
        try:
            for scale in job.scales:
                model = scale_model(job, scale, shared, model)
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


def scale_model(job, scale, shared, before):
    """The compiled model of one scale, starting where `before` left off."""
    content = job.content_at(scale.edge)
    if before is None:
        start, step = initial_picture(job, content), 0
    else:
        start = resize(before.pixels(), content.shape[:2])
        step = int(before.global_step)
    terms = build_terms(job.config)
    model = transfer(job, scale.edge, shared, terms, start, start_step=step)
    model.compile(make_optimizer(job.config.optimizer, job.config.learning_rate))
    return model


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
