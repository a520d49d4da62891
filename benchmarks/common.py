"""What the benchmarks share: the problem, the clock, the machine, the last line."""

import importlib.util
import json
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")  # as the command line sets it

import numpy as np
import tensorflow as tf

import kstyle
from kstyle.hardware import devices
from kstyle.hardware.host import cpu_cores, cpu_name
from kstyle.images.picture import fit_long_edge, resize
from kstyle.losses.statistics import STYLE_FACTOR
from kstyle.losses.terms import TV_THRESHOLDS
from kstyle.networks.extractor import MEAN_RGB
from kstyle.networks.registry import get_architecture
from kstyle.planning import estimates
from kstyle.runs.initialization import noise_picture

CONTENT_LAYER = "conv4_2"
STYLE_LAYERS = ("conv1_1", "conv2_1", "conv3_1", "conv4_1", "conv5_1")
PAIRS = (
    ("sample:coffee", "sample:night"),
    ("sample:chelsea", "sample:window"),
    ("sample:astronaut", "sample:meadow"),
)


def read_resized(path, size, square=False):
    """Read a picture with a long edge (or both edges) of `size` pixels."""
    pixels = kstyle.load_picture(path).pixels
    shape = (size, size) if square else fit_long_edge(pixels.shape[:2], size)
    return resize(pixels, shape)


def pictures(size, square=False):
    """Return the default samples, with a long edge (or both edges) of `size` pixels."""
    return [read_resized(path, size, square) for path in PAIRS[0]]


def problem(net, size, *, square=False, init="content", **network):
    """Build an uncompiled `StyleTransfer` with five style layers.

    network: options of `build_extractor`."""
    content, style = pictures(size, square)
    layers = (CONTENT_LAYER, *STYLE_LAYERS)
    extractor = kstyle.build_extractor(net, layers, **network)
    terms = kstyle.loss_terms(
        {CONTENT_LAYER: 8}, dict.fromkeys(STYLE_LAYERS, 200), tv=200
    )
    start = noise_picture(content.shape[:2], seed=0) if init == "noise" else content
    return kstyle.StyleTransfer(extractor, terms, content, style, start)


def step_gflop(net, height, width):
    """Return 1e9 operations of one step of `problem`."""
    layers = (CONTENT_LAYER, *STYLE_LAYERS)
    costs = estimates.CostModel(net, "same", layers, STYLE_LAYERS)
    return 2 * costs.pass_gflop((height, width))


def problem_gflop(net, size):
    """Return 1e9 operations of a step with a long edge of `size` pixels."""
    return step_gflop(net, *pictures(size)[0].shape[:2])


def seconds(call, rounds):
    """Measure the seconds of each of `rounds` calls."""
    times = []
    for _ in range(rounds):
        begun = time.perf_counter()
        call()
        times.append(time.perf_counter() - begun)
    return times


def interleaved_seconds(calls, rounds):
    """Measure `{name: seconds of each round}` of `{name: call}`, in turn."""
    for call in calls.values():
        seconds(call, 2)  # the first traces the graph
    times = {name: [] for name in calls}
    for _ in range(rounds):
        for name, call in calls.items():
            times[name] += seconds(call, 1)
    return times


def median_ratio(times, base):
    """Return the median over the rounds of `times` over those of `base`."""
    return statistics.median(b / a for a, b in zip(base, times, strict=True))


def reached(curve, goal):
    """Return when a curve of `(when, loss)` first is at most `goal`, or `None`."""
    return next((when for when, loss in curve if loss <= goal), None)


def process_seconds(*words):
    """Measure the seconds of a command, with the start of its process."""
    command = [str(word) for word in words]
    begun = time.perf_counter()
    subprocess.run(command, check=True, capture_output=True)
    return time.perf_counter() - begun


def has_torch():
    """Return whether PyTorch is installed, without importing it."""
    return importlib.util.find_spec("torch") is not None


def write_problem(path, job):
    """Write what `torch_loop.py` needs of a job at its full size to `path`, an .npz."""
    config = job.config
    trunk = get_architecture(config.net).trunk(config.layers())
    content = {k: config.content_weight * w for k, w in config.content_layers.items()}
    style = {k: config.style_weight * w for k, w in config.style_layers.items()}
    options = {
        "layers": [(layer.name, layer.kind) for layer in trunk],
        "pool": config.pool,
        "padding": config.padding,
        "mean_rgb": MEAN_RGB,
        "content_weights": content,
        "style_weights": style,
        "style_factor": STYLE_FACTOR,
        "tv_weight": config.tv_weight,
        "tv_threshold": TV_THRESHOLDS[config.tv_loss],
    }
    arrays = {
        "content": job.content_at(job.scales[-1].content_size),
        "style": job.style_at(job.scales[-1].style_size),
    }
    for name, (kernel, bias) in job.weights.layers.items():
        arrays |= {f"{name}/kernel": kernel, f"{name}/bias": bias}
    np.savez(path, options=json.dumps(options), **arrays)


def torch_command(problem, steps, every=None, out=None):
    """Return the command that runs `torch_loop.py` on a file of `write_problem`."""
    script = Path(__file__).with_name("torch_loop.py")
    command = [sys.executable, script, problem, "--steps", steps]
    command += ["--every", every] if every else []
    command += ["--out", out] if out else []
    return [str(word) for word in command]


def torch_pictures(job, steps, every, folder):
    """Return `[(seconds, picture)]` of `torch_loop.py`, and the device that it used.

    folder: where its files go. Raises: subprocess.CalledProcessError: it failed.
    """
    problem, out = Path(folder) / "problem.npz", Path(folder) / "torch.npz"
    write_problem(problem, job)
    command = torch_command(problem, steps, every, out)
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    with np.load(out) as kept:
        pictures = list(zip(kept["seconds"].tolist(), kept["pictures"], strict=True))
    return pictures, json.loads(done.stdout.splitlines()[-1])["device"]


def machine():
    """Return the processor, cores and versions that the figures belong to."""
    return {
        "cpu": cpu_name(),
        "cores": cpu_cores(),
        "gpus": [devices.device_name(gpu) for gpu in devices.visible_gpus()],
        "tensorflow": tf.__version__,
        "kstyle": kstyle.__version__,
    }


def report(name, figures):
    """Print the figures, then all of them as one JSON object on the last line."""
    for key, value in figures.items():
        print(f"{key}: {value:.4g}" if isinstance(value, float) else f"{key}: {value}")
    print(json.dumps({"benchmark": name, "machine": machine(), **figures}))
