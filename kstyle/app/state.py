"""Everything that the app's server keeps, without the library of the page."""

import contextlib
import dataclasses
from pathlib import Path

from kstyle.app.job_queue import AppJob, JobQueue
from kstyle.app.settings import PaintSettings
from kstyle.app.tensorboard_server import TensorBoardServer
from kstyle.app.uploads import Thumbnails, Uploads
from kstyle.errors import ConfigError
from kstyle.gallery.run_list import RunEntry, find_runs
from kstyle.gallery.timelapse import write_timelapse
from kstyle.images.samples import sample_names
from kstyle.runs.checkpoint_file import CHECKPOINT_FILE

SLOTS = ("content", "style", "second", "mask")  # pictures of the settings
SAMPLE_PAINTINGS = ("meadow", "night", "window")
FILM_FILE = "film.webp"  # in a run's folder
VIEW_EDGE = 1600  # long edge of a picture that the page shows large, px


def sample_photographs() -> list[str]:
    """List the names of the samples that are no paintings."""
    return [name for name in sample_names() if name not in SAMPLE_PAINTINGS]


@dataclasses.dataclass
class AppState:
    """The queue, the uploads, the choices of the page and the runs of a folder.

    One person uses the app, in one tab or several: all of them show the same choices.
    shown: the job that the page shows, by its number; `None`: the one that runs.
    """

    logdir: Path
    queue: JobQueue
    settings: PaintSettings = dataclasses.field(default_factory=PaintSettings)
    thumbnails: Thumbnails = dataclasses.field(default_factory=Thumbnails)
    shown: int | None = None

    def __post_init__(self) -> None:
        self.uploads = Uploads(self.logdir)
        self.tensorboard = TensorBoardServer(self.logdir)
        self.runs: dict[str, RunEntry] = {}

    def choose_picture(self, slot: str, path: str) -> None:
        """Take a picture as one of `SLOTS`; "" takes none.

        Raises: ConfigError: it is neither a sample nor an upload, as a page could ask
            for any file of this machine.
        """
        known = path in ("", *map("sample:{}".format, sample_names()))
        if slot not in SLOTS or not (known or self.uploads.owns(path)):
            raise ConfigError(f"{path} is not a picture of the app. Upload it.")
        if slot == "content" and path != self.settings.content:
            self.settings.mask = ""  # it was painted on another photograph
        setattr(self.settings, slot, path)

    def paint(self) -> AppJob:
        """Add a job of the present choices. Raises: ConfigError: they are not valid."""
        job = self.queue.add(self.settings.config(self.logdir))
        self.shown = None
        return job

    def shown_job(self) -> AppJob | None:
        """Return the job that the page shows: the chosen one, else the one that runs,
        else the latest that has ended, else the first that waits."""
        jobs = self.queue.jobs
        chosen = next((job for job in jobs if job.number == self.shown), None)
        if chosen is not None:
            return chosen
        ended = [job for job in jobs if job.ended]
        return self.queue.current or next(iter([*ended[::-1], *jobs]), None)

    def job(self, number: int) -> AppJob | None:
        """Return a job by its number."""
        return next((job for job in self.queue.jobs if job.number == number), None)

    def find_runs(self) -> list[RunEntry]:
        """Read the runs of the folder, the latest first, and remember them by key."""
        with contextlib.suppress(ConfigError):  # there is no folder yet
            entries = find_runs(self.logdir)
            self.runs = {self.run_key(entry): entry for entry in entries}
            return entries
        self.runs = {}
        return []

    def run_key(self, entry: RunEntry) -> str:
        """Return the name by which the page asks for a run."""
        return entry.folder.relative_to(self.logdir).as_posix()

    def can_resume(self, entry: RunEntry) -> bool:
        """Return whether a run has a checkpoint and is not in the queue."""
        busy = {job.folder for job in self.queue.jobs if not job.ended}
        there = (entry.folder / CHECKPOINT_FILE).is_file()
        return there and entry.folder not in busy

    def resume(self, entry: RunEntry) -> AppJob:
        """Add the rest of a run to the queue. Raises: ConfigError."""
        job = self.queue.resume(entry.folder, entry.config)
        self.shown = None
        return job

    def repeat(self, entry: RunEntry) -> None:
        """Take the options of a run as the choices of the page."""
        self.settings = PaintSettings.from_config(entry.config)

    def make_film(self, entry: RunEntry) -> Path:
        """Make a film of a run in its folder. Raises: KStyleError: it has no snapshots,
        or the film cannot be written."""
        path = entry.folder / FILM_FILE
        return write_timelapse(entry.folder, path, overwrite=True)

    def job_picture(self, job: AppJob) -> bytes | None:
        """Return the latest picture of a job as a JPEG."""
        if job.result is not None and job.result.is_file():
            return self.thumbnails.get(job.result, VIEW_EDGE)
        return job.picture.jpeg if job.picture is not None else None

    def close(self) -> None:
        """End the worker and TensorBoard."""
        self.tensorboard.close()
        self.queue.close()
