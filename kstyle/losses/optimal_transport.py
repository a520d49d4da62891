"""Losses of optimal transport between sampled features: sliced Wasserstein and EMD."""

from typing import Any

import keras
import numpy as np
import tensorflow as tf
from keras import ops

from kstyle.losses.names import STYLE_BALANCE
from kstyle.losses.samples import SampleLoss
from kstyle.losses.statistics import PositionSelection, distance_scale

DIRECTION_SEED = 2
COSINE_EPSILON = 1e-4


@keras.saving.register_keras_serializable("kstyle")
class SlicedWassersteinLoss(SampleLoss):
    """Mean squared 2-Wasserstein distance of random one-dimensional projections.

    `k C mean_j mean_i (sort(X d_j)_i - sort(Y d_j)_i)^2 / mean |Y|^2` with k `balance`
    times `distance_scale`, for samples X of the picture and Y of the style and
    unit vectors d_j (Heitz et al. 2021, "A sliced Wasserstein loss for neural texture
    synthesis", eq. 5; its C directions are drawn anew at each evaluation). Here
    positions and directions are drawn anew together, after a stretch of steps, because
    L-BFGS needs a function that does not change. Where the counts of samples differ,
    the sorted projections of the style are interpolated.

    samples: number of positions. directions: number of unit vectors, at most C; they
        are orthogonal to each other.
    """

    balance = STYLE_BALANCE["sliced"]

    def __init__(
        self,
        name: str = "sliced",
        samples: int = 4096,
        directions: int = 64,
        **kwargs: Any,
    ) -> None:
        super().__init__(name, samples, **kwargs)
        self.directions = directions

    def select(
        self,
        size: tuple[int, int],
        weights: np.ndarray | None = None,
        *,
        share: float = 1.0,
        draw: int = 0,
    ) -> dict[str, np.ndarray]:
        """Return the `positions` of the samples and the number of the `drawing`."""
        positions = super().select(size, weights, share=share, draw=draw)
        return {**positions, "drawing": np.array(draw, "int32")}

    def select_tile(
        self,
        selection: PositionSelection,
        rows: tuple[int, int],
        columns: tuple[int, int],
    ) -> dict[str, np.ndarray]:
        positions = super().select_tile(selection, rows, columns)
        return {**positions, "drawing": selection["drawing"]}

    def make_target(self, statistic: tf.Tensor) -> tf.Tensor:
        """Return the samples `(batch, samples, C)`: each drawing projects them anew."""
        return statistic

    def finish(
        self, statistic: tf.Tensor, selection: PositionSelection | None = None
    ) -> tf.Tensor:
        """Return the sorted projections and the directions of the drawing.

        Returns: `(batch, directions, samples + C)`; the last C columns are the unit
            vectors. No gradient flows to them.
        """
        batch, _, channels = ops.shape(statistic)
        drawing = selection["drawing"] if selection else 0
        count = min(self.directions, channels)
        rows = random_directions(channels, count, drawing)
        projections = sorted_projections(statistic, rows)
        rows = ops.broadcast_to(rows[None], (batch, count, channels))
        return ops.concatenate([projections, rows], axis=2)

    def loss_of_zeros(self, target: tf.Tensor) -> tf.Tensor:
        """Compute the loss, `(batch,)`, of features that are all 0."""
        return self.call(target, self.finish(ops.zeros_like(target)))

    def call(self, target: tf.Tensor, projected: tf.Tensor) -> tf.Tensor:
        """Compare what `make_target` and `finish` returned: `(batch,)`."""
        channels = target.shape[-1]
        found, rows = projected[..., :-channels], projected[0, :, -channels:]
        # Without it, the gradient of the target's projections would be computed too.
        rows = ops.stop_gradient(rows)
        style = resample_sorted(sorted_projections(target, rows), ops.shape(found)[-1])
        power = ops.mean(ops.square(target), axis=(1, 2))
        distance = ops.mean(ops.square(found - style), axis=(1, 2))
        scale = self.balance * distance_scale(power)
        return scale * distance / ops.maximum(power, COSINE_EPSILON)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "directions": self.directions}


def random_directions(channels: int, count: int, drawing: int | tf.Tensor) -> tf.Tensor:
    """Draw `count` orthogonal unit vectors: `(count, channels)` float32."""
    seed = tf.stack([DIRECTION_SEED, drawing])
    vectors, _ = tf.linalg.qr(tf.random.stateless_normal((channels, count), seed))
    return ops.transpose(vectors)


