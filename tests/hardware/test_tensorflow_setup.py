"""TensorFlow's environment variables: set by `import kstyle`, unless the user has."""

import os
import subprocess
import sys

import pytest

from kstyle import StyleConfig, load_picture
from kstyle.hardware.tensorflow_setup import DETERMINISTIC, KERNEL_VARIABLES, ONEDNN

PRINT = f"import os; print(*map(os.environ.get, {KERNEL_VARIABLES}))"


def run(words, **given):
    """Run Python with `words` and the variables `given`; return what it prints."""
    environment = {k: v for k, v in os.environ.items() if k not in KERNEL_VARIABLES}
    done = subprocess.run(
        [sys.executable, *words],
        env=environment | given,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.mark.parametrize(
    ("driver", "given", "expected"),
    [
        (False, {}, "1 None"),
        (True, {}, "1 1"),
        (True, {ONEDNN: "0", DETERMINISTIC: "0"}, "0 0"),
    ],
)
def test_importing_kstyle_sets_the_kernel_variables(driver, given, expected, tmp_path):
    if driver:
        (tmp_path / "nvidia-smi").write_text("#!/bin/sh\n")
        (tmp_path / "nvidia-smi").chmod(0o755)
    found = run(["-c", f"import kstyle; {PRINT}"], PATH=str(tmp_path), **given)
    assert found == expected


def test_python_and_the_command_line_give_the_same_bits(small_run, tmp_path):
    options = small_run | {"snapshot_every": 0, "scales": 1, "steps": 2}
    config = StyleConfig(**options, output=str(tmp_path / "command.png"))
    (tmp_path / "config.yaml").write_text(config.to_yaml())
    python = config.replace(output=str(tmp_path / "python.png"))
    code = f"import kstyle; kstyle.stylize(kstyle.StyleConfig(**{python.model_dump()}))"
    run(["-c", f"{code}; {PRINT}"])
    run(["-m", "kstyle", "stylize", "--config", str(tmp_path / "config.yaml")])
    pictures = [
        load_picture(tmp_path / f"{n}.png").pixels for n in ("command", "python")
    ]
    assert (pictures[0] == pictures[1]).all()
