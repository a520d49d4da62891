"""Files that are whole or absent: everything kstyle writes goes through here."""

import contextlib
import os
import secrets
import stat
from pathlib import Path

import pydantic_core


def no_file(path):
    """Why nothing can be read from `path`, in words; `None` for a regular file.

    To open a device or a pipe could wait for ever, so this is asked before.
    """
    try:
        mode = os.stat(path).st_mode
    except (OSError, ValueError) as error:  # ValueError: a NUL in the name
        return getattr(error, "strerror", None) or str(error)
    if stat.S_ISREG(mode):
        return None
    return f"this is {'a folder' if stat.S_ISDIR(mode) else 'not a regular file'}"


@contextlib.contextmanager
def atomic_path(path):
    """Yield a temporary path beside `path` that replaces it when the block succeeds.

    A reader never sees half a file, and what was there before stays until the new
    file is complete, also through a power cut. The temporary name keeps the suffix,
    since image libraries choose the format by it. On an error the temporary file is
    removed; only a killed process leaves it (`remove_leftovers`).
    """
    path = Path(path)
    temporary = path.with_name(f".{secrets.token_hex(4)}.part{path.suffix}")
    try:
        yield temporary
        flush_to_disk(temporary)
        os.replace(temporary, path)
        if os.name == "posix":  # elsewhere a folder cannot be opened
            flush_to_disk(path.parent, os.O_RDONLY)
    finally:
        temporary.unlink(missing_ok=True)


def flush_to_disk(path, flags=os.O_RDWR):
    """Wait until a file's bytes are on the disk, so that no rename overtakes them; or
    the names in a folder, so that the rename itself is there."""
    handle = os.open(path, flags)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def remove_leftovers(folder):
    """Remove the temporary files that a killed process left in `folder`."""
    for path in Path(folder).glob(".*.part*"):
        path.unlink(missing_ok=True)


def write_text(path, text):
    """Write `text` to `path` as UTF-8, whole or not at all."""
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def json_text(value, indent=None):
    """`value` as strict JSON, which has no NaN: such numbers are texts, "Infinity".

    `float` reads them back.
    """
    found = pydantic_core.to_json(value, indent=indent, inf_nan_mode="strings")
    return found.decode()


def new_folder(parent, name):
    """Make and return `parent/name`, or `name-2`, `name-3`, … if that is taken.

    `mkdir` is what decides, so two runs started at once get two folders.
    """
    for attempt in range(1, 10_000):
        folder = Path(parent) / (name if attempt == 1 else f"{name}-{attempt}")
        with contextlib.suppress(FileExistsError):
            folder.mkdir(parents=True)
            return folder
    raise FileExistsError(f"{Path(parent) / name}: ten thousand runs of this name")
