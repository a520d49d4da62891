"""What a GPU does with a step: precision, XLA, memory, and a plain PyTorch loop.

    python benchmarks/gpu.py [--sizes 512 1024] [--net vgg19] [--steps 50]
        [--precisions float32 bfloat16] [--repeat 2] [--no-xla]

L-BFGS from the content on the samples coffee and night with the losses of `common`, at
one scale, through `fit()` without callbacks: so many steps, twice, the first of which
holds tracing and what XLA compiles. The loss after all of them is measured in float32.
Peaks are those of TensorFlow's allocator on the GPU; the estimate is that of
`CostModel.feature_bytes` for the steps alone. `torch_loop.py` is run if torch is
installed, on the GPU that it sees. Without a GPU all is computed on the processor,
without peaks.
"""

import argparse
import gc
import statistics
import subprocess
import tempfile
import time

import common
import tensorflow as tf

import kstyle
from kstyle.hardware import devices
from kstyle.planning import calibration
from kstyle.planning.estimates import CostModel
from kstyle.planning.scales import ScalePlan
from kstyle.runs.job import prepare


def model_of(net, size, precision, jit):
    """Build the benchmarks' problem with L-BFGS, with or without XLA."""
    model = common.problem(net, size, precision=precision)
    model.compile(kstyle.make_optimizer("lbfgs"), jit_compile=jit)
    return model


def seconds_of(model, steps):
    begun = time.perf_counter()
    model.fit(steps_per_epoch=steps, verbose=0)
    model.image.numpy()  # only now is all of it computed
    return time.perf_counter() - begun


def measured(net, size, precision, jit, steps, repeat):
    """Return the figures of one model: its first steps, later ones, peak and loss."""
    gc.collect()  # the model before holds itself
    gpu = bool(devices.visible_gpus())
    if gpu:
        tf.config.experimental.reset_memory_stats("GPU:0")
    model = model_of(net, size, precision, jit)
    first = seconds_of(model, steps)
    later = statistics.median(seconds_of(model, steps) for _ in range(repeat))
    figures = {"first_s": first, "step_ms": 1e3 * later / steps}
    if gpu:
        peak = tf.config.experimental.get_memory_info("GPU:0")["peak"]
        figures["peak_gb"] = peak / 1e9
    exact = common.problem(net, size)
    exact.image.assign(model.image)
    return figures | {"loss": float(exact.measure_losses()["loss"])}


def estimated(net, size, precision):
    """Return the estimated GB of a step's features."""
    content, style = (picture.shape[:2] for picture in common.pictures(size))
    layers = (common.CONTENT_LAYER, *common.STYLE_LAYERS)
    plan = ScalePlan(content, style, steps=1, precision=precision)
    costs = CostModel(net, "same", layers, common.STYLE_LAYERS)
    return costs.feature_bytes(plan) / 1e9


def torch_figures(net, size, steps):
    """Return the figures of the PyTorch loop, in a new process, for the memory."""
    with tempfile.TemporaryDirectory() as folder:
        config = kstyle.StyleConfig(logdir=folder, net=net, size=size, scales=1)
        try:
            kept, device = common.torch_pictures(
                prepare(config), 3 * steps, steps, folder
            )
        except subprocess.CalledProcessError as error:
            return {f"torch_{size}_error": error.stderr.splitlines()[-1]}
    (_, second, third) = (seconds for seconds, _ in kept)
    milliseconds = 1e3 * (third - second) / steps
    return {f"torch_{size}_step_ms": milliseconds, "torch_device": device}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sizes", type=int, nargs="+", default=(512, 1024))
    parser.add_argument("--net", default="vgg19")
    parser.add_argument("--steps", type=int, default=50)
    parser.add_argument("--repeat", type=int, default=2)
    parser.add_argument("--precisions", nargs="+", default=("float32", "bfloat16"))
    parser.add_argument("--no-xla", action="store_true")
    options = parser.parse_args()
    figures = {"net": options.net, "steps": options.steps}
    with devices.use_device("auto"):
        for precision in options.precisions:
            peak = calibration.matmul_peak(precision, 4096, rounds=3)
            figures[f"{precision}_product_gflops"] = peak
        for size in options.sizes:
            figures |= of_size(size, options)
    common.report("gpu", figures)


def of_size(size, options):
    found = {f"gflop_{size}": common.problem_gflop(options.net, size)}
    for precision in options.precisions:
        found[f"{precision}_{size}_estimated_gb"] = estimated(
            options.net, size, precision
        )
        for jit in (False,) if options.no_xla else (False, True):
            given = options.net, size, precision, jit, options.steps, options.repeat
            name = f"{precision}{'_xla' if jit else ''}_{size}"
            try:
                mine = {f"{name}_{key}": v for key, v in measured(*given).items()}
            except tf.errors.OpError as error:
                mine = {f"{name}_error": str(error)[:200]}
            print(mine, flush=True)
            found |= mine
    if common.has_torch():
        found |= torch_figures(options.net, size, options.steps)
    return found


if __name__ == "__main__":
    main()
