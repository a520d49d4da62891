"""`python -m kstyle`."""

from kstyle.cli.main import cli

cli(prog_name="kstyle")
