"""One process at a time in a folder."""

import contextlib
import logging
import os
from pathlib import Path

from kstyle.errors import ConfigError

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None
    import msvcrt

log = logging.getLogger("kstyle")

FILE = ".lock"


@contextlib.contextmanager
def locked(folder):
    """Hold `folder` for the block; it is made if need be.

    The system lets go of the lock when the process ends, however it ends, so a file
    that a killed process leaves locks nobody out.
    Raises: ConfigError: another process holds it, or there can be no such folder.
    """
    path = Path(folder) / FILE
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle = take(path)
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


def take(path):
    """A handle of the locked file `path`. Raises: BlockingIOError: it is taken."""
    while True:
        handle = os.open(path, os.O_RDWR | os.O_CREAT)
        try:
            lock(handle)
            if os.path.samestat(os.fstat(handle), os.stat(path)):
                return handle
        except FileNotFoundError:
            pass  # its last holder removed it after we had opened it
        except BaseException:
            os.close(handle)
            raise
        os.close(handle)


def lock(handle):
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
