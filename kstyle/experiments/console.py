"""What the terminal shows of experiments: plans and verdicts."""

import shlex

import click

from kstyle.console import clock, cost, print_losses, print_table
from kstyle.options import readable


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
