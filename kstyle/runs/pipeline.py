"""The main path: `stylize(config)`, from two pictures to a third."""

import contextlib
import copy
import gc
import logging
import time
from collections.abc import Callable, Sequence
from typing import Any, TextIO, cast

import keras
import tensorflow as tf

from kstyle.config.style_config import StyleConfig
from kstyle.errors import DivergedError, OutOfMemoryError
from kstyle.files import explained_storage_errors, file_hash, lock_folder
from kstyle.hardware import devices
from kstyle.hardware.keras_setup import check_run_settings
from kstyle.images.picture import resize
from kstyle.optimizers.state import warm_start
from kstyle.planning.scales import ScalePlan
from kstyle.runs import checkpoint_file
from kstyle.runs.callbacks import tensorboard
from kstyle.runs.callbacks.checkpoint import Checkpoint, stateful_callbacks
from kstyle.runs.callbacks.divergence import DivergenceGuard
from kstyle.runs.callbacks.periodic import LossCSV
from kstyle.runs.callbacks.stopping import InterruptRelay, SciPyEnd, make_stoppers
from kstyle.runs.checkpoint_file import RunState
from kstyle.runs.finish import finish_terms
from kstyle.runs.hyperparameters import (
    describe_run,
    has_hyperparameters,
    run_hyperparameters,
    write_hyperparameters,
)
from kstyle.runs.initialization import initial_picture, solve_job_weights
from kstyle.runs.job import Job, job_in_tiles, prepare
from kstyle.runs.model_cache import ModelCache, build_model, on_device
from kstyle.runs.model_options import job_terms
from kstyle.runs.progress import check_verbose, show_progress
from kstyle.runs.provenance import record_run, write_run_record
from kstyle.runs.results import (
    StyleResult,
    exit_word,
    final_losses,
    release_model,
    run_outcome,
    write_result,
)
from kstyle.runs.saved_inputs import check_config, pictures_as_files
from kstyle.transfer.style_transfer import StyleTransfer

TERM_KINDS = ("content", "style", "tv")  # the first words of tags, in their order
Callbacks = Sequence[keras.callbacks.Callback]
log = logging.getLogger("kstyle")


def stylize(
    config: StyleConfig,
    callbacks: Callbacks = (),
    *,
    content: Any = None,
    style: Any = None,
    init: Any = None,
    blend: Sequence[float] | None = None,
    region: Any = None,
    content_map: Any = None,
    style_map: Any = None,
    overwrite: bool = False,
    verbose: str | int = "auto",
) -> StyleResult:
    """Run every scale of `config` and write the picture. Returns a `StyleResult`.

    callbacks: Keras callbacks, given to every `fit`.
    content, style, init: in place of the config's: a path, an array
        `(height, width, 3)` of uint8, uint16 or floats in [0, 1], a Pillow image or a
        `Picture`. The run's folder keeps those in memory, so that it can be resumed.
        A list of styles is blended.
    blend: shares of several styles, in place of the config's.
    region: a mask, or one for each style: a path, "alpha", "rest", or an array
        `(height, width)` of floats in [0, 1], uint8 or bool.
    content_map, style_map: colour-coded pictures, as `content`; of several styles, a
        list of maps.
    overwrite: whether an existing `config.output` may be replaced.
    verbose: "auto" or 1: progress in a terminal or a notebook; 0: none.
    Raises: KStyleError: one of its children, with what to do about it. A
        `DivergedError` comes when the best picture has been written: its `result` is
        that `StyleResult`, or `None` if the run could not even begin.
    """
    check_config(config)
    check_verbose(verbose)
    check_run_settings()
    devices.check_device_option(config.device)
    pictures = {
        "content": content,
        "style": style,
        "init": init,
        "region": region,
        "content_map": content_map,
        "style_map": style_map,
    }
    with pictures_as_files(config, pictures, blend=blend) as (config, folder):
        job = prepare(config, overwrite=overwrite, folder=folder)
    with show_progress(job, verbose) as progress:
        return run_job(job, [*callbacks, *progress])


