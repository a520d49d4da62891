"""What each style statistic costs a step, next to Gram matrices.

    python benchmarks/style_losses.py [--size 512] [--steps 15] [--precision auto]
                                    [--names wasserstein,emd]

Evaluations of the losses and their gradient, one of each statistic after the other in
one process, since a machine's speed drifts; a cost is the median over the rounds of the
ratio to the Gram matrices' evaluation in the same round.
"""

import argparse
import statistics

import common
import keras

import kstyle
from kstyle.hardware.machine import THIS_MACHINE
from kstyle.hardware.precision import resolve_precision
from kstyle.losses.names import STYLE_LOSS_NAMES

GRAM = STYLE_LOSS_NAMES[0]


def evaluation(extractor, content, style, name):
    """Return a function that evaluates the losses and gradient with a statistic."""
    terms = kstyle.loss_terms(
        {common.CONTENT_LAYER: 8},
        dict.fromkeys(common.STYLE_LAYERS, 200),
        tv=200,
        style_loss=name,
    )
    model = kstyle.StyleTransfer(extractor, terms, content, style)
    model.compile(keras.optimizers.Adam())

    def evaluate():
        float(model.evaluate_losses()["loss"])

    return evaluate


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", type=int, default=512, help="long edge, px")
    parser.add_argument("--steps", type=int, default=15, help="rounds")
    parser.add_argument("--net", default="vgg19")
    parser.add_argument("--precision", default="auto")
    parser.add_argument("--names", default=",".join(STYLE_LOSS_NAMES[1:]))
    options = parser.parse_args()
    names = [GRAM, *options.names.split(",")]
    precision = resolve_precision(options.precision, "auto", THIS_MACHINE)
    content, style = common.pictures(options.size)
    layers = (common.CONTENT_LAYER, *common.STYLE_LAYERS)
    extractor = kstyle.build_extractor(options.net, layers, precision=precision)
    calls = {n: evaluation(extractor, content, style, n) for n in names}
    times = common.interleaved_seconds(calls, options.steps)
    figures = {"size": options.size, "net": options.net, "precision": precision}
    figures |= {"gram_ms": 1e3 * statistics.median(times[GRAM])}
    for name in names[1:]:
        figures[name] = common.median_ratio(times[name], times[GRAM])
    common.report("style_losses", figures)


if __name__ == "__main__":
    main()
