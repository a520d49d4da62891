"""TensorFlow loaded in silence."""

import contextlib
import importlib
import os

LEVEL = "TF_CPP_MIN_LOG_LEVEL"


def load_pipeline():
    """Import TensorFlow and `kstyle.pipeline`, which takes seconds.

    On a machine without a GPU TensorFlow says so on stderr, in five lines that no
    log level stops, both on import and when it first looks for devices. They are
    sent nowhere, unless `TF_CPP_MIN_LOG_LEVEL` is below 3: they are wanted then.
    """
    wanted = os.environ.setdefault(LEVEL, "3") != "3"
    with contextlib.nullcontext() if wanted else no_stderr():
        importlib.import_module("tensorflow").config.list_physical_devices("GPU")
        return importlib.import_module("kstyle.pipeline")


@contextlib.contextmanager
def no_stderr():
    """What the process, C code included, writes to stderr inside goes nowhere."""
    stderr = os.dup(2)
    with open(os.devnull, "w") as nowhere:
        os.dup2(nowhere.fileno(), 2)
    try:
        yield
    finally:
        os.dup2(stderr, 2)
        os.close(stderr)
