"""What all commands share: exit codes, errors as sentences, the log on stderr."""

import contextlib
import logging
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import click

from kstyle.cli.signals import ending_signal, handle_ending_signals
from kstyle.cli.streams import print_to_stderr
from kstyle.errors import DivergedError, KStyleError

MAX_MESSAGE_LENGTH = 1000  # characters


@contextlib.contextmanager
def user_errors(
    interrupted: str = "Interrupted before the result was written. If the run has a "
    "checkpoint, kstyle resume with its folder continues it.",
) -> Iterator[None]:
    """End the command on a `KStyleError`: a sentence on stderr, the error's exit code.

    Other exceptions are bugs and keep their traceback. The path of the picture that a
    diverged run has written is printed on stdout. SIGTERM and SIGHUP interrupt the
    command as Ctrl-C does; then the sentence `interrupted` is printed.
    """
    try:
        with handle_ending_signals():
            yield
    except KeyboardInterrupt:
        print_to_stderr(interrupted)
        sys.exit(ending_signal.exit_code())
    except KStyleError as error:
        if isinstance(error, DivergedError) and error.result is not None:
            print_path(error.result.path)
        print_to_stderr(f"Error: {one_line(str(error))}")
        sys.exit(error.exit_code)


class LogPrinter(logging.Handler):
    """Print log records on stderr, above a progress bar if there is one."""

    def emit(self, record: logging.LogRecord) -> None:
        text = record.getMessage()
        if record.levelno < logging.ERROR:  # an error has the traceback of a bug
            text = one_line(text)
        with contextlib.suppress(OSError):
            print(text, file=sys.stderr)


@contextlib.contextmanager
def show_log(quiet: bool) -> Iterator[None]:
    """Print kstyle's log on stderr: from level INFO, or from WARNING if `quiet`."""
    log, handler = logging.getLogger("kstyle"), LogPrinter()
    level_before = log.level
    if not quiet:
        log.addHandler(handler)
        log.setLevel(logging.INFO)
    try:
        yield
    finally:
        log.removeHandler(handler)
        log.setLevel(level_before)


def one_line(text: str) -> str:
    """Escape line breaks and control codes, as in names of files, and cut long text."""
    if len(text) > MAX_MESSAGE_LENGTH:
        text = f"{text[: MAX_MESSAGE_LENGTH // 2]} … {text[-MAX_MESSAGE_LENGTH // 3 :]}"
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)


def print_path(path: str | Path) -> None:
    """Print a path on stdout as the bytes of its name, for use in scripts."""
    click.echo(os.fsencode(path))
