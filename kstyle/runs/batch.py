"""Many pictures in one process: whatever they have in common is made once.

Each is a run like any other, with a folder of its own. One that fails does not stop the
rest; Ctrl-C does, and keeps the picture so far.
"""

import contextlib
import dataclasses
import logging
import traceback
from pathlib import Path

from kstyle.config.style_config import StyleConfig
from kstyle.errors import ConfigError, KStyleError, error_sentence
from kstyle.files import lock_folder
from kstyle.hardware import devices
from kstyle.runs import checkpoint, pipeline
from kstyle.runs.batch_plan import batch_configs, make_batch_plan
from kstyle.runs.job import prepare, run_name
from kstyle.runs.models import MAX_MODEL_BYTES, ModelCache
from kstyle.runs.progress import show_progress
from kstyle.runs.stored_pictures import as_picture_files

log = logging.getLogger("kstyle")


@dataclasses.dataclass(frozen=True)
class BatchOutcome:
    """What became of one picture of a batch.

    status: "finished"; "there", if it was before; "failed", with an `error` in one
        sentence; "interrupted", kept as it was at Ctrl-C; "left", not begun by then.
    path, folder: of the result and of its run, if it was painted now.
    """

    config: StyleConfig
    status: str
    error: str = ""
    path: Path | None = None
    folder: Path | None = None
    steps: int = 0
    seconds: float = 0.0
    losses: dict = dataclasses.field(default_factory=dict)


class SilentBatchWatch:
    """Watches a batch and shows nothing; what a caller's `watch` looks like."""

    def begin(self, plan, todo):
        """Before the first picture: the `Plan`, and its entries in running order."""

    def running(self, job):
        """A context for one run, which yields its Keras callbacks."""
        return contextlib.nullcontext([])

    def end(self, entry, outcome):
        """After each picture."""


class ProgressBatchWatch(SilentBatchWatch):
    """Shows the progress of each run in a terminal or a notebook."""

    def running(self, job):
        return show_progress(job)


def stylize_batch(
    config, contents=None, styles=None, *, output=None, overwrite=False, watch=None
):
    """Paint every content in every style. Returns a `BatchOutcome` each, in order.

    config: the `StyleConfig` of all; or a list of configs, which are run as they are.
    contents, styles, output: as for `batch_configs`. Contents and styles may also be
        pictures in memory, as for `stylize`; they are kept in `logdir/pictures`.
    overwrite: whether results that are there are painted anew; otherwise they stay, so
        that a batch that was interrupted can be run again.
    watch: something like `SilentBatchWatch`; by default a `ProgressBatchWatch`.
    Raises: KStyleError: something that more than one picture needs cannot be used;
        nothing was painted then.
    """
    configs = config
    if isinstance(config, StyleConfig):
        contents, styles = (
            as_picture_files(pictures, config.logdir) for pictures in (contents, styles)
        )
        configs = batch_configs(config, contents, styles, output)
    plan = make_batch_plan(configs, overwrite=overwrite)
    for device in {entry.config.device for entry in plan.entries}:
        devices.check_device_option(device)
    return run_batch(plan, watch or ProgressBatchWatch())


def run_batch(plan, watch):
    """Paint what is to do of a `Plan`. Returns a `BatchOutcome` an entry, in order."""
    shared, outcomes, todo = ModelCache(MAX_MODEL_BYTES), {}, plan.todo()
    watch.begin(plan, todo)
    for entry in todo:
        outcome = outcomes[id(entry)] = run_entry(entry, plan.shelf, shared, watch)
        watch.end(entry, outcome)
        if outcome.status in ("interrupted", "left"):
            break
    return [outcomes.get(id(entry)) or skipped_outcome(entry) for entry in plan.entries]


def skipped_outcome(entry):
    """The `BatchOutcome` of an entry that was not painted."""
    status = "left" if entry.state == "todo" else entry.state
    return BatchOutcome(entry.config, status, entry.error)


def run_entry(entry, shelf, shared, watch):
    """The `BatchOutcome` of running an entry, from where an earlier batch left it."""
    config = entry.config
    try:
        folder, state = find_unfinished_run(entry.asked)
        options = {"overwrite": entry.replaces, "folder": folder, "shelf": shelf}
        job = prepare(config, asked=entry.asked, state=state, **options)
        with watch.running(job) as callbacks:
            result = pipeline.run_job(job, callbacks, shared, state)
    except KeyboardInterrupt:
        return BatchOutcome(config, "left")
    except Exception as error:  # a bug or a full disk too: the others are still painted
        if not isinstance(error, (KStyleError, OSError)):
            log.error("%s failed:\n%s", config.content, traceback.format_exc())
        return BatchOutcome(config, "failed", error_sentence(error))
    return BatchOutcome(
        config,
        "interrupted" if result.interrupted else "finished",
        path=result.path,
        folder=result.folder,
        steps=result.steps,
        seconds=result.seconds,
        losses=result.losses,
    )


def find_unfinished_run(config):
    """The folder and the `checkpoints.State` that an earlier batch has left of a run
    for which the very same was asked; `(None, None)` if there is none.

    Without an output of its own a run of now is not known for one of then.
    """
    if config.output is not None:
        runs = f"*-{run_name(config)}*/{checkpoint.CHECKPOINT_FILE}"
        for path in sorted(Path(config.logdir).glob(runs)):
            with contextlib.suppress(ConfigError), lock_folder(path.parent):
                state = checkpoint.read_checkpoint(path.parent)
                checkpoint.check_fingerprint(state, config, path.parent, requested=True)
                return path.parent, state
    return None, None
