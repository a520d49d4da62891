"""Steps that L-BFGS needs in each basis to the loss of many steps on pixels.

    python benchmarks/bases.py [--size 256] [--steps 200] [--ratios 0.5 0.6 0.7]
        [--powers 0.25] [--content PICTURE] [--style PICTURE]

One scale from the content, in the precision that the command would take: pixels, a
pyramid of each ratio, and frequencies of each power. For each its number of steps to
the loss that pixels end with, and its loss at the end over theirs. Steps are counted,
not seconds, so other work on the machine does no harm.
"""

import argparse
import tempfile

import common
import keras

import kstyle
from kstyle.optimizers.lbfgs import LBFGS
from kstyle.optimizers.parameterization import Fourier, Pixels, Pyramid
from kstyle.runs.job import prepare
from kstyle.runs.model_cache import ModelCache, build_model
from kstyle.runs.model_options import build_terms


def losses(job, shared, basis, steps):
    """Return the losses of so many steps of L-BFGS in `basis`, from the content."""
    scale, terms = job.scales[-1], build_terms(job.config)
    start = job.content_at(scale.content_size)
    model = build_model(job, scale, shared, terms, start)
    model.compile(LBFGS(history=job.config.history, basis=basis))
    values = []
    seen = keras.callbacks.LambdaCallback(
        on_train_batch_end=lambda batch, logs: values.append(float(logs["loss"]))
    )
    model.fit(steps_per_epoch=steps, callbacks=[seen], verbose=0)
    return values


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--content", default="sample:coffee")
    parser.add_argument("--style", default="sample:night")
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--ratios", type=float, nargs="*", default=[0.5, 0.6, 0.7])
    parser.add_argument("--powers", type=float, nargs="*", default=[0.25])
    options = parser.parse_args()
    bases = {f"pyramid_{ratio}": Pyramid(ratio=ratio) for ratio in options.ratios}
    bases |= {f"fourier_{power}": Fourier(power) for power in options.powers}
    with tempfile.TemporaryDirectory() as folder:
        names = ("content", "style", "size", "steps")
        settings = {name: getattr(options, name) for name in names}
        config = kstyle.StyleConfig(
            **settings, scales=1, style_weights=None, logdir=folder
        )
        figures = compare(prepare(config), bases, options.steps)
    common.report("bases", vars(options) | figures)


def compare(job, bases, steps):
    """Return the figures of every basis relative to pixels."""
    shared = ModelCache()
    goal = min(losses(job, shared, Pixels(), steps))
    figures = {"goal": goal}
    for name, basis in bases.items():
        values = losses(job, shared, basis, steps)
        steps_to_goal = common.reached(enumerate(values, 1), goal)
        figures[f"{name}_steps_to_goal"] = steps_to_goal
        figures[f"{name}_last_over_goal"] = min(values) / goal
    return figures


if __name__ == "__main__":
    main()
