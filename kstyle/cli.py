"""The command line: it translates, prints and exits, and does nothing else."""

import sys

import click

from kstyle import batch_commands
from kstyle._version import __version__
from kstyle.cli_common import INTERRUPTED, shown_notes, user_errors
from kstyle.experiments.commands import experiment
from kstyle.layers import NETS, PADDINGS
from kstyle.loading import load_pipeline
from kstyle.options import chosen_options, chosen_pictures, config_options
from kstyle.run_commands import compare, rerun, resume, verify


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="kstyle")
def cli():
    """Paint a photograph in the manner of a painting, and see why it looks so."""


@cli.command()
@click.argument("content", required=False, envvar="KSTYLE_CONTENT")
@click.argument("style", required=False, envvar="KSTYLE_STYLE")
@click.option(
    *("--content-dir", "content_dir"),
    metavar="FOLDER",
    envvar="KSTYLE_CONTENT_DIR",
    help="paint every picture in FOLDER; -o is a folder then",
)
@click.option(
    *("--style", "styles"),
    multiple=True,
    metavar="PICTURE",
    help="in place of STYLE: a painting or a folder of them; several for each in turn",
)
@config_options
@click.option("--config", "config_file", metavar="FILE", help="YAML file of options")
@click.option("--overwrite", is_flag=True, help="replace an existing output")
@click.option(
    "--dry-run", is_flag=True, help="print sizes, time and memory, run nothing"
)
@click.option("--quiet", "-q", is_flag=True, help="print the picture's path alone")
@click.pass_context
def stylize(context, config_file, content_dir, styles, **flags):
    """Paint CONTENT (a photograph) in the style of STYLE (a painting).

    Both are picture files, or sample:NAME for a built-in one (`kstyle samples`);
    built-in ones are used where none is named. Every option can also come from a
    YAML file (--config) or the environment (KSTYLE_STEPS=50); a flag beats the
    environment, the environment beats the file.

    Many pictures: --content-dir, or several --style. Each is a run of its own, in one
    process; the results are CONTENT-STYLE.png in the folder that -o names, and those
    that are there already stay. One that fails does not stop the others.
    """
    with user_errors(), shown_notes(flags["quiet"]):
        from kstyle import machine
        from kstyle.config import StyleConfig

        options = chosen_options(context, config_file)
        options = chosen_pictures(context, options, content_dir, styles)
        config = StyleConfig(**options)
        if machine.may_use_gpu(config.device):
            load_devices().check(config.device)
        flags = {name: flags[name] for name in ("overwrite", "dry_run", "quiet")}
        if batch_commands.is_batch(content_dir, styles):
            code = batch_commands.paint(config, content_dir, styles, **flags)
        else:
            code = stylize_one(config, **flags)
    sys.exit(code)


def stylize_one(config, *, overwrite, dry_run, quiet):
    """Paint one picture, or print what it would take. Returns the exit code."""
    if dry_run:
        print_plan(config, overwrite)
        return 0
    from kstyle.job import prepare

    job = prepare(config, overwrite=overwrite)
    from kstyle import console

    pipeline = load_pipeline()
    from kstyle import start
    from kstyle.shared import Shared

    shared = Shared()
    with console.watch(job, quiet=quiet) as callbacks:
        if config.all_losses:
            console.print_losses(start.layer_losses(job, shared))
        job = start.solve_weights(job, shared)
        if config.style_weights is not None and not quiet:
            console.print_solved(job.config)
        result = pipeline.run(job, callbacks, shared)
    console.print_result(result, quiet=quiet)
    return INTERRUPTED if result.interrupted else 0


def print_plan(config, overwrite):
    """Check all that a run needs and print what it would take; nothing is written."""
    from kstyle import console, estimates, memory
    from kstyle.errors import ConfigError
    from kstyle.job import read_all
    from kstyle.precision import explain, resolved

    wanted, config = config, resolved(config)
    (content, style, *_), _ = read_all(config, overwrite=overwrite)
    sizes, short = (content.size, style.shape[:2]), None
    try:
        config = memory.fit_memory(config, *sizes)
    except ConfigError as error:
        short = str(error)
    explain(wanted)
    given = config, *sizes, estimates.seconds_per_gflop
    with load_devices().use(config.device):
        scales, whole = estimates.scale_estimates(*given), estimates.estimate(*given)
    console.print_plan(scales, whole, short)


@cli.command()
@click.option(
    "--net", type=click.Choice(list(NETS)), default="vgg19", show_default=True
)
@click.option(
    "--size",
    type=click.IntRange(1),
    default=224,
    show_default=True,
    help="edge of the input in pixels",
)
@click.option(
    "--padding", type=click.Choice(PADDINGS), default="same", show_default=True
)
def layers(net, size, padding):
    """Print the layers of a network: shape, receptive field, cost."""
    with user_errors():
        from kstyle import console
        from kstyle.layers import layer_table

        console.print_layers(layer_table(net, (size, size), padding))


@cli.command()
def weights():
    """Print where each network's weights come from and whether they are there."""
    with user_errors():
        from kstyle import console
        from kstyle.weights import weights_status

        console.print_weights(weights_status())


@cli.command()
def doctor():
    """Print what this machine offers, what is wrong with it, and what to do."""
    with user_errors():
        from kstyle import console
        from kstyle.doctor import examine, notes, problems

        facts = examine(load_devices)
        found = problems(facts)
        console.print_doctor(facts, found, notes(facts))
    if any(problem.broken for problem in found):
        sys.exit(1)


def load_devices():
    """The module `devices`, TensorFlow loaded without its messages."""
    load_pipeline()
    from kstyle import devices

    return devices


@cli.command()
def samples():
    """Print the built-in pictures, to be named as sample:NAME."""
    from kstyle.sample_pictures import sample_names

    for name in sample_names():
        click.echo(f"sample:{name}")


cli.add_command(experiment)
for command in (resume, rerun, verify, compare):
    cli.add_command(command)
