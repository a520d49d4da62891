"""The progress of a run: a bar in a terminal, a live display in a notebook."""

import contextlib
import html
import math
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from kstyle.errors import ConfigError
from kstyle.planning.scales import ScalePlan
from kstyle.runs.job import Job

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress, TaskID

NOTEBOOK_INTERVAL = 0.2  # seconds between two updates of a notebook's display

# Shows a step, its loss, steps per second and the seconds that remain.
ShowStep = Callable[[int, float, float, float], None]


@contextlib.contextmanager
def show_progress(job: Job, verbose: str | int | bool = "auto") -> Iterator[list[Any]]:
    """Yield the Keras callbacks that show the progress of a run from Python.

    verbose: as for Keras: "auto" or 1 shows it, 0 does not. A terminal has a bar, a
        notebook a live display; a log file or a pipe gets nothing.
    """
    if verbose and in_notebook():
        show = notebook_updater(planned_steps(job))
        yield [make_progress_report(show, 1, job.scales)]
    elif verbose and stderr_is_terminal():
        with terminal_bar(job) as callbacks:
            yield callbacks
    else:
        yield []


def stderr_is_terminal() -> bool:
    """Return whether stderr shows a bar that moves."""
    from rich.console import Console  # rich takes time to import

    return Console(stderr=True).is_terminal


def check_verbose(verbose: Any) -> None:
    """Refuse what Keras does not know as `verbose`. Raises: ConfigError."""
    if verbose not in ("auto", 0, 1, 2):
        raise ConfigError(f"verbose must be 'auto', 0 or 1. Received: {verbose!r}.")


@contextlib.contextmanager
def terminal_bar(
    job: Job, *, transient: bool = False, console: "Console | None" = None
) -> Iterator[list[Any]]:
    """Yield the Keras callbacks that move a bar on stderr.

    transient: whether the bar vanishes at the end. console: of stderr, where others
        print above the bar; by default a new one.
    """
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

    bar = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("loss {task.fields[loss]}"),
        TextColumn("{task.fields[speed]} steps/s"),
        TextColumn("ETA {task.fields[eta]}"),
        console=console or Console(stderr=True),
        redirect_stdout=False,  # would send results in stdout to stderr
        transient=transient,
    )
    with bar:
        total = planned_steps(job)
        task = bar.add_task("stylize", total=total, loss="-", speed="-", eta="-")
        yield [make_progress_report(bar_updater(bar, task), 1, job.scales)]


def planned_steps(job: Job) -> int:
    """Return the steps of all scales of a run."""
    return sum(scale.steps for scale in job.scales)


def make_progress_report(
    show: ShowStep, every: int, scales: Sequence[ScalePlan]
) -> Any:
    """Return the callback that calls `show` every `every` steps; imports Keras."""
    from kstyle.runs.callbacks.periodic import ProgressReport

    return ProgressReport(show, every, scales)


def bar_updater(bar: "Progress", task: "TaskID") -> ShowStep:
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


def in_notebook() -> bool:
    """Return whether the process is the kernel of a notebook."""
    if "IPython" not in sys.modules:
        return False
    shell = sys.modules["IPython"].get_ipython()
    return getattr(shell, "kernel", None) is not None


class NotebookProgress:
    """The state of a run as a notebook draws it: a bar and a line of text."""

    def __init__(self, step: int, total: int, text: str) -> None:
        self.step, self.total, self.text = step, total, text

    def __repr__(self) -> str:
        return f"step {self.step}/{self.total}: {self.text}"

    def _repr_html_(self) -> str:
        return (
            f'<progress value="{self.step}" max="{max(self.total, 1)}"></progress> '
            f"{html.escape(repr(self))}"
        )


def notebook_updater(total: int) -> ShowStep:
    """Return a function that updates a display of the notebook's cell.

    total: steps of the run.
    """
    from IPython.display import display  # there is one, as this is a notebook

    handle = display(NotebookProgress(0, total, "starting"), display_id=True)
    last = -math.inf

    def show(step: int, loss: float, speed: float, seconds_left: float) -> None:
        nonlocal last
        if step < total and time.monotonic() - last < NOTEBOOK_INTERVAL:
            return
        last = time.monotonic()
        text = f"loss {loss:.4g}, {speed:.2f} steps/s, ETA {format_time(seconds_left)}"
        handle.update(NotebookProgress(step, total, text))

    return show


def format_time(seconds: float) -> str:
    """Return seconds as m:ss, or as h:mm:ss; a dash where unknown."""
    if not math.isfinite(seconds):
        return "-"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
