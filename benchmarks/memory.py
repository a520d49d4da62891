"""Peak memory of whole `kstyle stylize` commands, and what `--dry-run` says of them.

    python benchmarks/memory.py [--rows "--size 512" "--size 1024 --tile 512" ...]

A row is the options of a command; it stylizes the samples in a new process and takes
two steps a scale where it does not say how many. The peak is the kernel's own
(`wait4`), from the first import to the result's file, so Linux or macOS is needed.
"""

import argparse
import os
import shlex
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import common

import kstyle
from kstyle.planning.estimates import cost_model
from kstyle.planning.scales import plan_scales_of_run
from kstyle.runs.inputs import read_pictures

UNIT = 1 if sys.platform == "darwin" else 1024  # bytes, of what wait4 counts in
ROWS = (
    "--size 256",
    "--size 512",
    "--size 512 --scales auto",
    "--size 1024",
    "--size 1024 --tile whole",
    "--size 1024 --tile 512",
)


def peak(row, logs):
    """Measure the peak in bytes and the seconds of the command with options `row`."""
    words = ["--steps", "2", "--scale-steps", "2", "--scales", "1", "--fit", "off"]
    command = [sys.executable, "-m", "kstyle", "stylize", "--quiet", *words]
    begun = time.perf_counter()
    run = subprocess.Popen(
        [*command, *shlex.split(row), "--logdir", logs], stdout=subprocess.DEVNULL
    )
    _, status, used = os.wait4(run.pid, 0)
    run.returncode = os.waitstatus_to_exitcode(status)  # `run` has not waited itself
    if run.returncode:
        raise SystemExit(f"This command failed: {shlex.join(command)} {row}")
    return used.ru_maxrss * UNIT, time.perf_counter() - begun


def estimated(folder):
    """Estimate the peak in bytes of the run in `folder`."""
    config = kstyle.StyleConfig.from_yaml((folder / "config.yaml").read_text())
    scales = plan_scales_of_run(config, *read_pictures(config).sizes)
    return cost_model(config).peak_bytes(scales)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", nargs="+", default=ROWS)
    options = parser.parse_args()
    figures = {}
    for row in options.rows:
        with tempfile.TemporaryDirectory() as logs:
            measured, seconds = peak(row, logs)
            estimate = estimated(next(Path(logs).iterdir()))
        figures |= {
            f"{row} measured_gb": measured / 1e9,
            f"{row} estimated_gb": estimate / 1e9,
            f"{row} estimated_over_measured": estimate / measured,
            f"{row} seconds": seconds,
        }
        print(row, f"{measured / 1e9:.2f} GB", f"{estimate / measured:.2f}", flush=True)
    common.report("memory", figures)


if __name__ == "__main__":
    main()
