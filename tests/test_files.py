"""Files are whole or absent; two runs at once get two folders."""

import errno
import json
import math
import subprocess
import sys
import threading

import pytest

from kstyle.errors import ConfigError, StorageError
from kstyle.files import (
    atomic_path,
    explained_storage_errors,
    json_text,
    lock_folder,
    new_folder,
    write_text,
)

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None


def test_the_file_appears_when_the_block_ends_and_not_before(tmp_path):
    path = tmp_path / "new.png"
    with atomic_path(path) as temporary:
        temporary.write_bytes(b"half")
        assert not path.exists()
        assert (temporary.parent, temporary.suffix) == (tmp_path, ".png")
        temporary.write_bytes(b"whole")
    assert path.read_bytes() == b"whole"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, SystemExit])
def test_an_error_keeps_the_old_file_and_leaves_no_other(tmp_path, error):
    path = tmp_path / "old.txt"
    path.write_text("old")
    with pytest.raises(error):
        with atomic_path(path) as temporary:
            temporary.write_text("half")
            raise error
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_block_that_writes_nothing_is_an_error(tmp_path):
    path = tmp_path / "old.txt"
    path.write_text("old")
    with pytest.raises(FileNotFoundError):
        with atomic_path(path):
            pass
    assert path.read_text() == "old"


def test_two_writers_at_once_do_not_share_a_temporary_file(tmp_path):
    path = tmp_path / "same.txt"
    with atomic_path(path) as first, atomic_path(path) as second:
        assert first != second
        first.write_text("first")
        second.write_text("second")
    assert path.read_text() == "first"  # the outer block ends last
    assert list(tmp_path.iterdir()) == [path]


def test_text_is_written_as_utf_8(tmp_path):
    write_text(tmp_path / "a.txt", "é\n")
    assert (tmp_path / "a.txt").read_bytes() == b"\xc3\xa9\n"


def test_a_name_that_is_taken_gets_a_number(tmp_path):
    parent = tmp_path / "not" / "there"
    folders = [new_folder(parent, "run") for _ in range(3)]
    assert [folder.name for folder in folders] == ["run", "run-2", "run-3"]
    assert all(folder.is_dir() and folder.parent == parent for folder in folders)


def test_a_file_in_the_way_is_stepped_round_and_kept(tmp_path):
    (tmp_path / "run").write_text("mine")
    assert new_folder(tmp_path, "run").name == "run-2"
    assert (tmp_path / "run").read_text() == "mine"


def test_threads_that_start_at_once_get_a_folder_each(tmp_path):
    barrier, folders = threading.Barrier(8), []

    def make():
        barrier.wait()
        folders.append(new_folder(tmp_path, "run"))

    threads = [threading.Thread(target=make) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(folders)) == 8
    assert all(folder.is_dir() for folder in folders)


def test_json_is_strict_and_float_reads_the_odd_numbers_back():
    def refuse(constant):
        raise AssertionError(constant)

    text = json_text({"a": [1.5, math.inf, -math.inf], "b": {"c": math.nan}})
    found = json.loads(text, parse_constant=refuse)
    assert [float(each) for each in found["a"]] == [1.5, math.inf, -math.inf]
    assert math.isnan(float(found["b"]["c"]))


HOLD = """
import sys, time
from kstyle.files import lock_folder
with lock_folder(sys.argv[1]):
    print("locked", flush=True)
    time.sleep(600)
"""


def test_a_folder_is_locked_for_others_and_not_after_a_kill(tmp_path):
    words = [sys.executable, "-c", HOLD, str(tmp_path)]
    with subprocess.Popen(words, stdout=subprocess.PIPE) as process:
        assert process.stdout.readline() == b"locked\n"
        with pytest.raises(ConfigError, match="is in use by another kstyle"):
            with lock_folder(tmp_path):
                pass
        process.kill()
    with lock_folder(tmp_path):
        assert [path.name for path in tmp_path.iterdir()] == [".lock"]
    assert list(tmp_path.iterdir()) == []


def test_a_folder_is_locked_within_one_process_too(tmp_path):
    with lock_folder(tmp_path / "new"):
        with pytest.raises(ConfigError, match="in use"):
            with lock_folder(tmp_path / "new"):
                pass
    with lock_folder(tmp_path / "new"):
        pass


def test_a_folder_that_cannot_be_made_is_refused(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(ConfigError, match="cannot be written to .Not a directory"):
        with lock_folder(tmp_path / "file" / "run"):
            pass


@pytest.mark.skipif(fcntl is None, reason="locks by fcntl")
def test_a_file_system_without_locks_gets_a_warning(tmp_path, monkeypatch, caplog):
    def no_locks(*_):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", no_locks)
    with lock_folder(tmp_path):
        pass
    assert "No locks available): run one process at a time" in caplog.text


def test_an_error_of_a_full_disk_names_the_folder():
    with pytest.raises(StorageError, match="in logs/run cannot be written .No space"):
        with explained_storage_errors("logs/run"):
            raise OSError(errno.ENOSPC, "No space left on device")
    with pytest.raises(FileNotFoundError), explained_storage_errors("logs/run"):
        raise FileNotFoundError(errno.ENOENT, "No such file")
