"""`kstyle score`: the scores of finished pictures, whatever program made them."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from kstyle.cli import console
from kstyle.cli.common import one_line, show_log, user_errors
from kstyle.config.option_types import parse_numbers
from kstyle.experiments.scoring.names import SCORES
from kstyle.files import json_text
from kstyle.hardware.tensorflow_setup import load_tensorflow

if TYPE_CHECKING:  # it imports TensorFlow
    from kstyle.experiments.scoring.pictures import PictureScores

TABLE_RESULTS = 4  # results side by side; more are printed in further tables


@click.command("score")
@click.argument("results", nargs=-1, required=True, metavar="RESULT...")
@click.option("--content", required=True, metavar="PICTURE", help="content picture")
@click.option(
    "--style",
    "styles",
    required=True,
    multiple=True,
    metavar="PICTURE",
    help="style picture; several times: a mixture of them",
)
@click.option("--blend", metavar="NUMBERS", help="shares of the styles, as 2,1")
@click.option(
    "--size",
    type=int,
    metavar="PIXELS",
    help="long edge at which all results are judged; default: that of the smallest, "
    "at most 1024",
)
@click.option("--json", "as_json", is_flag=True, help="print the scores as JSON")
def score_command(
    results: tuple[str, ...],
    content: str,
    styles: tuple[str, ...],
    blend: str | None,
    size: int | None,
    as_json: bool,
) -> None:
    """Score pictures by their content and style pictures.

    RESULT may be of any program. All are judged at one size, so that their scores can
    be compared. Scores and formulas: docs/experiments.md.
    """
    with user_errors("Interrupted."), show_log(quiet=False):
        load_tensorflow()
        from kstyle.experiments.scoring.pictures import score_pictures

        found = score_pictures(
            results, content, styles, blend=parse_numbers(blend), size=size
        )
    if as_json:
        rows = [
            {"result": name, **row} for name, row in zip(results, found, strict=True)
        ]
        click.echo(json_text(rows, indent=1))
        return
    for start in range(0, len(results), TABLE_RESULTS):
        part = slice(start, start + TABLE_RESULTS)
        print_scores(results[part], found[part])


def print_scores(results: Sequence[str], found: Sequence["PictureScores"]) -> None:
    """Print a table with a row for each score and a column for each result."""
    sizes = ("judged at", *(f"{row['width']} x {row['height']}" for row in found), "")
    rows = [
        (name, *(row["scores"][name] for row in found), higher_means(name))
        for name in found[0]["scores"]
    ]
    headings = ("score", *short_names(results), "higher =")
    console.print_figures(headings, [sizes, *rows])


def short_names(results: Sequence[str]) -> list[str]:
    """Return the results' file names, with the folder where the names are equal."""
    paths = [Path(result) for result in results]
    names = [path.name for path in paths]
    return [
        one_line(name if names.count(name) == 1 else f"{path.parent.name}/{name}")
        for path, name in zip(paths, names, strict=True)
    ]


def higher_means(score: str) -> str:
    """Return what a higher value of a score means, from its description."""
    found = re.search(r"higher = ([^;)]*)", SCORES[score])
    return found[1] if found else ""
