"""Trials in several processes of this machine, one GPU each where there are any."""

import contextlib
import logging
import multiprocessing
import multiprocessing.connection
import os
import signal
import threading
import time

from kstyle.experiments.execution.pool import Pool, WorkerLost, throttled
from kstyle.hardware.tensorflow_setup import load_tensorflow

log = logging.getLogger("kstyle")

GRACE_SECONDS = (
    10.0  # seconds in which a worker may end its step and write a checkpoint
)
PROGRESS_SECONDS = 0.2  # seconds between two words on a trial's progress


class ProcessPool(Pool):
    """A pool of worker processes, begun when there is work for them.

    environments: the variables of each worker, as `resources.share` makes them.
    """

    def __init__(self, environments):
        self.environments = list(environments)
        self.workers = [None] * len(self.environments)

    def has_room(self):
        return any(worker is None or worker.task is None for worker in self.workers)

    def start(self, task):
        """Give the task to a worker that has none, or to a new one."""
        idle = [i for i, w in enumerate(self.workers) if w is not None and not w.task]
        if idle and self.workers[idle[0]].send(task):
            return
        free = idle[:1] or [self.workers.index(None)]  # an idle one that has died
        worker = self.workers[free[0]] = Worker(self.environments[free[0]])
        worker.send(task)

    def wait(self, step):
        """News of the workers: `[(trial name, record or Died)]`."""
        busy = {w.pipe: w for w in self.workers if w is not None and w.task}
        news = []
        for pipe in multiprocessing.connection.wait(list(busy)):
            worker = busy[pipe]
            try:
                kind, *what = pipe.recv()
            except (EOFError, OSError):
                news.append((worker.task.name, WorkerLost(worker.ended())))
                self.workers[self.workers.index(worker)] = None
                continue
            if kind == "step":
                step(*what)
            else:
                news.append((worker.task.name, *what))
                worker.task = None
        return news

    def stop(self):
        """As `Pool` says: each worker ends its step, writes its checkpoint and goes."""
        workers = [worker for worker in self.workers if worker is not None]
        for worker in workers:
            worker.process.terminate()
        self.end(workers)

    def close(self):
        """Let the workers go, now that there is nothing left to do."""
        workers = [worker for worker in self.workers if worker is not None]
        for worker in workers:
            worker.pipe.close()
        self.end(workers)

    def end(self, workers):
        """Wait for the workers' end, but not for ever."""
        end = time.monotonic() + GRACE_SECONDS
        for worker in workers:
            worker.process.join(max(0.0, end - time.monotonic()))
            worker.process.kill()
            worker.process.join()
            worker.pipe.close()
        self.workers = [None] * len(self.workers)


class Worker:
    """A worker process as its parent sees it; `task` is what it is at work on."""

    def __init__(self, environment):
        context = multiprocessing.get_context("spawn")  # TensorFlow bears no fork
        self.task = None
        self.pipe, theirs = context.Pipe()
        self.process = context.Process(
            target=run_worker, args=(theirs, environment), daemon=True
        )
        with block_interrupts():
            self.process.start()
        theirs.close()  # so that the pipe ends with the process

    def send(self, task):
        """Give it a task; whether it was there to take it."""
        try:
            self.pipe.send(task)
        except OSError:
            return False
        self.task = task
        return True

    def ended(self):
        """How the process ended, as a clause."""
        self.process.join()
        code = self.process.exitcode
        if code >= 0:
            return f"Its process ended with exit code {code}"
        name = signal.Signals(-code).name
        hint = " (the system does that when memory ends)" if name == "SIGKILL" else ""
        return f"Its process was ended by {name}{hint}"


@contextlib.contextmanager
def block_interrupts():
    """Children started inside never see Ctrl-C, which a terminal sends to all: their
    parent tells them. The parent itself hears of it at the end of the block."""
    if not hasattr(signal, "pthread_sigmask"):  # Windows
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def run_worker(pipe, environment):
    """The life of a worker process: trials from `pipe`, until there are no more."""
    os.environ.update(environment)
    signal.signal(signal.SIGTERM, raise_interrupt)
    threading.Thread(target=exit_with_parent, daemon=True).start()
    with contextlib.suppress(KeyboardInterrupt):
        load_tensorflow()
        from kstyle.experiments.execution.trial import WorkerContext, run_trial

        def tell(*progress):
            pipe.send(("step", *progress))

        here = WorkerContext()
        with contextlib.suppress(EOFError, OSError):  # of the pipe: all else is caught
            while True:
                task = pipe.recv()
                pipe.send(
                    ("record", run_trial(task, here, throttled(tell, PROGRESS_SECONDS)))
                )


def raise_interrupt(*_):
    """SIGTERM is to a worker what Ctrl-C is to a run; a second one changes nothing."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    raise KeyboardInterrupt


def exit_with_parent():
    """End this process when its parent does, however that ends."""
    multiprocessing.parent_process().join()
    os._exit(1)
