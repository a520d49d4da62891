"""The commands about runs that there are already: resume, rerun, verify, compare."""

import sys
from pathlib import Path

import click

from kstyle.cli.common import EXIT_INTERRUPTED, show_log, user_errors
from kstyle.errors import KStyleError
from kstyle.hardware.tensorflow_setup import load_tensorflow


@click.command("resume")
@click.argument("folder")
@click.option("--overwrite", is_flag=True, help="replace an existing output")
@click.option("--quiet", "-q", is_flag=True, help="print the picture's path alone")
def resume_command(folder, overwrite, quiet):
    """Go on with the unfinished run in FOLDER, from its last checkpoint.

    The result is that of the run without a break. A run that has no checkpoint yet
    starts again; one that is finished stays as it is.
    """
    with user_errors(), show_log(quiet):
        from kstyle.runs.job import reopen_run

        job, state = reopen_run(folder, overwrite=overwrite)
        if job is None:
            click.echo(f"{Path(folder)} is finished: there is nothing left to do.")
            return
        if not quiet:
            where = f"from step {state.step}" if state else "from the start"
            click.echo(f"resuming {where}", err=True)
        run_and_print(job, state, quiet)


@click.command("rerun")
@click.argument("run")
@click.option("--quiet", "-q", is_flag=True, help="print the picture's path alone")
def rerun_run_command(run, quiet):
    """Repeat a finished run in a folder of its own. RUN: its folder or its run.json.

    What has changed since (a picture's bytes, the weights, a package's version) is
    named first.
    """
    with user_errors(), show_log(quiet):
        from kstyle.runs.job import prepare
        from kstyle.runs.provenance import changes_since, read_run

        record = read_run(run)
        for change in changes_since(record):
            click.echo(f"not as it was: {change}", err=True)
        run_and_print(prepare(record["config"].replace(output=None)), None, quiet)


def run_and_print(job, state, quiet):
    """Run the job as `kstyle stylize` does."""
    from kstyle.cli import console

    load_tensorflow()
    from kstyle.runs import pipeline

    with console.watch_run(job, quiet=quiet) as callbacks:
        result = pipeline.run_job(job, callbacks, state=state)
    console.print_result(result, quiet=quiet)
    if result.interrupted:
        sys.exit(EXIT_INTERRUPTED)


@click.command("verify")
@click.argument("run")
def verify_command(run):
    """Look at a run's saved picture again: are its losses those of run.json?

    RUN: its folder or its run.json. A saved picture is rounded: a total loss within 1 %
    of what was recorded passes; otherwise the exit code is 1.
    """
    with user_errors():
        from kstyle.cli import console
        from kstyle.runs.provenance import changes_since, read_run

        record = read_run(run)
        for change in changes_since(record):
            click.echo(f"not as it was: {change}", err=True)
        load_tensorflow()
        from kstyle.runs.results import VERIFY_TOLERANCE, losses_of_result

        found, then = losses_of_result(record), record["losses"]
        rows = [(name, then[name], found[name]) for name in then if name in found]
        console.print_figures(("loss", "run.json", "picture"), rows)
        off = abs(found["loss"] / then["loss"] - 1) if then["loss"] else found["loss"]
        click.echo(f"the total loss differs by {100 * off:.2g} %")
    sys.exit(off > VERIFY_TOLERANCE)


@click.command("compare")
@click.argument("run")
@click.argument("other")
def compare_command(run, other):
    """Print how two runs differ: options, final losses, loss curves, and the scores of
    their results by the one network that judges experiments."""
    with user_errors():
        from kstyle.cli import console
        from kstyle.runs.provenance import config_difference, read_loss_curve, read_run

        records = read_run(run), read_run(other)
        names = [record["folder"].name for record in records]
        console.print_figures(("option", *names), config_difference(*records))
        first, second = (record["losses"] for record in records)
        rows = [(k, first[k], second[k]) for k in first if k in second]
        console.print_figures(("final loss", *names), rows)
        one, two = map(read_loss_curve, records)
        steps = sorted(one.keys() & two.keys())
        rows = [(k, one[k], two[k]) for k in steps[:: max(1, len(steps) // 10)]]
        console.print_figures(("loss at step", *names), rows)
        load_tensorflow()
        from kstyle.experiments.scoring.judge import score_run

        try:
            first, second = map(score_run, records)
        except KStyleError as error:
            click.echo(f"no scores: {error}")
            return
        rows = [(k, first[k], second[k]) for k in first]
        console.print_figures(("score of the result", *names), rows)
