"""Standard streams that are full or closed, and limits of addresses and files."""

import os
import subprocess
import sys

import pytest

pytestmark = pytest.mark.skipif(
    sys.platform != "linux", reason="needs /dev/full and a POSIX shell"
)


def run_shell(redirection, *words, limit="unlimited"):
    """Run `kstyle WORDS` with a shell's redirection and limit of its addresses."""
    line = f'ulimit -v {limit} && exec "$0" -m kstyle "$@" {redirection}'
    return subprocess.run(
        ["sh", "-c", line, sys.executable, *map(str, words)],
        capture_output=True,
        text=True,
    )


@pytest.mark.parametrize("word", ["samples", "layers", "--help"])
def test_a_full_stdout_is_one_sentence(word):
    done = run_shell(">/dev/full", word)
    assert done.returncode == 1
    assert done.stderr == (
        "Error: Cannot write to standard output: No space left on device.\n"
    )


def test_a_closed_stdout_is_one_warning():
    done = run_shell(">&-", "samples")
    assert done.returncode == 0
    (line,) = done.stderr.splitlines()
    assert line == "warning: standard output is closed: nothing is printed on it."


def test_a_run_with_a_full_stderr_ends_well(small_run, tmp_path):
    config = tmp_path / "config.yaml"
    config.write_text("\n".join(f"{k}: {v}" for k, v in small_run.items()))
    done = run_shell("2>/dev/full", "stylize", "--config", config)
    assert done.returncode == 0
    assert done.stdout.startswith("wrote ") and done.stderr == ""


def test_a_limit_of_file_sizes_costs_the_checkpoint_alone(small_run, tmp_path):
    small_run |= {"checkpoint_every": "2", "output": str(tmp_path / "out.png")}
    config = tmp_path / "config.yaml"
    config.write_text("\n".join(f"{k}: {v}" for k, v in small_run.items()))
    most = 45_000  # bytes of a file; 10 pairs of L-BFGS take 52 kB
    limit = f"import resource as r; r.setrlimit(r.RLIMIT_FSIZE, ({most}, {most}))"
    run = "import runpy; runpy.run_module('kstyle', run_name='__main__')"
    words = [sys.executable, "-c", f"{limit}; {run}", "stylize", "--config", config]
    done = subprocess.run(words, capture_output=True, text=True)
    assert done.returncode == 0
    assert "no checkpoint at step 2: [Errno 27] File too large" in done.stderr
    assert (tmp_path / "out.png").is_file() and "Traceback" not in done.stderr


def test_a_reader_that_has_left_is_no_traceback():
    done = run_shell("| true", "layers")
    assert "Traceback" not in done.stderr


def test_characters_that_an_encoding_lacks_are_escaped():
    done = subprocess.run(
        [sys.executable, "-m", "kstyle", "stylize", "花.png"],
        env=os.environ | {"PYTHONIOENCODING": "latin-1"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1
    assert done.stderr.startswith("Error: \\u82b1.png: No such file")


def test_too_little_address_space_is_one_sentence(small_run, tmp_path):
    config = tmp_path / "config.yaml"
    config.write_text("\n".join(f"{k}: {v}" for k, v in small_run.items()))
    done = run_shell("", "stylize", "--config", config, limit=1_000_000)
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert line.startswith("Error: A result of 18 px needs about")
    assert not (tmp_path / "logs").exists()


def test_tensorflow_without_address_space_is_one_sentence():
    code = (
        "import sys\n"
        "from kstyle.cli.common import user_errors\n"
        "from kstyle.hardware.tensorflow_setup import load_tensorflow\n"
        "with user_errors(): load_tensorflow()\n"
    )
    done = subprocess.run(
        ["sh", "-c", 'ulimit -v 700000 && exec "$0" -c "$1"', sys.executable, code],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert line.startswith("Error: TensorFlow cannot be loaded: this process may not")
