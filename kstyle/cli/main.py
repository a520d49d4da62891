"""The command line: the group of all commands."""

import click

from kstyle._version import __version__
from kstyle.cli.experiment_commands import experiment
from kstyle.cli.info import (
    doctor_command,
    layers_command,
    samples_command,
    weights_command,
)
from kstyle.cli.run_commands import (
    compare_command,
    rerun_run_command,
    resume_command,
    verify_command,
)
from kstyle.cli.stylize import stylize_command


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="kstyle")
def cli():
    """Paint a photograph in the manner of a painting, and see why it looks so."""


for command in (
    stylize_command,
    layers_command,
    weights_command,
    doctor_command,
    samples_command,
    experiment,
    resume_command,
    rerun_run_command,
    verify_command,
    compare_command,
):
    cli.add_command(command)
