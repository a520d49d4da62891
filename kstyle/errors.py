"""Errors that a user can cause, each with the exit code of the command line."""


class KStyleError(Exception):
    """Base of every error with a sentence for the user; anything else is a bug."""

    exit_code = 1


class ConfigError(KStyleError, ValueError):
    """An option is unknown, of the wrong type, out of range or contradicts another."""

    exit_code = 2


class ImageError(KStyleError, OSError):
    """A picture cannot be read, or cannot be written where it should go."""


class WeightsError(KStyleError, ValueError):
    """The network's weights are missing, damaged, or not those of this network."""


class DivergedError(KStyleError, ArithmeticError):
    """A run was lost: to numbers that are none, a ruined picture, or standing still.

    result: the `StyleResult` with the best picture there was, which has been written;
        `None` if the run was lost before its first step.
    """

    exit_code = 3

    def __init__(self, message, result=None):
        super().__init__(message)
        self.result = result


class OutOfMemoryError(KStyleError, MemoryError):
    """The memory of the machine, or of its GPU, did not suffice for a run."""


class ExperimentError(KStyleError, RuntimeError):
    """Trials of an experiment have failed, or what they left cannot be written."""


def error_sentence(error):
    """What a record says of an error: our own words, or the kind and its message."""
    if isinstance(error, KStyleError):
        return str(error)
    return f"{type(error).__name__}: {error}"
