"""Published measures of similarity, which use neither VGG19 nor Gram matrices.

- LPIPS: R. Zhang, P. Isola, A. Efros, E. Shechtman and O. Wang, "The Unreasonable
  Effectiveness of Deep Features as a Perceptual Metric", CVPR 2018; version 0.1 of
  their program.
- DISTS: K. Ding, K. Ma, S. Wang and E. Simoncelli, "Image Quality Assessment: Unifying
  Structure and Texture Similarity", IEEE TPAMI 2020, equations 2 to 5.
- SIFID: T. Shaham, T. Dekel and T. Michaeli, "SinGAN", ICCV 2019, section 4.2; here
  with VGG16's features in place of Inception's, also those before the second pooling.
- SSIM: Z. Wang, A. Bovik, H. Sheikh and E. Simoncelli, "Image Quality Assessment: From
  Error Visibility to Structural Similarity", IEEE TIP 2004.

Their networks are AlexNet and VGG16 as trained: zero padding and, but for DISTS,
maximum pooling. How near the packaged weights come to the published ones is in
docs/experiments.md.
"""

import functools
import io
import zipfile
from collections.abc import Mapping, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from keras import ops

from kstyle.errors import WeightsError
from kstyle.experiments.scoring.mixtures import Mixture, as_mixture, shrink_style
from kstyle.images.picture import cover
from kstyle.networks.extractor import POOLING_LAYERS, build_extractor
from kstyle.networks.registry import get_chain
from kstyle.networks.weights import BUILTIN_FOLDER
from kstyle.npz import open_npz

MEASURES_FILE = "measures.npz"
VGG_LAYERS = ("conv1_2", "conv2_2", "conv3_3", "conv4_3", "conv5_3")
SIFID_LAYER = "conv2_2"
SSIM_WINDOW = 11  # px
# The packaged VGG16 has torchvision's features times this (data/weights/SOURCES.md).
# LPIPS does not depend on the scale; the constants of DISTS and the unit of SIFID do.
CAFFE_SCALE = 57.6
LPIPS_EPSILON = 1e-10  # added to the length of a position's features
DISTS_EPSILON = 1e-6  # c1 and c2 of the article
POOLING_EPSILON = 1e-12  # under the root of the L2 pooling

Features = Mapping[str, tf.Tensor]  # layer to (1, H, W, C)
Heads = Mapping[str, np.ndarray]  # layer to a weight for each channel
Moments = tuple[np.ndarray, np.ndarray]  # mean (C,) and covariance (C, C)


class PerceptualJudge:
    """Measures how far results are from one content and one style picture.

    content, style: float RGB `(height, width, 3)` in [0, 1]; content at the size of
        the results, style as large as it is: SIFID compares all of it at the scale of
        the results, DISTS the middle that fills their frame. Of a style of several
        pictures DISTS is the mean by their shares, and SIFID compares with the moments
        of all their positions.
    """

    def __init__(self, content: np.ndarray, style: np.ndarray | Mixture) -> None:
        self.content = np.asarray(content, "float32")
        self.styles, moments = [], []
        for share, picture in as_mixture(style):
            self.styles.append((share, cover(picture, self.content.shape[:2])))
            whole = shrink_style(picture, self.content.shape[:2])
            found = feature_moments(vgg_features(whole)[SIFID_LAYER])
            moments.append((share, found))
        self.style_moments = mix_moments(moments)

    def measures(self, picture: np.ndarray) -> dict[str, float]:
        """Return the measures of a result of the content's size, `{name: float}`.

        `lpips` and `ssim` are NaN for a picture too small for them.
        """
        picture = np.asarray(picture, "float32")
        found = vgg_features(picture)
        textures = dists_features(picture)
        return {
            "lpips": alexnet_lpips(picture, self.content),
            "lpips_vgg": lpips(found, vgg_features(self.content), vgg_heads()),
            "dists_content": dists(textures, dists_features(self.content)),
            "dists_style": sum(
                share * dists(textures, dists_features(style))
                for share, style in self.styles
            ),
            "sifid": frechet_distance(
                feature_moments(found[SIFID_LAYER]), self.style_moments
            ),
            "ssim": ssim(picture, self.content),
        }


