"""Reading of `.npz` files, in any thread."""

import contextlib
import io
import threading
from collections.abc import Iterator
from typing import Any, BinaryIO

import numpy as np

# The header of an array is a Python literal. Python 3.11 counts the depth of the syntax
# trees of all threads together, so two threads that parse at once get a SystemError.
# https://github.com/python/cpython/issues/106905
LOCK = threading.Lock()


@contextlib.contextmanager
def open_npz(file: BinaryIO | io.BufferedIOBase) -> Iterator[Any]:
    """Open an `.npz` file as a `numpy.lib.npyio.NpzFile`, in one thread at a time.

    Nothing is unpickled. Raises: what `numpy.load` raises for damaged files.
    """
    with LOCK, np.load(file, allow_pickle=False) as arrays:
        yield arrays
