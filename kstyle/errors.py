"""Errors that a user can cause, each with the exit code of the command line."""

from typing import Any


class KStyleError(Exception):
    """Base of all errors whose message is a sentence for the user."""

    exit_code = 1


class ConfigError(KStyleError, ValueError):
    """An option is unknown, of the wrong type, out of range or contradicts another.

    option: the field of `StyleConfig` whose value is wrong, if the message begins with
        its name; the command line replaces the name by the flag or variable.
    """

    exit_code = 2

    def __init__(self, message: str, option: str | None = None) -> None:
        super().__init__(message)
        self.option = option


class ImageError(KStyleError, OSError):
    """A picture file cannot be read or written."""


class StorageError(KStyleError, OSError):
    """A file of a run cannot be written: the disk is full, or a quota is reached."""


class WeightsError(KStyleError, ValueError):
    """Weights of a network are missing, damaged, or of another network."""


class DivergedError(KStyleError, ArithmeticError):
    """A run was stopped: a loss was not finite, or the picture was ruined or no longer
    changed.

    result: the `StyleResult` with the best picture of the run, which has been written;
        `None` if the run stopped before its first step.
    """

    exit_code = 3

    def __init__(self, message: str, result: Any = None) -> None:
        super().__init__(message)
        self.result = result


class OutOfMemoryError(KStyleError, MemoryError):
    """The memory of the machine or of its GPU is too small for a run."""


class LoadError(KStyleError, ImportError):
    """TensorFlow or Keras cannot be imported."""


class ExperimentError(KStyleError, RuntimeError):
    """Trials of an experiment failed, or its results cannot be written."""


def error_sentence(error: BaseException) -> str:
    """Return an error's message for a record, after its type unless it is kstyle's."""
    if isinstance(error, KStyleError):
        return str(error)
    return f"{type(error).__name__}: {error}"
