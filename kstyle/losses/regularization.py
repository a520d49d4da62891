"""Total variation: the roughness of the picture."""

import keras
from keras import ops

from kstyle.losses.base import TermLoss, half_square_sum


def total_variation(image, below=None, size=None):
    """Roughness of `(batch, H, W, 3)` pixels in [0, 1]: `(batch,)`, 0 when flat.

    `sum(d^2) / 2 / size(d)` for the vertical and the horizontal neighbour
    differences d in 0..255 units, added. A direction with one pixel counts as flat.

    below, size: where `image` is some rows of a picture of (height, width) `size`, the
        row after them, or none: what they add to the roughness of that picture.
    """
    height, wide = size or image.shape[1:3]
    tall = image if below is None else ops.concatenate([image, below], axis=1)
    channels = image.shape[3]
    down = half_square_sum(255 * differences(tall, 1))
    right = half_square_sum(255 * differences(image, 2))
    down /= max(1, (height - 1) * wide * channels)
    return down + right / max(1, height * (wide - 1) * channels)


def differences(image, axis):
    """Each pixel of `image` less the one before it along `axis`, 1 or 2."""
    # By `slice`: the gradient of `image[:, 1:]` is computed in one thread.
    shape = list(ops.shape(image))
    shape[axis] -= 1
    second = [int(i == axis) for i in range(4)]
    return ops.slice(image, second, shape) - ops.slice(image, (0, 0, 0, 0), shape)


@keras.saving.register_keras_serializable("kstyle")
class TotalVariationLoss(TermLoss):
    """`total_variation` of the picture; it has no target."""

    def __init__(self, name="tv", **kwargs):
        super().__init__(name, **kwargs)

    def call(self, target, features):
        del target
        return total_variation(features)

    def of_rows(self, rows, below, size):
        """What some rows add to the loss of a picture: `total_variation` of them."""
        return total_variation(rows, below, size)
