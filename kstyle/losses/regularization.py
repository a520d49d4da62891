"""Total variation: the differences of neighbouring pixels."""

from typing import Any

import keras
import tensorflow as tf
from keras import ops

from kstyle.losses.base import TermLoss, check_axes, half_square_sum
from kstyle.ops.tf_utils import fan_out

# Grey levels. Fine dots in flat areas are below it, contours above.
CHARBONNIER_THRESHOLD = 4.0


def total_variation(
    image: tf.Tensor,
    row_below: tf.Tensor | None = None,
    size: tuple[int, int] | None = None,
    threshold: float | None = None,
) -> tf.Tensor:
    """Compute the total variation of `(batch, H, W, 3)` pixels in [0, 1]: `(batch,)`.

    `sum(d^2) / 2 / size(d)` for the vertical and the horizontal differences d of
    neighbours, in 0..255, added; with a threshold, the mean of `charbonnier_sum`. A
    direction with one pixel adds 0.

    row_below, size: for an `image` that is some rows of a picture of (height, width)
        `size`: the next row `(batch, 1, W, 3)`, with no rows or `None` at the end. The
        result is then what these rows add to that of the picture.
    threshold: in grey levels; `None`: squares.
    Raises: ConfigError: `image` has fewer or more axes.
    """
    check_axes("total_variation", image)
    height, width = size or image.shape[1:3]
    channels = image.shape[3]
    if row_below is None:
        upper, right, left, lower = fan_out(image, 4)
    else:
        upper = lower = ops.concatenate([image, row_below], axis=1)
        right = left = image
    vertical = 255 * differences(upper, lower, 1)
    horizontal = 255 * differences(left, right, 2)
    if threshold is not None:
        total = charbonnier_sum(vertical, horizontal, threshold)
        return total / (height * width * channels)
    down = half_square_sum(vertical) / max(1, (height - 1) * width * channels)
    across = half_square_sum(horizontal) / max(1, height * (width - 1) * channels)
    return down + across


def charbonnier_sum(
    vertical: tf.Tensor, horizontal: tf.Tensor, threshold: float
) -> tf.Tensor:
    """Compute `sum(t^2 (sqrt(1 + (v^2 + h^2) / t^2) - 1))` with the threshold t.

    Charbonnier et al. 1994, "Two deterministic half-quadratic regularization algorithms
    for computed imaging". Far below the threshold it is `(v^2 + h^2) / 2`, far above it
    `t` times the length of (v, h): a contour costs less than with squares, next to
    small differences, and as much in each direction.

    vertical: `(batch, H - 1 or H, W, C)`. horizontal: `(batch, H, W - 1, C)`. What is
        missing is 0.
    Returns: `(batch,)`.
    """
    missing = ops.shape(horizontal)[1] - ops.shape(vertical)[1]
    vertical = tf.pad(vertical, ((0, 0), (0, missing), (0, 0), (0, 0)))
    horizontal = tf.pad(horizontal, ((0, 0), (0, 0), (0, 1), (0, 0)))
    squares = ops.square(vertical / threshold) + ops.square(horizontal / threshold)
    axes = tuple(range(1, len(squares.shape)))
    return threshold**2 * ops.sum(ops.sqrt(1 + squares) - 1, axis=axes)


def differences(first: tf.Tensor, second: tf.Tensor, axis: int) -> tf.Tensor:
    """Subtract from each pixel of `second` the one of `first` before it along `axis`.

    first, second: the same pixels `(batch, H, W, C)`. axis: 1 or 2.
    """
    # `slice`, because TensorFlow computes the gradient of `image[:, 1:]` in one thread.
    shape = list(ops.shape(first))
    shape[axis] -= 1
    start = [int(i == axis) for i in range(4)]
    return ops.slice(second, start, shape) - ops.slice(first, (0, 0, 0, 0), shape)


@keras.saving.register_keras_serializable("kstyle")
class TotalVariationLoss(TermLoss):
    """`total_variation` of the picture; there is no target.

    threshold: as for `total_variation`.
    """

    def __init__(
        self, name: str = "tv", threshold: float | None = None, **kwargs: Any
    ) -> None:
        super().__init__(name, **kwargs)
        self.threshold = threshold

    def call(self, target: Any, features: tf.Tensor) -> tf.Tensor:
        """Compute `total_variation` of the picture; `target` is not used."""
        del target
        return total_variation(features, threshold=self.threshold)

    def loss_of_rows(
        self, rows: tf.Tensor, row_below: tf.Tensor, size: tuple[int, int]
    ) -> tf.Tensor:
        """Compute what some rows add to the loss of a picture: `total_variation`."""
        return total_variation(rows, row_below, size, self.threshold)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments of the constructor, for Keras's serialisation."""
        return {**super().get_config(), "threshold": self.threshold}
