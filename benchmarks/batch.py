"""A batch of small pictures against the sum of their bare steps.

    python benchmarks/batch.py [--pictures 20] [--size 256] [--steps 60] [--scales 1]

Square crops of the sample photographs, in one style, by `kstyle.stylize_batch` with its
defaults: run folders, TensorBoard, checkpoints and results are in its time, and so are
the plan and the tracing. A bare step is that of step.py, with the run's own network,
losses and size. One is run within the batch after each third step, as a machine's speed
drifts; its time is taken out of the batch's, and the mean of its size stands for the
other two.
"""

import argparse
import contextlib
import tempfile
import time
from pathlib import Path

import common
import keras
import numpy as np
from step import bare_step

import kstyle
from kstyle.images.picture import resize
from kstyle.runs.batch import SilentBatchWatch

EVERY = 3  # steps of the batch to one bare step
SAMPLES = ("sample:coffee", "sample:chelsea", "sample:astronaut", "sample:meadow")


def write_pictures(folder, count, edge):
    """Write `count` different square pictures of `edge` pixels."""
    generator = np.random.default_rng(0)
    for number in range(count):
        pixels = kstyle.load_picture(SAMPLES[number % len(SAMPLES)]).pixels
        side = int(min(pixels.shape[:2]) * generator.uniform(0.7, 1))
        top, left = (generator.integers(n - side + 1) for n in pixels.shape[:2])
        part = resize(pixels[top : top + side, left : left + side], (edge, edge))
        kstyle.save_picture(folder / f"{number:04}.jpg", part)


class Bare(keras.callbacks.Callback):
    """Runs a bare step after each third step; adds up the seconds by size."""

    def __init__(self):
        super().__init__()
        self.making, self.steps, self.count, self.seconds = 0.0, {}, {}, {}

    def on_train_batch_end(self, batch, logs=None):
        edge = int(self.model.image.shape[1])
        if edge not in self.steps:
            self.make(edge)
        self.count[edge] += 1
        if self.count[edge] % EVERY == 0:
            self.seconds[edge] += common.seconds(self.steps[edge], 1)

    def make(self, edge):
        """Trace the bare step of a size: the run's network and losses on another
        picture. It is not counted as time of the batch."""
        begun = time.perf_counter()
        extractor, terms = self.model.extractor, self.model.terms
        pair = [self.model.pixels()] * 2
        self.steps[edge] = bare_step(kstyle.StyleTransfer(extractor, terms, *pair))
        self.steps[edge]()
        self.count[edge], self.seconds[edge] = 0, []
        self.making += time.perf_counter() - begun

    def spent(self):
        """Return the seconds that the benchmark itself took."""
        return self.making + sum(map(sum, self.seconds.values()))

    def total(self):
        """Return the seconds of as many bare steps as the batch has taken."""
        return sum(
            count * sum(self.seconds[edge]) / len(self.seconds[edge])
            for edge, count in self.count.items()
        )


class Watch(SilentBatchWatch):
    """Adds the bare steps to each run, and records when the first picture is done."""

    def __init__(self, bare):
        self.bare, self.first = bare, None

    def running(self, job):
        return contextlib.nullcontext([self.bare])

    def end(self, entry, outcome):
        if outcome.status != "finished":
            raise SystemExit(f"{entry.config.content}: {outcome.error}")
        if self.first is None:
            self.first = time.perf_counter(), self.bare.spent(), self.bare.total()


def measured(options, folder):
    """Measure the seconds of the batch and of bare steps, all and after one picture."""
    write_pictures(folder / "in", options.pictures, 2 * options.size)
    scales = options.scales if options.scales == "auto" else int(options.scales)
    steps = {"steps": options.steps, "scale_steps": options.steps}
    config = kstyle.StyleConfig(
        net=options.net,
        size=options.size,
        scales=scales,
        logdir=str(folder / "logs"),
        **steps,
    )
    bare = Bare()
    watch = Watch(bare)
    begun = time.perf_counter()
    kstyle.stylize_batch(config, folder / "in", output=folder / "out", watch=watch)
    ended = time.perf_counter()
    then, spent, total = watch.first
    return (
        (ended - begun - bare.spent(), bare.total()),
        (ended - then - (bare.spent() - spent), bare.total() - total),
    )


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pictures", type=int, default=20)
    parser.add_argument("--size", type=int, default=256, help="edge, px")
    parser.add_argument("--steps", type=int, default=60, help="at each scale")
    parser.add_argument("--scales", default="auto", help="auto or how many")
    parser.add_argument("--net", default="vgg19")
    options = parser.parse_args()
    if options.pictures < 2 or options.steps < EVERY:
        parser.error(f"two pictures and {EVERY} steps are the least")
    with tempfile.TemporaryDirectory() as folder:
        (batch, bare), (later, later_bare) = measured(options, Path(folder))
    figures = vars(options) | {
        "batch_s": batch,
        "bare_s": bare,
        "ratio": batch / bare,
        "ratio_after_first": later / later_bare,
    }
    common.report("batch", figures)


if __name__ == "__main__":
    main()
