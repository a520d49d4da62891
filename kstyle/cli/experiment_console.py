"""Tables, lines and bars of `kstyle experiment`."""

import contextlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import click
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn

from kstyle.cli.common import one_line, print_path
from kstyle.cli.console import (
    format_cost,
    print_losses,
    print_table,
    print_tensorboard_command,
)
from kstyle.cli.options import format_value
from kstyle.cli.streams import print_to_stderr
from kstyle.experiments.definition.experiment_file import Experiment, Trial
from kstyle.experiments.plans import ExperimentPlan
from kstyle.experiments.progress import Silent
from kstyle.planning.estimates import Estimate
from kstyle.runs.many_runs import WorkClock
from kstyle.runs.progress import format_time


def print_experiments(rows: Iterable[tuple[str, str]]) -> None:
    """Print `(name, question)` of the built-in experiments."""
    print_table(None, ("experiment", "question"), rows, text_columns=(0, 1))


def print_trials(plans: Iterable[ExperimentPlan]) -> None:
    """Print every trial, whether it is done, and its options."""
    for plan in plans:
        rows = [
            (trial.name, trial_state(plan, trial), format_options(trial.options))
            for trial in plan.experiment.trials
        ]
        print_table(
            plan.experiment.name,
            ("trial", "state", "differs in"),
            rows,
            text_columns=(0, 1, 2),
        )


def trial_state(plan: ExperimentPlan, trial: Trial) -> str:
    """Return whether a trial is done."""
    return "done" if trial.name in plan.finished else "to run"


def format_options(options: Mapping[str, Any]) -> str:
    """Return options as typed on the command line."""
    pairs = [f"{key}={format_value(value)}" for key, value in options.items()]
    return " ".join(pairs) or "nothing"


def print_trial_estimates(
    plans: Iterable[ExperimentPlan], estimates: Mapping[tuple[str, str], Estimate]
) -> None:
    """Print every trial with its estimated time and memory, and the time of the rest.

    estimates: `{(experiment, trial): Estimate}`.
    """
    total = 0.0
    for plan in plans:
        rows = []
        for trial in plan.experiment.trials:
            estimate = estimates[plan.experiment.name, trial.name]
            if trial.name not in plan.finished:
                total += estimate.seconds
            state, options = trial_state(plan, trial), format_options(trial.options)
            rows.append((trial.name, state, *format_cost(estimate), options))
        headings = ("trial", "state", "time", "memory", "differs in")
        print_table(plan.experiment.name, headings, rows, text_columns=(0, 1, 4))
    click.echo(f"to run: {format_time(total)} in all, estimated")


def print_summary(summary: Any, *, quiet: bool) -> None:
    """Print an experiment's losses, verdicts, failures and the path of its report.

    summary: a `reporting.summary.Summary`.
    """
    if quiet:
        print_path(summary.page)
        return
    print_initial_losses(summary.records)
    rows = [
        (v["verdict"], format_number(v["number"]), format_repeats(v), v["claim"])
        for v in summary.verdicts
    ]
    if rows:
        headings = ("verdict", "median", "in each repeat", "claim")
        print_table(summary.experiment.title, headings, rows, text_columns=(0, 3))
    print_rankings(summary)
    if text := summary.experiment.smoke_test():
        click.echo(text)
    for record in summary.records:
        if record["status"] == "failed":
            reason = one_line(record["error"])
            print_to_stderr(f"failed: {record['trial']}: {reason}")
    click.echo(f"wrote {one_line(str(summary.page))}")
    print_tensorboard_command(summary.folder)


def print_rankings(summary: Any) -> None:
    """Print the trials of each part by people's votes."""
    for ranking in summary.rankings:
        rows = [
            (
                f"{place}. {item.label}",
                f"{item.preferred:.0%}",
                f"{item.low:.0%} to {item.high:.0%}",
                item.votes,
            )
            for place, item in enumerate(ranking.items, start=1)
        ]
        title = ", ".join(filter(None, ["people's votes", ranking.part]))
        headings = ("trial", "preferred", "95 % interval", "votes")
        print_table(title, headings, rows)
    if summary.unknown_votes:
        print_to_stderr(
            f"{summary.unknown_votes} votes are on results that are not in this report"
        )


def format_number(number: float | None) -> str:
    """Return a number with three digits, or a dash for a missing one."""
    return "-" if number is None else f"{number:.3g}"


def format_repeats(verdict: Mapping[str, Any]) -> str:
    """Return the number of each repeat."""
    return " ".join(format_number(number) for number in verdict["spread"])


def print_initial_losses(records: Iterable[Mapping[str, Any]]) -> None:
    """Print the unweighted initial losses of every layer, a table for each record."""
    for record in records:
        if record["table"]:
            click.echo(f"unweighted initial losses: {record['trial']}")
            pairs = record["table"].items()
            losses = {layer: (p["content"], p["style"]) for layer, p in pairs}
            print_losses(losses)


