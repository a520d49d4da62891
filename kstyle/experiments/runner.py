"""Experiments: runs that differ in one thing, and what can be told from them."""

import contextlib

from kstyle.errors import ExperimentError
from kstyle.experiments.execution.pool import Task, check_executor
from kstyle.experiments.execution.trial import LocalExecutor, WorkerContext
from kstyle.experiments.plans import plan
from kstyle.experiments.records import flat_row
from kstyle.experiments.reporting.summary import summarize
from kstyle.files import lock_folder


class Silent:
    """Watches an experiment and shows nothing; what a caller's `watch` looks like."""

    def begin(self, experiment, todo, finished):
        """Before the first trial: those that will run, and how many are done."""

    def step(self, trial, done, total, loss, left):
        """While the trial of that name runs: its steps so far and in all, its loss, the
        seconds that it still takes."""

    def end(self, record):
        """After each trial, with its record."""

    def summary(self, summary):
        """After the last trial, with the experiment's `summary.Summary`."""


def run(files, *, watch=None, executor="local", workers=None, address=None, **choices):
    """Run the experiments in `files`, and report on each. Returns a row a trial.

    files, choices: as for `plan`. watch: something like `Silent`.
    executor: "local", one trial after the other in this process; "processes", several
        of this machine (a script of yours needs `if __name__ == "__main__"` then, as
        for all of Python's `multiprocessing`); or "ray".
    workers: how many at once; by default as many as fit. address: a Ray cluster's; by
        default one is started on this machine.

    Returns: a list of flat dicts, one a trial, which `pandas.DataFrame` takes as it is:
        names, axes, status, steps, seconds, final loss and every score.
    Raises: KStyleError: something cannot work; nothing has run then. A trial that
        fails later is a row with an `error`, and the others go on.
    """
    check_executor(executor, workers, address)
    plans, here = plan(files, **choices), WorkerContext()
    with open_executor(plans, here, executor, workers, address) as chosen:
        return run_plans(plans, watch or Silent(), here, chosen)


def open_executor(plans, here, executor="local", workers=None, address=None):
    """The executor of that name for the trials of `plans`, a context manager.

    here: this process's `trials.Workplace`. Raises: ConfigError: it cannot work.
    """
    if executor == "local":
        return LocalExecutor(here)
    from kstyle.hardware.devices import hide_gpus

    gpus = hide_gpus()
    if executor == "processes":
        from kstyle.experiments.execution.processes import ProcessPool
        from kstyle.experiments.execution.resources import worker_environments

        return ProcessPool(worker_environments(plans, workers, gpus))
    from kstyle.experiments.execution.ray import RayPool

    return RayPool(plans, workers, address)


def run_plans(plans, watch, here, executor):
    """Run every `Plan`, one after the other. Returns a row a trial, as `run`."""
    rows = []
    for each in plans:
        rows += [
            flat_row(record) for record in run_experiment(each, watch, here, executor)
        ]
    return rows


def run_experiment(each, watch, here, executor):
    """Run what is to do of one experiment. Returns all its records, in file order.

    However it ends, what is finished is summed up.
    Raises: ConfigError: another process runs this experiment in the same folder.
    """
    records, folder = dict(each.finished), each.folder
    tasks = [Task(each.experiment.name, trial, folder) for trial in each.todo]
    with lock_folder(folder):
        watch.begin(each.experiment, each.todo, len(each.finished))
        try:
            with contextlib.closing(executor.run(tasks, watch.step)) as ended:
                for record in ended:
                    records[record["trial"]] = record
                    watch.end(record)
        finally:
            names = [trial.name for trial in each.experiment.trials]
            found = [records[name] for name in names if name in records]
            watch.summary(write_summary(each, found, here.bench(folder)))
    return found


def write_summary(each, records, bench):
    """`sum_up`, a full disk being the user's affair and not a bug."""
    try:
        return summarize(each.experiment, each.folder, records, bench, each.command)
    except OSError as error:
        raise ExperimentError(
            f"The report in {each.folder} cannot be written: {error}. The finished "
            "trials are kept; run the same command again to write it."
        ) from None
