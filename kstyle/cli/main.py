"""The command line: the group of all commands."""

import os

import click

from kstyle._version import __version__
from kstyle.cli import streams
from kstyle.cli.command_group import CommandGroup, LazyCommand
from kstyle.cli.environment import unknown_variable_warnings
from kstyle.hardware.keras_setup import set_keras_variables

PAINT, COMPARE, INFORMATION = "Paint", "Measure and compare", "Information"

# In the order of the help.
COMMANDS = {
    "stylize": LazyCommand(
        "stylize",
        "stylize_command",
        "Render a photograph in the style of a painting.",
        PAINT,
    ),
    "app": LazyCommand(
        "app_command", "app_command", "Paint pictures in a browser.", PAINT
    ),
    "resume": LazyCommand(
        "run_commands",
        "resume_command",
        "Continue an unfinished run from its last checkpoint.",
        PAINT,
    ),
    "rerun": LazyCommand(
        "run_commands",
        "rerun_run_command",
        "Repeat a finished run in a new folder.",
        PAINT,
    ),
    "regions": LazyCommand(
        "region_command",
        "regions_command",
        "Show where in the content each style applies.",
        PAINT,
    ),
    "timelapse": LazyCommand(
        "gallery_commands",
        "timelapse_command",
        "Make a film of a run from its snapshots.",
        PAINT,
    ),
    "gallery": LazyCommand(
        "gallery_commands",
        "gallery_command",
        "Write a page of all runs in a folder.",
        PAINT,
    ),
    "experiment": LazyCommand(
        "experiment_commands",
        "experiment",
        "Vary one option of a run and compare the results.",
        COMPARE,
    ),
    "score": LazyCommand(
        "score",
        "score_command",
        "Score pictures by their content and style pictures.",
        COMPARE,
    ),
    "compare": LazyCommand(
        "run_commands",
        "compare_command",
        "Compare two runs: options, losses and scores.",
        COMPARE,
    ),
    "verify": LazyCommand(
        "run_commands",
        "verify_command",
        "Recompute the losses of a saved result.",
        COMPARE,
    ),
    "doctor": LazyCommand(
        "doctor",
        "doctor_command",
        "Check this machine, and print its problems and what to do.",
        INFORMATION,
    ),
    "layers": LazyCommand(
        "info",
        "layers_command",
        "List the layers of a network: shape, receptive field, cost.",
        INFORMATION,
    ),
    "samples": LazyCommand(
        "info",
        "samples_command",
        "List the built-in sample pictures.",
        INFORMATION,
    ),
    "weights": LazyCommand(
        "info",
        "weights_command",
        "List the weight files: size, SHA-256, licence, path.",
        INFORMATION,
    ),
    "completion": LazyCommand(
        "completion",
        "completion_command",
        "Print the script that completes kstyle's commands in a shell.",
        INFORMATION,
    ),
}


EXAMPLES = """\b
Examples:
  kstyle stylize photo.jpg painting.jpg -o result.png
  kstyle stylize --help
  kstyle resume logs/RUN
  kstyle experiment run 08_pooling --quick
  kstyle completion bash
"""


@click.group(
    cls=CommandGroup,
    lazy=COMMANDS,
    epilog=EXAMPLES,
    context_settings={"help_option_names": ["-h", "--help"]},
)
@click.version_option(__version__, "-V", "--version", prog_name="kstyle")
def cli() -> None:
    """Neural style transfer: a photograph in the style of a painting.

    Begin with `kstyle stylize photo.jpg painting.jpg -o result.png`.
    """
    # A network may be read from its Keras model as soon as options are checked.
    set_keras_variables()
    for warning in unknown_variable_warnings(cli, os.environ):
        streams.print_to_stderr(warning)
