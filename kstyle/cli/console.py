"""What the terminal shows: tables, the progress of a run, where the result is."""

import contextlib
import math
import shlex

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
from rich.table import Table

RUN_COLUMNS = (
    TextColumn("{task.description}"),
    BarColumn(),
    MofNCompleteColumn(),
    TextColumn("loss {task.fields[loss]}"),
    TextColumn("{task.fields[speed]} steps/s"),
    TextColumn("ETA {task.fields[eta]}"),
)


@contextlib.contextmanager
def watch_run(job, *, quiet, alone=True):
    """Yield the callbacks that show a run: a bar, plain lines, or nothing.

    alone: whether it is the only one; of many, there is a bar for the time being.
    """
    screen = Console(stderr=True)
    total = sum(scale.steps for scale in job.scales)
    if quiet or not (alone or screen.is_terminal):
        yield []
    elif screen.is_terminal:
        # `redirect_stdout` would send a script's own output to stderr with the bar.
        kind = {"redirect_stdout": False, "transient": not alone}
        with Progress(*RUN_COLUMNS, console=screen, **kind) as bar:
            task = bar.add_task("stylize", total=total, loss="-", speed="-", eta="-")
            yield [make_progress_report(bar_updater(bar, task), 1, job.scales)]
    else:
        every = job.config.report_every
        yield [make_progress_report(line_printer(total), every, job.scales)]


def make_progress_report(show, every, scales):
    """`callbacks.Progress`, imported late: TensorFlow takes seconds."""
    from kstyle.runs.callbacks.periodic import ProgressReport as ProgressCallback

    return ProgressCallback(show, every, scales)


def bar_updater(bar, task):
    """A `show` that moves the rich bar `task`."""

    def show(step, loss, speed, left):
        bar.update(
            task,
            completed=step,
            loss=f"{loss:.4g}",
            speed=f"{speed:.2f}",
            eta=format_time(left),
        )

    return show


def line_printer(total):
    """A `show` that prints a line on stderr, for logs and pipes."""

    def show(step, loss, speed, left):
        tail = f", {speed:.2f} steps/s, ETA {format_time(left)}" if speed else ""
        click.echo(f"step {step}/{total}: loss {loss:.6g}{tail}", err=True)

    return show


def format_time(seconds):
    """Seconds as m:ss, or as h:mm:ss; a dash where unknown."""
    if not math.isfinite(seconds):
        return "-"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def print_table(title, headings, rows, words=(0,)):
    """A table on stdout. `words`: which columns are text; the others are numbers."""
    table = Table(title=title, title_justify="left")
    for index, heading in enumerate(headings):
        table.add_column(
            heading, justify="left" if index in words else "right", no_wrap=True
        )
    for row in rows:
        table.add_row(*map(str, row))
    # A pipe has no width: the table is as wide as it needs to be there.
    screen = Console()
    if not screen.is_terminal:
        screen = Console(width=200)
    screen.print(table)


def print_losses(losses, title="unweighted losses at the start"):
    """The unweighted losses of every layer at the start picture: `{layer: (a, b)}`."""
    rows = [(name, f"{a:.6g}", f"{b:.6g}") for name, (a, b) in losses.items()]
    print_table(title, ("layer", "content", "style"), rows)


def print_figures(headings, rows):
    """Names in the first column and numbers, or values of options, in the others."""
    cells = [[f"{x:.6g}" if isinstance(x, float) else x for x in row] for row in rows]
    print_table(None, headings, cells)


def print_solved(config):
    """The weights that `style_weights` found, as they would be typed."""
    layers = ",".join(f"{k}:{w:g}" for k, w in config.style_layers.items())
    click.echo(f"--style-layers {layers} --content-weight {config.content_weight:g}")


def print_layers(table):
    """The rows of `layers.layer_table`."""
    rows = [
        (
            row.name,
            f"{row.height} x {row.width}",
            row.channels,
            row.stride,
            row.receptive_field,
            f"{row.parameters:,}",
            f"{row.gflops:.3f}",
        )
        for row in table
    ]
    headings = ("layer", "output", "channels", "stride", "receptive field")
    headings += ("parameters", "GFLOPs")
    print_table(None, headings, rows)


def print_weights(status):
    """The rows of `weights.weights_status`, a block each: a hash is 64 letters long."""
    for row in status:
        click.echo(f"{row['net']} --weights {row['source']}")
        click.echo(f"  there:   {'yes' if row['present'] else 'no'}")
        if row["present"]:
            note = "" if row["intact"] else "  (not the published file)"
            click.echo(f"  size:    {row['size'] / 1e6:.1f} MB")
            click.echo(f"  sha256:  {row['sha256']}{note}")
        click.echo(f"  licence: {row['licence']}")
        click.echo(f"  path:    {row['path']}")


def print_scale_estimates(scales, whole, short):
    """What `estimates` says of each scale and of the whole run, and what is short."""
    rows = [
        (f"{width} x {height}", found.steps, *format_cost(found))
        for (height, width), found in scales
    ]
    print_table(None, ("size", "steps", "time", "memory"), rows)
    time, memory = format_cost(whole)
    click.echo(f"in all: {whole.steps} steps, {time}, {memory}, estimated")
    if short is not None:
        click.echo(f"This would be refused. {short}")


def format_cost(found):
    """The time and the memory of an `Estimate`, to be read."""
    return format_time(found.seconds), f"{found.bytes / 1e9:.1f} GB"


def print_result(result, *, quiet):
    """Where the picture is; and, unless `quiet`, how to look at the run."""
    if quiet:
        click.echo(result.path)
        return
    height, width = result.picture.size
    word = "interrupted, kept" if result.interrupted else "wrote"
    click.echo(
        f"{word} {result.path} ({width} x {height}, {result.steps} steps, "
        f"{result.seconds:.1f} s)"
    )
    click.echo(f"tensorboard --logdir {shlex.quote(str(result.folder))}")
