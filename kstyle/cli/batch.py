"""`kstyle stylize` of several pictures: the command, its progress and its estimate."""

import contextlib
import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import click

from kstyle.cli.common import one_line, print_path
from kstyle.cli.preview import TerminalPreview, open_in_viewer
from kstyle.cli.progress import watch_run
from kstyle.cli.signals import ending_signal
from kstyle.cli.streams import print_to_stderr
from kstyle.config.option_types import counted
from kstyle.config.style_config import StyleConfig
from kstyle.errors import ConfigError
from kstyle.hardware.tensorflow_setup import load_tensorflow
from kstyle.images.reading import load_picture
from kstyle.planning.estimates import cost_model, estimate_run
from kstyle.planning.scales import STEP_COSTS
from kstyle.runs.batch_plan import (
    BatchEntry,
    BatchOutcome,
    BatchPlan,
    SilentBatchWatch,
    batch_configs,
    make_batch_plan,
    pictures_in,
)
from kstyle.runs.job import Job
from kstyle.runs.many_runs import WorkClock
from kstyle.runs.progress import format_time

STATUS_WORDS = {"finished": "stylized", "there": "there already", "failed": "failed"}


def is_batch(content_dir: str | None, styles: Sequence[str]) -> bool:
    """Return whether these options of the command name more than one picture."""
    return bool(content_dir or len(styles) > 1 or any(map(os.path.isdir, styles)))


def stylize_many(
    config: StyleConfig,
    content_dir: str | None,
    styles: Sequence[str],
    *,
    overwrite: bool,
    dry_run: bool,
    open_results: bool,
    preview: TerminalPreview | None,
    quiet: bool,
) -> int:
    """Stylize all pictures, or print an estimate. Returns the exit code.

    styles: pictures and folders; if empty, the style of `config`. dry_run: print an
        estimate; 1 is returned if a picture cannot be used.
    """
    if config.all_losses:
        raise ConfigError("--all-losses is for one picture: leave it out of a batch.")
    contents, other_files = None, 0
    if content_dir:
        contents, other_files = pictures_in(content_dir)
    output, config = config.output, config.replace(output=None)
    configs = batch_configs(config, contents, styles or None, output)
    plan = make_batch_plan(configs, overwrite=overwrite)
    load_tensorflow()
    if dry_run:
        from kstyle.hardware import devices
        from kstyle.planning.calibration import seconds_per_gflop

        with devices.use_device(config.device):
            print_batch_estimate(plan, other_files, seconds_per_gflop)
        return int(any(entry.state == "failed" for entry in plan.entries))
    from kstyle.runs.batch import run_batch

    watch = BatchLines(quiet=quiet, other_files=other_files, preview=preview)
    outcomes = run_batch(plan, watch)
    print_outcomes(outcomes, quiet=quiet)
    if open_results:
        open_in_viewer(Path(output or config.logdir))
    return batch_exit_code(outcomes)


def batch_exit_code(outcomes: Sequence[BatchOutcome]) -> int:
    """Return 0, 1 after a failure, or the exit code of the signal that ended it."""
    statuses = {outcome.status for outcome in outcomes}
    if statuses & {"left", "interrupted"}:
        return ending_signal.exit_code()
    return int("failed" in statuses)


class BatchLines(SilentBatchWatch):
    """Prints a line on stdout for each picture that is done: path, time, ETA.

    quiet: print only the paths. other_files: how many files of the folder are not
        pictures. In a terminal a bar on stderr shows the progress of the current run.
    preview: shows the results in the terminal.
    """

    def __init__(
        self,
        *,
        quiet: bool,
        other_files: int = 0,
        preview: TerminalPreview | None = None,
    ) -> None:
        self.quiet, self.other_files = quiet, other_files
        self.preview = preview
        self.clock = WorkClock({})

    def begin(self, plan: BatchPlan, todo: Sequence[BatchEntry]) -> None:
        """Print the overview before the first run."""
        self.clock = WorkClock({id(entry): entry_work(entry) for entry in todo})
        if not self.quiet:
            print_to_stderr(batch_overview(plan, self.other_files))

    @contextlib.contextmanager
    def running(self, job: Job) -> Iterator[list[Any]]:
        """Yield the Keras callbacks of one run."""
        with watch_run(job, quiet=self.quiet, alone=False) as callbacks:
            yield callbacks

    def end(self, entry: BatchEntry, outcome: BatchOutcome) -> None:
        """Print the line of one picture."""
        self.clock.finish(id(entry))
        if self.preview is not None and outcome.path is not None:
            self.preview.show_result(load_picture(outcome.path))
        if self.quiet:
            if outcome.path is not None:
                print_path(outcome.path)
            return
        if outcome.path is None:
            status = STATUS_WORDS.get(outcome.status, "not done")
            text = f"{pictures_in_words(outcome.config)}: {status}"
        else:
            note = " (interrupted)" if outcome.status == "interrupted" else ""
            text = f"{one_line(str(outcome.path))}{note}, {outcome.seconds:.1f} s"
        place = f"[{len(self.clock.done)}/{len(self.clock.work)}]"
        click.echo(f"{place} {text}, ETA {format_time(self.clock.seconds_left())}")


