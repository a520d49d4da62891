import concurrent.futures
import io

import numpy as np
import pytest

from kstyle.npz import open_npz


def npz(**arrays):
    file = io.BytesIO()
    np.savez(file, **arrays)
    file.seek(0)
    return file


def read(file):
    with open_npz(file) as arrays:
        return {name: array.tolist() for name, array in arrays.items()}


def test_a_thread_waits_until_another_has_read_its_file():
    with concurrent.futures.ThreadPoolExecutor() as pool:
        with open_npz(npz(a=[1])) as arrays:
            other = pool.submit(read, npz(b=[2]))
            with pytest.raises(TimeoutError):
                other.result(timeout=0.2)
            assert arrays["a"] == 1
        assert other.result(timeout=60) == {"b": [2]}


def test_nothing_is_unpickled():
    with pytest.raises(ValueError, match="pickle"):
        read(npz(a=np.array([{}], object)))


def test_a_file_that_cannot_be_read_leaves_the_next_one_readable():
    with pytest.raises(ValueError):
        read(io.BytesIO(b"no arrays at all"))
    assert read(npz(a=[3])) == {"a": [3]}
