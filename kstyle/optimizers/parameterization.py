"""Other bases for the picture than its pixels: a pyramid's levels, or frequencies.

A basis is a linear map `A` from coefficients `z` to the picture `x = A z`. No optimiser
here keeps `z`: the picture stays the variable, with its range, and moves by `A` times
the move that its coefficients would make. What a coefficient sees is `A^T` times the
gradient. For L-BFGS nothing more is needed than `A A^T`: on `z` it takes the steps that
it takes on `x` when `A A^T` is its first guess of the inverse Hessian.
"""

import keras
import numpy as np
import tensorflow as tf

from kstyle.errors import ConfigError


class Basis:
    """`A` for pictures `(1, height, width, 3)`, by its two halves:

    `parts(gradient)`: the list of tensors `A^T gradient`;
    `whole(parts, size)`: the picture `A parts` of (height, width) `size`.
    """

    def __call__(self, gradient):
        """`A A^T gradient`, symmetric and positive."""
        return self.whole(self.parts(gradient), gradient.shape[1:3])

    @classmethod
    def from_config(cls, config):
        return cls(**config)


@keras.saving.register_keras_serializable("kstyle")
class Pixels(Basis):
    """The picture as it is."""

    def parts(self, gradient):
        return [gradient]

    def whole(self, parts, size):
        return parts[0]

    def get_config(self):
        return {}


@keras.saving.register_keras_serializable("kstyle")
class Pyramid(Basis):
    """The picture as a sum of levels, each half as large as the one before, enlarged.

    Kolkin et al. 2019 (STROTSS) optimise a Laplacian pyramid's levels likewise.
    levels: how many, the picture's own among them. ratio: the factor on each level over
        that of the one before; 0.5 moves each octave as far as the finest. The loss
        falls a little faster with 0.6 (docs/performance.md).
    """

    def __init__(self, levels=6, ratio=0.6):
        self.levels, self.ratio = levels, ratio

    def parts(self, gradient):
        parts = [gradient]
        for _ in range(1, self.levels):
            size = [-(-edge // 2) for edge in parts[-1].shape[1:3]]
            parts.append(self.ratio * upsample_adjoint(parts[-1], size))
        return parts

    def whole(self, parts, size):
        picture = parts[-1]
        for part in parts[-2::-1]:
            picture = part + self.ratio * upsample(picture, part.shape[1:3])
        return picture

    def get_config(self):
        return {"levels": self.levels, "ratio": self.ratio}


@keras.saving.register_keras_serializable("kstyle")
class Fourier(Basis):
    """The picture by its frequencies, the low ones moving further.

    Olah et al. 2017 (Feature Visualization, "preconditioning"), with cosines (DCT-II)
    in place of their periodic basis, so that no edge is bound to the one opposite, and
    without their decorrelation of the colours, with which the loss fell more slowly.
    power: coefficients are scaled by 1 / frequency to this power; theirs is 1.
    """

    def __init__(self, power=0.25):
        self.power = power

    def parts(self, gradient):
        down, across = (dct_matrix(edge) for edge in gradient.shape[1:3])
        planes = tf.transpose(gradient, (0, 3, 1, 2))
        spectrum = down @ tf.matmul(planes, across, transpose_b=True)
        return [self._gain(gradient.shape[1:3]) * spectrum]

    def whole(self, parts, size):
        down, across = (dct_matrix(edge) for edge in size)
        spectrum = self._gain(size) * parts[0]
        planes = tf.matmul(down, spectrum @ across, transpose_a=True)
        return tf.transpose(planes, (0, 2, 3, 1))

    def _gain(self, size):
        """Factors of (height, width) `size`, 1 at the highest frequency. The mean has
        that of half a wave across the longer edge, the lowest that there is."""
        rows, columns = (np.arange(edge) / edge for edge in size)
        frequency = np.hypot(rows[:, None], columns[None])
        frequency[0, 0] = 1 / max(size)
        gain = (frequency / frequency.max()) ** -self.power
        return gain.astype("float32")

    def get_config(self):
        return {"power": self.power}


def dct_matrix(count):
    """The orthonormal DCT-II as a float32 `(count, count)` matrix."""
    order, place = np.arange(count)[:, None], np.arange(count)[None]
    matrix = np.cos(np.pi * (2 * place + 1) * order / (2 * count))
    matrix *= np.sqrt(2 / count)
    matrix[0] /= np.sqrt(2)
    return matrix.astype("float32")


def upsample(pictures, size):
    """Bilinear, to (height, width) `size`."""
    return tf.image.resize(pictures, size)


def upsample_adjoint(pictures, size):
    """The transpose of `enlarged`: each pixel is the weighted sum of those it fed."""
    small = tf.zeros((pictures.shape[0], *size, pictures.shape[-1]))
    with tf.GradientTape() as tape:
        tape.watch(small)
        large = upsample(small, pictures.shape[1:3])
    return tape.gradient(large, small, output_gradients=pictures)


def as_basis(basis):
    """A `Basis` from itself, from `None`, or from what a `get_config` made of it."""
    if isinstance(basis, dict):
        return keras.saving.deserialize_keras_object(basis)
    return Pixels() if basis is None else basis


BASES = {"pixels": Pixels, "pyramid": Pyramid, "fourier": Fourier}


def make_basis(name):
    """The `Basis` that `name`, one of `KINDS`, stands for."""
    if name not in BASES:
        raise ConfigError(
            f"Unknown parameterization {name!r}: it must be one of {', '.join(BASES)}."
        )
    return BASES[name]()
