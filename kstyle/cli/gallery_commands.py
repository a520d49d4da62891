"""Commands that show finished runs: timelapse, gallery."""

import typing

import click

from kstyle.cli.common import one_line, print_path, show_log, user_errors
from kstyle.cli.options import overwrite_option, quiet_option
from kstyle.cli.preview import open_in_viewer, open_option
from kstyle.gallery.timelapse import BeforeAfter, write_timelapse


@click.command("timelapse")
@click.argument("run")
@click.option(
    "-o",
    "--output",
    required=True,
    metavar="FILE",
    help="the film: a .gif, .webp or .mp4 file",
)
@click.option(
    "--seconds",
    type=float,
    default=8.0,
    show_default=True,
    metavar="X",
    help="length of the film",
)
@click.option(
    "--size",
    type=int,
    metavar="N",
    help="long edge in pixels  [default: the result's, at most 480 (GIF), 640 (WebP), "
    "1080 (MP4)]",
)
@click.option(
    "--before-after",
    type=click.Choice(typing.get_args(BeforeAfter)),
    default="none",
    show_default=True,
    help="the photograph as well: beside the picture, or at the end behind a divider "
    "that moves over the result (wipe)",
)
@overwrite_option("replace an existing film")
@open_option("open the film in the program of its type")
@quiet_option("print only the path of the film")
def timelapse_command(
    run: str,
    output: str,
    seconds: float,
    size: int | None,
    before_after: BeforeAfter,
    overwrite: bool,
    open_result: bool,
    quiet: bool,
) -> None:
    """Make a film of a run from its snapshots.

    RUN: the run's folder or its run.json. A run with --snapshot-every 10 makes a
    smoother film. MP4 needs pip install "kstyle[mp4]".
    """
    with user_errors(), show_log(quiet):
        path = write_timelapse(
            run,
            output,
            seconds=seconds,
            size=size,
            before_after=before_after,
            overwrite=overwrite,
        )
        if quiet:
            print_path(path)
        else:
            megabytes = path.stat().st_size / 1e6
            click.echo(f"wrote {one_line(str(path))} ({megabytes:.1f} MB)")
        if open_result:
            open_in_viewer(path)


@click.command("gallery")
@click.argument("folder", default="logs")
@click.option(
    "-o",
    "--output",
    metavar="FILE",
    help="the page  [default: gallery.html in FOLDER]",
)
@open_option("open the page in the browser")
@quiet_option("print only the path of the page")
def gallery_command(
    folder: str, output: str | None, open_result: bool, quiet: bool
) -> None:
    """Write a page of all runs in a folder.

    FOLDER: of runs, logs/ by default; runs of experiments in it are included. The page
    has all pictures in it and needs no other file; links lead to the results at full
    size.
    """
    with user_errors(), show_log(quiet):
        from kstyle.gallery.gallery_page import write_gallery

        path = write_gallery(folder, output)
        if quiet:
            print_path(path)
        else:
            click.echo(f"wrote {one_line(str(path))}")
        if open_result:
            open_in_viewer(path)
