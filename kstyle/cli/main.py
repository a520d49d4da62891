"""The command line: the group of all commands."""

import os
from typing import Any

import click

from kstyle._version import __version__
from kstyle.cli import streams
from kstyle.cli.doctor import doctor_command
from kstyle.cli.environment import unknown_variable_warnings
from kstyle.cli.experiment_commands import experiment
from kstyle.cli.info import layers_command, samples_command, weights_command
from kstyle.cli.run_commands import (
    compare_command,
    rerun_run_command,
    resume_command,
    verify_command,
)
from kstyle.cli.stylize import stylize_command


class CommandGroup(click.Group):
    """A group that reports in one sentence that standard output cannot be written."""

    def main(self, *arguments: Any, **settings: Any) -> Any:
        with streams.checked_streams():
            return super().main(*arguments, **settings)


@click.group(cls=CommandGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, "-V", "--version", prog_name="kstyle")
def cli() -> None:
    """Neural style transfer: a photograph in the style of a painting.

    Begin with `kstyle stylize photo.jpg painting.jpg -o result.png`.
    """
    for warning in unknown_variable_warnings(cli, os.environ):
        streams.print_to_stderr(warning)


for command in (
    stylize_command,
    resume_command,
    rerun_run_command,
    verify_command,
    compare_command,
    experiment,
    layers_command,
    weights_command,
    samples_command,
    doctor_command,
):
    cli.add_command(command)
