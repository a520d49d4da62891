"""The progress of one run on stderr: a bar in a terminal, lines elsewhere."""

import contextlib
from collections.abc import Iterator
from typing import Any

from kstyle.cli.preview import TerminalPreview
from kstyle.cli.streams import print_to_stderr
from kstyle.runs.job import Job
from kstyle.runs.progress import (
    ShowStep,
    format_time,
    make_progress_report,
    planned_steps,
    stderr_is_terminal,
    terminal_bar,
)


@contextlib.contextmanager
def watch_run(
    job: Job,
    *,
    quiet: bool,
    alone: bool = True,
    preview: TerminalPreview | None = None,
) -> Iterator[list[Any]]:
    """Yield the Keras callbacks that show the progress of a run.

    alone: `False` for a run of a batch, which has a bar that vanishes, or nothing.
    preview: shows the snapshots.
    """
    is_terminal = stderr_is_terminal()
    pictures = [] if preview is None else [preview.snapshot_callback(job)]
    if quiet or not (alone or is_terminal):
        yield pictures
    elif is_terminal:
        console = None if preview is None else preview.console
        with terminal_bar(job, transient=not alone, console=console) as callbacks:
            yield callbacks + pictures
    else:
        show = line_printer(planned_steps(job))
        yield [make_progress_report(show, job.config.report_every, job.scales)]


def line_printer(total: int) -> ShowStep:
    """Return a function that prints a line on stderr. total: steps of the run."""

    def show(step: int, loss: float, speed: float, seconds_left: float) -> None:
        eta = f", {speed:.2f} steps/s, ETA {format_time(seconds_left)}" if speed else ""
        print_to_stderr(f"step {step}/{total}: loss {loss:.6g}{eta}")

    return show
