"""Commands that inform: layers, weights, samples, and `kstyle doctor`."""

import dataclasses
import sys

import click

from kstyle.cli.common import user_errors
from kstyle.hardware import host
from kstyle.hardware.tensorflow_setup import load_tensorflow
from kstyle.networks.vgg import NETWORKS, PADDINGS
from kstyle.networks.weights import weights_status


@click.command("layers")
@click.option(
    "--net", type=click.Choice(list(NETWORKS)), default="vgg19", show_default=True
)
@click.option(
    "--size",
    type=click.IntRange(1),
    default=224,
    show_default=True,
    help="edge of the input in pixels",
)
@click.option(
    "--padding", type=click.Choice(PADDINGS), default="same", show_default=True
)
def layers_command(net, size, padding):
    """Print the layers of a network: shape, receptive field, cost."""
    with user_errors():
        from kstyle.cli import console
        from kstyle.networks.vgg import layer_table

        console.print_layers(layer_table(net, (size, size), padding))


@click.command("weights")
def weights_command():
    """Print where each network's weights come from and whether they are there."""
    with user_errors():
        from kstyle.cli import console
        from kstyle.networks.weights import weights_status

        console.print_weights(weights_status())


@click.command("doctor")
def doctor_command():
    """Print what this machine offers, what is wrong with it, and what to do."""
    with user_errors():
        facts = examine_machine()
        found = find_problems(facts)
        print_doctor(facts, found, find_notes(facts))
    if any(problem.broken for problem in found):
        sys.exit(1)


@click.command("samples")
def samples_command():
    """Print the built-in pictures, to be named as sample:NAME."""
    from kstyle.images.samples import sample_names

    for name in sample_names():
        click.echo(f"sample:{name}")


def print_doctor(facts, problems, notes):
    """What `doctor.examine` found, what is wrong with it, and what to do."""
    seen, memory = facts["tensorflow"], facts["memory"]
    words = {True: "yes", False: "no", None: "unknown"}
    rows = dict(facts["versions"])
    rows |= {"processor": facts["cpu"], "cores": facts["cores"]}
    rows |= {name: words[flag] for name, flag in facts["flags"].items()}
    rows["memory free"] = f"{memory / 1e9:.1f} GB" if memory is not None else "unknown"
    if isinstance(seen, dict):
        rows["devices"] = ", ".join(seen["devices"])
        rows |= {"CUDA built in": words[seen["cuda"]], "oneDNN": words[seen["onednn"]]}
    for kind, peak in facts["peaks"].items():
        rows[f"{kind} product"] = f"{peak:.0f} GFLOP/s"
    for row in facts["weights"]:
        state = "intact" if row["intact"] else "damaged or missing"
        rows[f"{row['net']} weights"] = state
    for name, value in rows.items():
        click.echo(f"{name + ':':18} {'absent' if value is None else value}")
    for text in notes:
        click.echo(f"note: {text}")
    for problem in problems:
        click.echo(f"problem: {problem.text}")
    if not problems:
        click.echo("problems: none")


PEAK_SIZE = 1024  # a product of that edge takes a second in bfloat16 where it is slow
GPU_PEAK_SIZE = 8192  # a smaller one is over before a GPU is at work


@dataclasses.dataclass(frozen=True)
class MachineProblem:
    """What is wrong, as one line that says what to do. `broken`: kstyle cannot run."""

    text: str
    broken: bool = False


def examine_machine():
    """Collect all facts, each under its name.

    `tensorflow` is the error, as text, where TensorFlow cannot be loaded.
    """
    facts = {
        "versions": host.package_versions(),
        "cpu": host.cpu_name(),
        "cores": host.cpu_cores(),
        "flags": host.cpu_flags(),
        "memory": host.free_memory(),
        "nvidia": host.has_nvidia(),
        "weights": [row for row in weights_status() if row["source"] == "builtin"],
        "peaks": {},
    }
    try:
        load_tensorflow()
        from kstyle.hardware import devices
        from kstyle.planning import calibration
    except Exception as error:  # whatever a broken installation can raise
        first = (str(error).splitlines() or [""])[0]
        return facts | {"tensorflow": f"{type(error).__name__}: {first}"}
    seen = devices.tensorflow_facts()
    size = GPU_PEAK_SIZE if seen["gpus"] else PEAK_SIZE
    with devices.use_device("auto"):
        for kind in ("float32", "bfloat16"):
            facts["peaks"][kind] = calibration.matmul_peak(kind, size, rounds=3)
    return facts | {"tensorflow": seen}


def find_problems(facts):
    """The `Problem`s that the facts of `examine` show, the worst first."""
    found = [
        MachineProblem(
            f"{package} is not installed: pip install {package}", broken=True
        )
        for package, version in facts["versions"].items()
        if version is None
    ]
    found += [
        MachineProblem(
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
            MachineProblem(f"TensorFlow cannot be loaded ({seen}): {advice}", True),
        ]
    if facts["nvidia"] and not seen["gpus"]:
        advice = 'pip install "tensorflow[and-cuda]"'
        found.append(
            MachineProblem(f"TensorFlow does not see this machine's GPU: {advice}")
        )
    if seen["onednn"] is False and not seen["gpus"]:
        advice = "set TF_ENABLE_ONEDNN_OPTS=1"
        found.append(MachineProblem(f"oneDNN's faster kernels are off: {advice}"))
    return found


def find_notes(facts):
    """List facts that are worth knowing but are no problems."""
    peaks = facts["peaks"]
    if peaks and peaks["bfloat16"] < peaks["float32"]:
        return ["bfloat16 is slower than float32 here: keep float32"]
    return []
