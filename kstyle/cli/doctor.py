"""`kstyle doctor`: facts on this machine, its problems, and what to do about them."""

import dataclasses
import sys
from collections.abc import Callable
from typing import Any

import click

from kstyle.cli.common import user_errors
from kstyle.errors import KStyleError
from kstyle.hardware import host
from kstyle.hardware.tensorflow_setup import load_tensorflow
from kstyle.networks.weights import WeightsStatus, weights_status

# Edges of the square matrices whose product is timed: on a processor the product takes
# about a second at most; a GPU needs larger ones to be busy.
CPU_MATRIX_SIZE = 1024
GPU_MATRIX_SIZE = 8192


@dataclasses.dataclass(frozen=True)
class MachineFacts:
    """What was found on this machine.

    versions: `{package: version, or None where it is not installed}`.
    cpu_flags: `{instruction set: True, False, or None where unknown}`.
    free_memory: bytes; `None`: unknown.
    has_nvidia: whether an NVIDIA driver is installed.
    weights: the rows of `weights_status` for the built-in weights.
    tensorflow: `devices.tensorflow_facts()`, or the error where TensorFlow does not
        load.
    peaks: `{precision: GFLOP/s of a matrix product}`.
    """

    versions: dict[str, str | None]
    cpu: str
    cores: int
    cpu_flags: dict[str, bool | None]
    free_memory: int | None
    has_nvidia: bool
    weights: list[WeightsStatus]
    tensorflow: dict[str, Any] | str
    peaks: dict[str, float]


@dataclasses.dataclass(frozen=True)
class MachineProblem:
    """One problem and what to do about it, in a line. `broken`: kstyle cannot run."""

    text: str
    broken: bool = False


@click.command("doctor")
def doctor_command() -> None:
    """Check this machine, and print its problems and what to do."""
    with user_errors():
        code = print_machine_report(examine_machine())
    sys.exit(code)


def examine_machine(
    load: Callable[[], None] = load_tensorflow, matrix_size: int | None = None
) -> MachineFacts:
    """Collect all facts.

    load: imports TensorFlow.
    matrix_size: edge of the matrices that are multiplied; by default large enough for
        the device.
    """
    tensorflow, peaks = examine_tensorflow(load, matrix_size)
    return MachineFacts(
        versions=host.package_versions(),
        cpu=host.cpu_name(),
        cores=host.cpu_cores(),
        cpu_flags=host.cpu_flags(),
        free_memory=host.free_memory(),
        has_nvidia=host.has_nvidia(),
        weights=[row for row in weights_status() if row["source"] == "builtin"],
        tensorflow=tensorflow,
        peaks=peaks,
    )


def examine_tensorflow(
    load: Callable[[], None], matrix_size: int | None
) -> tuple[dict[str, Any] | str, dict[str, float]]:
    """Return `MachineFacts.tensorflow` and `MachineFacts.peaks`."""
    try:
        load()
        from kstyle.hardware import devices
        from kstyle.planning import calibration
    except Exception as error:  # a broken installation can raise anything
        cause = error.__cause__ if isinstance(error, KStyleError) else error
        first_line = (str(cause).splitlines() or [""])[0]
        return f"{type(cause).__name__}: {first_line}", {}
    facts = devices.tensorflow_facts()
    size = matrix_size or default_matrix_size(facts["gpus"])
    with devices.use_device("auto"):
        peaks = {
            precision: calibration.matmul_peak(precision, size, rounds=3)
            for precision in ("float32", "bfloat16")
        }
    return facts, peaks


def default_matrix_size(gpus: int) -> int:
    """Return the edge of the matrices to multiply where TensorFlow sees `gpus` GPUs."""
    return GPU_MATRIX_SIZE if gpus else CPU_MATRIX_SIZE


def print_machine_report(facts: MachineFacts) -> int:
    """Print the facts, notes and problems. Returns the exit code: 1 if broken."""
    problems = find_problems(facts)
    for name, value in fact_lines(facts).items():
        click.echo(f"{name + ':':18} {value}")
    for note in find_notes(facts):
        click.echo(f"note: {note}")
    for problem in problems:
        click.echo(f"problem: {problem.text}")
    if not problems:
        click.echo("problems: none")
    return int(any(problem.broken for problem in problems))


def fact_lines(facts: MachineFacts) -> dict[str, str]:
    """Return `{name: value}`, both as printed."""
    yes_or_no = {True: "yes", False: "no", None: "unknown"}
    lines = {name: version or "absent" for name, version in facts.versions.items()}
    lines |= {"processor": facts.cpu, "cores": str(facts.cores)}
    lines |= {name: yes_or_no[flag] for name, flag in facts.cpu_flags.items()}
    memory = facts.free_memory
    lines["memory free"] = f"{memory / 1e9:.1f} GB" if memory is not None else "unknown"
    if isinstance(facts.tensorflow, dict):
        lines["devices"] = ", ".join(facts.tensorflow["devices"])
        lines["CUDA built in"] = yes_or_no[facts.tensorflow["cuda"]]
        lines["oneDNN"] = yes_or_no[facts.tensorflow["onednn"]]
    for precision, peak in facts.peaks.items():
        lines[f"{precision} product"] = f"{peak:.0f} GFLOP/s"
    for row in facts.weights:
        state = "intact" if row["intact"] else "damaged or missing"
        lines[f"{row['net']} weights"] = state
    return lines


def find_problems(facts: MachineFacts) -> list[MachineProblem]:
    """List what is wrong, the worst first."""
    problems = [
        MachineProblem(
            f"{package} is not installed: pip install {package}", broken=True
        )
        for package, version in facts.versions.items()
        if version is None
    ]
    problems += [
        MachineProblem(
            f"the built-in weights of {row['net']} are "
            f"{'damaged' if row['present'] else 'missing'}: "
            "pip install --force-reinstall kstyle",
            broken=True,
        )
        for row in facts.weights
        if not row["intact"]
    ]
    return problems + find_tensorflow_problems(facts)


def find_tensorflow_problems(facts: MachineFacts) -> list[MachineProblem]:
    """List what is wrong with TensorFlow's installation and settings."""
    seen = facts.tensorflow
    if isinstance(seen, str):
        text = (
            f"TensorFlow cannot be loaded ({seen}): "
            "pip install --force-reinstall tensorflow"
        )
        return [MachineProblem(text, broken=True)]
    problems = []
    if facts.has_nvidia and not seen["gpus"]:
        text = (
            "TensorFlow does not see this machine's GPU: "
            'pip install "tensorflow[and-cuda]"'
        )
        problems.append(MachineProblem(text))
    if seen["onednn"] is False and not seen["gpus"]:
        text = "oneDNN's faster kernels are off: set TF_ENABLE_ONEDNN_OPTS=1"
        problems.append(MachineProblem(text))
    return problems


def find_notes(facts: MachineFacts) -> list[str]:
    """List facts that are worth knowing but are not problems."""
    if facts.peaks and facts.peaks["bfloat16"] < facts.peaks["float32"]:
        return ["bfloat16 is slower than float32 here: keep float32"]
    return []
