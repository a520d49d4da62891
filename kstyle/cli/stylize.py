"""`kstyle stylize`: stylize one picture or several, or print an estimate."""

import sys
from typing import Any

import click
from click.core import ParameterSource

from kstyle.cli import batch, console
from kstyle.cli.common import show_log, user_errors
from kstyle.cli.completion import complete_folder, complete_picture
from kstyle.cli.grouped_help import GroupedCommand
from kstyle.cli.options import (
    VariableOption,
    config_file_option,
    config_options,
    dry_run_option,
    make_config,
    merge_options,
    merge_pictures,
    options_as_given,
    overwrite_option,
    picture_arguments,
    quiet_option,
    variable_option,
)
from kstyle.cli.preview import (
    TerminalPreview,
    open_in_viewer,
    open_option,
    open_preview,
    preview_option,
)
from kstyle.cli.progress import watch_run
from kstyle.cli.signals import ending_signal
from kstyle.cli.streams import print_to_stderr
from kstyle.config.looks import NORMALIZED_CONTENT_LAYERS, PLAIN_STYLE_LOSS
from kstyle.config.style_config import StyleConfig
from kstyle.errors import ConfigError
from kstyle.hardware import host
from kstyle.hardware.machine import THIS_MACHINE
from kstyle.hardware.precision import explain_precision, resolve_precision
from kstyle.hardware.tensorflow_setup import load_tensorflow
from kstyle.planning import estimates, memory_fit
from kstyle.planning.regions import skipped_layers
from kstyle.planning.scales import plan_scales_of_run
from kstyle.runs.job import check_logdir, prepare, read_inputs

STYLIZE_EXAMPLES = """\b
Examples:
  kstyle stylize photo.jpg painting.jpg -o result.png
  kstyle stylize photo.jpg painting.jpg --look painterly --color keep
  kstyle stylize photo.jpg painting.jpg other.jpg --blend 2,1
  kstyle stylize portrait.jpg painting.jpg --region face-mask.png
  kstyle stylize photo.jpg painting.jpg --size 1024 --dry-run
  kstyle stylize --content-dir holiday --style waves.jpg -o painted
  kstyle stylize --config logs/RUN/config.yaml --style-layers conv1_1,conv3_1
"""


@click.command("stylize", cls=GroupedCommand, epilog=STYLIZE_EXAMPLES)
@picture_arguments
@variable_option(
    "--content-dir",
    name="content_dir",
    metavar="FOLDER",
    help="stylize every picture in FOLDER; --output then names a folder",
    group="Pictures",
    is_basic=True,
    shell_complete=complete_folder,
)
@click.option(
    "--style",
    "styles",
    cls=VariableOption,
    multiple=True,
    metavar="PICTURE",
    help="painting or folder of paintings, in place of STYLE; may be repeated, each "
    "gets a separate run",
    group="Pictures",
    shell_complete=complete_picture,
)
@config_options
@config_file_option(is_basic=True)
@overwrite_option("replace an existing output")
@dry_run_option("print sizes, time and memory; write nothing")
@preview_option
@open_option("open the result in the system's viewer; of several, their folder")
@quiet_option("print only the paths of the results")
@click.pass_context
def stylize_command(
    context: click.Context,
    config_file: str | None,
    content_dir: str | None,
    styles: tuple[str, ...],
    overwrite: bool,
    dry_run: bool,
    preview: bool,
    open_result: bool,
    quiet: bool,
    **_: Any,  # the fields of `StyleConfig`, which `merge_options` reads
) -> None:
    """Render a photograph in the style of a painting.

    CONTENT (a photograph) and STYLE (a painting) are picture files, or sample:NAME for
    a built-in one (see `kstyle samples`); the defaults are built-in. Every option can
    also be set in a YAML file (--config) or by an environment variable (KSTYLE_STEPS=50
    for --steps 50). Flags override variables, and variables override the file.

    Several STYLEs are blended in one picture, in equal shares or those of --blend 2,1.
    With --region MASK, given once for each, each is painted where its mask is white;
    `kstyle regions` shows where that is.

    Several pictures: name a folder with --content-dir, or give --style several times.
    Each picture is a separate run. The results are CONTENT-STYLE.png in the folder of
    --output; existing results are kept. A failure does not stop the other runs.
    """
    with user_errors(), show_log(quiet), options_as_given(context, config_file):
        source = context.get_parameter_source
        if source("content") is ParameterSource.COMMANDLINE:
            if source("content_dir") is ParameterSource.ENVIRONMENT:
                content_dir = None  # an argument overrides a variable
        options = merge_options(context, config_file)
        options = merge_pictures(context, options, content_dir, styles)
        config = make_config(options, config_file)
        check_device_present(config.device)
        shown = None if dry_run else open_preview(preview)
        if batch.is_batch(content_dir, styles):
            code = batch.stylize_many(
                config,
                content_dir,
                styles,
                overwrite=overwrite,
                dry_run=dry_run,
                open_results=open_result,
                preview=shown,
                quiet=quiet,
            )
        elif dry_run:
            print_run_plan(config, overwrite)
            code = 0
        else:
            code = stylize_one_picture(
                config,
                overwrite=overwrite,
                open_result=open_result,
                preview=shown,
                quiet=quiet,
            )
    sys.exit(code)