def run_job(
    job: Job,
    callbacks: Callbacks = (),
    models: ModelCache | None = None,
    state: RunState | None = None,
    *,
    on_solved: Callable[[StyleConfig], None] | None = None,
) -> StyleResult:
    """Run a `Job`. Ctrl-C ends it early and keeps the picture so far.

    After an out-of-memory error a run with `fit` "auto" continues in tiles, from its
    checkpoint or, without one, from its first step.
    models: those of several runs, so that nothing is built or measured twice.
    state: of this job, from which it is resumed; `None` starts at its first step.
    on_solved: called before the first step with the config that has numbers in place of
        `style_weights` and `content_weights`, if there were any to solve.
    Raises: ConfigError: another process uses the run's folder.
        DivergedError: as `stylize`.
        OutOfMemoryError: and the run has tiles already, or may not have any.
    """
    models = ModelCache() if models is None else models
    initial_states = [
        (callback, copy.deepcopy(callback.get_state()))
        for callback in stateful_callbacks(callbacks)
    ]
    while True:
        try:
            if job.config.has_weights_to_solve():
                job = solve_job_weights(job, models)
                if on_solved is not None:
                    on_solved(job.config)
            return optimise_job(job, callbacks, models, state)
        except OutOfMemoryError:
            tiled = job_in_tiles(job)
            if tiled is None:
                raise
        # Outside of `except`, where the error still refers to the model that failed.
        release_model(callbacks)
        gc.collect()
        job, state = tiled, checkpoint_file.read_checkpoint(job.folder)
        if state is None:
            for callback, initial_state in initial_states:
                callback.set_state(initial_state)
        step = state.step if state else 0
        log.warning(
            "The memory did not suffice: continuing with --tile %d from step %d.",
            job.config.tile,
            step,
        )


@on_device
def optimise_job(
    job: Job, callbacks: Callbacks, models: ModelCache, state: RunState | None
) -> StyleResult:
    """Run a job whose weights are solved, from `state`, and write its result.

    Arguments and errors as for `run_job`; an `OutOfMemoryError` ends it.
    """
    begun = time.perf_counter() - (state.seconds if state else 0.0)
    guard = DivergenceGuard(job.weights.source, (job.content.pixels, *job.styles))
    with lock_folder(job.folder), explained_storage_errors(job.folder):
        with record_run(job.config, job.weights.source, job.folder) as record:
            record["guard"] = guard.events
            model, interrupted = run_scales(job, callbacks, models, state, guard)
            pixels, steps = model.pixels(), model.global_step
            measured: StyleTransfer | None = model
            # Another model will measure the losses of the scales in float32.
            if model.precision != "float32" or job.config.finish is not None:
                release_model([guard, *callbacks])
                measured = None
            del model
            picture = write_result(job, pixels, exit_word(interrupted, guard.failure))
            record["result"] = file_hash(job.output)
            with contextlib.suppress(OSError):  # a full disk
                write_run_record(job.folder, record)  # before what could be killed
            seconds = time.perf_counter() - begun
            result = StyleResult(
                picture=picture,
                path=job.output,
                folder=job.folder,
                steps=steps,
                seconds=seconds,
                losses=final_losses(job, pixels, measured, models),
                interrupted=interrupted,
                config=job.config,
            )
            record.update(run_outcome(result, guard.failure))
        if not interrupted:  # last of all: until then the run can be resumed
            (job.folder / checkpoint_file.CHECKPOINT_FILE).unlink(missing_ok=True)
    if guard.failure is not None:
        raise DivergedError(guard.failure, result)
    return result


def run_scales(
    job: Job,
    callbacks: Callbacks,
    models: ModelCache,
    state: RunState | None,
    guard: DivergenceGuard,
) -> tuple[StyleTransfer, bool]:
    """Optimise the picture at every scale that is left.

    Returns: the model after the last scale, after Ctrl-C, or where the guard has ended
        the run; and whether Ctrl-C has ended it.
    """
    model: StyleTransfer | None = None
    with contextlib.ExitStack() as stack:
        callbacks = open_callbacks(stack, job, state, callbacks, guard)
        try:
            for scale, steps in checkpoint_file.remaining_scales(job.scales, state):
                model = build_scale_model(job, scale, models, model, state)
                fit_scale(model, steps, job.config.report_every, callbacks)
                guard.end_scale()
                if guard.failure is not None:
                    break
        except DivergedError as error:  # at the start of a scale: no step can help
            if model is None or not model.global_step:
                raise
            guard.failure = str(error)
        except KeyboardInterrupt:
            if model is None:
                raise
            end_fit(model, callbacks)
            guard.end_scale()
            return model, True
    return cast(StyleTransfer, model), False  # a run has at least one scale


