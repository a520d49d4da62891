"""The jobs that wait, in a file beside the runs, for the next start of the app."""

import contextlib
import json
import logging
from collections.abc import Iterable
from pathlib import Path

from kstyle.config.style_config import StyleConfig
from kstyle.errors import ConfigError
from kstyle.files import json_text, write_text

log = logging.getLogger("kstyle")

QUEUE_FILE = ".queue.json"  # in the folder of runs

WaitingJob = tuple[StyleConfig, Path | None]  # the folder: of a run that is continued


class QueueFile:
    """The file of the jobs that wait in a folder of runs."""

    def __init__(self, logdir: Path) -> None:
        self.logdir, self.path = logdir, logdir / QUEUE_FILE

    def read(self) -> list[WaitingJob]:
        """Return the jobs; one that is not valid, or no file, is left out."""
        found = []
        with contextlib.suppress(OSError, ValueError, TypeError, KeyError):
            for entry in json.loads(self.path.read_text("utf-8")):
                folder = Path(entry["folder"]) if entry["folder"] else None
                try:
                    config = StyleConfig(**entry["config"])
                except ConfigError as error:
                    log.warning("a job of the queue was left out: %s", error)
                    continue
                found.append((config.replace(logdir=str(self.logdir)), folder))
        return found

    def write(self, jobs: Iterable[WaitingJob]) -> None:
        """Write the jobs; without any there is no file. A full disk is logged."""
        entries = [
            {
                "config": config.model_dump(mode="json"),
                "folder": None if folder is None else str(folder),
            }
            for config, folder in jobs
        ]
        try:
            if not entries:
                self.path.unlink(missing_ok=True)
                return
            self.logdir.mkdir(parents=True, exist_ok=True)
            write_text(self.path, json_text(entries))
        except OSError as error:
            log.warning("the queue could not be written: %s", error)
