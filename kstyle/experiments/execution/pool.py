"""Who runs the trials: what a pool of workers does, wherever they are.

An executor has `run(tasks, step)`, which yields the record of each task as it ends, and
is a context manager, at whose end nothing of it is left running.
"""

import collections
import contextlib
import dataclasses
import logging
import time
from pathlib import Path

from kstyle.errors import ConfigError
from kstyle.experiments.definition.experiment_file import Trial
from kstyle.experiments.records import (
    new_record,
    record_failure,
    trial_fingerprint,
    write_record,
)

log = logging.getLogger("kstyle")

MAX_RETRIES = 3  # of a trial whose worker has died
EXECUTORS = ("local", "processes", "ray")


@dataclasses.dataclass(frozen=True)
class Task:
    """One trial to run. experiment: its name; folder: the experiment's own."""

    experiment: str
    trial: Trial
    folder: Path

    @property
    def name(self):
        return self.trial.name

    @property
    def place(self):
        """The trial's folder."""
        return self.folder / self.trial.name


@dataclasses.dataclass(frozen=True)
class WorkerLost:
    """What becomes of a task whose worker has died; `reason`: a clause."""

    reason: str


class Pool:
    """Runs tasks at the same time; a task whose worker dies is given out again.

    A child class says how: `has_room()`; `start(task)`; `wait(step)`, which waits for
    news, tells `step` of progress, and returns `[(name, record or Died)]`; and
    `stop()`, which ends what is running within seconds and loses no checkpoint.
    """

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def run(self, tasks, step):
        """Yield a record for each task, in the order in which they end.

        step: told (trial name, steps done, steps in all, loss, seconds left).
        """
        waiting, running, deaths = list(tasks), {}, collections.Counter()
        digests = {task.name: trial_fingerprint(task.trial) for task in waiting}
        try:
            while waiting or running:
                busy = {digests[name] for name in running}
                task = next((t for t in waiting if digests[t.name] not in busy), None)
                # Of two that are the same the second one waits, to copy the first.
                if task is not None and self.has_room():
                    waiting.remove(task)
                    running[task.name] = task
                    self.start(task)
                    continue
                for name, outcome in self.wait(step):
                    task = running.pop(name)
                    if not isinstance(outcome, WorkerLost):
                        yield outcome
                        continue
                    deaths[name] += 1
                    if deaths[name] > MAX_RETRIES:
                        yield lost_record(task, outcome.reason)
                        continue
                    log.warning("%s: %s; it is run again", name, outcome.reason)
                    waiting.insert(0, task)
        finally:
            if running:
                self.stop()


def check_executor(executor, workers=None, address=None):
    """Refuse what says nothing to that executor. Raises: ConfigError."""
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


def lost_record(task, reason):
    """The record of a task whose every worker has died."""
    record = new_record(task.experiment, task.trial)
    return write_failure(task, record, f"{reason}, {MAX_RETRIES + 1} times in a row")


def write_failure(task, record, error):
    """Write `record` as that of a failed trial, and return it. error: a sentence."""
    record = record_failure(record, error)
    with contextlib.suppress(OSError):  # the error is told all the same
        task.place.mkdir(parents=True, exist_ok=True)
        write_record(task.place, record)
    return record


def throttled(tell, seconds):
    """`tell` of progress, called once in so many seconds and at a trial's last step."""
    told = -seconds

    def call(name, done, total, *others):
        nonlocal told
        if done == total or time.monotonic() - told >= seconds:
            told = time.monotonic()
            tell(name, done, total, *others)

    return call
