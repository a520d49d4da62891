"""`kstyle doctor`: what a machine offers, what is wrong with it, what to do."""

import dataclasses

from kstyle import machine
from kstyle.weights import weights_status

PEAK_SIZE = 1024  # a product of that edge takes a second in bfloat16 where it is slow
GPU_PEAK_SIZE = 8192  # a smaller one is over before a GPU is at work


@dataclasses.dataclass(frozen=True)
class Problem:
    """What is wrong, as one line that says what to do. `broken`: kstyle cannot run."""

    text: str
    broken: bool = False


def examine(load):
    """All facts, each under its name; `tensorflow` is the error where it cannot load.

    load: imports TensorFlow and returns the module `devices`.
    """
    facts = {
        "versions": machine.versions(),
        "cpu": machine.cpu_name(),
        "cores": machine.cores(),
        "flags": machine.cpu_flags(),
        "memory": machine.free_memory(),
        "nvidia": machine.has_nvidia(),
        "weights": [row for row in weights_status() if row["source"] == "builtin"],
        "peaks": {},
    }
    try:
        devices = load()
    except Exception as error:  # whatever a broken installation can raise
        first = (str(error).splitlines() or [""])[0]
        return facts | {"tensorflow": f"{type(error).__name__}: {first}"}
    seen = devices.tensorflow_facts()
    size = GPU_PEAK_SIZE if seen["gpus"] else PEAK_SIZE
    with devices.use("auto"):
        for kind in ("float32", "bfloat16"):
            facts["peaks"][kind] = devices.matmul_peak(kind, size, rounds=3)
    return facts | {"tensorflow": seen}


def problems(facts):
    """The `Problem`s that the facts of `examine` show, the worst first."""
    found = [
        Problem(f"{package} is not installed: pip install {package}", broken=True)
        for package, version in facts["versions"].items()
        if version is None
    ]
    found += [
        Problem(
            f"the built-in weights of {row['net']} are "
            f"{'damaged' if row['present'] else 'missing'}: "
            "pip install --force-reinstall kstyle",
            broken=True,
        )
        for row in facts["weights"]
        if not row["intact"]
    ]
    seen = facts["tensorflow"]
    if isinstance(seen, str):
        advice = "pip install --force-reinstall tensorflow"
        return [
            *found,
            Problem(f"TensorFlow cannot be loaded ({seen}): {advice}", True),
        ]
    if facts["nvidia"] and not seen["gpus"]:
        advice = 'pip install "tensorflow[and-cuda]"'
        found.append(Problem(f"TensorFlow does not see this machine's GPU: {advice}"))
    if seen["onednn"] is False and not seen["gpus"]:
        advice = "set TF_ENABLE_ONEDNN_OPTS=1"
        found.append(Problem(f"oneDNN's faster kernels are off: {advice}"))
    return found


def notes(facts):
    """What is worth knowing but nothing is wrong with."""
    peaks = facts["peaks"]
    if peaks and peaks["bfloat16"] < peaks["float32"]:
        return ["bfloat16 is slower than float32 here: keep float32"]
    return []
