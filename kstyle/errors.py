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
    """The loss is no longer a finite number, so going on would lose the picture."""

    exit_code = 3


class OutOfMemoryError(KStyleError, MemoryError):
    """The memory of the machine, or of its GPU, did not suffice for a run."""


class ExperimentError(KStyleError, RuntimeError):
    """Trials of an experiment have failed, or what they left cannot be written."""


def sentence(error):
    """What a record says of an error: our own words, or the kind and its message."""
    if isinstance(error, KStyleError):
        return str(error)
    return f"{type(error).__name__}: {error}"
