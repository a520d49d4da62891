"""Load TensorFlow without its start-up messages."""

import contextlib
import importlib
import os

LOG_LEVEL = "TF_CPP_MIN_LOG_LEVEL"


def load_tensorflow():
    """Import TensorFlow and Keras, which takes seconds, and list the GPUs.

    On a machine without a GPU TensorFlow prints five lines on stderr that no log level
    stops, both on import and when it first looks for devices. They are discarded unless
    `TF_CPP_MIN_LOG_LEVEL` is set below 3.
    """
    wanted = os.environ.setdefault(LOG_LEVEL, "3") != "3"
    with contextlib.nullcontext() if wanted else silence_stderr():
        importlib.import_module("tensorflow").config.list_physical_devices("GPU")
        importlib.import_module("keras")


@contextlib.contextmanager
def silence_stderr():
    """Discard what the process, C code included, writes to stderr in the block."""
    stderr = os.dup(2)
    with open(os.devnull, "w") as nowhere:
        os.dup2(nowhere.fileno(), 2)
    try:
        yield
    finally:
        os.dup2(stderr, 2)
        os.close(stderr)
