"""What a step costs: the bare graph against `fit()` with TensorBoard on.

    python benchmarks/step.py [--size 512] [--net vgg19] [--steps 20]

Both run Adam on the same losses, a step of one after a step of the other, since a
machine's speed drifts; the ratio is the median over the pairs. The share is of the
machine's own best matrix product in float32, measured in the same run.
"""

import argparse
import statistics
import tempfile
import time
from pathlib import Path

import common
import keras
import tensorflow as tf

import kstyle
from kstyle.planning import calibration
from kstyle.runs.callbacks import tensorboard
from kstyle.runs.callbacks.periodic import LossCSV


def bare_step(model):
    """Return the smallest possible step: the losses, their gradient, and Adam."""
    optimizer = kstyle.make_optimizer("adam")
    optimizer.build([model.image])

    @tf.function
    def step():
        losses, gradient = model.evaluator.losses_and_gradient(
            model.image_tensor(), optimizer.scale_loss
        )
        optimizer.apply([gradient], [model.image])
        return losses["loss"]

    return lambda: step().numpy()


class Interleaved(keras.callbacks.Callback):
    """Runs a bare step after each step of `fit()` and measures both.

    It is the last callback, so that the time of the others counts as `fit()`'s.
    """

    def __init__(self, bare):
        super().__init__()
        self.bare_step, self.bare, self.fit, self.since = bare, [], [], None

    def on_train_batch_end(self, batch, logs=None):
        now = time.perf_counter()
        if self.since is not None:  # the first step traces its graph
            self.fit.append(now - self.since)
            self.bare += common.seconds(self.bare_step, 1)
        self.since = time.perf_counter()


def paired_seconds(model, steps):
    """Measure each bare step and each step of `fit()` with its callbacks."""
    pair = Interleaved(bare_step(model))
    pair.bare_step()
    with tempfile.TemporaryDirectory() as folder:
        writer = tf.summary.create_file_writer(folder)
        with open(f"{folder}/losses.csv", "w") as file:
            watchers = [
                LossCSV(file, 10),
                tensorboard.ScalarEvents(writer, 10),
                tensorboard.SnapshotEvents(writer, Path(folder) / "snapshots", 50),
                pair,
            ]
            model.fit(steps_per_epoch=steps + 1, callbacks=watchers, verbose=0)
        writer.close()
    return pair.bare, pair.fit


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", type=int, default=512, help="edge of the square, px")
    parser.add_argument("--net", default="vgg19")
    parser.add_argument("--steps", type=int, default=20, help="pairs of steps")
    options = parser.parse_args()
    model = common.problem(options.net, options.size, square=True)
    model.compile(kstyle.make_optimizer("adam"))
    bare, fit = paired_seconds(model, options.steps)
    gflop = common.step_gflop(options.net, options.size, options.size)
    peak = calibration.matmul_peak()
    rate = gflop / statistics.median(bare)
    figures = {
        "size": options.size,
        "net": options.net,
        "steps": options.steps,
        "bare_ms": 1e3 * statistics.median(bare),
        "fit_ms": 1e3 * statistics.median(fit),
        "ratio": statistics.median(b / a for a, b in zip(bare, fit, strict=True)),
        "ratio_of_means": statistics.fmean(fit) / statistics.fmean(bare),
        "gflop": gflop,
        "gflops": rate,
        "peak_gflops": peak,
        "share_of_peak": rate / peak,
    }
    common.report("step", figures)


if __name__ == "__main__":
    main()
