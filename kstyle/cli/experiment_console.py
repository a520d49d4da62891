"""What the terminal shows while experiments run: bars, lines, or nothing."""

import contextlib
import shlex
import time

import click
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn

from kstyle.cli.console import format_cost, format_time, print_losses, print_table
from kstyle.cli.options import format_value


def print_trials(plans):
    """Every trial, whether it is done, and how it differs from its base."""
    for each in plans:
        rows = [
            (trial.name, trial_state(each, trial), format_options(trial.options))
            for trial in each.experiment.trials
        ]
        print_table(
            each.experiment.name,
            ("trial", "state", "differs in"),
            rows,
            words=(0, 1, 2),
        )


def trial_state(each, trial):
    return "done" if trial.name in each.finished else "to run"


def format_options(options):
    """Options as they would be typed, for a column of a table."""
    pairs = [f"{key}={format_value(value)}" for key, value in options.items()]
    return " ".join(pairs) or "nothing"


def print_trial_estimates(plans, estimates):
    """Every trial with its estimated time and memory, and the sum of what is to run."""
    total = 0.0
    for each in plans:
        rows = []
        for trial in each.experiment.trials:
            found = estimates[each.experiment.name, trial.name]
            if trial.name not in each.finished:
                total += found.seconds
            differs = format_options(trial.options)
            rows.append(
                (trial.name, trial_state(each, trial), *format_cost(found), differs)
            )
        headings = ("trial", "state", "time", "memory", "differs in")
        print_table(each.experiment.name, headings, rows, words=(0, 1, 4))
    click.echo(f"to run: {format_time(total)} in all, estimated")


def print_summary(summary, *, quiet):
    """An experiment's tables and verdicts, and where its report is."""
    if quiet:
        click.echo(summary.page)
        return
    print_initial_losses(summary.records)
    rows = [
        (v["verdict"], format_number(v["number"]), format_spread(v), v["claim"])
        for v in summary.verdicts
    ]
    if rows:
        headings = ("verdict", "median", "in each repeat", "claim")
        print_table(summary.experiment.title, headings, rows, words=(0, 3))
    failed = [r for r in summary.records if r["status"] == "failed"]
    for record in failed:
        click.echo(f"failed: {record['trial']}: {record['error']}", err=True)
    click.echo(f"wrote {summary.page}")
    click.echo(f"tensorboard --logdir {shlex.quote(str(summary.folder))}")


def format_number(number):
    return "-" if number is None else f"{number:.3g}"


def format_spread(verdict):
    return " ".join(format_number(number) for number in verdict["spread"])


def print_initial_losses(records):
    """The unweighted initial losses of every layer, one table for each record."""
    for record in records:
        if record["table"]:
            click.echo(f"unweighted initial losses: {record['trial']}")
            pairs = record["table"].items()
            losses = {layer: (p["content"], p["style"]) for layer, p in pairs}
            print_losses(losses, title=None)  # a title would be as narrow as the table


TRIAL_COLUMNS = (
    TextColumn("{task.description}"),
    BarColumn(),
    TextColumn("{task.fields[note]}"),
)

MAX_BARS = 8  # of trials at once


@contextlib.contextmanager
def watch_experiments(work, *, quiet):
    """Yield what `experiments.run` tells of its progress: bars, lines, or nothing.

    work: `{(experiment, trial): seconds}`, of which the proportions alone count.
    """
    screen = Console(stderr=True)
    if quiet or not screen.is_terminal:
        yield ExperimentLines(work, quiet=quiet)
        return
    with Progress(*TRIAL_COLUMNS, console=screen, redirect_stdout=False) as bars:
        yield ExperimentBars(work, bars)


class ExperimentLines:
    """A line on stderr for each trial; what is found goes to stdout."""

    def __init__(self, work, *, quiet=False):
        self.work, self.quiet = work, quiet
        self.clock = None

    def begin(self, experiment, todo, finished):
        work = {trial.name: self.work[experiment.name, trial.name] for trial in todo}
        self.clock = WorkClock(work)
        if not self.quiet:
            self.say(f"{experiment.name}: {len(todo)} to run, {finished} done")

    def say(self, text):
        click.echo(text, err=True)

    def step(self, trial, done, total, loss, left):
        pass

    def end(self, record):
        self.clock.finish(record["trial"])
        if not self.quiet:
            count = f"[{len(self.clock.done)}/{len(self.clock.work)}]"
            outcome = f"{record['seconds']:.0f} s"
            if record["status"] == "failed":
                outcome = f"failed: {record['error']}"
            left = format_time(self.clock.left())
            self.say(f"{count} {record['trial']}: {outcome}, ETA {left}")

    def summary(self, summary):
        print_summary(summary, quiet=self.quiet)


class ExperimentBars(ExperimentLines):
    """A bar for the experiment and one for each trial that runs, with their ETAs."""

    def __init__(self, work, bars):
        super().__init__(work)
        self.bars = bars
        self.whole = bars.add_task("", total=None, note="")
        self.ones = {}  # trial: its bar
        self.free = []  # bars of trials that have ended

    def say(self, text):
        self.bars.console.print(text, highlight=False, markup=False)

    def begin(self, experiment, todo, finished):
        super().begin(experiment, todo, finished)
        total = sum(self.clock.work.values())
        self.bars.reset(self.whole, total=total or 1, description=experiment.name)
        self.bars.update(self.whole, completed=0 if total else 1, note="")

    def step(self, trial, done, total, loss, left):
        if trial in self.ones or len(self.ones) < MAX_BARS:
            note = f"{done}/{total}  loss {loss:.4g}  ETA {format_time(left)}"
            self.bars.update(self.bar(trial, total), completed=done, note=note)
        self.clock.parts[trial] = done / max(total, 1)
        self.show()

    def bar(self, trial, total):
        """The bar of a trial: one that has ended has left it, or a new one."""
        if trial not in self.ones:
            free = self.free or [self.bars.add_task("", total=None, note="")]
            self.ones[trial] = free.pop()
            self.bars.reset(
                self.ones[trial], total=total or 1, description=trial, note=""
            )
        return self.ones[trial]

    def show(self):
        """Bring the experiment's bar up to date."""
        left = format_time(self.clock.left())
        note = f"{len(self.clock.done)}/{len(self.clock.work)} trials  ETA {left}"
        self.bars.update(self.whole, completed=self.clock.finished, note=note)

    def end(self, record):
        super().end(record)
        if record["trial"] in self.ones:
            self.free.append(self.ones.pop(record["trial"]))
        self.show()

    def summary(self, summary):
        self.bars.stop()  # the tables go to stdout, which the bars would cut through
        super().summary(summary)
        self.bars.start()


class WorkClock:
    """How long the rest will take, at the speed so far.

    work: `{trial: amount}`; `parts`: how much of the running ones is done, 0 to 1.
    """

    def __init__(self, work):
        self.work, self.done, self.parts = work, [], {}
        self.begun = time.perf_counter()

    @property
    def finished(self):
        """The work that is done."""
        parts = sum(self.work[name] * part for name, part in self.parts.items())
        return sum(self.work[name] for name in self.done) + parts

    def finish(self, trial):
        self.done.append(trial)
        self.parts.pop(trial, None)

    def left(self):
        """Seconds."""
        done = self.finished
        rest = sum(self.work.values()) - done
        spent = time.perf_counter() - self.begun
        return spent * rest / done if done else float("nan")
