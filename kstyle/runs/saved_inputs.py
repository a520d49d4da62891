"""Pictures from memory, kept as files so that their runs can be resumed and repeated.

A run's config names files. A picture that comes as an array or a Pillow image is
written as a 16-bit PNG, and the run reads that file: a resumed run has the same bits.
"""

import contextlib
import hashlib
import os
import shutil
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from kstyle.config.style_config import StyleConfig
from kstyle.errors import ConfigError
from kstyle.images.arrays import as_picture
from kstyle.images.picture import Picture
from kstyle.images.writing import save_picture
from kstyle.runs.job import new_run_folder, run_name

SEVERAL = ("style", "region", "style_map")  # arguments with a value for each style
PICTURE_FOLDER = "pictures"  # in the log folder, for the pictures of batches


def is_path(value: Any) -> bool:
    """Return whether `value` is a path, not a picture in memory."""
    return isinstance(value, (str, os.PathLike))


@contextlib.contextmanager
def pictures_as_files(
    config: StyleConfig,
    pictures: dict[str, Any],
    *,
    blend: Sequence[float] | None = None,
) -> Iterator[tuple[StyleConfig, Path | None]]:
    """Yield the config with `pictures` as its own, and the run's folder if it is made.

    pictures: `{option: path or picture in memory}` of the options that are pictures;
        `None` leaves the config's own, and those of `SEVERAL` can be lists. Pictures in
        memory are written into a new run folder as content.png, style.png, style_2.png,
        and so on. If the block fails, the folder is removed.
    blend: shares of several styles; `None` leaves the config's own.
    Raises: ConfigError: no folder can be made. ImageError: a picture cannot be used.
    """
    given = {
        option: [
            part if is_path(part) else as_picture(as_rgb(part, option), name)
            for name, part in named_parts(option, value)
        ]
        for option, value in pictures.items()
        if value is not None
    }

    def config_in(folder: Path) -> StyleConfig:
        paths: dict[str, Any] = {
            option: [
                part if is_path(part) else folder / file_name(option, number)
                for number, part in enumerate(parts)
            ]
            for option, parts in given.items()
        }
        options = {name: x if len(x) > 1 else x[0] for name, x in paths.items()}
        return config.replace(**options, **({} if blend is None else {"blend": blend}))

    kept = {
        file_name(option, number): part
        for option, parts in given.items()
        for number, part in enumerate(parts)
        if not is_path(part)
    }
    named = config_in(Path())
    if not kept:
        yield named, None
        return
    folder = new_run_folder(named.logdir, run_name(named))
    try:
        for name, picture in kept.items():
            save_picture(folder / name, picture, bits=16)
        yield config_in(folder), folder
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise


def named_parts(option: str, value: Any) -> list[tuple[str, Any]]:
    """Return `[(name, picture)]` of one picture of a run, or of several styles.

    A list of lists is a picture, whose numbers are checked later.
    """
    if option not in SEVERAL or not isinstance(value, (list, tuple)) or not value:
        return [(option, value)]
    if isinstance(value[0], (list, tuple)):
        return [(option, value)]
    return [(f"{option} {n}", part) for n, part in enumerate(value, start=1)]


def as_rgb(value: Any, option: str) -> Any:
    """Return a mask `(height, width)` as the grey picture that it is; other values
    stay."""
    array = np.asarray(value) if option == "region" else np.zeros(())
    if array.ndim != 2:
        return value
    if array.dtype == bool:
        array = array.astype("float32")
    return np.repeat(array[..., None], 3, axis=2)


def file_name(option: str, number: int) -> str:
    """Return the name of the file of a picture in memory. number: from 0."""
    return f"{option}_{number + 1}.png" if number else f"{option}.png"


def as_picture_files(pictures: Any, logdir: str) -> list[str] | None:
    """List the paths of one picture or several; `None` stays.

    Pictures in memory are written to `logdir/pictures`, named by a hash of their
    pixels, so that the same batch, run again, finds its results.
    """
    if pictures is None:
        return None
    several = isinstance(pictures, Iterable) and not isinstance(pictures, str)
    if getattr(pictures, "ndim", 4) == 3 or not several:  # an array of one picture
        pictures = [pictures]
    return [
        os.fspath(picture) if is_path(picture) else store_by_hash(picture, logdir)
        for picture in pictures
    ]


def store_by_hash(value: Any, logdir: str) -> str:
    """Write a picture in memory to `logdir/pictures`, unless it is there already."""
    picture = as_picture(value)
    path = Path(logdir) / PICTURE_FOLDER / f"{picture_hash(picture)[:12]}.png"
    if not path.exists():
        save_picture(path, picture, bits=16)
    return str(path)


def picture_hash(picture: Picture) -> str:
    """Return the SHA-256 of a picture's shape, pixels and alpha."""
    digest = hashlib.sha256(str(picture.pixels.shape).encode())
    digest.update(picture.pixels.tobytes())
    if picture.alpha is not None:
        digest.update(picture.alpha.tobytes())
    return digest.hexdigest()


def check_config(config: Any) -> None:
    """Refuse what is no `StyleConfig`. Raises: ConfigError."""
    if not isinstance(config, StyleConfig):
        raise ConfigError(
            "The first argument is a StyleConfig, as in stylize(StyleConfig(steps=30), "
            f"content=picture, style=picture). Received: a {type(config).__name__}."
        )
