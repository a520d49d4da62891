"""`python -m kstyle`."""

from kstyle.cli import cli

cli(prog_name="kstyle")
