"""The main path: `stylize(config)` from two pictures to a third."""

import contextlib
import time

import tensorflow as tf

from kstyle.errors import DivergedError
from kstyle.files import lock_folder
from kstyle.hardware import devices
from kstyle.images.picture import resize
from kstyle.losses.terms import build_terms
from kstyle.optimizers.state import warm_start
from kstyle.runs import checkpoint, models
from kstyle.runs.callbacks import tensorboard
from kstyle.runs.callbacks.checkpoint import Checkpoint
from kstyle.runs.callbacks.divergence import DivergenceGuard
from kstyle.runs.callbacks.periodic import LossCSV
from kstyle.runs.callbacks.stopping import InterruptRelay, make_stoppers
from kstyle.runs.initialization import initial_picture, solve_job_weights
from kstyle.runs.job import prepare
from kstyle.runs.models import ModelCache, build_model
from kstyle.runs.progress import check_verbose, show_progress
from kstyle.runs.provenance import record_run
from kstyle.runs.results import (
    StyleResult,
    exit_word,
    final_losses,
    release_model,
    run_outcome,
    write_result,
)
from kstyle.runs.stored_pictures import check_config, pictures_as_files


def stylize(
    config,
    callbacks=(),
    *,
    content=None,
    style=None,
    init=None,
    overwrite=False,
    verbose="auto",
):
    """Run every scale of `config` and write the picture. Returns a `StyleResult`.

    callbacks: Keras callbacks, given to every `fit`.
    content, style, init: in place of the config's: a path, an array
        `(height, width, 3)` of uint8, uint16 or floats in [0, 1], a Pillow image or a
        `Picture`. The run's folder keeps those in memory, so that it can be resumed.
    overwrite: whether an existing `config.output` may be replaced.
    verbose: "auto" or 1: progress in a terminal or a notebook; 0: none.
    Raises: KStyleError: one of its children, with what to do about it. A
        `DivergedError` comes when the best picture has been written: its `result` is
        that `StyleResult`, or `None` if the run could not even begin.
    """
    check_config(config)
    check_verbose(verbose)
    devices.check_device_option(config.device)
    pictures = {"content": content, "style": style, "init": init}
    with pictures_as_files(config, pictures) as (config, folder):
        job = prepare(config, overwrite=overwrite, folder=folder)
    with show_progress(job, verbose) as progress:
        return run_job(job, [*callbacks, *progress])


@models.on_device
def run_job(job, callbacks=(), shared=None, state=None):
    """Run a `Job`. Ctrl-C ends it early and keeps the picture so far.

    shared: the `Shared` of several runs, so that nothing is built or measured twice.
    state: the `checkpoints.State` of this job to go on from; `None` starts anew.
    Raises: ConfigError: another process is at work in the run's folder.
        DivergedError: as `stylize`.
    """
    begun, shared = time.perf_counter(), shared or ModelCache()
    job = solve_job_weights(job, shared)
    guard = DivergenceGuard(job, state)
    with lock_folder(job.folder):
        with record_run(job) as record:
            record["guard"] = guard.events
            model, interrupted = run_scales(job, callbacks, shared, state, guard)
            pixels, steps = model.pixels(), model.global_step
            if model.precision != "float32":
                release_model(guard, callbacks)
                model = None
            picture = write_result(job, pixels, exit_word(interrupted, guard))
            seconds = time.perf_counter() - begun + (state.seconds if state else 0)
            losses = final_losses(job, pixels, model, shared)
            result = StyleResult(
                *(picture, job.output, job.folder, steps, seconds, losses, interrupted)
            )
            record |= run_outcome(result, guard)
        if not interrupted:  # last of all: until then there is a way back
            (job.folder / checkpoint.CHECKPOINT_FILE).unlink(missing_ok=True)
    if guard.failure is not None:
        raise DivergedError(guard.failure, result)
    return result


def run_scales(job, callbacks, shared, state, guard):
    """The model after the last scale, after Ctrl-C, or where the guard ended the run;
    and whether it was Ctrl-C."""
    model = None
    with contextlib.ExitStack() as stack:
        watchers = open_callbacks(stack, job, state, callbacks, guard)
        try:
            for scale, steps in checkpoint.remaining_scales(job.scales, state):
                model = build_scale_model(job, scale, shared, model, state)
                fit_scale(model, steps, job.config.report_every, watchers)
                guard.settle()
                if guard.failure is not None:
                    break
        except DivergedError as error:  # at the start of a scale: no step can help
            if not model.global_step:
                raise
            guard.failure = str(error)
        except KeyboardInterrupt:
            if model is None:
                raise
            for watcher in watchers:  # Keras ends a fit only where nothing was raised
                watcher.on_train_end()
            if int(model.optimizer.iterations):  # before a step there is nothing to end
                model.optimizer.finalize_variable_values([model.image])
            guard.settle()
            return model, True
    return model, False


def open_callbacks(stack, job, state, callbacks, guard):
    """All callbacks of the run; `stack` closes what its own ones write to.

    What they wrote of steps after `state` is dropped first: those come again.
    """
    config, losses, columns = job.config, job.folder / "losses.csv", []
    if state is not None:
        columns = checkpoint.truncate_loss_csv(losses, state.step)
    tensorboard.truncate_events(job.folder, state.step if state else None)
    file = stack.enter_context(open(losses, "a" if state else "w", newline=""))
    writer = tf.summary.create_file_writer(str(job.folder))
    stack.callback(writer.close)
    if state is None:
        pictures = job.content_at(config.size), job.style_at(config.size)
        tensorboard.write_header(writer, config, build_terms(config), *pictures)
    own = [
        LossCSV(file, config.report_every, columns),
        tensorboard.ScalarEvents(
            writer, config.report_every, gradients=config.log_gradients
        ),
        tensorboard.SnapshotEvents(
            writer, job.folder / "snapshots", config.snapshot_every
        ),
    ]
    if state is not None:
        for callback in own:
            callback.reported = state.step
    # The guard comes first: the others see what it has made of a step. The checkpoint
    # comes last: what it says is done is done by all the others. Then a run may end.
    watchers = [guard, *make_stoppers(config, job.scales, state), *own, *callbacks]
    again = stack.enter_context(InterruptRelay().listening())
    return [*watchers, Checkpoint(job, state, watchers), again]


def build_scale_model(job, scale, shared, before, state=None):
    """The model of one scale, starting where `before` or `state` left off."""
    content = job.content_at(scale.edge)
    if before is not None:
        start = resize(before.pixels(), content.shape[:2])
        step = before.global_step
    elif state is not None:
        start, step = state.image, state.step
    else:
        start, step = initial_picture(job, content), 0
    terms = build_terms(job.config)
    options = {"start_step": step, "precision": scale.precision, "optimise": True}
    model = build_model(job, scale.edge, shared, terms, start, **options)
    if before is not None:
        warm_start(model.optimizer, before.optimizer, model.image)
    return model


def fit_scale(model, steps, report_every, callbacks):
    """Take `steps` steps; an epoch is a report interval wherever that divides them."""
    length = report_every if steps % report_every == 0 else steps
    epochs = steps // length if steps else 0  # 0: callbacks report the start alone
    model.fit(epochs=epochs, steps_per_epoch=length, callbacks=list(callbacks))
