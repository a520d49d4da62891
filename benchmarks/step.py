"""What a step costs: the bare graph against `fit()` with TensorBoard on.

    python benchmarks/step.py [--size 512] [--net vgg19] [--steps 10] [--rounds 3]

Both run Adam on the same losses, in turns, and the medians are compared. The share is
of the machine's own best matrix product in float32, measured in the same run.
"""

import argparse
import statistics
import tempfile
import time

import common
import keras
import tensorflow as tf

import kstyle
from kstyle import tensorboard
from kstyle.callbacks import LossCSV


def bare_step(model):
    """The least that a step can be: the losses, their gradient, and Adam."""
    optimizer = kstyle.make_optimizer("adam")
    optimizer.build([model.image])

    @tf.function
    def step():
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(model.image.value)
            loss = model.compute_losses(model())["loss"]
        optimizer.apply([tape.gradient(loss, model.image.value)], [model.image])
        return loss

    return lambda: step().numpy()


class StepClock(keras.callbacks.Callback):
    """Seconds from the end of each step to the end of the next, callbacks included."""

    def __init__(self):
        super().__init__()
        self.ends = []

    def on_train_batch_end(self, batch, logs=None):
        self.ends.append(time.perf_counter())

    def seconds(self):
        return [b - a for a, b in zip(self.ends, self.ends[1:], strict=False)]


def fit_seconds(model, steps, writer, file):
    """Seconds a step of one `fit()` with the callbacks of `kstyle stylize`."""
    clock = StepClock()
    watchers = [
        LossCSV(file, 10),
        tensorboard.Scalars(writer, 10),
        tensorboard.Snapshots(writer, 50),
        clock,  # last, so that what the others do is counted
    ]
    model.fit(steps_per_epoch=steps + 1, callbacks=watchers)
    return clock.seconds()


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", type=int, default=512, help="edge of the square, px")
    parser.add_argument("--net", default="vgg19")
    parser.add_argument("--steps", type=int, default=10, help="a round")
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    model = common.problem(options.net, options.size, square=True)
    model.compile(kstyle.make_optimizer("adam"))
    bare, bare_times, fit_times = bare_step(model), [], []
    bare()
    with tempfile.TemporaryDirectory() as folder:
        writer = tf.summary.create_file_writer(folder)
        with open(f"{folder}/losses.csv", "w") as file:
            fit_seconds(model, 1, writer, file)
            for _ in range(options.rounds):
                bare_times += common.seconds(bare, options.steps)
                fit_times += fit_seconds(model, options.steps, writer, file)
        writer.close()
    gflop = common.step_gflop(options.net, options.size, options.size)
    peak = common.matmul_peak()
    bare_median = statistics.median(bare_times)
    fit_mean = statistics.fmean(fit_times)  # reports every 10 steps must count
    figures = {
        "size": options.size,
        "net": options.net,
        "bare_ms": 1e3 * bare_median,
        "bare_mean_ms": 1e3 * statistics.fmean(bare_times),
        "fit_ms": 1e3 * statistics.median(fit_times),
        "fit_mean_ms": 1e3 * fit_mean,
        "ratio": statistics.median(fit_times) / bare_median,
        "ratio_of_means": fit_mean / statistics.fmean(bare_times),
        "gflop": gflop,
        "gflops": gflop / bare_median,
        "peak_gflops": peak,
        "share_of_peak": gflop / bare_median / peak,
    }
    common.report("step", figures)


if __name__ == "__main__":
    main()
