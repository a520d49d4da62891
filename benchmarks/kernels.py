"""Compare kstyle's padding and Gram matrices with TensorFlow's.

    python benchmarks/kernels.py [--sizes 256 512] [--steps 9] [--parts padding gram]

`padding`: replicate padding (`kstyle/ops/padding.py`) of the features that conv1_2
pads. `gram`: the product and its gradient (`kstyle/losses/style.py`) of the same
features. Each is timed by itself, forward and gradient, and within a step of L-BFGS on
the samples with VGG19 and `replicate`, in both precisions. Measurements alternate
between kstyle and TensorFlow; milliseconds are medians, and ratios are medians of
kstyle's over TensorFlow's.
"""

import argparse
import statistics
from unittest import mock

import common
import tensorflow as tf

import kstyle
from kstyle.losses import style
from kstyle.networks import extractor
from kstyle.ops.padding import ONE_PIXEL, PAD_MODES
from kstyle.ops.tf_utils import model_function

KINDS = ("float32", "bfloat16")
CHANNELS = 64  # of conv1_1, which conv1_2 pads


def plain_product(flat):
    """Compute `channel_products` with TensorFlow's gradient."""
    wide = tf.cast(flat, tf.float32)
    return tf.matmul(wide, wide, transpose_a=True)


def plain_padding(x, mode, width=1):
    """Compute `pad_features` by TensorFlow's own op.

    width: not used; the kernels of VGG need one pixel.
    """
    del width
    return tf.pad(x, ONE_PIXEL, PAD_MODES[mode])


# Of each part: what is timed alone, and the module, the name in it and the function
# that put TensorFlow's way in the place of kstyle's.
PARTS = {
    "padding": (
        lambda x: extractor.pad_features(x, "replicate"),
        (extractor, "pad_features", plain_padding),
    ),
    "gram": (style.gram_matrix, (style, "channel_products", plain_product)),
}


def interleaved(calls, rounds):
    """Measure each of `calls` in each round, after one call of each."""
    times = {name: [] for name in calls}
    for call in calls.values():
        call()
    for _ in range(rounds):
        for name, call in calls.items():
            times[name] += common.seconds(call, 1)
    return times


def alone(part, size, kind):
    """Return a call that computes `part` of square features, and a gradient of it."""
    x = tf.cast(tf.random.normal((1, size, size, CHANNELS)), kind)

    def both():
        y = part(x)
        return y, tf.gradients(y, x)[0]

    graph = model_function(both)
    graph()
    return graph


def step(part, size, kind):
    """Return a call that takes a step and waits for it."""
    model = common.problem("vgg19", size, padding="replicate", precision=kind)
    model.compile(kstyle.make_optimizer("lbfgs"))
    model.fit(verbose=0)
    return lambda: model.train_function(None)["loss"].numpy()


def compared(make, name, size, kind, rounds):
    """Measure the seconds of TensorFlow's code and of kstyle's.

    make: returns a traced call."""
    part, (place, attribute, theirs) = PARTS[name]
    with mock.patch.object(place, attribute, theirs):
        calls = {"theirs": make(part, size, kind)}
    return interleaved(calls | {"ours": make(part, size, kind)}, rounds)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sizes", type=int, nargs="+", default=(256, 512))
    parser.add_argument("--steps", type=int, default=9)
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=list(PARTS))
    options = parser.parse_args()
    figures = {"steps": options.steps}
    for size in options.sizes:
        for kind in KINDS:
            for part in options.parts:
                for name, make in {part: alone, f"step_{part}": step}.items():
                    times = compared(make, part, size, kind, options.steps)
                    key = f"{kind}_{size}_{name}"
                    for way, seconds in times.items():
                        figures[f"{key}_{way}_ms"] = 1e3 * statistics.median(seconds)
                    pairs = zip(times["ours"], times["theirs"], strict=True)
                    figures[f"{key}_ratio"] = statistics.median(a / b for a, b in pairs)
    common.report("kernels", figures)


if __name__ == "__main__":
    main()
