"""`kstyle stylize` of many pictures: the command and what the terminal shows."""

import contextlib
import os
import time
from pathlib import Path

import click

from kstyle.cli import console
from kstyle.cli.common import EXIT_INTERRUPTED, one_line
from kstyle.errors import ConfigError
from kstyle.hardware.tensorflow_setup import load_tensorflow
from kstyle.planning.estimates import estimate_run
from kstyle.planning.scales import STEP_COSTS


def is_batch(content_dir, styles):
    """Whether these options of the command name more than one picture."""
    return bool(content_dir or len(styles) > 1 or any(map(os.path.isdir, styles)))


def stylize_many(config, content_dir, styles, *, overwrite, dry_run, quiet):
    """Paint what the options name, or print what it would take. Returns the exit code.

    styles: pictures and folders; the config's own where there is none.
    """
    from kstyle.runs.batch_plan import batch_configs, make_batch_plan, pictures_in

    if config.all_losses:
        raise ConfigError("--all-losses is for one picture: leave it out of a batch.")
    contents, others = None, 0
    if content_dir:
        contents, others = pictures_in(content_dir)
    output, config = config.output, config.replace(output=None)
    configs = batch_configs(config, contents, styles or None, output)
    plan = make_batch_plan(configs, overwrite=overwrite)
    load_tensorflow()
    if dry_run:
        from kstyle.hardware import devices
        from kstyle.planning import calibration

        with devices.use_device(config.device):
            print_batch_estimate(plan, others, calibration.seconds_per_gflop)
        return 0
    from kstyle.runs.batch import run_batch

    outcomes = run_batch(plan, BatchLines(quiet=quiet, others=others))
    print_outcomes(outcomes, quiet=quiet)
    statuses = {outcome.status for outcome in outcomes}
    if statuses & {"left", "interrupted"}:
        return EXIT_INTERRUPTED
    return int("failed" in statuses)


STATUS_WORDS = {"finished": "painted", "there": "there already", "failed": "failed"}


class BatchLines:
    """A line for each picture on stdout as it is done: which, where, how long, ETA.

    quiet: the paths alone. others: how many files were passed over. In a terminal a
        bar shows how far the present picture is.
    """

    def __init__(self, *, quiet, others=0):
        self.quiet, self.others = quiet, others
        self.work, self.begun, self.done = [], 0.0, 0

    def begin(self, plan, todo):
        self.work = [entry_work(entry) for entry in todo]
        self.begun = time.perf_counter()
        if not self.quiet:
            click.echo(batch_overview(plan, self.others), err=True)

    @contextlib.contextmanager
    def running(self, job):
        with console.watch_run(job, quiet=self.quiet, alone=False) as callbacks:
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
            status = STATUS_WORDS.get(outcome.status, "not done")
            what = f"{entry_name(outcome.config)}: {status}"
        else:
            cut = " (interrupted)" if outcome.status == "interrupted" else ""
            what = f"{one_line(str(outcome.path))}{cut}, {outcome.seconds:.1f} s"
        place = f"[{self.done}/{len(self.work)}]"
        click.echo(f"{place} {what}, ETA {console.format_time(left)}")


def entry_name(config):
    """Which picture of a batch is spoken of."""
    return one_line(f"{config.content} in the style of {Path(config.style).name}")


def batch_overview(plan, others):
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


def print_outcomes(outcomes, *, quiet):
    """How a batch ended: what was not done, what failed and why, and the counts."""
    statuses = [outcome.status for outcome in outcomes]
    for outcome in outcomes:
        if outcome.status in ("left", "interrupted"):
            click.echo(f"not done: {entry_name(outcome.config)}", err=True)
    for outcome in outcomes:
        if outcome.status == "failed":
            click.echo(
                f"failed: {entry_name(outcome.config)}: {one_line(outcome.error)}",
                err=True,
            )
    if not quiet:
        left = len(statuses) - sum(map(statuses.count, STATUS_WORDS))
        counts = {word: statuses.count(status) for status, word in STATUS_WORDS.items()}
        counts |= {"not done": left}
        click.echo(", ".join(f"{n} {word}" for word, n in counts.items() if n))


def entry_work(entry):
    """What an entry to be painted will take, up to a factor."""
    return estimate_run(entry.config, *entry.sizes, STEP_COSTS.__getitem__).seconds


def print_batch_estimate(plan, others, speed):
    """What the batch would take; nothing is painted."""
    met, total, steps, most = set(), 0.0, 0, 0
    for entry in plan.todo():
        size = entry.result_size()
        found = estimate_run(entry.config, *entry.sizes, speed, traced=size in met)
        met.add(size)
        total, steps = total + found.seconds, steps + found.steps
        most = max(most, found.bytes)
    click.echo(batch_overview(plan, others))
    click.echo(
        f"in all: {len(met)} sizes, {steps} steps, {console.format_time(total)}, "
        f"{most / 1e9:.1f} GB, estimated"
    )
