"""Set TensorFlow's environment variables, and load it without start-up messages."""

import contextlib
import importlib
import os
import sys
from collections.abc import Iterator

from kstyle.errors import KStyleError, LoadError, OutOfMemoryError
from kstyle.hardware import keras_setup
from kstyle.hardware.host import has_nvidia

ONEDNN = "TF_ENABLE_ONEDNN_OPTS"
DETERMINISTIC = "TF_DETERMINISTIC_OPS"
KERNEL_VARIABLES = (ONEDNN, DETERMINISTIC)  # they choose kernels, and so the rounding
LOG_LEVEL = "TF_CPP_MIN_LOG_LEVEL"


def set_kernel_variables() -> None:
    """Set `KERNEL_VARIABLES` where the user has not, for the same bits everywhere.

    TensorFlow reads them once, when it is imported or first used. If it is loaded
    already, the variable says what it does, so that worker processes do the same.
    """
    # TensorFlow leaves oneDNN's kernels off without VNNI; the whole step ran faster
    # with them on the AVX2 machine it was tried on.
    if ONEDNN not in os.environ:
        os.environ[ONEDNN] = "0" if has_onednn() is False else "1"
    # On a GPU cuDNN would try all its kernels at the start of every scale, for steps
    # that were no faster on the one it was tried on, and not the same bits twice.
    if has_nvidia():
        os.environ.setdefault(DETERMINISTIC, "1")


def has_onednn() -> bool | None:
    """Return whether the TensorFlow of this process uses oneDNN's kernels.

    `None` where TensorFlow is not loaded or does not tell: only a private module does.
    """
    if "tensorflow" not in sys.modules:
        return None
    try:
        from tensorflow.python.util import _pywrap_util_port

        return bool(_pywrap_util_port.IsMklEnabled())
    except (ImportError, AttributeError):
        return None


def load_tensorflow() -> None:
    """Import TensorFlow and Keras, which takes seconds, and list the GPUs.

    For the process of a command or a worker: Keras's settings are those that kstyle
    needs, whatever the user has set for other programs.

    On a machine without a GPU TensorFlow prints five lines on stderr that no log level
    stops, both on import and when it first looks for devices. They are discarded unless
    `TF_CPP_MIN_LOG_LEVEL` is set below 3.
    Raises: OutOfMemoryError, LoadError: TensorFlow or Keras cannot be imported.
    """
    show_messages = os.environ.setdefault(LOG_LEVEL, "3") != "3"
    keras_setup.set_keras_variables()
    try:
        with contextlib.nullcontext() if show_messages else silence_stderr():
            importlib.import_module("tensorflow").config.list_physical_devices("GPU")
            keras_setup.reset_keras_settings(importlib.import_module("keras"))
    except Exception as error:  # a broken installation can raise anything
        raise load_error(error) from error


def load_error(error: Exception) -> KStyleError:
    """Return the error for what an import of TensorFlow or Keras raised."""
    reason = " ".join(f"{type(error).__name__}: {error}".split())
    if isinstance(error, MemoryError) or "failed to map segment" in reason:
        return OutOfMemoryError(
            "TensorFlow cannot be loaded: this process may not use enough memory "
            f"({reason}). Raise the limit of its address space (ulimit -v)."
        )
    advice = "`kstyle doctor` says what to do."
    if not isinstance(error, ImportError):
        advice = f"Is there a wrong value in {keras_setup.keras_settings_file()}?"
    return LoadError(f"TensorFlow cannot be loaded ({reason}). {advice}")


@contextlib.contextmanager
def silence_stderr() -> Iterator[None]:
    """Discard what the process, C code included, writes to stderr in the block."""
    stderr = os.dup(2)
    with open(os.devnull, "w") as nowhere:
        os.dup2(nowhere.fileno(), 2)
    try:
        yield
    finally:
        os.dup2(stderr, 2)
        os.close(stderr)
