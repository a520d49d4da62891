"""Keras's own settings: its backend, data format, float type and limits of `fit`.

Keras reads them when it is imported: from KERAS_BACKEND and other variables, and from
keras.json in KERAS_HOME (~/.keras).
"""

import json
import os
import sys
from pathlib import Path
from typing import Any

from kstyle.errors import ConfigError

BACKEND = "KERAS_BACKEND"
# They end every `fit` early, so that a run would be cut short.
FIT_LIMITS = ("KERAS_MAX_EPOCHS", "KERAS_MAX_STEPS_PER_EPOCH")


def set_keras_variables() -> None:
    """Choose TensorFlow for a Keras that is not imported yet, without limits of `fit`.

    For a process that kstyle owns: that of a command or of a worker.
    """
    os.environ[BACKEND] = "tensorflow"
    for name in FIT_LIMITS:
        os.environ.pop(name, None)


def reset_keras_settings(keras: Any) -> None:
    """Set what keras.json may have changed back to Keras's defaults.

    keras: the imported package. For a process that kstyle owns.
    """
    keras.config.set_floatx("float32")
    keras.config.set_epsilon(1e-7)
    keras.config.set_image_data_format("channels_last")


def check_keras_backend() -> None:
    """Check the backend of Keras, whether it is imported already or not.

    Raises: ConfigError: it is not TensorFlow.
    """
    if (keras := sys.modules.get("keras")) is not None:
        backend, setting = keras.config.backend(), "which is imported already"
    elif os.environ.get(BACKEND):
        backend, setting = os.environ[BACKEND], f"set by {BACKEND}"
    else:
        backend = read_keras_file().get("backend", "tensorflow")
        setting = f"set in {keras_settings_file()}"
    if backend != "tensorflow":
        raise ConfigError(
            f"Keras has the backend {backend!r} ({setting}), and kstyle needs "
            f"'tensorflow'. Set {BACKEND}=tensorflow before keras is imported."
        )


def check_float_type() -> None:
    """Check the type of the numbers for which none is given, as of learning rates.

    Raises: ConfigError: it is not float32.
    """
    import keras

    if keras.config.floatx() != "float32":
        raise ConfigError(
            f"Keras's float type is {keras.config.floatx()!r}, set by "
            f"keras.config.set_floatx or in {keras_settings_file()}. "
            "kstyle needs 'float32': "
            'call keras.config.set_floatx("float32") first.'
        )


def check_run_settings() -> None:
    """Check the settings of Keras with which a run would fail or end early.

    Raises: ConfigError: its float type is not float32, or a variable limits `fit`.
    """
    check_float_type()
    for name in FIT_LIMITS:
        if os.environ.get(name):
            raise ConfigError(
                f"{name}={os.environ[name]} would cut the run short. Unset it before "
                "keras is imported."
            )


def keras_settings_file() -> Path:
    """Return the path of Keras's file of settings; it need not exist."""
    return Path(os.environ.get("KERAS_HOME") or "~/.keras").expanduser() / "keras.json"


def read_keras_file() -> dict[str, Any]:
    """Return the settings in Keras's file; none if it cannot be read, as in Keras."""
    try:
        settings = json.loads(keras_settings_file().read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return settings if isinstance(settings, dict) else {}
