"""The app's queue: jobs that run one at a time in a worker process.

The queue lives in the server, so a page that is closed or loaded again finds it as it
was. A job that has begun is a run with its own folder, like those of the command line;
those that have not are in a file, and the next start of the app runs them.
"""

import contextlib
import dataclasses
import itertools
import logging
import multiprocessing
import threading
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Literal

from kstyle.app.earlier_losses import read_progress
from kstyle.app.messages import (
    Continue,
    Ended,
    LivePicture,
    Note,
    Pause,
    Paused,
    Progress,
    Ready,
    Started,
    StartRun,
    Stop,
)
from kstyle.app.queue_file import QueueFile
from kstyle.app.worker import serve_queue
from kstyle.config.style_config import StyleConfig
from kstyle.errors import ConfigError
from kstyle.gallery.run_list import run_title

log = logging.getLogger("kstyle")

JobStatus = Literal[
    "waiting",
    "preparing",
    "running",
    "pausing",
    "paused",
    "stopping",
    "finished",
    "interrupted",
    "diverged",
    "failed",
]
ENDED = ("finished", "interrupted", "diverged", "failed")
MAX_WAITING = 50  # jobs
MAX_CURVE_POINTS = 2000  # of a job's losses; every second one is dropped beyond
MAX_STARTS = 2  # of a worker that dies before it is ready
CLOSING_SECONDS = 30.0  # in which the worker may end its step and write the picture


@dataclasses.dataclass
class AppJob:
    """A job and what is known of it.

    folder: of the run, once it has one; of a resumed one from the start. curve: its
        `Progress` messages. picture: the latest, as a JPEG. notes: what kstyle logs
        for its user.
    """

    number: int
    config: StyleConfig
    resumed: bool = False
    status: JobStatus = "waiting"
    folder: Path | None = None
    result: Path | None = None
    step: int = 0
    steps: int = 0
    curve: list[Progress] = dataclasses.field(default_factory=list)
    picture: LivePicture | None = None
    notes: list[str] = dataclasses.field(default_factory=list)
    error: str | None = None

    @property
    def title(self) -> str:
        """The names of the pictures, as `run_title` gives them."""
        return run_title(self.config)

    @property
    def ended(self) -> bool:
        """Whether the job is over."""
        return self.status in ENDED

    @property
    def can_pause(self) -> bool:
        """Whether the job can be paused now."""
        return self.status == "running"

    @property
    def can_continue(self) -> bool:
        """Whether the job waits for its user."""
        return self.status in ("pausing", "paused")

    @property
    def can_stop(self) -> bool:
        """Whether the job can be stopped, with its picture kept."""
        return self.status in ("running", "pausing", "paused")

    def add_progress(self, message: Progress) -> None:
        """Add a point to the curve."""
        self.step = message.step
        self.curve.append(message)
        if len(self.curve) > MAX_CURVE_POINTS:
            self.curve = self.curve[::2]


WorkerHandle = tuple[Connection, Any]  # our end of the pipe, and the process


