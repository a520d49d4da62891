"""The commands about runs that there are already: `kstyle resume`."""

import sys
from pathlib import Path

import click

from kstyle.cli_common import INTERRUPTED, load_pipeline, user_errors


@click.command()
@click.argument("folder")
@click.option("--overwrite", is_flag=True, help="replace an existing output")
@click.option("--quiet", "-q", is_flag=True, help="print the picture's path alone")
def resume(folder, overwrite, quiet):
    """Go on with the unfinished run in FOLDER, from its last checkpoint.

    The result is that of the run without a break. A run that has no checkpoint yet
    starts again; one that is finished stays as it is.
    """
    with user_errors():
        from kstyle import console
        from kstyle.resuming import reopen

        job, state = reopen(folder, overwrite=overwrite)
        if job is None:
            click.echo(f"{Path(folder)} is finished: there is nothing left to do.")
            return
        if not quiet:
            where = f"from step {state.step}" if state else "from the start"
            click.echo(f"resuming {where}", err=True)
        pipeline = load_pipeline()
        with console.watch(job, quiet=quiet) as callbacks:
            result = pipeline.run(job, callbacks, state=state)
    console.print_result(result, quiet=quiet)
    if result.interrupted:
        sys.exit(INTERRUPTED)
