"""One trial, wherever it runs: every executor calls `run_trial`."""

import contextlib
import logging
import shutil
import traceback

from kstyle import checkpoints, pipeline
from kstyle.callbacks import Curve, Progress
from kstyle.errors import ConfigError, DivergedError, KStyleError, sentence
from kstyle.experiments.executors import failed
from kstyle.experiments.judging import Bench
from kstyle.experiments.records import adopt, find_twin, new_record, write_record
from kstyle.experiments.summary import judge_trial
from kstyle.files import remove_leftovers, write_text
from kstyle.job import prepare
from kstyle.losses import build_terms
from kstyle.recent import Recent
from kstyle.shared import MODELS, Shared
from kstyle.start import layer_losses, solve_weights

log = logging.getLogger("kstyle")


class Workplace:
    """What a process keeps from one trial to the next."""

    def __init__(self):
        self.shared = Shared(MODELS)
        self.benches = Recent(1)

    def bench(self, folder):
        """The `judging.Bench` of the experiment in `folder`."""
        return self.benches.get(folder, lambda: Bench(folder))


class Local:
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
        twin = find_twin(task.folder.parent, record["hash"])
        state = unfinished(trial, folder) if twin is None else None
        if state is None:
            shutil.rmtree(folder, ignore_errors=True)
        if twin is not None:
            found = adopt(twin, folder, record)
        else:
            job = prepare(trial.config, folder=folder, state=state)
            record["fitted"] = job.fitted()
            job = solve_weights(job, here.shared)
            measure = table_trial if trial.kind == "table" else picture_trial
            found = measure(trial, job, here.shared, step, state)
        record |= {"status": "finished", **found}
        if record["error"] is not None:
            write_record(folder, record)
        judge_trial(task.folder, trial, record, here.bench(task.folder))
    except Exception as error:  # a bug or a full disk too: the other trials still run
        if not isinstance(error, (KStyleError, OSError)):
            log.error("trial %s failed:\n%s", trial.name, traceback.format_exc())
        failed(task, record, sentence(error))
    return record


def unfinished(trial, folder):
    """The `checkpoints.State` in `folder` of a run for which the very same was asked,
    whatever was made of that at its start; `None` where there is none."""
    with contextlib.suppress(ConfigError):
        state = checkpoints.read_state(folder)
        if state is not None:
            checkpoints.check_origin(state, trial.config, folder, asked=True)
            remove_leftovers(folder)
            return state
    return None


def table_trial(trial, job, shared, step, state):
    """What a table of initial losses adds to its record; also `initial_losses.csv`."""
    losses = layer_losses(job, shared)
    lines = [f"{name},{a!r},{b!r}\n" for name, (a, b) in losses.items()]
    path = job.folder / "initial_losses.csv"
    write_text(path, "layer,content,style\n" + "".join(lines))
    return {"table": {n: {"content": a, "style": b} for n, (a, b) in losses.items()}}


def picture_trial(trial, job, shared, step, state):
    """What a run adds to its record, also one that diverged but left a picture.

    state: what it goes on from, or `None`.
    """
    total = sum(scale.steps for scale in job.scales)

    def show(done, loss, speed, left):
        step(trial.name, done, total, loss, left)

    curve, end = Curve(), {}
    watchers = [curve, Progress(show, 1, job.scales)]
    try:
        result = pipeline.run(job, watchers, shared, state)
    except DivergedError as error:
        if error.result is None:
            raise
        result, end = error.result, {"status": "failed", "error": sentence(error)}
    if result.interrupted:
        raise KeyboardInterrupt
    return end | {
        "picture": f"{trial.name}/{result.path.name}",
        "steps": result.steps,
        "seconds": result.seconds,
        "losses": result.losses,
        "weights": {term.tag: term.weight for term in build_terms(job.config)},
        "curve": curve.values,
    }
