"""Padding by the edges: TensorFlow's op against ours, alone and within a step.

    python benchmarks/edges.py [--sizes 256 512] [--steps 9]

Forward and gradient for features of the network's first layers at each size, and a step
of L-BFGS on the samples with VGG19 and `replicate`, in both precisions. All is
interleaved, one of ours after one of TensorFlow's; milliseconds are medians.
"""

import argparse
import statistics

import common
import tensorflow as tf

import kstyle
from kstyle import edges
from kstyle.graphs import own_graph

KINDS = ("float32", "bfloat16")
WAYS = {"theirs": float("inf"), "ours": edges.SMALL}  # what features are too small
CHANNELS = 64  # of conv1_1, which conv1_2 pads


def interleaved(calls, rounds):
    """Median milliseconds of each of `calls`, after one of each that traces it."""
    times = {name: [] for name in calls}
    for call in calls.values():
        call()
    for _ in range(rounds):
        for name, call in calls.items():
            times[name] += common.seconds(call, 1)
    return {name: 1e3 * statistics.median(each) for name, each in times.items()}


def padding(size, kind, small):
    """A call that pads features of a square picture and takes a gradient of that."""
    x = tf.cast(tf.random.normal((1, size, size, CHANNELS)), kind)
    pull = tf.cast(tf.random.normal((1, size + 2, size + 2, CHANNELS)), kind)

    def both():
        y = edges.pad(x, "replicate")
        return y, tf.gradients(y, x, pull)[0]

    return traced(own_graph(both), small)


def step(size, kind, small):
    """A call that takes a step and waits for it."""
    model = common.problem("vgg19", size, padding="replicate", precision=kind)
    model.compile(kstyle.make_optimizer("lbfgs"))
    traced(model.fit, small)
    return lambda: model.train_function(None)["loss"].numpy()


def traced(call, small):
    """`call`, traced with what is `small` not padded in our way."""
    edges.SMALL = small
    with edges.written_in_place():
        call()
    return call


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sizes", type=int, nargs="+", default=(256, 512))
    parser.add_argument("--steps", type=int, default=9)
    options = parser.parse_args()
    figures = {"steps": options.steps}
    for size in options.sizes:
        for kind in KINDS:
            for name, make in {"padding": padding, "step": step}.items():
                calls = {way: make(size, kind, s) for way, s in WAYS.items()}
                times = interleaved(calls, options.steps)
                key = f"{kind}_{size}_{name}"
                figures |= {f"{key}_{way}_ms": ms for way, ms in times.items()}
                figures[f"{key}_ratio"] = times["ours"] / times["theirs"]
    common.report("edges", figures)


if __name__ == "__main__":
    main()
