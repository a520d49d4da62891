"""What the terminal shows of experiments: plans, progress, verdicts."""

import contextlib
import shlex
import time

import click
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn

from kstyle.console import clock, cost, print_losses, print_table, progress_callback
from kstyle.options import readable

COLUMNS = (
    TextColumn("{task.description}"),
    BarColumn(),
    TextColumn("{task.fields[note]}"),
)


def print_trials(plans):
    """Every trial, whether it is done, and how it differs from its base."""
    for each in plans:
        rows = [
            (trial.name, state(each, trial), options_text(trial.options))
            for trial in each.experiment.trials
        ]
        print_table(
            each.experiment.name,
            ("trial", "state", "differs in"),
            rows,
            words=(0, 1, 2),
        )


def state(each, trial):
    return "done" if trial.name in each.finished else "to run"


def options_text(options):
    """Options as they would be typed, for a column of a table."""
    pairs = [f"{key}={readable(value)}" for key, value in options.items()]
    return " ".join(pairs) or "nothing"


def print_estimates(plans, estimates):
    """Every trial with its estimated time and memory, and the sum of what is to run."""
    total = 0.0
    for each in plans:
        rows = []
        for trial in each.experiment.trials:
            found = estimates[each.experiment.name, trial.name]
            if trial.name not in each.finished:
                total += found.seconds
            differs = options_text(trial.options)
            rows.append((trial.name, state(each, trial), *cost(found), differs))
        headings = ("trial", "state", "time", "memory", "differs in")
        print_table(each.experiment.name, headings, rows, words=(0, 1, 4))
    click.echo(f"to run: {clock(total)} in all, estimated")


@contextlib.contextmanager
def watch(work, *, quiet):
    """Yield what `experiments.run` tells of its progress: bars, lines, or nothing.

    work: `{(experiment, trial): seconds}`, of which the proportions alone count.
    """
    screen = Console(stderr=True)
    if quiet or not screen.is_terminal:
        yield Lines(work, quiet=quiet)
        return
    with Progress(*COLUMNS, console=screen, redirect_stdout=False) as bars:
        yield Bars(work, bars)


class Lines:
    """A line on stderr for each trial; what is found goes to stdout."""

    def __init__(self, work, *, quiet=False):
        self.work, self.quiet = work, quiet
        self.clock = None

    def begin(self, experiment, todo, finished):
        work = {trial.name: self.work[experiment.name, trial.name] for trial in todo}
        self.clock = Clock(work)
        if not self.quiet:
            self.say(f"{experiment.name}: {len(todo)} to run, {finished} done")

    def say(self, text):
        click.echo(text, err=True)

    def callbacks(self, trial, job):
        return []

    def end(self, record):
        self.clock.finish(record["trial"])
        if not self.quiet:
            count = f"[{len(self.clock.done)}/{len(self.clock.work)}]"
            outcome = f"{record['seconds']:.0f} s"
            if record["status"] == "failed":
                outcome = f"failed: {record['error']}"
            left = clock(self.clock.left())
            self.say(f"{count} {record['trial']}: {outcome}, ETA {left}")

    def summary(self, summary):
        print_summary(summary, quiet=self.quiet)


class Bars(Lines):
    """A bar for the experiment and one for the trial, each with its ETA."""

    def __init__(self, work, bars):
        super().__init__(work)
        self.bars = bars
        self.whole = bars.add_task("", total=None, note="")
        self.one = bars.add_task("", total=None, note="")

    def say(self, text):
        self.bars.console.print(text, highlight=False, markup=False)

    def begin(self, experiment, todo, finished):
        super().begin(experiment, todo, finished)
        total = sum(self.clock.work.values())
        self.bars.reset(self.whole, total=total or 1, description=experiment.name)
        self.bars.update(self.whole, completed=0 if total else 1, note="")

    def callbacks(self, trial, job):
        steps = sum(scale.steps for scale in job.scales)
        self.bars.reset(self.one, total=steps or 1, description=trial.name, note="")

        def show(step, loss, speed, left):
            note = f"{step}/{steps}  loss {loss:.4g}  ETA {clock(left)}"
            self.bars.update(self.one, completed=step, note=note)
            part = self.clock.work[trial.name] * step / max(steps, 1)
            done = self.clock.finished + part
            self.bars.update(self.whole, completed=done, note=self.note(part))

        return [progress_callback(show, 1, job.scales)]

    def note(self, part=0.0):
        """What stands behind the experiment's bar."""
        left = clock(self.clock.left(part))
        return f"{len(self.clock.done)}/{len(self.clock.work)} trials  ETA {left}"

    def end(self, record):
        super().end(record)
        self.bars.update(self.whole, completed=self.clock.finished, note=self.note())

    def summary(self, summary):
        self.bars.stop()  # the tables go to stdout, which the bars would cut through
        super().summary(summary)
        self.bars.start()


class Clock:
    """How long the rest will take, at the speed so far. `work`: `{trial: amount}`."""

    def __init__(self, work):
        self.work, self.done = work, []
        self.begun = time.perf_counter()

    @property
    def finished(self):
        """The work that is done."""
        return sum(self.work[name] for name in self.done)

    def finish(self, trial):
        self.done.append(trial)

    def left(self, part=0.0):
        """Seconds, when `part` of the work of the present trial is done as well."""
        done = self.finished + part
        rest = sum(self.work.values()) - done
        return (
            (time.perf_counter() - self.begun) * rest / done if done else float("nan")
        )


def print_summary(summary, *, quiet):
    """An experiment's tables and verdicts, and where its report is."""
    if quiet:
        click.echo(summary.page)
        return
    print_initial_losses(summary.records)
    rows = [
        (v["verdict"], number_text(v["number"]), spread_text(v), v["claim"])
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


def number_text(number):
    return "-" if number is None else f"{number:.3g}"


def spread_text(verdict):
    return " ".join(number_text(number) for number in verdict["spread"])


def print_initial_losses(records):
    """The unweighted initial losses of every layer, one table for each record."""
    for record in records:
        if record["table"]:
            click.echo(f"unweighted initial losses: {record['trial']}")
            pairs = record["table"].items()
            losses = {layer: (p["content"], p["style"]) for layer, p in pairs}
            print_losses(losses, title=None)  # a title would be as narrow as the table