def sorted_projections(samples: tf.Tensor, directions: tf.Tensor) -> tf.Tensor:
    """Sort the projections of `(batch, n, C)` onto `(K, C)`: `(batch, K, n)`."""
    return tf.sort(tf.einsum("bnc,kc->bkn", samples, directions), axis=-1)


def resample_sorted(values: tf.Tensor, wanted: int | tf.Tensor) -> tf.Tensor:
    """Interpolate sorted `(batch, K, n)` at the quantiles of `wanted` values."""
    count = ops.shape(values)[-1]
    if count == wanted:
        return values
    wanted = ops.cast(wanted, "float32")
    places = (ops.arange(wanted, dtype="float32") + 0.5) * (count / wanted) - 0.5
    places = ops.clip(places, 0.0, float(count - 1))
    below = ops.floor(places)
    above = ops.minimum(below + 1, float(count - 1))
    low, high = (
        tf.gather(values, tf.cast(x, "int32"), axis=-1) for x in (below, above)
    )
    return low + (places - below) * (high - low)


@keras.saving.register_keras_serializable("kstyle")
class RelaxedEMDLoss(SampleLoss):
    """Relaxed earth mover's distance of sampled features, with their moments.

    `k (E + M) / 2` with k `balance` times `distance_scale` and, after STROTSS (Kolkin
    et al. 2019, eq. 4 to 8), `E = max(mean_i min_j d_ij, mean_j min_i d_ij)` of the
    cosine distances d between the samples of the picture and of the style, and
    `M = (mean |mu - mu_s| + mean |S - S_s|) / (mean |mu_s| + mean |S_s|)` of their
    means mu and covariances S, which hold the magnitudes that a cosine does not see.
    Written from the paper.

    samples: number of positions.
    """

    balance = STYLE_BALANCE["emd"]

    def __init__(self, name: str = "emd", samples: int = 1024, **kwargs: Any) -> None:
        super().__init__(name, samples, **kwargs)

    def call(self, target: tf.Tensor, samples: tf.Tensor) -> tf.Tensor:
        """Compare two `(batch, count, C)` of samples: `(batch,)`."""
        distances = cosine_distances(samples, target)
        transport = ops.maximum(
            ops.mean(ops.min(distances, axis=2), axis=1),
            ops.mean(ops.min(distances, axis=1), axis=1),
        )
        power = ops.mean(ops.square(target), axis=(1, 2))
        moments = moment_distance(target, samples)
        return self.balance * distance_scale(power) * (transport + moments) / 2


def cosine_distances(a: tf.Tensor, b: tf.Tensor) -> tf.Tensor:
    """Compute `1 - cos` of all pairs of `(batch, n, C)` and `(batch, m, C)`.

    Returns: `(batch, n, m)` in 0..2; 1 next to a vector of 0.
    """
    a, b = (unit_vectors(x) for x in (a, b))
    return 1 - tf.matmul(a, b, transpose_b=True)


def unit_vectors(samples: tf.Tensor) -> tf.Tensor:
    """Divide each vector of `(batch, n, C)` by its length."""
    squares = ops.sum(ops.square(samples), axis=-1, keepdims=True)
    return samples * ops.rsqrt(squares + COSINE_EPSILON)


def moment_distance(target: tf.Tensor, samples: tf.Tensor) -> tf.Tensor:
    """Compare mean and covariance of two `(batch, count, C)`, 1 for samples of 0."""
    (mean, covariance), (style_mean, style_covariance) = (
        sample_moments(x) for x in (samples, target)
    )
    error = ops.mean(ops.abs(mean - style_mean), axis=1)
    error += ops.mean(ops.abs(covariance - style_covariance), axis=(1, 2))
    power = ops.mean(ops.abs(style_mean), axis=1)
    power += ops.mean(ops.abs(style_covariance), axis=(1, 2))
    return error / ops.maximum(power, COSINE_EPSILON)


def sample_moments(samples: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Compute the mean `(batch, C)` and the covariance `(batch, C, C)`."""
    mean = ops.mean(samples, axis=1)
    centred = samples - mean[:, None]
    count = ops.cast(ops.shape(samples)[1], "float32")
    return mean, tf.matmul(centred, centred, transpose_a=True) / count
