"""What the terminal shows of a batch: a line a picture, failures at the end."""

import contextlib
import time
from pathlib import Path

import click

from kstyle import console
from kstyle.cli_common import one_line
from kstyle.estimates import estimate
from kstyle.schedule import COSTS

WORDS = {"finished": "painted", "there": "there already", "failed": "failed"}


class Lines:
    """A line for each picture on stdout as it is done: which, where, how long, ETA.

    quiet: the paths alone. others: how many files were passed over. In a terminal a
        bar shows how far the present picture is.
    """

    def __init__(self, *, quiet, others=0):
        self.quiet, self.others = quiet, others
        self.work, self.begun, self.done = [], 0.0, 0

    def begin(self, plan, todo):
        self.work = [work(entry) for entry in todo]
        self.begun = time.perf_counter()
        if not self.quiet:
            click.echo(overview(plan, self.others), err=True)

    @contextlib.contextmanager
    def running(self, job):
        with console.watch(job, quiet=self.quiet, alone=False) as callbacks:
            yield callbacks

    def end(self, entry, outcome):
        self.done += 1
        if self.quiet:
            if outcome.path is not None:
                click.echo(outcome.path)
            return
        passed = time.perf_counter() - self.begun
        left = passed * sum(self.work[self.done :]) / sum(self.work[: self.done])
        if outcome.path is None:
            what = f"{names(outcome.config)}: {WORDS.get(outcome.status, 'not done')}"
        else:
            cut = " (interrupted)" if outcome.status == "interrupted" else ""
            what = f"{one_line(str(outcome.path))}{cut}, {outcome.seconds:.1f} s"
        place = f"[{self.done}/{len(self.work)}]"
        click.echo(f"{place} {what}, ETA {console.clock(left)}")


def names(config):
    """Which picture of a batch is spoken of."""
    return one_line(f"{config.content} in the style of {Path(config.style).name}")


def overview(plan, others):
    """How many pictures there are, and how many of them are to be painted."""
    states = [entry.state for entry in plan.entries]
    parts = [f"{states.count('todo')} to paint"]
    if there := states.count("there"):
        parts.append(f"{there} there already (--overwrite paints them anew)")
    if failed := states.count("failed"):
        parts.append(f"{failed} that cannot be used")
    if others:
        parts.append(f"{others} other files passed over")
    return f"{len(states)} pictures: {', '.join(parts)}"


def print_end(outcomes, *, quiet):
    """How a batch ended: what was not done, what failed and why, and the counts."""
    statuses = [outcome.status for outcome in outcomes]
    for outcome in outcomes:
        if outcome.status in ("left", "interrupted"):
            click.echo(f"not done: {names(outcome.config)}", err=True)
    for outcome in outcomes:
        if outcome.status == "failed":
            click.echo(
                f"failed: {names(outcome.config)}: {one_line(outcome.error)}", err=True
            )
    if not quiet:
        left = len(statuses) - sum(map(statuses.count, WORDS))
        counts = {word: statuses.count(status) for status, word in WORDS.items()}
        counts |= {"not done": left}
        click.echo(", ".join(f"{n} {word}" for word, n in counts.items() if n))


def work(entry):
    """What an entry to be painted will take, up to a factor."""
    return estimate(entry.config, *entry.sizes, COSTS.__getitem__).seconds


def print_total(plan, others, speed):
    """What the batch would take; nothing is painted."""
    met, total, steps, most = set(), 0.0, 0, 0
    for entry in plan.todo():
        size = entry.result_size()
        found = estimate(entry.config, *entry.sizes, speed, traced=size in met)
        met.add(size)
        total, steps = total + found.seconds, steps + found.steps
        most = max(most, found.bytes)
    click.echo(overview(plan, others))
    click.echo(
        f"in all: {len(met)} sizes, {steps} steps, {console.clock(total)}, "
        f"{most / 1e9:.1f} GB, estimated"
    )
