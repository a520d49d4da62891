"""Standard output and standard error: closed, full, or unable to show a character."""

import contextlib
import io
import os
import sys

import click


def prepare_streams() -> None:
    """Open the null device in place of closed standard streams; escape characters that
    the terminal's encoding lacks.

    With a closed stdout the next file that is opened would get its number, and what
    libraries print would be written into that file.
    """
    for number in (0, 1, 2):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # gets the lowest free number, this one
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def print_to_stderr(text: str) -> None:
    """Print a line on stderr. A stderr that cannot be written to ends no run."""
    with contextlib.suppress(OSError):
        click.echo(text, err=True)


def stdout_failure() -> OSError | None:
    """Return the error of writing what stdout still buffers; `None`: it is written."""
    try:
        if sys.stdout is not None:
            sys.stdout.flush()
    except OSError as error:
        return error
    return None


def discard_stdout() -> None:
    """Send stdout's buffer to the null device; Python writes it again when it exits."""
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, sys.stdout.fileno())
    os.close(null)
