"""Tables and result lines on stdout."""

import shlex
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from kstyle.cli.common import one_line, print_path
from kstyle.cli.options import format_value
from kstyle.config.option_types import counted
from kstyle.networks.architecture import LayerInfo
from kstyle.planning.estimates import Estimate
from kstyle.planning.regions import RegionAtScale
from kstyle.planning.scales import ScalePlan
from kstyle.runs.progress import format_time

if TYPE_CHECKING:  # it imports TensorFlow
    from kstyle.runs.results import StyleResult

PIPE_WIDTH = 200  # characters of a table where no terminal limits it


def format_cost(estimate: Estimate) -> tuple[str, str]:
    """Return the time and the memory of an `Estimate` as printed."""
    return format_time(estimate.seconds), f"{estimate.bytes / 1e9:.1f} GB"


def shell_word(text: str) -> str:
    """Quote a word for a shell, on one line: $'...' where it has line breaks."""
    if text.isprintable():
        return shlex.quote(text)
    escaped = text.replace("\\", "\\\\").replace("'", "\\'")
    return f"$'{one_line(escaped)}'"


def print_tensorboard_command(folder: Any) -> None:
    """Print the command that shows the event files of `folder`."""
    click.echo(f"tensorboard --logdir {shell_word(str(folder))}")


def print_table(
    title: str | None,
    headings: Iterable[str],
    rows: Iterable[Sequence[Any]],
    text_columns: Sequence[int] = (0,),
) -> None:
    """Print a table. text_columns: left-aligned ones; the others are numbers."""
    from rich.console import Console  # rich takes time to import
    from rich.table import Table

    table = Table(title=title, title_justify="left")
    for index, heading in enumerate(headings):
        # The first column names the rows; long cells of others go on in more lines.
        table.add_column(
            heading,
            justify="left" if index in text_columns else "right",
            no_wrap=index == 0,
            overflow="ellipsis" if index == 0 else "fold",
        )
    for row in rows:
        table.add_row(*(one_line(str(cell)) for cell in row))
    screen = Console()
    if not screen.is_terminal:
        screen = Console(width=PIPE_WIDTH)
    screen.print(table)


def print_losses(losses: Mapping[str, tuple[float, float]]) -> None:
    """Print the unweighted losses of every layer: `{layer: (content, style)}`."""
    rows = [(name, f"{a:.6g}", f"{b:.6g}") for name, (a, b) in losses.items()]
    print_table(None, ("layer", "content", "style"), rows)


def print_weighted_losses(
    losses: Mapping[str, tuple[float, float]],
    content_weight: float,
    style_weight: float,
) -> None:
    """Print the losses of every layer, `{layer: (content, style)}`, unweighted and with
    the weights of content and style, but not with those of the layers."""
    rows = [
        (name, *(f"{x:.6g}" for x in (a, b, content_weight * a, style_weight * b)))
        for name, (a, b) in losses.items()
    ]
    weighted = (f"content x {content_weight:g}", f"style x {style_weight:g}")
    print_table("initial losses", ("layer", "content", "style", *weighted), rows)


def print_figures(headings: Iterable[str], rows: Iterable[Sequence[Any]]) -> None:
    """Print a table of names, numbers and options; floats with six digits."""
    cells = [[format_value(value) for value in row] for row in rows]
    print_table(None, headings, cells)


def print_solved_weights(
    solved: Mapping[str, Mapping[str, float] | float | str],
) -> None:
    """Print the weights that were solved, and what they imply, `{option: value}`, as
    flags."""
    words = []
    for name, value in solved.items():
        if isinstance(value, Mapping):
            text = ",".join(f"{layer}:{weight:g}" for layer, weight in value.items())
        else:
            text = value if isinstance(value, str) else f"{value:g}"
        words.append(f"--{name.replace('_', '-')} {text}")
    click.echo(" ".join(words))


def print_region_weights(weights: Mapping[str, Mapping[str, float]]) -> None:
    """Print the weights of the style layers of each region, a line for each."""
    for name, layers in weights.items():
        text = ",".join(f"{layer}:{weight:g}" for layer, weight in layers.items())
        click.echo(f"region {name}: {text}")