@functools.cache
def measure_weights() -> dict[str, np.ndarray]:
    """Read the numbers of LPIPS and DISTS that come with the package.

    Returns: float32 `lpips_alexnet/1` to `/5` and `lpips_vgg16/1` to `/5`, a weight
        for each channel of the layers in order; `dists/alpha` and `dists/beta`.
    Raises: WeightsError: the file is missing or damaged.
    """
    try:
        content = (BUILTIN_FOLDER / MEASURES_FILE).read_bytes()
        with open_npz(io.BytesIO(content)) as arrays:
            return dict(arrays)
    except (OSError, ValueError, zipfile.BadZipFile) as error:
        raise WeightsError(
            f"kstyle's own {MEASURES_FILE} cannot be read ({error}). Reinstall kstyle."
        ) from error


def lpips_heads(net: str, layers: tuple[str, ...]) -> Heads:
    """Return the linear layers of LPIPS for the features of `layers`."""
    weights = measure_weights()
    return {
        layer: weights[f"lpips_{net}/{number}"]
        for number, layer in enumerate(layers, start=1)
    }


def vgg_heads() -> Heads:
    """Return the linear layers of LPIPS for VGG16."""
    return lpips_heads("vgg16", VGG_LAYERS)


@functools.cache
def vgg_extractor() -> keras.Model:
    """Return VGG16 as it was trained."""
    return build_extractor("vgg16", VGG_LAYERS, pool="max", padding="same")


@functools.cache
def alexnet_extractor() -> keras.Model:
    """Return AlexNet as it was trained."""
    return build_extractor("alexnet", alexnet_layers(), pool="max", padding="same")


def alexnet_layers() -> tuple[str, ...]:
    """Return the names of AlexNet's convolutions, whose features LPIPS compares."""
    layers = get_chain("alexnet").layers
    return tuple(layer.name for layer in layers if layer.is_conv)


@functools.cache
def dists_extractor() -> keras.Model:
    """Return VGG16 with the same weights, and L2 pooling in place of the maximum."""

    def pooled(layer: keras.layers.Layer) -> keras.layers.Layer:
        if isinstance(layer, POOLING_LAYERS):
            return L2Pooling(name=layer.name)
        return layer

    return keras.models.clone_model(vgg_extractor(), clone_function=pooled)