TRIAL_COLUMNS = (
    TextColumn("{task.description}"),
    BarColumn(),
    TextColumn("{task.fields[note]}"),
)

MAX_BARS = 8  # of trials that run at the same time


@contextlib.contextmanager
def watch_experiments(
    work: Mapping[tuple[str, str], float], *, quiet: bool
) -> Iterator["ExperimentLines"]:
    """Yield what shows the progress of experiments: bars, lines, or nothing.

    work: `{(experiment, trial): estimated time}`, up to a constant factor.
    """
    screen = Console(stderr=True)
    if quiet or not screen.is_terminal:
        yield ExperimentLines(work, quiet=quiet)
        return
    with Progress(*TRIAL_COLUMNS, console=screen, redirect_stdout=False) as bars:
        yield ExperimentBars(work, bars)


class ExperimentLines(Silent):
    """Prints a line on stderr for each trial, and the summary on stdout."""

    def __init__(
        self, work: Mapping[tuple[str, str], float], *, quiet: bool = False
    ) -> None:
        self.work, self.quiet = work, quiet
        self.clock = WorkClock({})

    def begin(
        self, experiment: Experiment, todo: Sequence[Trial], finished: int
    ) -> None:
        """Print how many trials an experiment will run."""
        self.clock = WorkClock(
            {trial.name: self.work[experiment.name, trial.name] for trial in todo}
        )
        if not self.quiet:
            self.print_line(f"{experiment.name}: {len(todo)} to run, {finished} done")

    def print_line(self, text: str) -> None:
        """Print a line on stderr."""
        print_to_stderr(text)

    def end(self, record: Mapping[str, Any]) -> None:
        """Print the outcome of a trial."""
        self.clock.finish(record["trial"])
        if not self.quiet:
            count = f"[{len(self.clock.done)}/{len(self.clock.work)}]"
            outcome = f"{record['seconds']:.0f} s"
            if record["status"] == "failed":
                outcome = f"failed: {one_line(record['error'])}"
            left = format_time(self.clock.seconds_left())
            self.print_line(f"{count} {record['trial']}: {outcome}, ETA {left}")

    def summary(self, summary: Any) -> None:
        """Print the summary of an experiment."""
        print_summary(summary, quiet=self.quiet)


class ExperimentBars(ExperimentLines):
    """A bar for the experiment and one for each running trial, with their ETAs."""

    def __init__(self, work: Mapping[tuple[str, str], float], bars: Progress) -> None:
        super().__init__(work)
        self.bars = bars
        self.experiment_bar = bars.add_task("", total=None, note="")
        self.trial_bars: dict[str, TaskID] = {}  # of the running trials
        self.free_bars: list[TaskID] = []  # of trials that have ended

    def print_line(self, text: str) -> None:
        self.bars.console.print(text, highlight=False, markup=False)

    def begin(
        self, experiment: Experiment, todo: Sequence[Trial], finished: int
    ) -> None:
        super().begin(experiment, todo, finished)
        total = sum(self.clock.work.values())
        self.bars.reset(
            self.experiment_bar, total=total or 1, description=experiment.name
        )
        completed = 0 if total else 1
        self.bars.update(self.experiment_bar, completed=completed, note="")

    def step(
        self, trial: str, done: int, total: int, loss: float, seconds_left: float
    ) -> None:
        if trial in self.trial_bars or len(self.trial_bars) < MAX_BARS:
            note = f"{done}/{total}  loss {loss:.4g}  ETA {format_time(seconds_left)}"
            bar = self.trial_bar(trial, total)
            self.bars.update(bar, completed=done, note=note)
        self.clock.parts[trial] = done / max(total, 1)
        self.update_experiment_bar()

    def trial_bar(self, trial: str, total: int) -> TaskID:
        """Return the bar of a trial: its own, a free one, or a new one."""
        if trial not in self.trial_bars:
            if not self.free_bars:
                self.free_bars.append(self.bars.add_task("", total=None, note=""))
            bar = self.trial_bars[trial] = self.free_bars.pop()
            self.bars.reset(bar, total=total or 1, description=trial, note="")
        return self.trial_bars[trial]

    def update_experiment_bar(self) -> None:
        """Show the finished work and the ETA of the experiment."""
        left = format_time(self.clock.seconds_left())
        note = f"{len(self.clock.done)}/{len(self.clock.work)} trials  ETA {left}"
        self.bars.update(
            self.experiment_bar, completed=self.clock.finished_work(), note=note
        )

    def end(self, record: Mapping[str, Any]) -> None:
        super().end(record)
        if record["trial"] in self.trial_bars:
            self.free_bars.append(self.trial_bars.pop(record["trial"]))
        self.update_experiment_bar()

    def summary(self, summary: Any) -> None:
        self.bars.stop()  # tables on stdout would be mixed with the bars
        super().summary(summary)
        self.bars.start()