def print_regions(regions: Iterable[RegionAtScale], styles: Sequence[str]) -> None:
    """Print each region's share of the picture and its styles.

    styles: the paths of all styles.
    """
    rows = [
        (
            each.region.name,
            f"{100 * each.share:.1f} %",
            " and ".join(Path(styles[n]).name for n in each.region.styles),
        )
        for each in regions
    ]
    print_table(None, ("region", "share", "style"), rows)


def print_layers(table: Sequence[LayerInfo]) -> None:
    """Print the rows of a network's table, with their aliases if there are any."""
    rows = [
        (
            row.name,
            row.alias,
            f"{row.height} x {row.width}",
            row.channels,
            row.stride,
            "all" if row.receptive_field is None else row.receptive_field,
            f"{row.parameters:,}",
            f"{row.gflops:.3f}",
        )
        for row in table
    ]
    headings = (
        "layer",
        "alias",
        "output",
        "channels",
        "stride",
        "receptive field",
        "parameters",
        "GFLOPs",
    )
    if any(row.alias for row in table):
        print_table(None, headings, rows, text_columns=(0, 1))
    else:
        without = [(row[0], *row[2:]) for row in rows]
        print_table(None, (headings[0], *headings[2:]), without)


def print_default_layers(
    content: Mapping[str, float], style: Mapping[str, float]
) -> None:
    """Print the layers that a network has losses at unless others are given."""
    for kind, layers in (("content", content), ("style", style)):
        click.echo(f"--{kind}-layers {format_value(dict(layers))}  (default)")


def print_weights(status: Iterable[Mapping[str, Any]]) -> None:
    """Print the rows of `weights.weights_status`, a block each."""
    for row in status:
        click.echo(f"{row['net']} --weights {row['source']}")
        click.echo(f"  there:   {'yes' if row['present'] else 'no'}")
        if row["present"]:
            note = "" if row["intact"] else "  (not the published file)"
            click.echo(f"  size:    {row['size'] / 1e6:.1f} MB")
            click.echo(f"  sha256:  {row['sha256']}{note}")
        click.echo(f"  licence: {row['licence']}")
        click.echo(f"  path:    {one_line(str(row['path']))}")
        if row["address"] and not row["present"]:
            click.echo(f"  address: {row['address']}")
            click.echo(f"  {checksum_line(row['checksum'])}")


def checksum_line(checksum: str | None) -> str:
    """Return "md5:     …" of the published checksum of a file."""
    if checksum is None:
        return "(Keras publishes no checksum of it)"
    kind, _, digest = checksum.partition(":")
    return f"{kind + ':':8} {digest}"


def print_scale_estimates(
    scales: Iterable[tuple[ScalePlan, Estimate]],
    total: Estimate,
    shortage: str | None,
) -> None:
    """Print the estimates of each scale and of the whole run.

    shortage: why memory does not suffice.
    """
    rows = []
    for scale, estimate in scales:
        height, width = scale.content_size
        size = f"{width} x {height}{' (finish)' if scale.finish else ''}"
        rows.append((size, estimate.steps, *format_cost(estimate)))
    print_table(None, ("size", "steps", "time", "memory"), rows)
    time, memory = format_cost(total)
    click.echo(f"in all: {counted(total.steps, 'step')}, {time}, {memory}, estimated")
    if shortage is not None:
        click.echo(f"This would be refused. {one_line(shortage)}")


def print_result(result: "StyleResult", *, quiet: bool) -> None:
    """Print where the picture is and, unless `quiet`, how to view the run."""
    if quiet:
        print_path(result.path)
        return
    height, width = result.picture.size
    verb = "interrupted, kept" if result.interrupted else "wrote"
    click.echo(
        f"{verb} {one_line(str(result.path))} ({width} x {height}, "
        f"{counted(result.steps, 'step')}, {result.seconds:.1f} s)"
    )
    if result.interrupted:
        click.echo(f"kstyle resume {shlex.quote(str(result.folder))}")
    print_tensorboard_command(result.folder)
