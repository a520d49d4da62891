"""Files that are complete or absent, new folders, and the lock of a folder."""

import contextlib
import errno
import functools
import hashlib
import json
import logging
import os
import re
import secrets
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import filelock
import pydantic_core

from kstyle.errors import ConfigError, KStyleError, StorageError

log = logging.getLogger("kstyle")

LOCK_FILE = ".lock"
# Errors of file systems without locks, such as some network file systems.
NO_LOCKS = (errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOTSUP, errno.ENOLCK)
# Errors of a disk that is full, of a quota, of `ulimit -f`, of a read-only disk.
NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS)
MAX_FOLDERS = 10_000  # of the same name
WEB_ADDRESS = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+:/")  # `Path` drops the second slash


def is_web_address(path: str | Path) -> bool:
    """Return whether a path begins as https://; a drive has one letter only."""
    return bool(WEB_ADDRESS.match(str(path)))


def check_no_web_address(path: str | Path) -> None:
    """Refuse a web address in place of a run's folder. Raises: ConfigError."""
    if is_web_address(path):
        raise ConfigError(
            f"{path} is a web address, and kstyle reads files. Name a run's folder "
            "in logs/."
        )


def why_unreadable(path: str | Path) -> str | None:
    """Return why `path` cannot be read; `None` for a regular file.

    To be called before opening, which could block on a device or a pipe.
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
def atomic_path(path: str | Path) -> Iterator[Path]:
    """Yield a temporary path beside `path` that replaces it when the block succeeds.

    The old file stays until the new one is complete, also through a power cut. The
    temporary name keeps the suffix, by which image libraries choose the format. On an
    error the temporary file is removed; only a killed process leaves it
    (`remove_leftovers`).
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


def flush_to_disk(path: str | Path, flags: int = os.O_RDWR) -> None:
    """Wait until a file's bytes, or the names in a folder, are on the disk.

    Otherwise the disk might store a rename before the bytes of the renamed file.
    """
    handle = os.open(path, flags)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def remove_leftovers(folder: str | Path) -> None:
    """Remove the temporary files that a killed process has left in `folder`."""
    for path in Path(folder).glob(".*.part*"):
        path.unlink(missing_ok=True)


def write_text(path: str | Path, text: str) -> None:
    """Write `text` to `path` as UTF-8, completely or not at all.

    Bytes of file names that are not UTF-8 are escaped.
    """
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8", errors="backslashreplace")


def json_text(value: Any, indent: int | None = None) -> str:
    """Return `value` as strict JSON, infinities and NaN as strings such as "Infinity".

    `float` reads them back.
    """
    try:
        return pydantic_core.to_json(
            value, indent=indent, inf_nan_mode="strings"
        ).decode()
    except pydantic_core.PydanticSerializationError:
        # A file name that is not UTF-8: its bytes are escaped as \udc80 to \udcff.
        plain = pydantic_core.to_jsonable_python(value, inf_nan_mode="strings")
        return json.dumps(plain, indent=indent, allow_nan=False)


def new_folder(parent: str | Path, name: str) -> Path:
    """Make and return `parent/name`, or `name-2`, `name-3`, … if that exists.

    `mkdir` decides, so two runs that start at once get two folders.
    """
    for attempt in range(1, MAX_FOLDERS):
        folder = Path(parent) / (name if attempt == 1 else f"{name}-{attempt}")
        with contextlib.suppress(FileExistsError):
            folder.mkdir(parents=True)
            return folder
    raise FileExistsError(f"{Path(parent) / name}: ten thousand runs of this name")


@contextlib.contextmanager
def explained_storage_errors(folder: str | Path) -> Iterator[None]:
    """Raise a `StorageError` that names `folder` where there is no room left."""
    try:
        yield
    except OSError as error:
        if error.errno not in NO_ROOM or isinstance(error, KStyleError):
            raise
        raise StorageError(
            f"The files of the run in {folder} cannot be written "
            f"({os.strerror(error.errno)}). Make room, or name another folder with "
            "--logdir."
        ) from error


@contextlib.contextmanager
def lock_folder(folder: str | Path) -> Iterator[None]:
    """Keep other processes out of `folder` during the block; make it if necessary.

    The system releases the lock when the process ends, however it ends, so the file
    that a killed process leaves locks nobody out.
    Raises: ConfigError: another process has it, or the folder cannot be written to.
    """
    path = Path(folder) / LOCK_FILE
    # A soft lock, which is a file that exists, would outlast a killed process.
    lock = filelock.FileLock(path, timeout=0, fallback_to_soft=False)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        lock.acquire()
    except filelock.Timeout:
        raise ConfigError(
            f"{folder} is in use by another kstyle. Wait until that has ended."
        ) from None
    except OSError as error:
        if error.errno not in NO_LOCKS:
            raise ConfigError(
                f"{folder} cannot be written to ({error.strerror or error}). Name "
                "another with --logdir."
            ) from None
        log.warning("no locks here (%s): run one process at a time", error)
    try:
        yield
    finally:
        # While it is locked: a process that has opened it meanwhile makes a new one.
        with contextlib.suppress(OSError):
            path.unlink(missing_ok=True)
        lock.release()


def file_hash(path: str | Path) -> str:
    """Return the SHA-256 of a file's bytes; "absent" if it cannot be read."""
    try:
        path = Path(path).expanduser()
        status = os.stat(path)
        return cached_file_hash(path, status.st_mtime_ns, status.st_size)
    except (OSError, ValueError, RuntimeError):
        return "absent"


@functools.lru_cache(maxsize=256)
def cached_file_hash(path: Path, changed: int, size: int) -> str:
    """Hash a file that many trials share; again when its time or size has changed."""
    del changed, size  # only part of the key
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