def start_worker_process() -> WorkerHandle:
    """Start the worker. Returns the connection to it and its process."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(
        target=serve_queue, args=(theirs,), name="kstyle-app-worker", daemon=True
    )
    process.start()
    theirs.close()
    return ours, process


class JobQueue:
    """Runs jobs one at a time, and keeps what is known of each.

    start_worker: returns a connection to a worker and its process. file: of the jobs
        that wait; `None`: they are lost with the queue. Methods may be called from any
        thread. `version` grows with every change, `machine` is `None`
        until the worker has measured it. broken: why no worker can be started.
    """

    def __init__(
        self,
        start_worker: Callable[[], WorkerHandle] = start_worker_process,
        file: QueueFile | None = None,
    ) -> None:
        self.start_worker, self.file = start_worker, file
        self.jobs: list[AppJob] = []
        self.machine: Ready | None = None
        self.version = 0
        self.broken: str | None = None
        self._failed_starts = 0
        self._changed = threading.Condition()
        self._connection: Connection | None = None
        self._closing = False
        self._numbers = itertools.count(1)
        for config, folder in file.read() if file is not None else ():
            job = AppJob(next(self._numbers), config, folder is not None)
            job.folder = folder
            self.jobs.append(job)
        self._written = self._without_folder()
        self._thread = threading.Thread(
            target=self._work, name="kstyle-app-queue", daemon=True
        )
        self._thread.start()

    @property
    def current(self) -> AppJob | None:
        """The job that runs now, or is paused."""
        busy = (j for j in self.jobs if j.status != "waiting" and not j.ended)
        return next(busy, None)

    def waiting(self) -> list[AppJob]:
        """List the jobs that have not begun, in their order."""
        return [job for job in self.jobs if job.status == "waiting"]

    def add(self, config: StyleConfig) -> AppJob:
        """Add a job at the end of the queue. Raises: ConfigError: it is full."""
        return self._append(AppJob(next(self._numbers), config))

    def resume(self, folder: Path, config: StyleConfig) -> AppJob:
        """Add the rest of the run in `folder`. Raises: ConfigError: the queue is full,
        or has this run already."""
        if any(job.folder == folder and not job.ended for job in self.jobs):
            raise ConfigError(f"{folder.name} is in the queue already.")
        job = AppJob(next(self._numbers), config, resumed=True, folder=folder)
        return self._append(job)

    def pause(self) -> None:
        """Pause the job that runs after its present step."""
        self._command(Pause(), ("running",), "pausing")

    def proceed(self) -> None:
        """Go on with a paused job."""
        self._command(Continue(), ("pausing", "paused"), "running")

    def stop(self) -> None:
        """End the job that runs after its present step, and keep its picture."""
        self._command(Stop(), ("running", "pausing", "paused"), "stopping")

    def remove(self, job: AppJob) -> None:
        """Take a job that has not begun out of the queue; forget one that is over."""
        with self._changed:
            if job in self.jobs and (job.status == "waiting" or job.ended):
                self.jobs.remove(job)
                self._touch()

    def close(self) -> None:
        """Stop the job that runs, keep its picture, and end the worker."""
        with self._changed:
            self._closing = True
            self._changed.notify_all()
            with contextlib.suppress(OSError):
                if self._connection is not None:
                    self._connection.send(Stop())
        self._thread.join(CLOSING_SECONDS)

    def _append(self, job: AppJob) -> AppJob:
        with self._changed:
            if self.broken is not None:
                raise ConfigError(f"{self.broken} Start kstyle app again.")
            if len(self.waiting()) >= MAX_WAITING:
                raise ConfigError(
                    f"{MAX_WAITING} jobs are waiting already. Add this one when some "
                    "of them are done."
                )
            self.jobs.append(job)
            self._touch()
        return job

    def _without_folder(self) -> list[AppJob]:
        """List the jobs that would be lost with the process."""
        return [job for job in self.jobs if job.status in ("waiting", "preparing")]

    def _touch(self) -> None:
        jobs = self._without_folder()
        if self.file is not None and jobs != self._written:
            self.file.write((job.config, job.folder) for job in jobs)
            self._written = jobs
        self.version += 1
        self._changed.notify_all()

    def _command(self, message: Any, allowed: tuple, status: JobStatus) -> None:
        """Send a message about the current job if its status is one of `allowed`."""
        with self._changed:
            job = self.current
            if job is None or job.status not in allowed or self._connection is None:
                return
            with contextlib.suppress(OSError):
                self._connection.send(message)
                job.status = status
                self._touch()

    def _work(self) -> None:
        """Serve the queue until it is closed: the body of the thread."""
        process: Any = None
        while not self._closing and self.broken is None:
            if self._connection is None:
                connection, process = self.start_worker()
                with self._changed:
                    self._connection = connection
            try:
                self._serve(self._connection)
            except (EOFError, OSError):
                process.join()
                self._lose_worker(process.exitcode)
        with self._changed:
            if self._connection is not None:
                self._connection.close()
        if process is not None:
            process.terminate()  # it has no job, and may still be loading TensorFlow
            process.join()

    def _serve(self, connection: Connection) -> None:
        """Send jobs to the worker and handle its messages, until the queue is closed.

        Raises: EOFError, OSError: the worker is gone.
        """
        while not self._closing or self.current is not None:
            with self._changed:
                self._start_next(connection)
                idle = self.current is None and self.machine is not None
                if idle and not connection.poll():
                    self._changed.wait(0.5)
                    continue
            if connection.poll(0.2):
                message = connection.recv()
                with self._changed:
                    self._handle(message)
                    self._touch()

    def _start_next(self, connection: Connection) -> None:
        """Send the next job, if the worker is ready and has none."""
        job = next(iter(self.waiting()), None)
        if job is None or self.machine is None or self.current is not None:
            return
        if self._closing:
            return
        job.status = "preparing"
        self._touch()
        if job.resumed:
            connection.send(StartRun(None, job.folder))
        else:
            connection.send(StartRun(job.config.model_dump(mode="json")))

    def _handle(self, message: Any) -> None:
        """Take a message of the worker into account."""
        if isinstance(message, Ready):
            self.machine, self._failed_starts = message, 0
        job = self.current
        if job is None:
            return
        if isinstance(message, Started):
            job.status, job.folder = "running", message.folder
            job.step, job.steps = message.step, message.steps
            if job.resumed:
                job.curve = read_progress(message.folder, message.step)
        elif isinstance(message, Progress):
            job.add_progress(message)
        elif isinstance(message, LivePicture):
            job.picture = message
        elif isinstance(message, Paused) and job.status == "pausing":
            job.status = "paused"
        elif isinstance(message, Note):
            job.notes.append(message.text)
        elif isinstance(message, Ended):
            self._end(job, message)

    def _end(self, job: AppJob, message: Ended) -> None:
        exits: dict[str, JobStatus] = {name: name for name in ENDED}  # type: ignore
        job.status = exits.get(message.exit, "failed")
        job.error, job.result = message.error, message.result
        if self.machine is not None:
            self.machine = dataclasses.replace(
                self.machine, available_bytes=message.available_bytes
            )

    def _lose_worker(self, exit_code: int | None) -> None:
        """Note that the worker has died; another one is started."""
        with self._changed:
            reason = worker_death(exit_code)
            self._failed_starts += self.machine is None
            self._connection = self.machine = None
            lost = [self.current]
            if self._failed_starts >= MAX_STARTS:
                self.broken = reason
                lost = [job for job in self.jobs if not job.ended]
            for job in lost:
                if job is not None:
                    self._end(job, Ended("failed", reason))
            self._touch()


def worker_death(exit_code: int | None) -> str:
    """Say why the worker's process has ended. exit_code: negative: of a signal."""
    if exit_code == -9:
        return (
            "The process that paints was killed, probably for lack of memory. Choose a "
            "smaller size, or end other programs."
        )
    return (
        f"The process that paints has ended (exit code {exit_code}). Resume the run if "
        "it has a checkpoint, or start it again."
    )
