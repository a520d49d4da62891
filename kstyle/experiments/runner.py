"""Experiments: runs that differ in one thing, and what can be told from them."""

import contextlib
import logging
import shutil
import traceback

from kstyle import checkpoints, pipeline
from kstyle.callbacks import Curve
from kstyle.errors import ConfigError, ExperimentError, KStyleError, sentence
from kstyle.experiments.judging import Bench
from kstyle.experiments.plans import plan
from kstyle.experiments.records import (
    adopt,
    find_twin,
    flat,
    new_record,
    write_record,
)
from kstyle.experiments.summary import judge_trial, sum_up
from kstyle.files import write_text
from kstyle.job import prepare
from kstyle.locks import locked
from kstyle.losses import build_terms
from kstyle.shared import MODELS, Shared
from kstyle.start import layer_losses, solve_weights

log = logging.getLogger("kstyle")


class Silent:
    """Watches an experiment and shows nothing; what a caller's `watch` looks like."""

    def begin(self, experiment, todo, finished):
        """Before the first trial: those that will run, and how many are done."""

    def callbacks(self, trial, job):
        """Keras callbacks for the run of `trial`."""
        return []

    def end(self, record):
        """After each trial, with its record."""

    def summary(self, summary):
        """After the last trial, with the experiment's `summary.Summary`."""


def run(files, *, watch=None, **choices):
    """Run the experiments in `files`, and report on each. Returns a row a trial.

    files, choices: as for `plan`. watch: something like `Silent`.

    Returns: a list of flat dicts, one a trial, which `pandas.DataFrame` takes as it is:
        names, axes, status, steps, seconds, final loss and every score.
    Raises: KStyleError: something cannot work; nothing has run then. A trial that
        fails later is a row with an `error`, and the others go on.
    """
    return run_plans(plan(files, **choices), watch or Silent())


def run_plans(plans, watch):
    """Run every `Plan`, one after the other. Returns a row a trial, as `run`."""
    shared, rows = Shared(MODELS), []
    for each in plans:
        rows += [flat(record) for record in run_plan(each, shared, watch)]
    return rows


def run_plan(each, shared, watch):
    """Run what is to do of one experiment. Returns all its records, in file order.

    However it ends, what is finished is summed up.
    Raises: ConfigError: another process runs this experiment in the same folder.
    """
    records, bench = dict(each.finished), Bench(each.folder)
    with locked(each.folder):
        watch.begin(each.experiment, each.todo, len(each.finished))
        try:
            for trial in each.todo:
                records[trial.name] = run_trial(each, trial, shared, bench, watch)
                watch.end(records[trial.name])
        finally:
            names = [trial.name for trial in each.experiment.trials]
            found = [records[name] for name in names if name in records]
            watch.summary(summary_of(each, found, bench))
    return found


def summary_of(each, records, bench):
    """`sum_up`, a full disk being the user's affair and not a bug."""
    try:
        return sum_up(each.experiment, each.folder, records, bench, each.command)
    except OSError as error:
        raise ExperimentError(
            f"The report in {each.folder} cannot be written: {error}. The finished "
            "trials are kept; run the same command again to write it."
        ) from None


def run_trial(each, trial, shared, bench, watch):
    """Run one trial; whatever happens, there is a record of it.

    A trial that another experiment has run already is copied from there; one that was
    killed goes on from its checkpoint.
    Raises: KeyboardInterrupt: Ctrl-C.
    """
    record, folder = new_record(each.experiment, trial), each.folder / trial.name
    try:
        twin = find_twin(each.folder.parent, record["hash"])
        state = unfinished(trial, folder) if twin is None else None
        if state is None:
            shutil.rmtree(folder, ignore_errors=True)
        if twin is not None:
            found = adopt(twin, folder, record)
        else:
            job = solve_weights(prepare(trial.config, folder=folder), shared)
            measure = table_trial if trial.kind == "table" else picture_trial
            found = measure(trial, job, shared, watch, state)
        record |= {**found, "status": "finished"}
        judge_trial(each.folder, trial, record, bench)
    except Exception as error:  # a bug or a full disk too: the other trials still run
        record |= {"status": "failed", "error": sentence(error)}
        if not isinstance(error, (KStyleError, OSError)):
            log.error("trial %s failed:\n%s", trial.name, traceback.format_exc())
        with contextlib.suppress(OSError):  # the error is told all the same
            folder.mkdir(parents=True, exist_ok=True)
            write_record(folder, record)
    return record


def unfinished(trial, folder):
    """The `checkpoints.State` that the very same run has left in `folder`, or `None`.

    A trial whose weights are solved at its start begins again.
    """
    with contextlib.suppress(ConfigError):
        state = checkpoints.read_state(folder)
        if state is not None:
            checkpoints.check_origin(state, trial.config, folder)
            return state
    return None


def table_trial(trial, job, shared, watch, state):
    """What a table of initial losses adds to its record; also `initial_losses.csv`."""
    losses = layer_losses(job, shared)
    lines = [f"{name},{a!r},{b!r}\n" for name, (a, b) in losses.items()]
    path = job.folder / "initial_losses.csv"
    write_text(path, "layer,content,style\n" + "".join(lines))
    return {"table": {n: {"content": a, "style": b} for n, (a, b) in losses.items()}}


def picture_trial(trial, job, shared, watch, state):
    """What a run adds to its record. state: what it goes on from, or `None`."""
    curve = Curve()
    watchers = [curve, *watch.callbacks(trial, job)]
    result = pipeline.run(job, watchers, shared, state)
    if result.interrupted:
        raise KeyboardInterrupt
    return {
        "picture": f"{trial.name}/{result.path.name}",
        "steps": result.steps,
        "seconds": result.seconds,
        "losses": result.losses,
        "weights": {term.tag: term.weight for term in build_terms(job.config)},
        "curve": curve.values,
    }
