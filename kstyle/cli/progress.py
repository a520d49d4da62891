"""The progress of one run on stderr: a bar in a terminal, lines elsewhere."""

import contextlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn

from kstyle.cli.console import format_time
from kstyle.cli.streams import print_to_stderr
from kstyle.planning.scales import Scale
from kstyle.runs.job import Job

RUN_COLUMNS = (
    TextColumn("{task.description}"),
    BarColumn(),
    MofNCompleteColumn(),
    TextColumn("loss {task.fields[loss]}"),
    TextColumn("{task.fields[speed]} steps/s"),
    TextColumn("ETA {task.fields[eta]}"),
)

# Shows a step, its loss, steps per second and the seconds that remain.
ShowStep = Callable[[int, float, float, float], None]


@contextlib.contextmanager
def watch_run(job: Job, *, quiet: bool, alone: bool = True) -> Iterator[list[Any]]:
    """Yield the Keras callbacks that show the progress of a run.

    alone: `False` for a run of a batch, which has a bar that vanishes, or nothing.
    """
    screen = Console(stderr=True)
    total = sum(scale.steps for scale in job.scales)
    if quiet or not (alone or screen.is_terminal):
        yield []
    elif screen.is_terminal:
        bar = Progress(
            *RUN_COLUMNS,
            console=screen,
            redirect_stdout=False,  # would send results in stdout to stderr
            transient=not alone,
        )
        with bar:
            task = bar.add_task("stylize", total=total, loss="-", speed="-", eta="-")
            yield [make_progress_report(bar_updater(bar, task), 1, job.scales)]
    else:
        every = job.config.report_every
        yield [make_progress_report(line_printer(total), every, job.scales)]


def make_progress_report(show: ShowStep, every: int, scales: Sequence[Scale]) -> Any:
    """Return the callback that calls `show` every `every` steps; imports Keras."""
    from kstyle.runs.callbacks.periodic import ProgressReport

    return ProgressReport(show, every, scales)


def bar_updater(bar: Progress, task: TaskID) -> ShowStep:
    """Return a function that moves the bar `task`."""

    def show(step: int, loss: float, speed: float, seconds_left: float) -> None:
        bar.update(
            task,
            completed=step,
            loss=f"{loss:.4g}",
            speed=f"{speed:.2f}",
            eta=format_time(seconds_left),
        )

    return show


def line_printer(total: int) -> ShowStep:
    """Return a function that prints a line on stderr. total: steps of the run."""

    def show(step: int, loss: float, speed: float, seconds_left: float) -> None:
        eta = f", {speed:.2f} steps/s, ETA {format_time(seconds_left)}" if speed else ""
        print_to_stderr(f"step {step}/{total}: loss {loss:.6g}{eta}")

    return show
