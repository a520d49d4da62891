"""`kstyle experiment`: run, report, list the built-in ones, begin a new file."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from kstyle.cli import experiment_console
from kstyle.cli.common import one_line, show_log, user_errors
from kstyle.cli.options import dry_run_option, overwrite_option, quiet_option
from kstyle.config.strict_yaml import read_yaml
from kstyle.errors import ConfigError
from kstyle.experiments.definition.experiment_file import read_experiment
from kstyle.experiments.execution.executors import EXECUTORS, check_executor
from kstyle.experiments.plans import (
    ExperimentPlan,
    builtin_experiments,
    estimate_trials,
    plan,
)
from kstyle.files import write_text
from kstyle.hardware.tensorflow_setup import load_tensorflow
from kstyle.planning.scales import STEP_COSTS

EXPERIMENT_TEMPLATE = Path(__file__).parent / "templates" / "experiment.yaml"


@click.group()
def experiment() -> None:
    """Vary one option of a run and compare the results."""


PLAN_OPTIONS = (
    click.argument("files", nargs=-1, required=True, metavar="FILE..."),
    click.option("--quick", is_flag=True, help="small pictures, few steps, no repeats"),
    click.option(
        "--only",
        multiple=True,
        metavar="TEXT",
        help="only trials with TEXT in their name",
    ),
    click.option(
        "--pair",
        "pairs",
        nargs=2,
        multiple=True,
        metavar="CONTENT STYLE",
        help="every trial on this pair of pictures; may be repeated",
    ),
    click.option(
        "--set",
        "changes",
        multiple=True,
        metavar="OPTION=VALUE",
        help="set an option of every trial, as in size=256; may be repeated",
    ),
    click.option(
        "--logdir",
        default="logs",
        show_default=True,
        metavar="FOLDER",
        help="folder in which each experiment gets its folder",
    ),
)


def plan_options(function: Callable[..., None]) -> Callable[..., None]:
    """Add the argument and the options that say which trials an experiment has."""
    for decorate in reversed(PLAN_OPTIONS):
        function = decorate(function)
    return function


@experiment.command("run")
@plan_options
@overwrite_option("replace results that were computed with other options")
@click.option(
    "--executor",
    type=click.Choice(EXECUTORS),
    default="local",
    show_default=True,
    help="where trials run: one after another, in processes, or on a Ray cluster",
)
@click.option(
    "--workers", type=int, metavar="N", help="trials at a time; default: what fits"
)
@click.option(
    "--address", metavar="ADDRESS", help="address of the cluster of --executor ray"
)
@click.option(
    "--list", "list_only", is_flag=True, help="list the trials without running them"
)
@dry_run_option("list the trials with time and memory without running them")
@quiet_option("print only the paths of the reports")
def run_experiment_command(
    files: tuple[str, ...],
    changes: tuple[str, ...],
    list_only: bool,
    dry_run: bool,
    quiet: bool,
    executor: str,
    workers: int | None,
    address: str | None,
    **choices: Any,
) -> None:
    """Run experiments and write a report of each.

    The report is logs/NAME/report.html. FILE is an experiment file, the name of a
    built-in experiment or its beginning (08; see `kstyle experiment list`), or all.
    Finished trials are not run again.
    """
    interrupted = "Interrupted. Run the same command again to continue."
    with user_errors(interrupted), show_log(quiet):
        check_executor(executor, workers, address)
        plans = plan(files, changes=parse_changes(changes), **choices)
        if list_only:
            experiment_console.print_trials(plans)
            return
        load_tensorflow()
        if dry_run:
            print_estimates(plans)
            return
        rows = run_and_watch(plans, executor, workers, address, quiet=quiet)
    if any(row["status"] == "failed" for row in rows):
        sys.exit(1)


def print_estimates(plans: list[ExperimentPlan]) -> None:
    """Print every trial with its time and memory, estimated by a calibration."""
    from kstyle.hardware import devices
    from kstyle.planning.calibration import seconds_per_gflop

    with devices.use_device("auto"):
        estimates = estimate_trials(plans, seconds_per_gflop)
    experiment_console.print_trial_estimates(plans, estimates)


def run_and_watch(
    plans: list[ExperimentPlan],
    executor: str,
    workers: int | None,
    address: str | None,
    *,
    quiet: bool,
) -> list[dict[str, Any]]:
    """Run all trials and show their progress. Returns a row for each trial."""
    from kstyle.experiments.execution.trial import WorkerContext
    from kstyle.experiments.runner import open_executor, run_plans

    context = WorkerContext()
    estimates = estimate_trials(plans, STEP_COSTS.__getitem__)
    work = {key: estimate.seconds for key, estimate in estimates.items()}
    with (
        open_executor(plans, context, executor, workers, address) as opened,
        experiment_console.watch_experiments(work, quiet=quiet) as watch,
    ):
        return run_plans(plans, watch, context, opened)


def parse_changes(words: tuple[str, ...]) -> dict[str, Any]:
    """Return `{option: value}` of words like `size=256`; values are read as YAML."""
    changes = {}
    for word in words:
        key, equals, value = word.partition("=")
        if not equals or not key:
            raise ConfigError(f"--set takes OPTION=VALUE. Received: {word!r}.")
        key = key.strip().replace("-", "_")
        try:
            changes[key] = read_yaml(value)
        except ConfigError:  # "*.png" is not YAML, but may be a file name
            changes[key] = value
    return changes


@experiment.command("report")
@plan_options
@click.option(
    "--votes",
    multiple=True,
    metavar="FILE",
    help="a file that votes.html has saved, or a folder of them; may be repeated",
)
@quiet_option("print only the paths of the reports")
def report_experiment_command(
    files: tuple[str, ...],
    changes: tuple[str, ...],
    votes: tuple[str, ...],
    quiet: bool,
    **choices: Any,
) -> None:
    """Write the reports of experiments again without running a trial.

    FILE and options are those of `kstyle experiment run`. Trials from before a score
    existed get it. --votes ranks the trials by people's votes beside the scores.
    """
    with user_errors("Interrupted. The pictures are unchanged."), show_log(quiet):
        load_tensorflow()
        from kstyle.experiments.runner import plan_report, report_plans

        plans = plan_report(files, changes=parse_changes(changes), **choices)
        with experiment_console.watch_experiments({}, quiet=quiet) as watch:
            report_plans(plans, watch, votes)


@experiment.command("list")
def list_experiments_command() -> None:
    """List the built-in experiments and their questions."""
    with user_errors():
        rows = [
            (name, read_experiment(path).question)
            for name, path in builtin_experiments().items()
        ]
        experiment_console.print_experiments(rows)


@experiment.command("new")
@click.argument("path", default="experiment.yaml")
@overwrite_option("replace an existing file")
def new_experiment_command(path: str, overwrite: bool) -> None:
    """Write a commented template of an experiment file to PATH."""
    with user_errors():
        if Path(path).exists() and not overwrite:
            raise ConfigError(f"{path} exists. Name another file, or use --overwrite.")
        try:
            write_text(path, EXPERIMENT_TEMPLATE.read_text(encoding="utf-8"))
        except OSError as error:
            raise ConfigError(f"Cannot write {path}: {error}") from None
        name = one_line(path)
        click.echo(f"wrote {name}; run it with: kstyle experiment run {name}")
