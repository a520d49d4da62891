"""How long the command line takes before it is of use.

    python benchmarks/startup.py [--rounds 5]

Seconds of `kstyle --help`, and of `kstyle stylize` on the samples until the first step
is reported, each as a new process; medians.
"""

import argparse
import statistics
import subprocess
import sys
import tempfile
import time

import common


def help_seconds():
    """Seconds of `kstyle --help` from start to end."""
    begun = time.perf_counter()
    command = [sys.executable, "-m", "kstyle", "--help"]
    subprocess.run(command, check=True, capture_output=True)
    return time.perf_counter() - begun


def first_step_seconds():
    """Seconds until the line of step 1 is printed, at the first scale of a run."""
    options = ["--report-every", "1", "--steps", "1", "--scale-steps", "1"]
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "kstyle", "stylize", *options]
        begun = time.perf_counter()
        with subprocess.Popen(
            [*command, "--logdir", folder], stderr=subprocess.PIPE, text=True
        ) as process:
            for line in process.stderr:
                if line.startswith("step 1/"):
                    process.kill()  # the rest of the run is of no interest
                    return time.perf_counter() - begun
    raise RuntimeError("the run ended before its first step")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    rounds = parser.parse_args().rounds
    figures = {
        "help_s": statistics.median(help_seconds() for _ in range(rounds)),
        "first_step_s": statistics.median(first_step_seconds() for _ in range(rounds)),
    }
    common.report("startup", figures)


if __name__ == "__main__":
    main()
