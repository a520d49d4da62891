"""The command line: it translates, prints and exits, and does nothing else."""

import contextlib
import importlib
import os
import sys

import click

from kstyle._version import __version__
from kstyle.errors import KStyleError
from kstyle.layers import NETS, PADDINGS
from kstyle.options import chosen_options, config_options

# TensorFlow leaves oneDNN's kernels off without VNNI; the whole step ran faster with
# them on the AVX2 machine it was tried on.
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")

INTERRUPTED = 130  # 128 + SIGINT, as shells report it


@contextlib.contextmanager
def user_errors():
    """A `KStyleError` becomes one sentence and its exit code; a bug keeps its trace."""
    try:
        yield
    except KeyboardInterrupt:
        click.echo("Interrupted before there was a picture to keep.", err=True)
        sys.exit(INTERRUPTED)
    except KStyleError as error:
        failure = click.ClickException(str(error))
        failure.exit_code = error.exit_code
        raise failure from None


def load_pipeline():
    """Import TensorFlow and `kstyle.pipeline`, which takes seconds.

    On a machine without a GPU TensorFlow says so on stderr, in five lines that no
    log level stops, both on import and when it first looks for devices. They are
    sent nowhere, unless `TF_CPP_MIN_LOG_LEVEL` says that they are wanted.
    """
    if "TF_CPP_MIN_LOG_LEVEL" in os.environ:
        return importlib.import_module("kstyle.pipeline")
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
    stderr = os.dup(2)
    with open(os.devnull, "w") as nowhere:
        os.dup2(nowhere.fileno(), 2)
    try:
        importlib.import_module("tensorflow").config.list_physical_devices("GPU")
        return importlib.import_module("kstyle.pipeline")
    finally:
        os.dup2(stderr, 2)
        os.close(stderr)


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="kstyle")
def cli():
    """Paint a photograph in the manner of a painting, and see why it looks so."""


@cli.command()
@click.argument("content", required=False, envvar="KSTYLE_CONTENT")
@click.argument("style", required=False, envvar="KSTYLE_STYLE")
@config_options
@click.option("--config", "config_file", metavar="FILE", help="YAML file of options")
@click.option("--overwrite", is_flag=True, help="replace an existing output")
@click.option("--quiet", "-q", is_flag=True, help="print the picture's path alone")
@click.pass_context
def stylize(context, config_file, overwrite, quiet, **_):
    """Paint CONTENT (a photograph) in the style of STYLE (a painting).

    Both are picture files, or sample:NAME for a built-in one (`kstyle samples`);
    built-in ones are used where none is named. Every option can also come from a
    YAML file (--config) or the environment (KSTYLE_STEPS=50); a flag beats the
    environment, the environment beats the file.
    """
    with user_errors():
        from kstyle.config import StyleConfig
        from kstyle.job import prepare

        config = StyleConfig(**chosen_options(context, config_file))
        job = prepare(config, overwrite=overwrite)
        from kstyle import console

        pipeline = load_pipeline()
        with console.watch(job, quiet=quiet) as callbacks:
            if config.all_losses:
                console.print_losses(pipeline.layer_losses(job))
            result = pipeline.run(job, callbacks)
    console.print_result(result, quiet=quiet)
    if result.interrupted:
        sys.exit(INTERRUPTED)


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
def samples():
    """Print the built-in pictures, to be named as sample:NAME."""
    from kstyle.images import sample_names

    for name in sample_names():
        click.echo(f"sample:{name}")
