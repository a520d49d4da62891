"""What an executor of trials does, wherever its workers are.

An executor has `run(tasks, report_step)`, which yields the record of each task as it
ends, and is a context manager that leaves nothing running.
"""

import collections
import contextlib
import dataclasses
import logging
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Self

from kstyle.errors import ConfigError
from kstyle.experiments.definition.experiment_file import Trial
from kstyle.experiments.records import (
    TrialRecord,
    new_record,
    record_failure,
    trial_fingerprint,
    write_record,
)

log = logging.getLogger("kstyle")

MAX_RETRIES = 3  # of a trial whose worker has died
EXECUTORS = ("local", "processes", "ray")

# Called with trial name, steps done, steps in all, loss, seconds left.
ReportStep = Callable[[str, int, int, float, float], None]


@dataclasses.dataclass(frozen=True)
class Task:
    """One trial to run. experiment: its name; folder: the experiment's own."""

    experiment: str
    trial: Trial
    folder: Path

    @property
    def name(self) -> str:
        """The trial's name."""
        return self.trial.name

    @property
    def trial_folder(self) -> Path:
        """The trial's folder."""
        return self.folder / self.trial.name


@dataclasses.dataclass(frozen=True)
class WorkerLost:
    """The outcome of a task whose worker has died; `reason`: a clause."""

    reason: str


Outcome = TrialRecord | WorkerLost


class Pool:
    """Runs tasks at the same time, and repeats those whose worker dies.

    Subclasses implement the methods that raise `NotImplementedError`.
    """

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def has_room(self) -> bool:
        """Return whether another task can be started."""
        raise NotImplementedError

    def start(self, task: Task) -> None:
        """Give the task to a worker."""
        raise NotImplementedError

    def wait(self, report_step: ReportStep) -> list[tuple[str, Outcome]]:
        """Wait for news of the workers, and pass on their progress.

        Returns: `[(trial name, outcome)]` of the tasks that have ended.
        """
        raise NotImplementedError

    def stop(self) -> None:
        """End the running tasks within seconds; their checkpoints stay."""
        raise NotImplementedError

    def close(self) -> None:
        """Release the workers."""
        raise NotImplementedError

    def run(
        self, tasks: Iterable[Task], report_step: ReportStep
    ) -> Iterator[TrialRecord]:
        """Yield a record for each task, in the order in which they end."""
        waiting = list(tasks)
        running: dict[str, Task] = {}
        deaths: collections.Counter[str] = collections.Counter()
        hashes = {task.name: trial_fingerprint(task.trial) for task in waiting}
        try:
            while waiting or running:
                # Of two identical trials the second waits, to be copied.
                busy = {hashes[name] for name in running}
                ready = [task for task in waiting if hashes[task.name] not in busy]
                if ready and self.has_room():
                    task = ready[0]
                    waiting.remove(task)
                    running[task.name] = task
                    self.start(task)
                    continue
                for name, outcome in self.wait(report_step):
                    task = running.pop(name)
                    if not isinstance(outcome, WorkerLost):
                        yield outcome
                        continue
                    deaths[name] += 1
                    if deaths[name] > MAX_RETRIES:
                        yield record_lost_worker(task, outcome.reason)
                        continue
                    log.warning("%s: %s; it is run again", name, outcome.reason)
                    waiting.insert(0, task)
        finally:
            if running:
                self.stop()


def check_executor(
    executor: str, workers: int | None = None, address: str | None = None
) -> None:
    """Refuse options that the executor does not have. Raises: ConfigError."""
    if executor not in EXECUTORS:
        raise ConfigError(
            f"executor: one of {', '.join(EXECUTORS)}. Received: {executor!r}."
        )
    if workers is not None and workers < 1:
        raise ConfigError(f"--workers takes a number from 1 up. Received: {workers}.")
    if workers is not None and executor == "local":
        raise ConfigError(
            "--workers: the local executor runs one trial after the other. Add "
            "--executor processes."
        )
    if address is not None and executor != "ray":
        raise ConfigError("--address is a Ray cluster's: add --executor ray.")


def record_lost_worker(task: Task, reason: str) -> TrialRecord:
    """Record the failure of a task whose every worker has died."""
    record = new_record(task.experiment, task.trial)
    return write_failure(task, record, f"{reason}, {MAX_RETRIES + 1} times in a row")


def write_failure(task: Task, record: TrialRecord, error: str) -> TrialRecord:
    """Write `record` as that of a failed trial, and return it. error: a sentence."""
    record = record_failure(record, error)
    with contextlib.suppress(OSError):  # the caller reports the error anyway
        task.trial_folder.mkdir(parents=True, exist_ok=True)
        write_record(task.trial_folder, record)
    return record


def throttled(
    report_step: ReportStep,
    seconds: float,
    clock: Callable[[], float] = time.monotonic,
) -> ReportStep:
    """Return a `report_step` that is called at most once in so many seconds.

    A trial's last step is always reported.
    """
    reported = -seconds

    def report(
        name: str, done: int, total: int, loss: float, seconds_left: float
    ) -> None:
        nonlocal reported
        if done == total or clock() - reported >= seconds:
            reported = clock()
            report_step(name, done, total, loss, seconds_left)

    return report
