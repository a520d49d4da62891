"""Read the picture of an option that also takes words."""

from collections.abc import Callable, Sequence
from pathlib import Path

from kstyle.errors import ConfigError, ImageError
from kstyle.images.picture import Picture

LoadPicture = Callable[[str], Picture]


def load_or_word(
    path: str, load: LoadPicture, option: str, words: Sequence[str]
) -> Picture:
    """Read the picture of an option that also takes words.

    Raises: ConfigError: there is no such file; it lists the words, of which one can
        have been meant. ImageError: the file or sample cannot be read.
    """
    try:
        return load(path)
    except ImageError as error:
        if path.startswith("sample:") or Path(path).exists():
            raise
        choice = ", ".join(words)
        raise ConfigError(
            f"{option}: there is no file {path!r}. Give {choice}, a picture file or "
            "sample:NAME.",
            option=option,
        ) from error
