"""What each style statistic and other losses cost a step, next to Gram matrices.

    python benchmarks/style_losses.py [--size 512] [--steps 15] [--precision auto]
                                    [--names wasserstein,palette] [--square]

Names are those of style statistics, `self-similarity` (of the content), `palette`, and
`regions`: two halves of the picture, each with a style.

Evaluations of the losses and their gradient, one after the other in one process, since
a machine's speed drifts; a cost is the median over the rounds of the ratio to the Gram
matrices' evaluation in the same round.
"""

import argparse
import statistics

import common
import keras
import numpy as np

import kstyle
from kstyle.hardware.machine import THIS_MACHINE
from kstyle.hardware.precision import resolve_precision
from kstyle.losses.names import STYLE_LOSS_NAMES
from kstyle.transfer.selections import layer_sizes
from kstyle.transfer.targets import compute_targets

GRAM = STYLE_LOSS_NAMES[0]
STYLE_LAYERS = dict.fromkeys(common.STYLE_LAYERS, 200)
HALVES = ("left", "right")
OTHERS = {
    "self-similarity": {"content_loss": "self-similarity"},
    "palette": {"palette": 1000},
    "regions": {"regions": dict.fromkeys(HALVES, STYLE_LAYERS)},
}


def half_weights(extractor, size):
    """Return the position weights of the terms of two halves of a picture."""
    sizes = layer_sizes(extractor, size)
    found = {}
    for layer in STYLE_LAYERS:
        left = np.zeros(sizes[layer], "float32")
        left[:, : left.shape[1] // 2] = 1
        found[f"style/{layer}/left"] = left
        found[f"style/{layer}/right"] = 1 - left
    return found


def evaluation(extractor, content, style, name):
    """Return a function that evaluates the losses and gradient of a variant."""
    options = OTHERS.get(name, {"style_loss": name})
    terms = kstyle.loss_terms(
        {common.CONTENT_LAYER: 8}, STYLE_LAYERS, tv=200, **options
    )
    weights = half_weights(extractor, content.shape[:2]) if name == "regions" else {}
    sources = ("style", *(f"style/{half}" for half in HALVES))
    pictures = {"content": content, **dict.fromkeys(sources, style)}
    model = kstyle.StyleTransfer(
        extractor,
        terms,
        content,
        style,
        targets=compute_targets(extractor, terms, pictures),
        position_weights=weights,
    )
    model.compile(keras.optimizers.Adam())

    def evaluate():
        float(model.evaluate_losses()["loss"])

    return evaluate


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", type=int, default=512, help="long edge, px")
    parser.add_argument("--square", action="store_true", help="both edges of that size")
    parser.add_argument("--steps", type=int, default=15, help="rounds")
    parser.add_argument("--net", default="vgg19")
    parser.add_argument("--precision", default="auto")
    parser.add_argument("--names", default=",".join([*STYLE_LOSS_NAMES[1:], *OTHERS]))
    options = parser.parse_args()
    names = [GRAM, *options.names.split(",")]
    precision = resolve_precision(options.precision, "auto", THIS_MACHINE)
    content, style = common.pictures(options.size, options.square)
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
