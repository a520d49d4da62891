"""One trial, wherever it runs: every executor calls `run_trial`."""

import contextlib
import logging
import shutil
import traceback

from kstyle.errors import ConfigError, DivergedError, KStyleError, error_sentence
from kstyle.experiments.execution.pool import write_failure
from kstyle.experiments.records import (
    copy_identical_trial,
    find_identical_trial,
    new_record,
    record_result,
    write_record,
)
from kstyle.experiments.reporting.summary import score_trial
from kstyle.experiments.scoring.scorer import Scorer
from kstyle.files import remove_leftovers, write_text
from kstyle.losses.terms import build_terms
from kstyle.lru_cache import LRUCache
from kstyle.runs import checkpoint, pipeline
from kstyle.runs.callbacks.periodic import LossCurve, ProgressReport
from kstyle.runs.initialization import layer_losses, solve_job_weights
from kstyle.runs.job import prepare
from kstyle.runs.models import MAX_MODEL_BYTES, ModelCache

log = logging.getLogger("kstyle")


class WorkerContext:
    """What a process keeps from one trial to the next."""

    def __init__(self):
        self.shared = ModelCache(MAX_MODEL_BYTES)
        self.benches = LRUCache(1)

    def bench(self, folder):
        """The `judging.Bench` of the experiment in `folder`."""
        return self.benches.get(folder, lambda: Scorer(folder))


class LocalExecutor:
    """The executor that runs one trial after the other, in this process."""

    def __init__(self, here):
        self.here = here

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass

    def run(self, tasks, step):
        """As `executors.Pool.run`."""
        for task in tasks:
            yield run_trial(task, self.here, step)


def run_trial(task, here, step):
    """Run the trial of an `executors.Task`; whatever happens, there is a record of it.

    A trial that another experiment has run already is copied from there; one that was
    killed goes on from its checkpoint. here: a `Workplace`. step: as for `Pool.run`.
    Raises: KeyboardInterrupt: Ctrl-C.
    """
    trial, folder = task.trial, task.place
    record = new_record(task.experiment, trial)
    try:
        twin = find_identical_trial(task.folder.parent, record["hash"])
        state = read_unfinished_state(trial, folder) if twin is None else None
        if state is None:
            shutil.rmtree(folder, ignore_errors=True)
        if twin is not None:
            record = copy_identical_trial(twin, folder, record)
        else:
            job = prepare(trial.config, folder=folder, state=state)
            record = {**record, "fitted": job.fitted()}
            job = solve_job_weights(job, here.shared)
            measure = run_table_trial if trial.kind == "table" else run_picture_trial
            result, error = measure(trial, job, here.shared, step, state)
            record = record_result(record, result, error)
        if record["error"] is not None:
            write_record(folder, record)
        record = score_trial(task.folder, trial.config, record, here.bench(task.folder))
    except Exception as error:  # a bug or a full disk too: the other trials still run
        if not isinstance(error, (KStyleError, OSError)):
            log.error("trial %s failed:\n%s", trial.name, traceback.format_exc())
        record = write_failure(task, record, error_sentence(error))
    return record


def read_unfinished_state(trial, folder):
    """The `checkpoints.State` in `folder` of a run for which the very same was asked,
    whatever was made of that at its start; `None` where there is none."""
    with contextlib.suppress(ConfigError):
        state = checkpoint.read_checkpoint(folder)
        if state is not None:
            checkpoint.check_fingerprint(state, trial.config, folder, requested=True)
            remove_leftovers(folder)
            return state
    return None


def run_table_trial(trial, job, shared, step, state):
    """Measure initial losses; return a `TrialResult` and `None`. Also writes
    `initial_losses.csv`."""
    losses = layer_losses(job, shared)
    lines = [f"{name},{a!r},{b!r}\n" for name, (a, b) in losses.items()]
    path = job.folder / "initial_losses.csv"
    write_text(path, "layer,content,style\n" + "".join(lines))
    table = {n: {"content": a, "style": b} for n, (a, b) in losses.items()}
    return {"table": table}, None


def run_picture_trial(trial, job, shared, step, state):
    """Run the job; return its `TrialResult`, and the error of a run that diverged but
    left a picture, else `None`.

    state: the checkpoint to resume from, or `None`.
    """
    total = sum(scale.steps for scale in job.scales)

    def show(done, loss, speed, left):
        step(trial.name, done, total, loss, left)

    curve, sentence = LossCurve(), None
    watchers = [curve, ProgressReport(show, 1, job.scales)]
    try:
        result = pipeline.run_job(job, watchers, shared, state)
    except DivergedError as error:
        if error.result is None:
            raise
        result, sentence = error.result, error_sentence(error)
    if result.interrupted:
        raise KeyboardInterrupt
    measured = {
        "picture": f"{trial.name}/{result.path.name}",
        "steps": result.steps,
        "seconds": result.seconds,
        "losses": result.losses,
        "weights": {term.tag: term.weight for term in build_terms(job.config)},
        "curve": curve.values,
    }
    return measured, sentence
