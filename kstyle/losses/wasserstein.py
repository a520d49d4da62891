"""The Wasserstein distance of features taken as normally distributed."""

from typing import Any

import keras
import numpy as np
import tensorflow as tf
from keras import ops

from kstyle.losses.moments import (
    CovarianceMomentLoss,
    covariance_and_mean,
    split_last_row,
)
from kstyle.losses.names import STYLE_BALANCE
from kstyle.losses.statistics import PositionSelection, distance_scale

# On the diagonal of both covariances, times the mean variance of the style's channels:
# deep layers of small pictures have fewer positions than channels, so their covariance
# is singular.
RELATIVE_EPSILON = 1e-4
# The least mean variance in that, in mean squares of the features: textured pictures
# have more. Where features hardly vary, rounding errors are larger than variances, and
# a covariance has negative eigenvalues.
LEAST_VARIANCE = 0.3
# Coefficients of polynomials `x (a + b x^2 + c x^4 + d x^6 + e x^8)`, applied one after
# the other: each is the closest to 1 on the interval that those before it leave of
# [4e-4, 1] (Amsel et al. 2025, "The Polar Express", section 3). The upper end is taken
# 1 % larger for all but the last, beyond which rounding errors would grow.
POLYNOMIALS = (
    (15.010354, -144.79379, 473.01742, -596.43392, 254.48500),
    (7.3467095, -17.677791, 14.490315, -4.5902199, 0.49228004),
    (6.3337392, -14.865497, 12.430567, -4.0575804, 0.45013652),
    (3.5765567, -6.7690866, 6.1152378, -2.3551323, 0.32014637),
    (2.4794531, -3.3383534, 3.0129688, -1.4289286, 0.27485794),
)


@keras.saving.register_keras_serializable("kstyle")
class WassersteinLoss(CovarianceMomentLoss):
    """Squared 2-Wasserstein distance of two normal distributions of features.

    `k W / (|mu_s|^2 + tr S_s)` with k `balance` times `distance_scale` and
    `W = |mu - mu_s|^2 + tr(S + S_s - 2 (A S A)^(1/2))`, `A = S_s^(1/2)`, for the means
    mu and the covariances S (Dowson and Landau 1982; as a style loss: K. Crowson,
    style-transfer-pytorch). `RELATIVE_EPSILON` times the style's mean variance is
    added to the diagonals of S and S_s.

    With the linear map T that transports the picture's distribution to the style's,
    from `transport_map`, the trace of the root is `tr T S`, and its gradient with
    respect to S is `T / 2`.
    """

    balance = STYLE_BALANCE["wasserstein"]

    def __init__(self, name: str = "wasserstein", **kwargs: Any) -> None:
        super().__init__(name, **kwargs)

    def finish(
        self, statistic: tf.Tensor, selection: PositionSelection | None = None
    ) -> tf.Tensor:
        """Return covariance and, as the last row, mean: `(batch, C + 1, C)`."""
        return covariance_and_mean(statistic)

    def make_target(self, statistic: tf.Tensor) -> tf.Tensor:
        """Return the style's covariance, with its diagonal, and mean as the last row.

        Rounding errors that make an eigenvalue negative are removed.
        """
        found = np.asarray(self.finish(statistic), "float64")
        covariance, mean = found[:, :-1], found[:, -1:]
        values, vectors = np.linalg.eigh(covariance)
        values = np.maximum(values, 0)
        variance = values.mean(axis=-1, keepdims=True)
        power = np.square(mean).mean(axis=-1) + variance
        values += RELATIVE_EPSILON * np.maximum(variance, LEAST_VARIANCE * power)
        covariance = (vectors * values[:, None]) @ np.swapaxes(vectors, 1, 2)
        return tf.constant(np.concatenate([covariance, mean], axis=1), "float32")

    def call(self, target: tf.Tensor, moments: tf.Tensor) -> tf.Tensor:
        """Compare `(batch, C + 1, C)` of `make_target` and of `finish`: `(batch,)`."""
        channels = target.shape[-1]
        style, style_mean = split_last_row(target)
        covariance, mean = split_last_row(moments)
        style_trace = tf.linalg.trace(style)
        power = ops.sum(ops.square(style_mean), axis=1) + style_trace
        squares = ops.sum(ops.square(mean), axis=1) + tf.linalg.trace(covariance)
        least = LEAST_VARIANCE * ops.stop_gradient(ops.maximum(power, squares))
        spread = ops.maximum(style_trace / (1 + RELATIVE_EPSILON), least)
        epsilon = RELATIVE_EPSILON * spread / channels
        covariance = covariance + epsilon[:, None, None] * ops.eye(channels)
        distance = ops.sum(ops.square(mean - style_mean), axis=1)
        distance += ops.maximum(bures_distance(style, covariance), 0.0)
        return self.balance * distance_scale(power / channels) * distance / power


