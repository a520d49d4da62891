"""Losses of moments: means over positions of features and of their products."""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from keras import ops

from kstyle.errors import ConfigError
from kstyle.losses.base import half_square_sum
from kstyle.losses.names import STYLE_BALANCE
from kstyle.losses.statistics import (
    STYLE_FACTOR,
    PositionSelection,
    StatisticLoss,
    distance_scale,
)
from kstyle.losses.style import gram_matrix, products_and_sum

STD_EPSILON = 1e-5  # of the variance, as in AdaIN


class MomentLoss(StatisticLoss):
    """Compares raw moments: weighted means over positions of F, F^2 or `F F^T`.

    With weights w of the positions, `collect` computes `sum(w m(F)) / positions` of a
    tile and `complete` divides by the mean w of the whole layer, so that the result
    is `sum(w m(F)) / sum(w)`: the weights are not squared. Several styles are blended
    as raw moments. (Central moments, such as covariances, would lose the difference
    of the styles' means; they are computed from the raw ones in `finish`.)
    """

    def select(
        self,
        size: tuple[int, int],
        weights: np.ndarray | None = None,
        *,
        share: float = 1.0,
        draw: int = 0,
    ) -> dict[str, np.ndarray]:
        """Return `weights` and their mean; nothing if all positions count alike."""
        if weights is None:
            return {}
        weights = np.asarray(weights, "float32")
        check_position_weights(weights, size)
        mean = np.asarray(np.mean(weights, dtype="float64"), "float32")
        return {"weights": weights, "mean_weight": mean}

    def select_tile(
        self,
        selection: PositionSelection,
        rows: tuple[int, int],
        columns: tuple[int, int],
    ) -> dict[str, np.ndarray]:
        """Crop the weights; their mean stays that of the whole layer."""
        if not selection:
            return {}
        weights = selection["weights"][slice(*rows), slice(*columns)]
        return {**selection, "weights": weights}

    def complete(self, collected: tf.Tensor, selection: PositionSelection) -> tf.Tensor:
        """Divide by the mean weight of the positions."""
        return collected / selection["mean_weight"] if selection else collected

    def blend(
        self, statistics: Sequence[tf.Tensor], shares: Sequence[float]
    ) -> tf.Tensor:
        """Compute the weighted mean of raw moments; a single one stays as it is."""
        if len(statistics) == 1:
            return statistics[0]
        parts = zip(statistics, shares, strict=True)
        return sum(share * ops.cast(moments, "float32") for moments, share in parts)


def check_position_weights(weights: np.ndarray, size: tuple[int, int]) -> None:
    """Refuse weights of the positions of a layer that cannot be used.

    Raises: ConfigError: they are not of (height, width) `size`, or not finite and at
        least 0, or all 0.
    """
    if weights.shape != tuple(size):
        raise ConfigError(
            f"The weights of the positions are {weights.shape}, and the layer is "
            f"{tuple(size)} (height, width). Give one weight for each position."
        )
    if not (np.isfinite(weights).all() and weights.min() >= 0 and weights.any()):
        raise ConfigError(
            "The weights of the positions must be finite, at least 0, and not all 0."
        )


def flatten_positions(features: tf.Tensor) -> tf.Tensor:
    """Reshape `(batch, H, W, C)` to `(batch, H W, C)`."""
    batch, height, width, channels = ops.shape(features)
    return ops.reshape(features, (batch, height * width, channels))


def mean_products(features: tf.Tensor, weights: tf.Tensor | None = None) -> tf.Tensor:
    """Compute the mean of `w F F^T` over positions: `(batch, C, C)` in float32.

    features: `(batch, H, W, C)`. weights: `(H, W)`; `None`: 1 everywhere, the Gram
        matrix.
    """
    if weights is None:
        return gram_matrix(features)
    # As the Gram matrix of sqrt(w) F, which is one product and has a fast gradient. In
    # float32: rounded to bfloat16 it does not fit the means, and the covariances of
    # soft edges get negative eigenvalues.
    root = ops.sqrt(ops.cast(weights, "float32"))[None, :, :, None]
    return gram_matrix(root * ops.cast(features, "float32"))


def mean_features(features: tf.Tensor, weights: tf.Tensor | None = None) -> tf.Tensor:
    """Compute the mean of `w F` over positions: `(batch, C)` in float32."""
    flat = ops.cast(flatten_positions(features), "float32")
    if weights is not None:
        flat = flat * ops.reshape(ops.cast(weights, "float32"), (1, -1, 1))
    return ops.mean(flat, axis=1)


@keras.saving.register_keras_serializable("kstyle")
class GramLoss(MomentLoss):
    """`1e-4 sum((G - G_style)^2) / 2 / C^2` (after Gatys et al. 2016, eq. 4).

    G is the mean of `F F^T` over positions: `gram_matrix`.
    """

    def __init__(self, name: str = "style", **kwargs: Any) -> None:
        super().__init__(name, **kwargs)

    def collect(self, features: tf.Tensor, selection: PositionSelection) -> tf.Tensor:
        """Return the Gram matrix of `(batch, H, W, C)` features."""
        return mean_products(features, selection.get("weights"))

    def collected_shape(self, channels: int) -> tuple[int | None, ...]:
        return channels, channels

    def call(self, target: tf.Tensor, gram: tf.Tensor) -> tf.Tensor:
        """Compare two Gram matrices `(batch, C, C)`: `(batch,)`."""
        error = half_square_sum(gram - target)
        return STYLE_FACTOR * error / gram.shape[-1] ** 2


