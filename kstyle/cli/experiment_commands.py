"""`kstyle experiment`: run the bench, see what it would do, begin a new file."""

import sys
from pathlib import Path

import click

from kstyle.cli.common import show_log, user_errors
from kstyle.config.strict_yaml import read_yaml
from kstyle.errors import ConfigError
from kstyle.experiments.execution.pool import EXECUTORS, check_executor
from kstyle.files import write_text
from kstyle.hardware.tensorflow_setup import load_tensorflow
from kstyle.planning.scales import STEP_COSTS

EXPERIMENT_TEMPLATE = Path(__file__).parent / "templates" / "experiment.yaml"


@click.group()
def experiment():
    """Change one thing of the loss, see what it does."""


@experiment.command("run")
@click.argument("files", nargs=-1, required=True, metavar="FILE...")
@click.option("--quick", is_flag=True, help="small, few steps, no repeats")
@click.option(
    "--only", multiple=True, metavar="TEXT", help="trials with TEXT in their name"
)
@click.option(
    *("--pair", "pairs"),
    nargs=2,
    multiple=True,
    metavar="CONTENT STYLE",
    help="run every trial on this pair; give several for repeats",
)
@click.option(
    *("--set", "changes"),
    multiple=True,
    metavar="OPTION=VALUE",
    help="an option of every trial, such as size=256",
)
@click.option("--logdir", default="logs", show_default=True, metavar="FOLDER")
@click.option("--overwrite", is_flag=True, help="replace results of other options")
@click.option(
    "--executor",
    type=click.Choice(EXECUTORS),
    default="local",
    show_default=True,
    help="where trials run: in turn, in several processes, on a Ray cluster",
)
@click.option(
    "--workers", type=int, metavar="N", help="trials at once; default: what fits"
)
@click.option("--address", metavar="ADDRESS", help="the cluster of --executor ray")
@click.option("--list", "listing", is_flag=True, help="print the trials, run nothing")
@click.option(
    "--dry-run", is_flag=True, help="print the trials with time and memory, run nothing"
)
@click.option("--quiet", "-q", is_flag=True, help="print the reports' paths alone")
def run_experiment_command(
    files, changes, listing, dry_run, quiet, executor, workers, address, **choices
):
    """Run experiments, and report on each in logs/NAME/report.html.

    FILE is an experiment file, the name of a built-in one (08_pooling), or all. Trials
    that are finished already are not run again.
    """
    with user_errors(), show_log(quiet):
        from kstyle.cli import experiment_console
        from kstyle.experiments.plans import estimate_trials, plan

        where = (executor, workers, address)
        check_executor(*where)
        choices["changes"] = parse_changes(changes)
        plans = plan(files, **choices)
        if listing:
            experiment_console.print_trials(plans)
            return
        load_tensorflow()
        if dry_run:
            from kstyle.hardware import devices
            from kstyle.planning.calibration import seconds_per_gflop

            with devices.use_device("auto"):
                found = estimate_trials(plans, seconds_per_gflop)
            experiment_console.print_trial_estimates(plans, found)
            return
        from kstyle.experiments.execution.trial import WorkerContext
        from kstyle.experiments.runner import open_executor, run_plans

        here = WorkerContext()
        work = {
            k: v.seconds
            for k, v in estimate_trials(plans, STEP_COSTS.__getitem__).items()
        }
        with (
            open_executor(plans, here, *where) as chosen,
            experiment_console.watch_experiments(work, quiet=quiet) as watch,
        ):
            rows = run_plans(plans, watch, here, chosen)
    if any(row["status"] == "failed" for row in rows):
        sys.exit(1)


def parse_changes(words):
    """`{option: value}` of words like `size=256`; values are read as in YAML."""
    changes = {}
    for word in words:
        key, equals, value = word.partition("=")
        if not equals or not key:
            raise ConfigError(f"--set takes OPTION=VALUE. Received: {word!r}.")
        key = key.strip().replace("-", "_")
        try:
            changes[key] = read_yaml(value)
        except ConfigError:  # "*.png" is no YAML, but it may be a file
            changes[key] = value
    return changes


@experiment.command("new")
@click.argument("path", default="experiment.yaml")
@click.option("--overwrite", is_flag=True, help="replace an existing file")
def new_experiment_command(path, overwrite):
    """Write a commented template of an experiment file to PATH."""
    with user_errors():
        if Path(path).exists() and not overwrite:
            raise ConfigError(f"{path} exists. Name another file, or use --overwrite.")
        try:
            write_text(path, EXPERIMENT_TEMPLATE.read_text(encoding="utf-8"))
        except OSError as error:
            raise ConfigError(f"Cannot write {path}: {error}") from None
    click.echo(f"wrote {path}; run it with: kstyle experiment run {path}")