def bures_distance(style: tf.Tensor, covariance: tf.Tensor) -> tf.Tensor:
    """Compute `tr(S + A^2 - 2 (A S A)^(1/2))`, `(batch,)`, of `style` A^2 and S.

    Its gradient with respect to S is I - T, with T the `transport_map`.
    """
    constant = ops.stop_gradient(covariance)
    transport = ops.stop_gradient(transport_map(style, constant))
    # A covariance of a picture of one colour can consist of rounding errors alone, and
    # the iteration then diverges. Without a map the distance pulls its variance to 0.
    traces = tf.linalg.trace(style), tf.linalg.trace(constant)
    largest = 1.01 * ops.sqrt(ops.maximum(traces[0] * traces[1], 0.0))
    root = ops.sum(transport * constant, axis=(1, 2))
    is_map = ops.abs(root) <= largest
    transport = ops.where(is_map[:, None, None], transport, 0.0)
    root = ops.where(is_map, root, 0.0)
    # The first term has the gradient, and lacks the second half of the root.
    pull = ops.eye(style.shape[-1]) - transport
    return ops.sum(pull * covariance, axis=(1, 2)) + traces[0] - root


def transport_map(style: tf.Tensor, covariance: tf.Tensor) -> tf.Tensor:
    """Compute `T = A (A S A)^(-1/2) A`, for which `T S T = A^2`: `(batch, C, C)`.

    style, covariance: A^2 and S, positive definite `(batch, C, C)`.

    T is `(A^2 S)^(-1/2) A^2`, to which the second matrix of a coupled Newton-Schulz
    iteration converges that begins with S and A^2 (Higham 2008, theorems 5.2 and 6.9):
    matrix products only, 24 with `POLYNOMIALS`, and none is rounded before the first
    step, which would lose small eigenvalues. Where S is almost singular, as with fewer
    positions than channels, T is too small in the directions in which the picture's
    features do not vary. `benchmarks/transport_map.py` tells how exact the gradient is.
    """
    traces = [
        ops.maximum(tf.linalg.trace(x), 1e-30)[:, None, None]
        for x in (style, covariance)
    ]
    # Products of large features would not fit float32.
    z, y = style / traces[0], covariance / traces[1]
    product = z @ y
    # A bound of its eigenvalues, which are the squares of those in the iteration.
    squares = ops.sum(product * ops.swapaxes(product, 1, 2), axis=(1, 2), keepdims=True)
    bound = ops.sqrt(ops.maximum(squares, 1e-30))
    y, z, product = y / ops.sqrt(bound), z / ops.sqrt(bound), product / bound
    identity = ops.eye(style.shape[-1])[None]
    for number, (a, b, c, d, e) in enumerate(POLYNOMIALS):
        if number:
            product = z @ y
        square = product @ product
        factor = c * identity + d * product + e * square
        factor = a * identity + b * product + factor @ square
        z = factor @ z
        if number < len(POLYNOMIALS) - 1:
            y = y @ factor
    transport = z * ops.sqrt(traces[0] / traces[1])
    return (transport + ops.swapaxes(transport, 1, 2)) / 2
