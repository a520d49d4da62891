"""How exact the gradient of `wasserstein` is, next to eigenvalues in float64.

    python benchmarks/transport_map.py [--sizes 192 512] [--steps 60]
        [--pair CONTENT STYLE]...

For each pair (three of the samples by default), the photograph and the picture that a
run with `--style-loss wasserstein` makes of it: the error of the features' gradient,
`(T - T_exact) F` over `(I - T_exact) F`, at each style layer; the largest and the
median of the pairs and sizes.
"""

import argparse
import statistics
import tempfile

import common
import numpy as np
import tensorflow as tf

import kstyle
from kstyle.losses.wasserstein import RELATIVE_EPSILON, WassersteinLoss, transport_map


def painted(pair, size, steps):
    """Paint a pair with `wasserstein`."""
    options = {"content": pair[0], "style": pair[1], "size": size, "steps": steps}
    with tempfile.TemporaryDirectory() as folder:
        run = {"logdir": folder, "snapshot_every": 0, "style_loss": "wasserstein"}
        return kstyle.stylize(kstyle.StyleConfig(**options, **run)).picture.pixels


def root(matrix, power):
    """Compute a power of a symmetric matrix by its eigenvalues."""
    values, vectors = np.linalg.eigh(matrix)
    values = np.maximum(values, 1e-15 * values.max())
    return (vectors * values**power) @ vectors.T


def gradient_error(loss, style_features, features):
    """Compare the gradients of a layer, of `transport_map` and of eigenvalues."""
    target = loss.make_target(loss.collect(style_features, {}))
    style, moments = target[:, :-1], loss.represent(features)[:, :-1]
    channels = style.shape[-1]
    epsilon = RELATIVE_EPSILON / (1 + RELATIVE_EPSILON) * tf.linalg.trace(style)[0]
    diagonal = epsilon / channels * tf.eye(channels)
    found = np.float64(transport_map(style, moments + diagonal)[0].numpy())
    flat = np.float64(features.numpy()).reshape(-1, channels)
    flat -= flat.mean(axis=0)
    covariance = flat.T @ flat / len(flat) + np.float64(diagonal.numpy())
    half = root(np.float64(style[0].numpy()), 0.5)
    exact = half @ root(half @ covariance @ half, -0.5) @ half
    error = np.linalg.norm(flat @ (found - exact))
    return error / np.linalg.norm(flat @ (np.eye(channels) - exact))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sizes", type=int, nargs="+", default=(192, 512))
    parser.add_argument("--steps", type=int, default=kstyle.StyleConfig().steps)
    parser.add_argument("--pair", nargs=2, action="append", dest="pairs")
    options = parser.parse_args()
    layers, loss = common.STYLE_LAYERS, WassersteinLoss()
    extractor = kstyle.build_extractor("vgg19", layers, precision="float32")
    errors = {}
    for pair in options.pairs or common.PAIRS:
        for size in options.sizes:
            style = extractor(common.read_resized(pair[1], size)[None])
            pictures = {"photo": common.read_resized(pair[0], size)}
            pictures["painted"] = painted(pair, size, options.steps)
            for kind, pixels in pictures.items():
                features = extractor(pixels[None])
                for layer in layers:
                    error = gradient_error(loss, style[layer], features[layer])
                    errors.setdefault(f"{kind}_{layer}", []).append(error)
    figures = {"sizes": list(options.sizes)}
    for name, values in errors.items():
        figures |= {f"{name}_max": max(values)}
        figures |= {f"{name}_median": statistics.median(values)}
    common.report("transport_map", figures)


if __name__ == "__main__":
    main()