def pictures_in_words(config: StyleConfig) -> str:
    """Return the pictures of a run in words."""
    styles = [Path(style.picture).name for style in config.style_sources()]
    return one_line(f"{config.content} in the style of {' and '.join(styles)}")


def print_failure(config: StyleConfig, error: str) -> None:
    """Print which picture of a batch failed, and why."""
    print_to_stderr(f"failed: {pictures_in_words(config)}: {one_line(error)}")


def batch_overview(plan: BatchPlan, other_files: int) -> str:
    """Return how many pictures there are and how many will be stylized."""
    states = [entry.state for entry in plan.entries]
    parts = [f"{states.count('todo')} to stylize"]
    if there := states.count("there"):
        parts.append(f"{there} there already (--overwrite replaces them)")
    if failed := states.count("failed"):
        parts.append(f"{failed} that cannot be used")
    if other_files:
        parts.append(f"{counted(other_files, 'other file')} skipped")
    return f"{counted(len(states), 'picture')}: {', '.join(parts)}"


def print_outcomes(outcomes: Sequence[BatchOutcome], *, quiet: bool) -> None:
    """Print what was not done, what failed and why, and the counts."""
    for outcome in outcomes:
        if outcome.status in ("left", "interrupted"):
            print_to_stderr(f"not done: {pictures_in_words(outcome.config)}")
    for outcome in outcomes:
        if outcome.status == "failed":
            print_failure(outcome.config, outcome.error)
    unfinished = [o for o in outcomes if o.status in ("left", "interrupted")]
    if any(outcome.config.output for outcome in unfinished) and not quiet:
        print_to_stderr("Run the same command again to continue.")
    if not quiet:
        statuses: list[str] = [outcome.status for outcome in outcomes]
        counts = {word: statuses.count(status) for status, word in STATUS_WORDS.items()}
        counts["not done"] = len(statuses) - sum(counts.values())
        click.echo(", ".join(f"{n} {word}" for word, n in counts.items() if n))


def entry_work(entry: BatchEntry) -> float:
    """Return the estimated time of an entry up to a constant factor."""
    costs = cost_model(entry.config)
    return estimate_run(costs, entry.scales, STEP_COSTS.__getitem__).seconds


def print_batch_estimate(
    plan: BatchPlan, other_files: int, seconds_per_gflop: Callable[[str], float]
) -> None:
    """Print the estimated time and memory of a batch, and what cannot be used."""
    sizes: set[tuple[int, int]] = set()
    seconds, steps, most_bytes = 0.0, 0, 0
    for entry in plan.todo():
        size = entry.result_size()
        estimate = estimate_run(
            cost_model(entry.config),
            entry.scales,
            seconds_per_gflop,
            traced=size in sizes,
        )
        sizes.add(size)
        seconds, steps = seconds + estimate.seconds, steps + estimate.steps
        most_bytes = max(most_bytes, estimate.bytes)
    for entry in plan.entries:
        if entry.state == "failed":
            print_failure(entry.config, entry.error)
    click.echo(batch_overview(plan, other_files))
    click.echo(
        f"in all: {counted(len(sizes), 'size')}, {counted(steps, 'step')}, "
        f"{format_time(seconds)}, {most_bytes / 1e9:.1f} GB, estimated"
    )
