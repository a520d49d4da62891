"""What every command of the terminal shares: errors in words, TensorFlow in silence."""

import contextlib
import importlib
import os
import sys

import click

from kstyle.errors import KStyleError

# TensorFlow leaves oneDNN's kernels off without VNNI; the whole step ran faster with
# them on the AVX2 machine it was tried on.
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")

INTERRUPTED = 130  # 128 + SIGINT, as shells report it
LONGEST = 1000  # characters of a message


@contextlib.contextmanager
def user_errors():
    """A `KStyleError` becomes one sentence and its exit code; a bug keeps its trace.

    The picture that a diverged run leaves is named on stdout.
    """
    try:
        yield
    except KeyboardInterrupt:
        click.echo("Interrupted before there was a picture to keep.", err=True)
        sys.exit(INTERRUPTED)
    except KStyleError as error:
        if getattr(error, "result", None) is not None:
            click.echo(error.result.path)
        failure = click.ClickException(one_line(str(error)))
        failure.exit_code = error.exit_code
        raise failure from None


def one_line(text):
    """`text` for a terminal: no line breaks or escape codes of a file's name in it."""
    if len(text) > LONGEST:
        text = f"{text[: LONGEST // 2]} … {text[-LONGEST // 3 :]}"
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)


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
