"""Files that are whole or absent: everything kstyle writes goes through here."""

import contextlib
import logging
import os
import re
import secrets
import stat
from pathlib import Path

import pydantic_core

from kstyle.errors import ConfigError

WEB_ADDRESS = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+:/")  # `Path` drops the second slash


def is_web_address(path) -> bool:
    """Return whether a path begins as https://; a drive has one letter only."""
    return bool(WEB_ADDRESS.match(str(path)))


def why_unreadable(path):
    """Why nothing can be read from `path`, in words; `None` for a regular file.

    To open a device or a pipe could wait for ever, so this is asked before.
    """
    try:
        mode = os.stat(path).st_mode
    except (OSError, ValueError) as error:  # ValueError: a NUL in the name
        if is_web_address(path):
            return "this is a web address, and kstyle reads files"
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


try:
    import fcntl
except ImportError:  # Windows
    fcntl = None
    import msvcrt

log = logging.getLogger("kstyle")

LOCK_FILE = ".lock"


@contextlib.contextmanager
def lock_folder(folder):
    """Hold `folder` for the block; it is made if need be.

    The system lets go of the lock when the process ends, however it ends, so a file
    that a killed process leaves locks nobody out.
    Raises: ConfigError: another process holds it, or there can be no such folder.
    """
    path = Path(folder) / LOCK_FILE
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle = open_locked(path)
    except BlockingIOError:
        raise ConfigError(
            f"{folder} is in use by another kstyle. Wait until that has ended."
        ) from None
    except OSError as error:
        raise ConfigError(
            f"{folder} cannot be written to ({error.strerror or error}). Name another "
            "with --logdir."
        ) from None
    try:
        yield
    finally:
        # Before it is closed: whoever opens it afterwards makes a new one.
        with contextlib.suppress(OSError):
            path.unlink(missing_ok=True)
        os.close(handle)


def open_locked(path):
    """A handle of the locked file `path`. Raises: BlockingIOError: it is taken."""
    while True:
        handle = os.open(path, os.O_RDWR | os.O_CREAT)
        try:
            lock_handle(handle)
            if os.path.samestat(os.fstat(handle), os.stat(path)):
                return handle
        except FileNotFoundError:
            pass  # its last holder removed it after we had opened it
        except BaseException:
            os.close(handle)
            raise
        os.close(handle)


def lock_handle(handle):
    """Lock an open file, or raise `BlockingIOError`."""
    try:
        if fcntl is None:
            msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)
        else:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise
    except PermissionError as error:  # how Windows says it
        raise BlockingIOError(str(error)) from None
    except OSError as error:  # some network file systems have no locks
        log.warning("no locks here (%s): run one process at a time", error)
