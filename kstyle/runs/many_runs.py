"""What batches and experiments share: failures, resuming, and the time that is left.

Both plan their runs beforehand, skip finished ones, resume unfinished ones, continue
after a failure, and estimate when they will be done.
"""

import contextlib
import logging
import time
import traceback
from collections.abc import Callable, Hashable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

from kstyle.config.style_config import StyleConfig
from kstyle.errors import ConfigError, KStyleError, error_sentence
from kstyle.files import lock_folder, remove_leftovers
from kstyle.runs.checkpoint_file import (
    CHECKPOINT_FILE,
    RunState,
    check_fingerprint,
    read_checkpoint,
)

log = logging.getLogger("kstyle")


class Attempt:
    """A context that catches the error of one run, so that the others can follow.

    name: of the run, for the log, where a bug leaves its traceback.
    error: what has failed, in a sentence; `None` if nothing has.
    Ctrl-C is not caught.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.error: str | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> bool:
        if not isinstance(error, Exception):
            return False
        if not isinstance(error, (KStyleError, OSError)):
            details = "".join(traceback.format_exception(error))
            log.error("%s failed:\n%s", self.name, details)
        self.error = error_sentence(error)
        return True


def find_unfinished_state(folder: Path, config: StyleConfig) -> RunState | None:
    """Read the checkpoint in `folder` of a run for which `config` was requested.

    Returns: `None` if there is none, if it is damaged, or of another run.
    Raises: ConfigError: another process uses the folder.
    """
    if not (folder / CHECKPOINT_FILE).exists():
        return None
    with lock_folder(folder), contextlib.suppress(ConfigError):
        state = read_checkpoint(folder)
        if state is not None:
            check_fingerprint(state, config, folder, requested=True)
            remove_leftovers(folder)
        return state
    return None


class WorkClock:
    """Estimates the time that many runs still need, from their speed so far.

    work: `{run: estimated time}`, up to a constant factor.
    done: the runs that have ended. parts: `{running one: share done, 0 to 1}`.
    """

    def __init__(
        self,
        work: Mapping[Hashable, float],
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        self.work, self.clock = work, clock
        self.done: list[Hashable] = []
        self.parts: dict[Hashable, float] = {}
        self.started = clock()

    def finished_work(self) -> float:
        """Return the amount of work that is done."""
        parts = sum(self.work[name] * part for name, part in self.parts.items())
        return sum(self.work[name] for name in self.done) + parts

    def finish(self, name: Hashable) -> None:
        """Count a run as done, also if it has failed."""
        self.done.append(name)
        self.parts.pop(name, None)

    def seconds_left(self) -> float:
        """Return the remaining seconds; NaN before any work is done."""
        finished = self.finished_work()
        rest = sum(self.work.values()) - finished
        passed = self.clock() - self.started
        return passed * rest / finished if finished else float("nan")
