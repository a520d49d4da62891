"""A step in bfloat16 against one in float32, and the losses that runs in both end at.

    python benchmarks/precision.py [--sizes 256 512] [--steps 5]
        [--pair CONTENT STYLE]... [--run-size 256] [--run-steps 60]

Steps are interleaved, one of bfloat16 after one of float32; the ratio is that of the
medians. Of each pair (three of the samples by default) whole runs with the default
scales are compared by their final losses, which are measured in float32 whatever the
run was computed in; each loss is over that of the run in float32.
"""

import argparse
import statistics
import tempfile
from pathlib import Path

import common

import kstyle
from kstyle.hardware.machine import why_bfloat16_is_slow
from kstyle.planning import calibration

KINDS = ("float32", "bfloat16")


def step_seconds(size, steps):
    """Measure the median seconds of a step in each precision, interleaved."""
    models, times = {}, {kind: [] for kind in KINDS}
    for kind in KINDS:
        network = {"padding": "replicate", "precision": kind}
        models[kind] = common.problem("vgg19", size, **network)
        models[kind].compile(kstyle.make_optimizer("lbfgs"))
        models[kind].fit(steps_per_epoch=1, verbose=0)  # it traces both graphs
    for _ in range(steps):
        for kind, model in models.items():
            times[kind] += common.seconds(lambda m=model: m.train_function(data()), 1)
    return {kind: statistics.median(values) for kind, values in times.items()}


def data():
    """Return an iterator for Keras's graph of a step; its values do not matter."""
    return iter(common.tf.data.Dataset.from_tensors(0))


def final_loss(pair, kind, size, steps, folder):
    """Return the final float32 loss of a run of `pair` in the precision `kind`."""
    options = {"size": size, "steps": steps, "scale_steps": steps, "logdir": folder}
    options |= {"snapshot_every": 0, "checkpoint_every": "0", "precision": kind}
    config = kstyle.StyleConfig(content=pair[0], style=pair[1], **options)
    return kstyle.stylize(config).losses["loss"]


def loss_ratios(pairs, size, steps):
    """Return `{pair_precision: final loss over that of float32}`."""
    found = {}
    with tempfile.TemporaryDirectory() as folder:
        for pair in pairs:
            name = "_".join(Path(p.removeprefix("sample:")).stem for p in pair)
            exact = final_loss(pair, "float32", size, steps, folder)
            for kind in ("bfloat16", "mixed"):
                loss = final_loss(pair, kind, size, steps, folder)
                found[f"{name}_{kind}_loss_ratio"] = loss / exact
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sizes", type=int, nargs="+", default=(256, 512))
    parser.add_argument("--steps", type=int, default=5)
    parser.add_argument("--pair", nargs=2, action="append", dest="pairs")
    parser.add_argument("--run-size", type=int, default=256)
    parser.add_argument("--run-steps", type=int, default=60)
    options = parser.parse_args()
    fast = why_bfloat16_is_slow("auto") is None
    if not fast:
        print("This machine has no units for bfloat16: expect it to be slower here.")
    figures = {"bfloat16_units": fast, "steps": options.steps}
    for kind in KINDS:
        figures[f"{kind}_product_gflops"] = calibration.matmul_peak(
            kind, 1024, rounds=3
        )
    for size in options.sizes:
        times = step_seconds(size, options.steps)
        figures |= {f"{kind}_{size}_ms": 1e3 * times[kind] for kind in KINDS}
        figures[f"ratio_{size}"] = times["bfloat16"] / times["float32"]
    runs = options.pairs or common.PAIRS, options.run_size, options.run_steps
    figures |= {"run_size": options.run_size, "run_steps": options.run_steps}
    common.report("precision", figures | loss_ratios(*runs))


if __name__ == "__main__":
    main()
