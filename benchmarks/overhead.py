"""What kstyle takes beside the steps themselves: start-up, callbacks, files.

    python benchmarks/overhead.py [--size 512] [--steps 20] [--rounds 5]

Start-up: seconds of `kstyle --help`, of loading TensorFlow and Keras alone, and of
`kstyle stylize` on the samples until the first step is reported, each as a new process;
medians. Callbacks: a run with all of them at every step, in which each is timed by
itself beside the step; so their ratios to the step hold on a machine whose speed
drifts. `share_`: of a step's time, at the default intervals.
"""

import argparse
import functools
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack

import common
import keras

import kstyle
from kstyle.runs import pipeline, results
from kstyle.runs.callbacks.divergence import DivergenceGuard
from kstyle.runs.callbacks.periodic import LossCurve, ProgressReport
from kstyle.runs.job import prepare
from kstyle.runs.model_cache import ModelCache

# What each callback does anew when it reports, and how often it does by default.
DEFAULTS = kstyle.StyleConfig()
EVERY = {
    "LossCSV": DEFAULTS.report_every,
    "Scalars": DEFAULTS.report_every,
    "Snapshots": DEFAULTS.snapshot_every,
    "Progress": DEFAULTS.report_every,
    "Curve": 1,
    "StopOnNaN": 1,
}
CHECKPOINT_SECONDS = 60  # the default of --checkpoint-every


def first_step_seconds():
    """Measure the seconds until the line of step 1 is printed, at the first scale."""
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


def startup(rounds):
    """Measure the seconds of each start, in turn; medians."""
    python = functools.partial(common.process_seconds, sys.executable)
    starts = {
        "help_s": lambda: python("-m", "kstyle", "--help"),
        "import_s": lambda: python("-c", "import kstyle.cli"),
        "tensorflow_s": lambda: python("-c", "import tensorflow, keras"),
        "first_step_s": first_step_seconds,
    }
    times = {name: [] for name in starts}
    for _ in range(rounds):
        for name, start in starts.items():
            times[name].append(start())
    found = {name: statistics.median(each) for name, each in times.items()}
    found["first_step_over_tensorflow"] = found["first_step_s"] / found["tensorflow_s"]
    return found


class Clock(keras.callbacks.Callback):
    """Measures the seconds of each step; it is the first of the callbacks."""

    def __init__(self):
        super().__init__()
        self.seconds, self.begun = [], 0.0

    def on_train_batch_begin(self, batch, logs=None):
        self.begun = time.perf_counter()

    def on_train_batch_end(self, batch, logs=None):
        float(logs["loss"])  # until it is there
        self.seconds.append(time.perf_counter() - self.begun)


def timed(callback):
    """Record the seconds of each `on_train_batch_end` of `callback`."""
    seconds, hook = [], callback.on_train_batch_end

    @functools.wraps(hook)
    def measured(batch, logs=None):
        begun = time.perf_counter()
        hook(batch, logs)
        seconds.append(time.perf_counter() - begun)

    callback.on_train_batch_end = measured
    return seconds


def callbacks(size, steps):
    """Measure milliseconds of a step, of each callback, and of the end of a run."""
    every = {"report_every": 1, "snapshot_every": 1, "checkpoint_every": "1"}
    clock, shared = Clock(), ModelCache()
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        config = kstyle.StyleConfig(
            size=size, scales=1, steps=steps + 1, logdir=folder, **every
        )
        job = prepare(config)
        others = [LossCurve(), ProgressReport(lambda *_: None, 1, job.scales)]
        guard = DivergenceGuard(job.weights.source, (job.content.pixels, job.styles[0]))
        watchers = pipeline.open_callbacks(stack, job, None, others, guard)
        model = pipeline.build_scale_model(job, job.scales[0], shared, None)
        spent = {type(each).__name__: timed(each) for each in watchers}
        model.fit(steps_per_epoch=steps + 1, callbacks=[clock, *watchers], verbose=0)
        result = common.seconds(
            lambda: results.write_result(job, model.pixels(), "finished"), 3
        )
    step = statistics.median(clock.seconds[1:])  # the first one traces
    figures = {"step_ms": 1e3 * step, "result_ms": 1e3 * statistics.median(result)}
    shares = {}
    for name, seconds in spent.items():
        cost = statistics.median(seconds[1:])
        figures |= {f"{name}_ms": 1e3 * cost, f"{name}_over_step": cost / step}
        steps_between = EVERY.get(name) or CHECKPOINT_SECONDS / step
        shares[f"share_{name}"] = cost / step / steps_between
    return figures | shares | {"share_of_all": sum(shares.values())}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", type=int, default=512, help="long edge in pixels")
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--rounds", type=int, default=5, help="starts of each kind")
    options = parser.parse_args()
    figures = {"size": options.size, "steps": options.steps, "rounds": options.rounds}
    figures |= startup(options.rounds) | callbacks(options.size, options.steps)
    common.report("overhead", figures)


if __name__ == "__main__":
    main()
