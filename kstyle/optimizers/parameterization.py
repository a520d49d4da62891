"""Bases in which the picture is optimised: pixels, a pyramid's levels, frequencies.

A basis is a linear map `A` from coefficients `z` to the picture `x = A z`. No optimiser
stores `z`: the picture stays the variable, with its range, and its step is `A` times
the step of the coefficients, whose gradient is `A^T` times that of the picture. L-BFGS
needs `A A^T` alone: its steps on `z` are those on `x` with `A A^T` as the first
estimate of the inverse Hessian.
"""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from kstyle.errors import ConfigError


class Basis:
    """A linear map `A` from coefficients to pictures `(batch, height, width, 3)`."""

    def __call__(self, gradient: tf.Tensor) -> tf.Tensor:
        """Return `A A^T gradient`, of the gradient's shape."""
        return self.apply(self.apply_transpose(gradient), gradient.shape[1:3])

    def apply(self, coefficients: list[tf.Tensor], size: Sequence[int]) -> tf.Tensor:
        """Return `A coefficients`, a picture of (height, width) `size`."""
        raise NotImplementedError

    def apply_transpose(self, gradient: tf.Tensor) -> list[tf.Tensor]:
        """Return `A^T gradient`, in the shapes of the coefficients."""
        raise NotImplementedError

    def get_config(self) -> dict[str, Any]:
        """Return the arguments of the constructor, for Keras's serialisation."""
        return {}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "Basis":
        """Make a basis from what `get_config` returned."""
        return cls(**config)


@keras.saving.register_keras_serializable("kstyle")
class Pixels(Basis):
    """The pixels themselves: `A` is the identity."""

    def apply_transpose(self, gradient: tf.Tensor) -> list[tf.Tensor]:
        return [gradient]

    def apply(self, coefficients: list[tf.Tensor], size: Sequence[int]) -> tf.Tensor:
        return coefficients[0]


@keras.saving.register_keras_serializable("kstyle")
class Pyramid(Basis):
    """The picture as a sum of enlarged levels, each half as large as the one before.

    Kolkin et al. 2019 (STROTSS) optimise the levels of a Laplacian pyramid in the same
    way.

    levels: number of levels, the one of the picture's size included.
    ratio: factor on each level relative to the finer one. With 0.5 the steps are as
        long in each octave as in the finest. With 0.6 the loss falls a little faster
        (docs/performance.md).
    """

    def __init__(self, levels: int = 6, ratio: float = 0.6) -> None:
        self.levels, self.ratio = levels, ratio

    def apply_transpose(self, gradient: tf.Tensor) -> list[tf.Tensor]:
        levels = [gradient]
        for _ in range(1, self.levels):
            size = [-(-edge // 2) for edge in levels[-1].shape[1:3]]
            levels.append(self.ratio * upsample_adjoint(levels[-1], size))
        return levels

    def apply(self, coefficients: list[tf.Tensor], size: Sequence[int]) -> tf.Tensor:
        picture = coefficients[-1]
        for level in coefficients[-2::-1]:
            picture = level + self.ratio * upsample(picture, level.shape[1:3])
        return picture

    def get_config(self) -> dict[str, Any]:
        return {"levels": self.levels, "ratio": self.ratio}


@keras.saving.register_keras_serializable("kstyle")
class Fourier(Basis):
    """The picture as frequencies, with longer steps for the low ones.

    Olah et al. 2017 (Feature Visualization, "preconditioning"), but with cosines
    (DCT-II) in place of their periodic basis, which couples opposite edges, and without
    their decorrelation of the colours, with which the loss fell more slowly.

    power: coefficients are scaled by 1 / frequency to this power; theirs is 1.
    """

    def __init__(self, power: float = 0.25) -> None:
        self.power = power

    def apply_transpose(self, gradient: tf.Tensor) -> list[tf.Tensor]:
        down, across = (dct_matrix(edge) for edge in gradient.shape[1:3])
        planes = tf.transpose(gradient, (0, 3, 1, 2))
        spectrum = down @ tf.matmul(planes, across, transpose_b=True)
        return [self._gain(gradient.shape[1:3]) * spectrum]

    def apply(self, coefficients: list[tf.Tensor], size: Sequence[int]) -> tf.Tensor:
        down, across = (dct_matrix(edge) for edge in size)
        spectrum = self._gain(size) * coefficients[0]
        planes = tf.matmul(down, spectrum @ across, transpose_a=True)
        return tf.transpose(planes, (0, 2, 3, 1))

    def _gain(self, size: Sequence[int]) -> np.ndarray:
        """Return the factor of each frequency, `(height, width)` of `size`.

        It is 1 at the highest. The mean, of frequency 0, has the factor of the lowest
        other frequency: half a wave across the longer edge.
        """
        rows, columns = (np.arange(edge) / edge for edge in size)
        frequency = np.hypot(rows[:, None], columns[None])
        frequency[0, 0] = 1 / max(size)
        gain = (frequency / frequency.max()) ** -self.power
        return gain.astype("float32")

    def get_config(self) -> dict[str, Any]:
        return {"power": self.power}


def dct_matrix(count: int) -> np.ndarray:
    """Return the orthonormal DCT-II as a float32 `(count, count)` matrix."""
    order, position = np.arange(count)[:, None], np.arange(count)[None]
    matrix = np.cos(np.pi * (2 * position + 1) * order / (2 * count))
    matrix *= np.sqrt(2 / count)
    matrix[0] /= np.sqrt(2)
    return matrix.astype("float32")


def upsample(pictures: tf.Tensor, size: Sequence[int]) -> tf.Tensor:
    """Enlarge `(batch, H, W, C)` bilinearly to (height, width) `size`."""
    return tf.image.resize(pictures, size)


def upsample_adjoint(pictures: tf.Tensor, size: Sequence[int]) -> tf.Tensor:
    """Apply the transpose of `upsample` from (height, width) `size`.

    Each pixel is the weighted sum of those that `upsample` computes from it.
    Returns: `(batch, *size, C)`.
    """
    small = tf.zeros((pictures.shape[0], *size, pictures.shape[-1]))
    with tf.GradientTape() as tape:
        tape.watch(small)
        large = upsample(small, pictures.shape[1:3])
    return tape.gradient(large, small, output_gradients=pictures)


def as_basis(basis: Basis | dict | None) -> Basis:
    """Convert to a `Basis`: `None` to `Pixels`, a dict by Keras's deserialisation."""
    if isinstance(basis, dict):
        return keras.saving.deserialize_keras_object(basis)
    return Pixels() if basis is None else basis


BASES: dict[str, type[Basis]] = {
    "pixels": Pixels,
    "pyramid": Pyramid,
    "fourier": Fourier,
}


def make_basis(name: str) -> Basis:
    """Make the `Basis` of a name in `BASES`, with its default arguments.

    Raises: ConfigError: there is no basis of this name.
    """
    if name not in BASES:
        raise ConfigError(
            f"Unknown parameterization {name!r}: it must be one of {', '.join(BASES)}."
        )
    return BASES[name]()
