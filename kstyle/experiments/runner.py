"""Experiments: run the planned trials, then report on them."""

import contextlib
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from kstyle.errors import ConfigError, ExperimentError
from kstyle.experiments.execution.executors import Task, check_executor
from kstyle.experiments.execution.trial import LocalExecutor, WorkerContext
from kstyle.experiments.findings.votes import Vote, votes_by_experiment
from kstyle.experiments.plans import ExperimentPlan, plan
from kstyle.experiments.progress import Silent
from kstyle.experiments.records import (
    TrialRecord,
    flat_row,
    read_record,
    trial_fingerprint,
)
from kstyle.experiments.reporting.summary import Summary, summarize
from kstyle.experiments.scoring.scorer import Scorer
from kstyle.files import lock_folder
from kstyle.hardware.host import cpu_cores, free_memory
from kstyle.hardware.keras_setup import check_run_settings


def run(
    files: str | Path | Iterable[str | Path],
    *,
    watch: Silent | None = None,
    executor: str = "local",
    workers: int | None = None,
    address: str | None = None,
    **choices: Any,
) -> list[dict[str, Any]]:
    """Run the experiments in `files` and report on each; return a row for each trial.

    files, choices: as for `plan`. watch: an object with the methods of `Silent`.
    executor: "local", one trial after the other in this process; "processes", several
        on this machine (a script then needs `if __name__ == "__main__"`, as for all of
        Python's `multiprocessing`); or "ray".
    workers: trials at the same time; by default as many as fit. address: that of a Ray
        cluster; by default one is started on this machine.

    Returns: a list of flat dicts, one for each trial, for `pandas.DataFrame`: names,
        axes, status, steps, seconds, final loss and every score.
    Raises: KStyleError: something cannot work; nothing has run then. A trial that
        fails later is a row with an `error`, and the others run.
    """
    check_executor(executor, workers, address)
    check_run_settings()
    plans, context = plan(files, **choices), WorkerContext()
    with open_executor(plans, context, executor, workers, address) as chosen:
        return run_plans(plans, watch or Silent(), context, chosen)


def report(
    files: str | Path | Iterable[str | Path],
    *,
    votes: Iterable[str | Path] = (),
    watch: Silent | None = None,
    **choices: Any,
) -> list[dict[str, Any]]:
    """Report again on the trials that have run, without running any.

    files, choices: as they were given to `run`. votes: files that `votes.html` has
        saved, or folders of them. watch: its `summary` is called.
    Returns: a row for each trial, as `run`.
    Raises: KStyleError: no trial of an experiment has run, or the votes are of another.
    """
    check_run_settings()
    plans = plan_report(files, **choices)
    return report_plans(plans, watch or Silent(), votes)


def plan_report(
    files: str | Path | Iterable[str | Path], **choices: Any
) -> list[ExperimentPlan]:
    """Return the plans whose finished trials are reported on; see `report`."""
    # Nothing runs, so results of other options are in no danger: they are left out.
    return plan(files, overwrite=True, **choices)


def report_plans(
    plans: Sequence[ExperimentPlan], watch: Silent, vote_files: Iterable[str | Path]
) -> list[dict[str, Any]]:
    """Report on the trials of the plans that have run; see `report`."""
    names = [each.experiment.name for each in plans]
    votes, rows = votes_by_experiment(vote_files, names), []
    found = [(each, existing_records(each)) for each in plans]
    for each, records in found:
        with lock_folder(each.folder):
            summary = write_summary(
                each,
                records,
                Scorer(each.folder),
                votes.get(each.experiment.name, ()),
            )
        watch.summary(summary)
        rows += [flat_row(record) for record in summary.records]
    return rows


def existing_records(planned: ExperimentPlan) -> list[TrialRecord]:
    """Return the records of the finished and failed trials, in order.

    Raises: ConfigError: there are none.
    """
    records = []
    for trial in planned.experiment.trials:
        record = planned.finished.get(trial.name)
        record = record or read_record(planned.folder / trial.name)
        if record is not None and record["hash"] == trial_fingerprint(trial):
            records.append(record)
    if not records:
        raise ConfigError(
            f"No trial of {planned.experiment.name} with these options has run in "
            f"{planned.folder}. Give the options of its run, or run it first: "
            f"{planned.command}"
        )
    return records


def open_executor(
    plans: list[ExperimentPlan],
    context: WorkerContext,
    executor: str = "local",
    workers: int | None = None,
    address: str | None = None,
) -> Any:
    """Return the executor of that name for the trials of `plans`, a context manager.

    context: this process's. Raises: ConfigError: the executor cannot work.
    """
    if executor == "local":
        return LocalExecutor(context)
    from kstyle.hardware.devices import hide_gpus

    gpus = hide_gpus()
    if executor == "processes":
        from kstyle.experiments.execution.processes import ProcessPool
        from kstyle.experiments.execution.resources import worker_environments

        environments = worker_environments(
            plans,
            workers,
            gpus=gpus,
            cores=cpu_cores(),
            free_bytes=free_memory(),
        )
        return ProcessPool(environments)
    from kstyle.experiments.execution.ray import RayPool

    return RayPool(plans, workers, address)


def run_plans(
    plans: Iterable[ExperimentPlan],
    watch: Silent,
    context: WorkerContext,
    executor: Any,
) -> list[dict[str, Any]]:
    """Run the plans one after the other; return a row for each trial, as `run`."""
    rows = []
    for each in plans:
        scorer = context.get_scorer(each.folder)
        summary = run_experiment(each, watch, scorer, executor)
        rows += [flat_row(record) for record in summary.records]
    return rows


def run_experiment(
    planned: ExperimentPlan, watch: Silent, scorer: Scorer, executor: Any
) -> Summary:
    """Run the unfinished trials of one experiment; return its summary.

    After an error or Ctrl-C the finished trials are summarized too.
    Raises: ConfigError: another process runs this experiment in the same folder.
    """
    experiment, records = planned.experiment, dict(planned.finished)
    tasks = [Task(experiment.name, trial, planned.folder) for trial in planned.todo]
    with lock_folder(planned.folder):
        watch.begin(experiment, planned.todo, len(planned.finished))
        try:
            with contextlib.closing(executor.run(tasks, watch.step)) as ended:
                for record in ended:
                    records[record["trial"]] = record
                    watch.end(record)
        finally:
            names = [trial.name for trial in experiment.trials]
            ordered = [records[name] for name in names if name in records]
            summary = write_summary(planned, ordered, scorer)
            watch.summary(summary)
    return summary


def write_summary(
    planned: ExperimentPlan,
    records: list[TrialRecord],
    scorer: Scorer,
    votes: Iterable[Vote] = (),
) -> Summary:
    """Summarize the experiment; see `summarize`.

    Raises: ExperimentError: a file cannot be written, as on a full disk.
    """
    try:
        return summarize(
            planned.experiment,
            planned.findings,
            planned.folder,
            records,
            scorer,
            planned.command,
            votes,
        )
    except OSError as error:
        reason = str(error).rstrip(".")
        raise ExperimentError(
            f"The report in {planned.folder} cannot be written: {reason}. The finished "
            "trials are kept; run the same command again to write it."
        ) from None
