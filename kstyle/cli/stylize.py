"""`kstyle stylize`: paint one picture, several pictures, or print an estimate."""

import sys

import click

from kstyle.cli import batch
from kstyle.cli.common import EXIT_INTERRUPTED, show_log, user_errors
from kstyle.cli.options import config_options, merge_options, merge_pictures
from kstyle.hardware.tensorflow_setup import load_tensorflow


@click.command("stylize")
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
def stylize_command(context, config_file, content_dir, styles, **flags):
    """Paint CONTENT (a photograph) in the style of STYLE (a painting).

    Both are picture files, or sample:NAME for a built-in one (`kstyle samples`);
    built-in ones are used where none is named. Every option can also come from a
    YAML file (--config) or the environment (KSTYLE_STEPS=50); a flag beats the
    environment, the environment beats the file.

    Many pictures: --content-dir, or several --style. Each is a run of its own, in one
    process; the results are CONTENT-STYLE.png in the folder that -o names, and those
    that are there already stay. One that fails does not stop the others.
    """
    with user_errors(), show_log(flags["quiet"]):
        from kstyle.config.style_config import StyleConfig
        from kstyle.hardware import host

        options = merge_options(context, config_file)
        options = merge_pictures(context, options, content_dir, styles)
        config = StyleConfig(**options)
        if host.may_use_gpu(config.device):
            load_tensorflow()
            from kstyle.hardware import devices

            devices.check_device_option(config.device)
        flags = {name: flags[name] for name in ("overwrite", "dry_run", "quiet")}
        if batch.is_batch(content_dir, styles):
            code = batch.stylize_many(config, content_dir, styles, **flags)
        else:
            code = stylize_one_picture(config, **flags)
    sys.exit(code)


def stylize_one_picture(config, *, overwrite, dry_run, quiet):
    """Paint one picture, or print what it would take. Returns the exit code."""
    if dry_run:
        print_run_plan(config, overwrite)
        return 0
    from kstyle.runs.job import prepare

    job = prepare(config, overwrite=overwrite)
    from kstyle.cli import console

    load_tensorflow()
    from kstyle.runs import initialization, pipeline
    from kstyle.runs.models import ModelCache

    shared = ModelCache()
    with console.watch_run(job, quiet=quiet) as callbacks:
        if config.all_losses:
            console.print_losses(initialization.layer_losses(job, shared))
        job = initialization.solve_job_weights(job, shared)
        if config.style_weights is not None and not quiet:
            console.print_solved(job.config)
        result = pipeline.run_job(job, callbacks, shared)
    console.print_result(result, quiet=quiet)
    return EXIT_INTERRUPTED if result.interrupted else 0


def print_run_plan(config, overwrite):
    """Check all that a run needs and print what it would take; nothing is written."""
    from kstyle.cli import console
    from kstyle.errors import ConfigError
    from kstyle.hardware.precision import explain_precision, resolve_precision
    from kstyle.planning import calibration, estimates, memory_fit
    from kstyle.runs.job import read_inputs

    wanted, config = config, resolve_precision(config)
    (content, style, *_), _ = read_inputs(config, overwrite=overwrite)
    sizes, short = (content.size, style.shape[:2]), None
    try:
        config = memory_fit.fit_memory(config, *sizes)
    except ConfigError as error:
        short = str(error)
    explain_precision(wanted)
    given = config, *sizes, calibration.seconds_per_gflop
    load_tensorflow()
    from kstyle.hardware import devices

    with devices.use_device(config.device):
        scales, whole = (
            estimates.estimate_scales(*given),
            estimates.estimate_run(*given),
        )
    console.print_scale_estimates(scales, whole, short)
