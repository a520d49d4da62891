"""Standard output and standard error: closed, full, or unable to show a character."""

import contextlib
import io
import os
import sys
from collections.abc import Iterator
from typing import Any

import click


class StdoutError(OSError):
    """Standard output cannot be written."""


class StdoutFile(io.FileIO):
    """Standard output, unbuffered; its errors differ from those of other files."""

    def write(self, data: Any) -> int:
        try:
            return super().write(data)
        except OSError as error:
            raise StdoutError(error.errno, error.strerror) from None


@contextlib.contextmanager
def checked_streams() -> Iterator[None]:
    """Report in one sentence that stdout cannot be written, and exit with code 1.

    Characters that the encoding of the terminal lacks are escaped. Closed streams are
    opened on the null device: the next file would get the number of a closed stdout,
    and what libraries print would be written into that file.
    """
    closed = [number for number in (0, 1, 2) if is_closed(number)]
    for _ in closed:
        os.open(os.devnull, os.O_RDWR)  # gets the lowest free number
    if 1 in closed:
        print_to_stderr("warning: standard output is closed: nothing is printed on it.")
    elif sys.stdout is sys.__stdout__ and os.name == "posix":
        sys.stdout = checked_stdout()
    try:
        yield
    except StdoutError as error:
        discard_stdout()
        print_to_stderr(f"Error: Cannot write to standard output: {error.strerror}.")
        sys.exit(1)


def is_closed(number: int) -> bool:
    """Return whether the file descriptor `number` is closed."""
    try:
        os.fstat(number)
    except OSError:
        return True
    return False


def checked_stdout() -> io.TextIOWrapper:
    """Return a stdout that raises `StdoutError`."""
    return io.TextIOWrapper(
        io.BufferedWriter(StdoutFile(1, "wb", closefd=False)),
        encoding=sys.stdout.encoding,
        errors="backslashreplace",
        line_buffering=sys.stdout.isatty(),
    )


def discard_stdout() -> None:
    """Send what stdout still buffers to the null device; Python writes it at exit."""
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, 1)
    os.close(null)


def print_to_stderr(text: str) -> None:
    """Print a line on stderr. A stderr that cannot be written does not end a run."""
    with contextlib.suppress(OSError):
        click.echo(text, err=True)
