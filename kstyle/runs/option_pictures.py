"""Read the picture of an option that also takes words."""

from collections.abc import Callable, Sequence

from kstyle.errors import ConfigError, ImageError
from kstyle.files import why_unreadable
from kstyle.images.picture import Picture

LoadPicture = Callable[[str], Picture]


def load_or_word(
    path: str, load: LoadPicture, option: str, words: Sequence[str]
) -> Picture:
    """Read the picture of an option that also takes words.

    Raises: ConfigError: `path` is no file; it lists the words, of which one can have
        been meant. ImageError: the file or sample cannot be read.
    """
    try:
        return load(path)
    except ImageError as error:
        reason = None if path.startswith("sample:") else why_unreadable(path)
        if reason is None:
            raise
        choice = ", ".join(words)
        raise ConfigError(
            f"{option}: {path}: {reason}. Give {choice}, a picture file or "
            "sample:NAME.",
            option=option,
        ) from error