def open_callbacks(
    stack: contextlib.ExitStack,
    job: Job,
    state: RunState | None,
    callbacks: Callbacks,
    guard: DivergenceGuard,
) -> Callbacks:
    """Return all callbacks of the run, in their order; `stack` closes their files."""
    logs = open_logs(stack, job, state)
    # The guard is the first: the others get the logs that it has corrected. The
    # checkpoint comes after all whose state it keeps, and only then may a run end.
    stoppers = make_stoppers(
        job.config.stop_when_still, job.config.time_limit, job.scales
    )
    if job.config.optimizer == "scipy":
        stoppers.append(SciPyEnd())
    callbacks = [guard, *stoppers, *logs, *callbacks]
    relay = stack.enter_context(InterruptRelay().listening())
    return [*callbacks, Checkpoint(job, callbacks, state), relay]


def open_logs(
    stack: contextlib.ExitStack, job: Job, state: RunState | None
) -> Callbacks:
    """Open `losses.csv` and an event file, and return the callbacks that write them.

    What they contain of steps after `state` is removed first: these are taken again.
    """
    config, path, columns = job.config, job.folder / "losses.csv", []
    if state is not None:
        columns = checkpoint_file.truncate_loss_csv(path, state.step)
    tensorboard.truncate_events(job.folder, state.step if state else None)
    if not has_hyperparameters(job.folder):  # a trial has those of its experiment
        options = job.requested_config
        write_hyperparameters(
            job.folder, run_hyperparameters(options), describe_run(options)
        )
    file = open(path, "a" if state else "w", newline="")
    stack.callback(close_file, file)
    writer = tf.summary.create_file_writer(str(job.folder))
    stack.callback(tensorboard.close_writer, writer)
    if state is None:
        last = job.scales[-1]
        terms = job_terms(job, last)
        content = job.content_at(last.content_size)
        styles = job.styles_at(last)
        tensorboard.write_header(writer, config, terms, content, *styles)
        if job.regions:
            tensorboard.write_overlay(writer, job.region_overlay(last))
    return [
        LossCSV(file, config.report_every, columns, all_tags(job)),
        tensorboard.ScalarEvents(
            writer, config.report_every, gradients=config.log_gradients
        ),
        tensorboard.SnapshotEvents(
            writer, job.folder / "snapshots", config.snapshot_every, job.recolored
        ),
    ]


def all_tags(job: Job) -> list[str]:
    """List the tags of the terms of all scales: content, style, total variation."""
    terms = [term for scale in job.scales for term in job_terms(job, scale)]
    tags = list(dict.fromkeys(term.tag for term in terms))
    return sorted(tags, key=lambda tag: TERM_KINDS.index(tag.split("/")[0]))


def close_file(file: TextIO) -> None:
    """Close a file; what does not fit on the disk any more is lost."""
    with contextlib.suppress(OSError):
        file.close()


def build_scale_model(
    job: Job,
    scale: ScalePlan,
    models: ModelCache,
    previous: StyleTransfer | None,
    state: RunState | None = None,
) -> StyleTransfer:
    """Build the model of one scale.

    It starts from the `previous` scale's picture and optimiser; at the first scale from
    `state` or, without one, from the initial picture.
    """
    if previous is not None:
        start = resize(previous.pixels(), scale.content_size)
        step = previous.global_step
    elif state is not None:
        start, step = state.image, state.step
    else:
        start, step = initial_picture(job, scale.content_size), 0
    terms = job_terms(job, scale, scale.edge / job.scales[-1].edge)
    if scale.finish:
        terms = finish_terms(job, scale, models, terms)
    model = build_model(
        job,
        scale,
        models,
        terms,
        start,
        start_step=step,
        optimise=True,
    )
    # The curvature of other losses is of no use to those of a finish.
    if previous is not None and not scale.finish:
        warm_start(model.optimizer, previous.optimizer, model.image)
    return model


def fit_scale(
    model: StyleTransfer, steps: int, report_every: int, callbacks: Callbacks
) -> None:
    """Take `steps` steps. An epoch is a report interval if that divides them."""
    length = report_every if steps % report_every == 0 else steps
    epochs = steps // length if steps else 0  # 0: callbacks report the start alone
    model.fit(
        epochs=epochs, steps_per_epoch=length, callbacks=list(callbacks), verbose=0
    )


def end_fit(model: StyleTransfer, callbacks: Callbacks) -> None:
    """Do what `fit` leaves undone when an exception ends it."""
    for callback in callbacks:
        callback.on_train_end()
    if int(model.optimizer.iterations):  # before the first step there is no average
        model.optimizer.finalize_variable_values([model.image])
