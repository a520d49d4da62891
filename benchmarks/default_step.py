"""What a step of the default costs, next to the earlier default.

    python benchmarks/default_step.py [--size 512] [--steps 15] [--precision auto]

Evaluations of the losses and their gradient, one after the other in one process,
since a machine's speed drifts; the ratio is the median over the rounds. The earlier
default is `--style-weights none`. How long the solution of the weights takes, once a
scale, is not in it.
"""

import argparse
import statistics

import common
import keras

import kstyle
from kstyle.hardware.machine import THIS_MACHINE
from kstyle.hardware.precision import resolve_precision
from kstyle.runs.model_options import build_terms


def evaluation(extractor, content, style, config):
    """Return a function that evaluates the losses and gradient of a config."""
    model = kstyle.StyleTransfer(extractor, build_terms(config), content, style)
    model.compile(keras.optimizers.Adam())
    return lambda: float(model.evaluate_losses()["loss"])


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", type=int, default=512, help="long edge, px")
    parser.add_argument("--steps", type=int, default=15, help="rounds")
    parser.add_argument("--precision", default="auto")
    options = parser.parse_args()
    precision = resolve_precision(options.precision, "auto", THIS_MACHINE)
    configs = {
        "earlier": kstyle.StyleConfig(style_weights=None),
        "default": kstyle.StyleConfig(),
    }
    content, style = common.pictures(options.size)
    net, layers = configs["default"].net, configs["default"].layers()
    extractor = kstyle.build_extractor(net, layers, precision=precision)
    calls = {
        name: evaluation(extractor, content, style, config)
        for name, config in configs.items()
    }
    times = common.interleaved_seconds(calls, options.steps)
    figures = {
        "size": options.size,
        "precision": precision,
        "earlier_ms": 1e3 * statistics.median(times["earlier"]),
        "ratio": common.median_ratio(times["default"], times["earlier"]),
    }
    common.report("default_step", figures)


if __name__ == "__main__":
    main()
