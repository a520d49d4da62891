"""What every command of the terminal shares: errors in words, kernels that are fast."""

import contextlib
import logging
import os
import sys

import click

from kstyle.errors import KStyleError
from kstyle.hardware.host import has_nvidia

# TensorFlow leaves oneDNN's kernels off without VNNI; the whole step ran faster with
# them on the AVX2 machine it was tried on.
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
# On a GPU cuDNN would try all its kernels at the start of every scale, for steps that
# were no faster on the one it was tried on, and not the same bits twice.
if has_nvidia():
    os.environ.setdefault("TF_DETERMINISTIC_OPS", "1")

EXIT_INTERRUPTED = 130  # 128 + SIGINT, as shells report it
MAX_MESSAGE_LENGTH = 1000  # characters of a message


@contextlib.contextmanager
def user_errors():
    """A `KStyleError` becomes one sentence and its exit code; a bug keeps its trace.

    The picture that a diverged run leaves is named on stdout.
    """
    try:
        yield
    except KeyboardInterrupt:
        click.echo("Interrupted before there was a picture to keep.", err=True)
        sys.exit(EXIT_INTERRUPTED)
    except KStyleError as error:
        if getattr(error, "result", None) is not None:
            click.echo(error.result.path)
        failure = click.ClickException(one_line(str(error)))
        failure.exit_code = error.exit_code
        raise failure from None


class LogPrinter(logging.Handler):
    """Prints what is logged on stderr, below a bar if there is one."""

    def emit(self, record):
        print(record.getMessage(), file=sys.stderr)


@contextlib.contextmanager
def show_log(quiet):
    """Show what kstyle logs for information as well; if `quiet`, warnings alone."""
    log, handler = logging.getLogger("kstyle"), LogPrinter()
    before = log.level
    if not quiet:
        log.addHandler(handler)
        log.setLevel(logging.INFO)
    try:
        yield
    finally:
        log.removeHandler(handler)
        log.setLevel(before)


def one_line(text):
    """`text` for a terminal: no line breaks or escape codes of a file's name in it."""
    if len(text) > MAX_MESSAGE_LENGTH:
        text = f"{text[: MAX_MESSAGE_LENGTH // 2]} … {text[-MAX_MESSAGE_LENGTH // 3 :]}"
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)
