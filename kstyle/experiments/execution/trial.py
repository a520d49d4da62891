"""One trial: run, resumed, or copied from an identical one."""

import dataclasses
import shutil
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Self

from kstyle.errors import DivergedError, error_sentence
from kstyle.experiments.definition.experiment_file import Trial
from kstyle.experiments.execution.executors import ReportStep, Task, write_failure
from kstyle.experiments.records import (
    LossTable,
    TrialRecord,
    TrialResult,
    copy_identical_trial,
    find_identical_trial,
    new_record,
    record_result,
    write_record,
)
from kstyle.experiments.reporting.summary import score_trial
from kstyle.experiments.reporting.tensorboard import write_trial_hyperparameters
from kstyle.experiments.scoring.scorer import Scorer
from kstyle.files import write_text
from kstyle.hardware.machine import THIS_MACHINE, Machine
from kstyle.lru_cache import LRUCache
from kstyle.runs import pipeline
from kstyle.runs.callbacks.periodic import LossCurve, ProgressReport
from kstyle.runs.checkpoint_file import RunState
from kstyle.runs.initialization import layer_losses
from kstyle.runs.job import Job, prepare
from kstyle.runs.many_runs import Attempt, find_unfinished_state
from kstyle.runs.model_cache import MAX_MODEL_BYTES, ModelCache
from kstyle.runs.model_options import job_terms


class WorkerContext:
    """What a process keeps from one trial to the next: models and a scorer.

    machine: the facts that decide how the trials fit into the memory.
    """

    def __init__(self, machine: Machine = THIS_MACHINE) -> None:
        self.machine = machine
        self.models = ModelCache(MAX_MODEL_BYTES)
        self.scorers: LRUCache[Scorer] = LRUCache(1)

    def get_scorer(self, folder: Path) -> Scorer:
        """Return the `Scorer` of the experiment in `folder`."""
        return self.scorers.get(folder, lambda: Scorer(folder))


class LocalExecutor:
    """The executor that runs one trial after the other, in this process."""

    def __init__(self, context: WorkerContext) -> None:
        self.context = context

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def run(
        self, tasks: Iterable[Task], report_step: ReportStep
    ) -> Iterator[TrialRecord]:
        """Yield a record for each task; see `Pool.run`."""
        for task in tasks:
            yield run_trial(task, self.context, report_step)


def run_trial(
    task: Task, context: WorkerContext, report_step: ReportStep
) -> TrialRecord:
    """Run a trial and write its record, also if it fails. Returns the record.

    A trial that another experiment has run already is copied from there; an unfinished
    one is resumed from its checkpoint. report_step: as for `Pool.run`.
    Raises: KeyboardInterrupt: Ctrl-C.
    """
    trial, folder = task.trial, task.trial_folder
    record = new_record(task.experiment, trial)
    with Attempt(f"trial {trial.name}") as attempt:
        twin = find_identical_trial(task.folder.parent, record["hash"])
        state = None if twin else find_unfinished_state(folder, trial.config)
        if state is None:
            shutil.rmtree(folder, ignore_errors=True)
        if twin is not None:
            record = copy_identical_trial(twin, folder, record)
            write_trial_hyperparameters(task.folder, trial, task.experiment)
        else:
            job = prepare(
                trial.config, folder=folder, state=state, machine=context.machine
            )
            record = {**record, "fitted": job.fitted_options()}
            if trial.kind == "table":
                result, error = measure_table(job, context.models), None
            else:
                write_trial_hyperparameters(task.folder, trial, task.experiment)
                result, error = run_picture_trial(
                    trial, job, context.models, report_step, state
                )
            record = record_result(record, result, error)
        if record["error"] is not None:
            write_record(folder, record)
        scorer = context.get_scorer(task.folder)
        record = score_trial(task.folder, trial.config, record, scorer)
    if attempt.error is not None:
        record = write_failure(task, record, attempt.error)
    return record


def measure_table(job: Job, models: ModelCache) -> TrialResult:
    """Measure the initial losses of all layers, and write `initial_losses.csv`."""
    losses = layer_losses(job, models)
    lines = [f"{name},{a!r},{b!r}\n" for name, (a, b) in losses.items()]
    path = job.folder / "initial_losses.csv"
    write_text(path, "layer,content,style\n" + "".join(lines))
    table: LossTable = {
        name: {"content": content, "style": style}
        for name, (content, style) in losses.items()
    }
    return {"table": table}


def run_picture_trial(
    trial: Trial,
    job: Job,
    models: ModelCache,
    report_step: ReportStep,
    state: RunState | None,
) -> tuple[TrialResult, str | None]:
    """Run the job, or resume it from `state`.

    Returns: its result, and the error's sentence if it diverged but left a picture.
    """
    curve, sentence = LossCurve(), None
    progress = ProgressReport(make_show(trial, job, report_step), 1, job.scales)
    try:
        result = pipeline.run_job(job, [curve, progress], models, state)
    except DivergedError as error:
        if error.result is None:
            raise
        result, sentence = error.result, error_sentence(error)
    if result.interrupted:
        raise KeyboardInterrupt
    solved = dataclasses.replace(job, config=result.config)
    measured: TrialResult = {
        "picture": f"{trial.name}/{result.path.name}",
        "steps": result.steps,
        "seconds": result.seconds,
        "losses": result.losses,
        "weights": {
            term.tag: term.weight for term in job_terms(solved, job.scales[-1])
        },
        "curve": curve.values,
        "fitted": solved.fitted_options(),
    }
    return measured, sentence


def make_show(
    trial: Trial, job: Job, report_step: ReportStep
) -> Callable[[int, float, float, float], None]:
    """Return the `show` of a `ProgressReport` that calls `report_step`."""
    total = sum(scale.steps for scale in job.scales)

    def show(step: int, loss: float, speed: float, seconds_left: float) -> None:
        report_step(trial.name, step, total, loss, seconds_left)

    return show