class CovarianceMomentLoss(MomentLoss):
    """Compares covariances and means, computed from the means of `F F^T` and of F."""

    def collect(self, features: tf.Tensor, selection: PositionSelection) -> tf.Tensor:
        """Return the means of `F F^T` and of F: `(batch, C + 1, C)`."""
        return products_and_mean(features, selection.get("weights"))

    def collected_shape(self, channels: int) -> tuple[int | None, ...]:
        return channels + 1, channels


# The least loss of a covariance that normalized weights divide by, in that of the Gram
# matrix of the same style. With 18 paintings and photographs it is 0.025 to 0.4; with a
# part of a style without any texture nearly 0, so that its weight had no limit.
LEAST_CONTRAST = 0.01


@keras.saving.register_keras_serializable("kstyle")
class CovarianceLoss(CovarianceMomentLoss):
    """`b 1e-4 sum((S - S_style)^2) / 2 / C^2` of the covariances `S = G - mu mu^T`.

    As `GramLoss`, with features from which their mean over positions is subtracted
    (neural-style-pt, issue 11): the mean colour and brightness of a layer are free.
    b is `balance`.
    """

    balance = STYLE_BALANCE["covariance"]

    def __init__(self, name: str = "covariance", **kwargs: Any) -> None:
        super().__init__(name, **kwargs)

    def finish(
        self, statistic: tf.Tensor, selection: PositionSelection | None = None
    ) -> tf.Tensor:
        """Return the covariance matrix, `(batch, C, C)`."""
        return split_covariance(statistic)[0]

    def make_target(self, statistic: tf.Tensor) -> tf.Tensor:
        """Return the style's covariance and, as the last row, mean."""
        return covariance_and_mean(statistic)

    def call(self, target: tf.Tensor, covariance: tf.Tensor) -> tf.Tensor:
        """Compare what `make_target` and `finish` return: `(batch,)`."""
        error = half_square_sum(covariance - target[:, :-1])
        return self.balance * STYLE_FACTOR * error / covariance.shape[-1] ** 2

    def loss_of_zeros(self, target: tf.Tensor) -> tf.Tensor:
        """Compute the loss, `(batch,)`, of features that are all 0."""
        return self.call(target, ops.zeros_like(target[:, :-1]))

    def normal_loss(self, target: tf.Tensor) -> tf.Tensor:
        """Compute what normalized weights divide by, `(batch,)`."""
        covariance, mean = split_last_row(target)
        gram = covariance + mean[:, :, None] * mean[:, None]
        least = LEAST_CONTRAST * GramLoss().normal_loss(gram)
        return ops.maximum(super().normal_loss(target), least)


@keras.saving.register_keras_serializable("kstyle")
class MeanStdLoss(MomentLoss):
    """Distance of the channels' means and standard deviations, as in AdaIN.

    `k (|mu - mu_s|^2 + |sigma - sigma_s|^2) / (|mu_s|^2 + |sigma_s|^2)` with
    `sigma = sqrt(var + 1e-5)` (Huang and Belongie 2017, section 6.2) and k `balance`
    times `distance_scale`, the loss of features of 0.
    """

    balance = STYLE_BALANCE["mean-std"]

    def __init__(self, name: str = "mean_std", **kwargs: Any) -> None:
        super().__init__(name, **kwargs)

    def collect(self, features: tf.Tensor, selection: PositionSelection) -> tf.Tensor:
        """Return the means of F and of F^2: `(batch, 2, C)`."""
        weights = selection.get("weights")
        squares = ops.square(ops.cast(features, "float32"))
        means = [mean_features(features, weights), mean_features(squares, weights)]
        return ops.stack(means, axis=1)

    def collected_shape(self, channels: int) -> tuple[int | None, ...]:
        return 2, channels

    def finish(
        self, statistic: tf.Tensor, selection: PositionSelection | None = None
    ) -> tf.Tensor:
        """Return means and standard deviations, `(batch, 2, C)`."""
        mean, squares = statistic[:, 0], statistic[:, 1]
        variance = ops.maximum(squares - ops.square(mean), 0.0)
        return ops.stack([mean, ops.sqrt(variance + STD_EPSILON)], axis=1)

    def call(self, target: tf.Tensor, mean_std: tf.Tensor) -> tf.Tensor:
        """Compare two `(batch, 2, C)`: `(batch,)`."""
        power = ops.sum(ops.square(target), axis=(1, 2))
        error = ops.sum(ops.square(mean_std - target), axis=(1, 2))
        scale = self.balance * distance_scale(power / target.shape[-1])
        return scale * error / power


def products_and_mean(
    features: tf.Tensor, weights: tf.Tensor | None = None
) -> tf.Tensor:
    """Return `mean_products` and, as the last row, `mean_features`."""
    if weights is None:
        flat = flatten_positions(features)
        return products_and_sum(flat) / ops.cast(ops.shape(flat)[1], "float32")
    products = mean_products(features, weights)
    mean = mean_features(features, weights)
    return ops.concatenate([products, mean[:, None]], axis=1)


def split_covariance(statistic: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Return covariance `(batch, C, C)` and mean `(batch, C)`.

    statistic: `(batch, C + 1, C)` from `products_and_mean`, of all positions.
    """
    products, mean = split_last_row(ops.cast(statistic, "float32"))
    return products - mean[:, :, None] * mean[:, None], mean


def covariance_and_mean(statistic: tf.Tensor) -> tf.Tensor:
    """Return covariance and, as the last row, mean: `(batch, C + 1, C)`."""
    covariance, mean = split_covariance(statistic)
    return ops.concatenate([covariance, mean[:, None]], axis=1)


def split_last_row(matrices: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Return `(batch, C, C)` and `(batch, C)` of `(batch, C + 1, C)`."""
    # Not as slices: their gradients are two matrices of zeros, filled and added.
    square, row = ops.split(matrices, matrices.shape[-1:], axis=1)
    return square, row[:, 0]
