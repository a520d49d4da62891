"""Commands on existing runs: resume, rerun, verify, compare."""

import sys
from typing import TYPE_CHECKING, Any

import click

from kstyle.cli import console
from kstyle.cli.common import one_line, show_log, user_errors
from kstyle.cli.options import overwrite_option, quiet_option
from kstyle.cli.progress import watch_run
from kstyle.cli.signals import ending_signal
from kstyle.cli.streams import print_to_stderr
from kstyle.errors import KStyleError
from kstyle.hardware.tensorflow_setup import load_tensorflow
from kstyle.runs.job import Job, prepare, reopen_run
from kstyle.runs.provenance import (
    RunRecord,
    changes_since,
    config_difference,
    read_loss_curve,
    read_run,
)

if TYPE_CHECKING:
    from kstyle.runs.checkpoint_file import RunState

MAX_CURVE_ROWS = 10  # rows of a table of losses by step


@click.command("resume")
@click.argument("folder")
@overwrite_option("replace an existing output")
@quiet_option("print only the path of the result")
def resume_command(folder: str, overwrite: bool, quiet: bool) -> None:
    """Continue an unfinished run from its last checkpoint.

    FOLDER is the run's folder. The result is the same as without the interruption. A
    run without a checkpoint starts again; a finished run is left as it is.
    """
    with user_errors(), show_log(quiet):
        job, state = reopen_run(folder, overwrite=overwrite)
        if job is None:
            click.echo(f"{one_line(folder)} is finished: nothing is left to do.")
            return
        if not quiet:
            start = f"from step {state.step}" if state else "from the start"
            print_to_stderr(f"resuming {start}")
        run_and_print(job, state, quiet)


@click.command("rerun")
@click.argument("run")
@quiet_option("print only the path of the result")
def rerun_run_command(run: str, quiet: bool) -> None:
    """Repeat a finished run in a new folder.

    RUN: the run's folder or its run.json. First, what has changed since is listed: a
    picture's bytes, the weights, the version of a package.
    """
    with user_errors(), show_log(quiet):
        record = read_run(run)
        print_changes(record)
        run_and_print(prepare(record["config"].replace(output=None)), None, quiet)


def print_changes(record: RunRecord) -> None:
    """Print on stderr what has changed since the run of `record`."""
    for change in changes_since(record):
        print_to_stderr(f"changed since the run: {one_line(change)}")


def run_and_print(job: Job, state: "RunState | None", quiet: bool) -> None:
    """Run the job, continuing from `state`, and print where the picture is."""
    load_tensorflow()
    from kstyle.runs import pipeline

    with watch_run(job, quiet=quiet) as callbacks:
        result = pipeline.run_job(job, callbacks, state=state)
    console.print_result(result, quiet=quiet)
    if result.interrupted:
        sys.exit(ending_signal.exit_code())


@click.command("verify")
@click.argument("run")
def verify_command(run: str) -> None:
    """Recompute the losses of a saved result.

    RUN: the run's folder or its run.json, whose losses are compared. The exit code is
    1 if the total loss differs by more than 1 %; rounding to 8 bits changes it by less.
    """
    with user_errors():
        record = read_run(run)
        print_changes(record)
        load_tensorflow()
        from kstyle.runs.results import VERIFY_TOLERANCE, losses_of_result

        found, recorded = losses_of_result(record), record["losses"]
        names = [name for name in recorded if name in found]
        rows = [(name, recorded[name], found[name]) for name in names]
        console.print_figures(("loss", "run.json", "picture"), rows)
        difference = relative_difference(found["loss"], recorded["loss"])
        click.echo(f"the total loss differs by {100 * difference:.2g} %")
    sys.exit(difference > VERIFY_TOLERANCE)


def relative_difference(value: float, reference: float) -> float:
    """Return |value / reference - 1|; `value` itself where the reference is 0."""
    return abs(value / reference - 1) if reference else value


@click.command("compare")
@click.argument("run")
@click.argument("other")
def compare_command(run: str, other: str) -> None:
    """Compare two runs: options, losses and scores.

    Prints the options that differ, the final losses, the loss curves, and the scores of
    the results, which are computed by the fixed network that judges experiments.
    """
    with user_errors():
        records = read_run(run), read_run(other)
        names = [record["folder"].name for record in records]
        console.print_figures(("option", *names), config_difference(*records))
        losses = [record["losses"] for record in records]
        console.print_figures(("final loss", *names), common_rows(*losses))
        curve_rows = common_rows(*map(read_loss_curve, records))
        step = max(1, len(curve_rows) // MAX_CURVE_ROWS)
        console.print_figures(("loss at step", *names), curve_rows[::step])
        load_tensorflow()
        from kstyle.experiments.scoring.scorer import score_run

        try:
            scores = [score_run(record) for record in records]
        except KStyleError as error:
            click.echo(f"no scores: {one_line(str(error))}")
            return
        console.print_figures(("score of the result", *names), common_rows(*scores))


def common_rows(first: dict[Any, Any], second: dict[Any, Any]) -> list[tuple]:
    """Return `(key, value of first, value of second)` of the keys in both, in order."""
    return [(key, first[key], second[key]) for key in first if key in second]
