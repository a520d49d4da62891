"""The Wasserstein distance of features taken as normally distributed."""

import math
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from keras import ops

from kstyle.losses.moments import CovarianceMomentLoss, split_covariance
from kstyle.losses.statistics import distance_scale

# On the diagonal of both covariances, times the mean variance of the style's channels:
# deep layers of small pictures have fewer positions than channels, so their covariance
# is singular.
RELATIVE_EPSILON = 1e-4
NEWTON_STEPS = 13
# Square root of the smallest eigenvalue, next to the largest, that the steps are
# scaled for.
SMALLEST_ROOT = 1e-3


@keras.saving.register_keras_serializable("kstyle")
class WassersteinLoss(CovarianceMomentLoss):
    """Squared 2-Wasserstein distance of two normal distributions of features.

    `k W / (|mu_s|^2 + tr S_s)` with k `balance` times `distance_scale` and
    `W = |mu - mu_s|^2 + tr(S + S_s - 2 (A S A)^(1/2))`, `A = S_s^(1/2)`, for the means
    mu and the covariances S (Dowson and Landau 1982; as a style loss: K. Crowson,
    style-transfer-pytorch). `RELATIVE_EPSILON` times the style's mean variance is
    added to the diagonals of S and S_s.

    The root is computed by `matrix_roots`. Its gradient is not that of the iteration
    but the exact one, `d tr (A S A)^(1/2) / dS = A (A S A)^(-1/2) A / 2`, which takes
    two more products.
    """

    balance = 1 / 16

    def __init__(self, name: str = "wasserstein", **kwargs: Any) -> None:
        super().__init__(name, **kwargs)

    def finish(self, statistic: tf.Tensor) -> tf.Tensor:
        """Return covariance and, as the last row, mean: `(batch, C + 1, C)`."""
        covariance, mean = split_covariance(statistic)
        return ops.concatenate([covariance, mean[:, None]], axis=1)

    def make_target(self, statistic: tf.Tensor) -> tf.Tensor:
        """Return `A`, the root of the style's covariance, and the mean as last row."""
        found = np.asarray(self.finish(statistic), "float64")
        covariance, mean = found[:, :-1], found[:, -1:]
        values, vectors = np.linalg.eigh(covariance)
        values = np.maximum(values, 0)
        values += RELATIVE_EPSILON * values.mean(axis=-1, keepdims=True)
        root = (vectors * np.sqrt(values)[:, None]) @ np.swapaxes(vectors, 1, 2)
        return tf.constant(np.concatenate([root, mean], axis=1), "float32")

    def call(self, target: tf.Tensor, moments: tf.Tensor) -> tf.Tensor:
        """Compare `(batch, C + 1, C)` of `make_target` and of `finish`: `(batch,)`."""
        channels = target.shape[-1]
        root, style_mean = target[:, :-1], target[:, -1]
        covariance, mean = moments[:, :-1], moments[:, -1]
        style_trace = ops.sum(ops.square(root), axis=(1, 2))
        epsilon = RELATIVE_EPSILON / (1 + RELATIVE_EPSILON) * style_trace / channels
        covariance = covariance + epsilon[:, None, None] * ops.eye(channels)
        bures = ops.trace(covariance, axis1=1, axis2=2) + style_trace
        bures -= 2 * trace_of_root(root, covariance)
        distance = ops.sum(ops.square(mean - style_mean), axis=1)
        distance += ops.maximum(bures, 0.0)
        power = ops.sum(ops.square(style_mean), axis=1) + style_trace
        return self.balance * distance_scale(power / channels) * distance / power


def trace_of_root(root: tf.Tensor, covariance: tf.Tensor) -> tf.Tensor:
    """Compute `tr (A S A)^(1/2)`, `(batch,)`, of `root` A and `covariance` S.

    Its gradient with respect to S is `A (A S A)^(-1/2) A / 2`.
    """
    constant = ops.stop_gradient(covariance)
    roots = matrix_roots(root @ constant @ root)
    value, inverse = (ops.stop_gradient(x) for x in roots)
    gradient = root @ inverse @ root / 2
    # 0, with the gradient that is wanted.
    change = ops.sum(gradient * (covariance - constant), axis=(1, 2))
    return ops.trace(value, axis1=1, axis2=2) + change


def matrix_roots(matrix: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Compute `M^(1/2)` and `M^(-1/2)` of positive definite `(batch, C, C)` matrices.

    Coupled Newton-Schulz iteration (Higham 2008, eq. 6.35), scaled as in Chen and Chow
    2014: far fewer steps where the eigenvalues lie far apart. Matrix products only.
    Roots of eigenvalues below `SMALLEST_ROOT^2` of the largest come out too small.
    """
    channels = matrix.shape[-1]
    norm = ops.sqrt(ops.sum(ops.square(matrix), axis=(1, 2), keepdims=True))
    norm = ops.maximum(norm, 1e-30)
    identity = ops.eye(channels)
    y, z = matrix / norm, ops.broadcast_to(identity, ops.shape(matrix))
    least = SMALLEST_ROOT
    for _ in range(NEWTON_STEPS):
        alpha = math.sqrt(3 / (1 + least + least**2))
        step = 1.5 * alpha * identity - 0.5 * alpha**3 * (z @ y)
        y, z = y @ step, step @ z
        least = min(1.0, 0.5 * alpha * least * (3 - alpha**2 * least**2))
    return y * ops.sqrt(norm), z / ops.sqrt(norm)
