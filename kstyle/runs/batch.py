"""Batches: many pictures in one process, which share inputs and models.

Each is a run with its own folder. One that fails does not stop the others; Ctrl-C
ends the batch and keeps the current picture.
"""

import contextlib
from collections.abc import Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from kstyle.config.style_config import StyleConfig
from kstyle.errors import ConfigError
from kstyle.hardware import devices
from kstyle.hardware.keras_setup import check_run_settings
from kstyle.runs import pipeline
from kstyle.runs.batch_plan import (
    BatchEntry,
    BatchOutcome,
    BatchPlan,
    SilentBatchWatch,
    batch_configs,
    make_batch_plan,
)
from kstyle.runs.checkpoint_file import CHECKPOINT_FILE, RunState
from kstyle.runs.job import Job, prepare, run_name
from kstyle.runs.many_runs import Attempt, find_unfinished_state
from kstyle.runs.model_cache import MAX_MODEL_BYTES, ModelCache
from kstyle.runs.progress import show_progress
from kstyle.runs.saved_inputs import as_picture_files


class ProgressBatchWatch(SilentBatchWatch):
    """Shows the progress of each run in a terminal or a notebook."""

    def running(self, job: Job) -> AbstractContextManager[list[Any]]:
        return show_progress(job)


def stylize_batch(
    config: StyleConfig | Sequence[StyleConfig],
    contents: Any = None,
    styles: Any = None,
    *,
    output: str | Path | None = None,
    overwrite: bool = False,
    watch: SilentBatchWatch | None = None,
) -> list[BatchOutcome]:
    """Stylize every content with every style; return a `BatchOutcome` for each.

    config: the `StyleConfig` of all; or a list of configs, which are run as they are.
    contents, styles, output: as for `batch_configs`. Contents and styles may also be
        pictures in memory, as for `stylize`; they are kept in `logdir/pictures`.
    overwrite: whether existing results are replaced. Otherwise they stay, so that an
        interrupted batch can be run again.
    watch: a `SilentBatchWatch`; by default a `ProgressBatchWatch`.
    Raises: KStyleError: something that several pictures need cannot be used; nothing
        has run then.
    """
    check_run_settings()
    if isinstance(config, StyleConfig):
        configs: Sequence[StyleConfig] = batch_configs(
            config,
            as_picture_files(contents, config.logdir),
            as_picture_files(styles, config.logdir),
            output,
        )
    else:
        configs = config
    plan = make_batch_plan(configs, overwrite=overwrite)
    for device in {entry.config.device for entry in plan.entries}:
        devices.check_device_option(device)
    return run_batch(plan, watch or ProgressBatchWatch())


def run_batch(plan: BatchPlan, watch: SilentBatchWatch) -> list[BatchOutcome]:
    """Run the entries of a plan that are to do; return an outcome for each entry."""
    models, outcomes = ModelCache(MAX_MODEL_BYTES), {}
    todo = plan.todo()
    watch.begin(plan, todo)
    for entry in todo:
        outcome = outcomes[id(entry)] = run_entry(entry, plan, models, watch)
        watch.end(entry, outcome)
        if outcome.status in ("interrupted", "left"):
            break
    return [outcomes.get(id(entry)) or skipped_outcome(entry) for entry in plan.entries]


def skipped_outcome(entry: BatchEntry) -> BatchOutcome:
    """Return the outcome of an entry that was not run."""
    status = "left" if entry.state == "todo" else entry.state
    return BatchOutcome(entry.config, status, entry.error)


def run_entry(
    entry: BatchEntry, plan: BatchPlan, models: ModelCache, watch: SilentBatchWatch
) -> BatchOutcome:
    """Run an entry, or resume it where an earlier batch was interrupted."""
    try:
        with Attempt(entry.config.content) as attempt:
            folder, state = find_unfinished_run(entry.requested_config)
            job = prepare(
                entry.config,
                requested_config=entry.requested_config,
                overwrite=entry.replaces,
                folder=folder,
                inputs=plan.inputs,
                state=state,
                machine=plan.machine,
            )
            with watch.running(job) as callbacks:
                result = pipeline.run_job(job, callbacks, models, state)
    except KeyboardInterrupt:
        return BatchOutcome(entry.config, "left")
    if attempt.error is not None:
        return BatchOutcome(entry.config, "failed", attempt.error)
    return BatchOutcome(
        entry.config,
        "interrupted" if result.interrupted else "finished",
        path=result.path,
        folder=result.folder,
        steps=result.steps,
        seconds=result.seconds,
        losses=result.losses,
    )


def find_unfinished_run(config: StyleConfig) -> tuple[Path | None, RunState | None]:
    """Return folder and state of an unfinished run for which `config` was requested.

    `(None, None)` if there is none. A run without an `output` is never resumed: it
    cannot be told from another one of the same options.
    """
    if config.output is None:
        return None, None
    pattern = f"*-{run_name(config)}*/{CHECKPOINT_FILE}"
    for path in sorted(Path(config.logdir).glob(pattern)):
        with contextlib.suppress(ConfigError):  # in use
            state = find_unfinished_state(path.parent, config)
            if state is not None:
                return path.parent, state
    return None, None