def check_device_present(device: str) -> None:
    """Raise `ConfigError` for a GPU that TensorFlow does not see.

    TensorFlow is loaded only where the device may be a GPU.
    """
    if host.may_use_gpu(device):
        load_tensorflow()
        from kstyle.hardware import devices

        devices.check_device_option(device)


def stylize_one_picture(
    config: StyleConfig,
    *,
    overwrite: bool,
    open_result: bool,
    preview: TerminalPreview | None,
    quiet: bool,
) -> int:
    """Stylize one picture and print where it is. Returns the exit code."""
    job = prepare(config, overwrite=overwrite)
    load_tensorflow()
    from kstyle.runs import initialization, pipeline
    from kstyle.runs.model_cache import ModelCache

    def print_weights(solved: StyleConfig) -> None:
        changed = solved.content_layers != config.content_layers
        # Not the default beside layer weights that are given.
        normalized = solved.content_layers == NORMALIZED_CONTENT_LAYERS
        named = changed or normalized or config.content_weights
        names = ["content_layers"] if named else []
        if config.style_weights is not None:
            names += ["style_layers", "content_weight"]
            # Not 0: with layer weights that are given it would be.
            names += ["style_growth"] * bool(solved.style_growth)
            names += ["style_loss"] * (solved.style_loss != PLAIN_STYLE_LOSS)
            names += ["tv_loss", "tv_weight"] * (solved.tv_loss != "squared")
        console.print_solved_weights({name: getattr(solved, name) for name in names})
        console.print_region_weights(solved.region_layers)

    models = ModelCache()
    with watch_run(job, quiet=quiet, preview=preview) as callbacks:
        if config.all_losses:
            console.print_weighted_losses(
                initialization.layer_losses(job, models),
                config.content_weight,
                config.style_weight,
            )
        result = pipeline.run_job(
            job, callbacks, models, on_solved=None if quiet else print_weights
        )
    if preview is not None:
        preview.show_result(result.picture)
    console.print_result(result, quiet=quiet)
    if open_result:
        open_in_viewer(result.path)
    return ending_signal.exit_code() if result.interrupted else 0


def print_run_plan(config: StyleConfig, overwrite: bool) -> None:
    """Check all inputs of a run and print an estimate of its scales; write nothing."""
    wanted = config.precision
    config = config.replace(precision=resolve_precision(wanted, config.device))
    check_logdir(config.logdir)
    pictures, _ = read_inputs(config, overwrite=overwrite)
    available, shortage = THIS_MACHINE.available_bytes(config.device), None
    try:
        config = memory_fit.fit_memory(config, *pictures.sizes, available=available)
    except ConfigError as error:
        shortage = str(error)
    scales = plan_scales_of_run(config, *pictures.sizes)
    for sentence in skipped_layers(config, pictures.regions, scales):
        print_to_stderr(f"warning: {sentence}")
    explain_precision(wanted, config.device)
    load_tensorflow()
    from kstyle.hardware import devices
    from kstyle.planning.calibration import seconds_per_gflop

    with devices.use_device(config.device):
        costs = estimates.cost_model(config)
        each = estimates.estimate_scales(costs, scales, seconds_per_gflop)
        total = estimates.estimate_run(costs, scales, seconds_per_gflop)
    console.print_scale_estimates(zip(scales, each, strict=True), total, shortage)
