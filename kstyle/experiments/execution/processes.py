"""Trials in several processes of this machine, with one GPU each if there are any."""

import contextlib
import logging
import multiprocessing
import multiprocessing.connection
import os
import signal
import threading
import time
from collections.abc import Iterable, Iterator, Mapping
from multiprocessing.connection import Connection
from types import FrameType

from kstyle.experiments.execution.executors import (
    Outcome,
    Pool,
    ReportStep,
    Task,
    WorkerLost,
    throttled,
)
from kstyle.hardware.host import ENDING_SIGNALS
from kstyle.hardware.tensorflow_setup import load_tensorflow

log = logging.getLogger("kstyle")

GRACE_SECONDS = 10.0  # in which a worker may end its step and write a checkpoint
PROGRESS_SECONDS = 0.2  # between two reports of a trial's progress


class ProcessPool(Pool):
    """A pool of worker processes, each started when there is work for it.

    environments: the variables of each worker, from `worker_environments`.
    """

    def __init__(self, environments: Iterable[Mapping[str, str]]) -> None:
        self.environments = list(environments)
        self.workers: list[Worker | None] = [None] * len(self.environments)

    def has_room(self) -> bool:
        return any(worker is None or worker.task is None for worker in self.workers)

    def start(self, task: Task) -> None:
        index = self.free_index()
        worker = self.workers[index]
        if worker is not None and worker.send(task):
            return
        worker = self.workers[index] = Worker(self.environments[index])
        worker.send(task)

    def free_index(self) -> int:
        """Return the index of an idle worker, or else of one that is not started."""
        for index, worker in enumerate(self.workers):
            if worker is not None and worker.task is None:
                return index
        return self.workers.index(None)

    def wait(self, report_step: ReportStep) -> list[tuple[str, Outcome]]:
        ended: list[tuple[str, Outcome]] = []
        busy = [(w, w.task) for w in self.workers if w is not None and w.task]
        ready = multiprocessing.connection.wait([worker.pipe for worker, _ in busy])
        for worker, task in busy:
            if worker.pipe not in ready:
                continue
            try:
                kind, *message = worker.pipe.recv()
            except (EOFError, OSError):
                ended.append((task.name, WorkerLost(worker.explain_end())))
                self.workers[self.workers.index(worker)] = None
                continue
            if kind == "step":
                report_step(*message)
            else:
                (record,) = message
                ended.append((task.name, record))
                worker.task = None
        return ended

    def stop(self) -> None:
        workers = [worker for worker in self.workers if worker is not None]
        for worker in workers:
            worker.process.terminate()
        self.join(workers)

    def close(self) -> None:
        workers = [worker for worker in self.workers if worker is not None]
        for worker in workers:
            worker.pipe.close()
        self.join(workers)

    def join(self, workers: Iterable["Worker"]) -> None:
        """Wait for the end of the workers, and kill those that take too long."""
        deadline = time.monotonic() + GRACE_SECONDS
        for worker in workers:
            worker.process.join(max(0.0, deadline - time.monotonic()))
            worker.process.kill()
            worker.process.join()
            worker.pipe.close()
        self.workers = [None] * len(self.workers)


class Worker:
    """A worker process as its parent sees it; `task`: the one that it runs."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        context = multiprocessing.get_context("spawn")  # TensorFlow cannot be forked
        self.task: Task | None = None
        self.pipe, other_end = context.Pipe()
        self.process = context.Process(
            target=run_worker, args=(other_end, dict(environment)), daemon=True
        )
        with block_interrupts():
            self.process.start()
        other_end.close()  # so that the pipe ends with the process

    def send(self, task: Task) -> bool:
        """Give a task to the process; return `False` if it has died."""
        try:
            self.pipe.send(task)
        except OSError:
            return False
        self.task = task
        return True

    def explain_end(self) -> str:
        """Return how the process has ended, as a clause."""
        self.process.join()
        code = self.process.exitcode or 0
        if code >= 0:
            return f"Its process ended with exit code {code}"
        name = signal.Signals(-code).name
        hint = " (the system does that when memory ends)" if name == "SIGKILL" else ""
        return f"Its process was ended by {name}{hint}"


@contextlib.contextmanager
def block_interrupts() -> Iterator[None]:
    """Start child processes that ignore Ctrl-C, which a terminal sends to all.

    Their parent ends them. It gets its own Ctrl-C at the end of the block.
    """
    if not hasattr(signal, "pthread_sigmask"):  # Windows
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def run_worker(pipe: Connection, environment: Mapping[str, str]) -> None:
    """Run trials that come through `pipe` until it is closed."""
    os.environ.update(environment)
    for number in ENDING_SIGNALS:
        signal.signal(number, raise_interrupt)
    threading.Thread(target=exit_with_parent, daemon=True).start()
    with contextlib.suppress(KeyboardInterrupt):
        load_tensorflow()
        from kstyle.experiments.execution.trial import WorkerContext, run_trial

        def send_step(
            name: str, done: int, total: int, loss: float, seconds_left: float
        ) -> None:
            pipe.send(("step", name, done, total, loss, seconds_left))

        context = WorkerContext()
        with contextlib.suppress(EOFError, OSError):  # of the pipe: trials catch theirs
            while True:
                report_step = throttled(send_step, PROGRESS_SECONDS)
                record = run_trial(pipe.recv(), context, report_step)
                pipe.send(("record", record))


def raise_interrupt(_: int, frame: FrameType | None) -> None:
    """Handle a signal that ends a worker as Ctrl-C; a second one is ignored."""
    for number in ENDING_SIGNALS:
        signal.signal(number, signal.SIG_IGN)
    handler = signal.getsignal(signal.SIGINT)
    if not callable(handler):
        raise KeyboardInterrupt
    handler(signal.SIGINT, frame)  # a run lets its step end first


def exit_with_parent() -> None:
    """End this process when its parent ends, for whatever reason."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
    os._exit(1)