@keras.saving.register_keras_serializable("kstyle")
class L2Pooling(keras.layers.Layer):
    """The root of weighted means of squares: a 3 x 3 Hann window at every second pixel.

    `(batch, H, W, C)` to `(batch, ceil(H / 2), ceil(W / 2), C)`, zeros outside.
    """

    def call(self, features: tf.Tensor) -> tf.Tensor:
        squares = ops.pad(ops.square(features), ((0, 0), (1, 1), (1, 1), (0, 0)))
        rows = hann_sums(squares[:, :-2:2], squares[:, 1:-1:2], squares[:, 2::2])
        means = hann_sums(rows[:, :, :-2:2], rows[:, :, 1:-1:2], rows[:, :, 2::2])
        return ops.sqrt(means + POOLING_EPSILON * CAFFE_SCALE**2)

    def compute_output_shape(self, shape: tuple[Any, ...]) -> tuple[Any, ...]:
        return (shape[0], *(n and -(-n // 2) for n in shape[1:3]), shape[3])


def hann_sums(before: tf.Tensor, at: tf.Tensor, after: tf.Tensor) -> tf.Tensor:
    """Weight three neighbours with a Hann window of sum 1."""
    return 0.25 * before + 0.5 * at + 0.25 * after


def vgg_features(picture: np.ndarray) -> Features:
    """Return VGG16's features of a picture `(H, W, 3)` at `VGG_LAYERS`."""
    return vgg_extractor()(picture[None])


def dists_features(picture: np.ndarray) -> Features:
    """Return what DISTS compares: the pixels, and features at torchvision's scale."""
    found = dists_extractor()(picture[None])
    scaled = {layer: found[layer] / CAFFE_SCALE for layer in VGG_LAYERS}
    return {"pixels": tf.convert_to_tensor(picture[None]), **scaled}


def alexnet_lpips(picture: np.ndarray, content: np.ndarray) -> float:
    """Return LPIPS by AlexNet; NaN if the pictures are too small for it."""
    layers = alexnet_layers()
    if min(picture.shape[:2]) < get_chain("alexnet").minimum_size(layers):
        return float("nan")
    extractor = alexnet_extractor()
    return lpips(
        extractor(picture[None]),
        extractor(content[None]),
        lpips_heads("alexnet", layers),
    )


def lpips(a: Features, b: Features, heads: Heads) -> float:
    """Return LPIPS of two pictures' features: 0 for equal ones, higher = less similar.

    The sum over the layers of the mean over the positions of
    `sum over channels of w (a / |a| - b / |b|)^2`, |a| being the length of a position's
    features: equation 1 of the article.
    """
    total = 0.0
    for layer, weights in heads.items():
        squares = ops.square(unit_length(a[layer]) - unit_length(b[layer]))
        total += float(ops.sum(ops.mean(squares, (0, 1, 2)) * weights))
    return total


def unit_length(features: tf.Tensor) -> tf.Tensor:
    """Divide the features of each position by their length."""
    lengths = ops.sqrt(ops.sum(ops.square(features), axis=-1, keepdims=True))
    return features / (lengths + LPIPS_EPSILON)


def dists(a: Features, b: Features) -> float:
    """Return DISTS of two pictures' `dists_features`, which have one size.

    `1 - sum over channels of (alpha l + beta s)` with the texture term
    `l = (2 m n + c) / (m^2 + n^2 + c)` of the means m and n over the positions, and the
    structure term `s = (2 cov + c) / (var + var' + c)`; alpha and beta sum to 1.
    0 for equal pictures; higher = less similar.
    """
    texture, structure = [], []
    for layer in a:
        means = [ops.mean(x[layer], (0, 1, 2)) for x in (a, b)]
        rest = [x[layer] - mean for x, mean in zip((a, b), means, strict=True)]
        variances = [ops.mean(ops.square(x), (0, 1, 2)) for x in rest]
        texture.append(similarity(means[0] * means[1], *map(ops.square, means)))
        covariance = ops.mean(rest[0] * rest[1], (0, 1, 2))
        structure.append(similarity(covariance, *variances))
    weights = measure_weights()
    alpha = weights["dists/alpha"].astype("float64")
    beta = weights["dists/beta"].astype("float64")
    weighted = alpha @ np.concatenate(texture) + beta @ np.concatenate(structure)
    return float(1 - weighted / (alpha.sum() + beta.sum()))


def similarity(product: tf.Tensor, square: tf.Tensor, other: tf.Tensor) -> np.ndarray:
    """Return `(2 product + c) / (square + other + c)` of each channel."""
    ratio = (2 * product + DISTS_EPSILON) / (square + other + DISTS_EPSILON)
    return ops.convert_to_numpy(ratio).astype("float64")


def feature_moments(features: tf.Tensor) -> Moments:
    """Return mean and covariance over the positions, at torchvision's scale."""
    channels = features.shape[-1]
    flat = ops.convert_to_numpy(features).reshape(-1, channels) / CAFFE_SCALE
    mean = flat.mean(0, dtype="float64")
    centred = flat - mean.astype("float32")
    return mean, (centred.T @ centred).astype("float64") / len(flat)


def mix_moments(moments: Sequence[tuple[float, Moments]]) -> Moments:
    """Return mean and covariance of distributions that are mixed by their shares."""
    mean = sum(share * m for share, (m, _) in moments)
    covariance = sum(
        share * (c + np.outer(m - mean, m - mean)) for share, (m, c) in moments
    )
    return np.asarray(mean), np.asarray(covariance)


def frechet_distance(a: Moments, b: Moments) -> float:
    """Return the squared Fréchet distance of two normal distributions.

    `|m - n|^2 + trace(A + B - 2 (A B)^(1/2))` with means m and n, covariances A and B:
    D. Dowson and B. Landau, J. Multivariate Analysis 1982.
    """
    (mean, covariance), (other_mean, other) = a, b
    # A B has the eigenvalues of the symmetric A^(1/2) B A^(1/2).
    values, vectors = np.linalg.eigh(covariance)
    root = (vectors * np.sqrt(np.maximum(values, 0))) @ vectors.T
    product = np.linalg.eigvalsh(root @ other @ root)
    trace = np.trace(covariance) + np.trace(other)
    shared = np.sqrt(np.maximum(product, 0)).sum()
    distance = np.square(mean - other_mean).sum() + trace - 2 * shared
    return float(max(distance, 0.0))  # rounding may leave less than 0


def ssim(picture: np.ndarray, content: np.ndarray) -> float:
    """Return the structural similarity of the luma: 1 for equal pictures.

    As published: Gaussian window of 11 px and 1.5 px, K1 0.01, K2 0.03, only positions
    where the window is all inside; no shrinking before. NaN for less than 11 px.
    """
    if min(picture.shape[:2]) < SSIM_WINDOW:
        return float("nan")
    lumas = [tf.image.rgb_to_grayscale(x[None]) for x in (picture, content)]
    return float(tf.image.ssim(*lumas, max_val=1.0, filter_size=SSIM_WINDOW)[0])
