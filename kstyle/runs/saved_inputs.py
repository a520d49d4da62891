"""Pictures from memory, kept as files so that their runs can be resumed and repeated.

A run's config names files. A picture that comes as an array or a Pillow image is
written as a 16-bit PNG, and the run reads that file: a resumed run has the same bits.
"""

import contextlib
import hashlib
import os
import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from kstyle.config.style_config import StyleConfig
from kstyle.errors import ConfigError
from kstyle.images.arrays import as_picture
from kstyle.images.picture import Picture
from kstyle.images.writing import save_picture
from kstyle.runs.job import new_run_folder, run_name

PICTURE_FOLDER = "pictures"  # in the log folder, for the pictures of batches


def is_path(value: Any) -> bool:
    """Return whether `value` is a path, not a picture in memory."""
    return isinstance(value, (str, os.PathLike))


@contextlib.contextmanager
def pictures_as_files(
    config: StyleConfig, pictures: dict[str, Any]
) -> Iterator[tuple[StyleConfig, Path | None]]:
    """Yield the config with `pictures` as its own, and the run's folder if it is made.

    pictures: `{"content", "style" or "init": path or picture in memory}`; `None` leaves
        the config's own. Pictures in memory are written into a new run folder as
        content.png, style.png and init.png. If the block fails, the folder is removed.
    Raises: ConfigError: no folder can be made. ImageError: a picture cannot be used.
    """
    given = {name: value for name, value in pictures.items() if value is not None}
    config = config.replace(**{k: v for k, v in given.items() if is_path(v)})
    found = {k: as_picture(v, k) for k, v in given.items() if not is_path(v)}
    if not found:
        yield config, None
        return
    config = config.replace(**{name: f"{name}.png" for name in found})
    name = run_name(config.content, config.style, config.net)
    folder = new_run_folder(config.logdir, name)
    try:
        for name, picture in found.items():
            save_picture(folder / f"{name}.png", picture, bits=16)
        yield (
            config.replace(**{name: folder / f"{name}.png" for name in found}),
            folder,
        )
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise


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
