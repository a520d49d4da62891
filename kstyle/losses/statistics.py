"""`StatisticLoss`: losses that compare a statistic of a layer, not its positions.

The statistic is computed in steps, so that the same loss works on a whole picture, in
tiles, with several styles and with regions:

    collected = loss.collect(features, selection)    of each tile, then added up
    statistic = loss.complete(collected, selection)  of one picture
    statistic = loss.blend(statistics, shares)       of several style pictures
    loss.call(loss.make_target(style_statistic), loss.finish(statistic, selection))

All but `collect` are cheap and independent of the number of positions. `collect` is
linear in positions: what it returns of the tiles, added up, is what it returns of the
whole. Each is one array `(batch, …)` of float32.

A `selection` says which positions count, as a dict of arrays that `select` makes for
the size of the layer. It is data, not part of the graph: another one of the same
shapes needs no new graph. It is empty where all positions count alike.
"""

import abc
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from kstyle.losses.base import TermLoss

PositionSelection = Mapping[str, Any]

# The code of the article (see `terms.py`) multiplies the style loss by this constant,
# which its options do not show. Without it, a style weight of 200 would be 0.02.
STYLE_FACTOR = 1e-4


class StatisticLoss(TermLoss):
    """Compares a statistic of a layer's features with that of a target.

    Subclasses are moments (`losses/moments.py`) and samples (`losses/samples.py`).
    """

    # Whether `collect` returns means over positions, so that those of tiles are added
    # with their shares of the positions as factors; else they are added as they are.
    collects_means = True

    @abc.abstractmethod
    def select(
        self,
        size: tuple[int, int],
        weights: np.ndarray | None = None,
        *,
        share: float = 1.0,
        draw: int = 0,
    ) -> dict[str, np.ndarray]:
        """Choose the positions of a layer that count.

        size: (height, width) of the whole layer. weights: `(height, width)`, at least
        0, of the positions in a region; `None`: all alike. share: of this picture in
        a blend of several, for losses that draw positions. draw: number of the
        drawing; another one gives other positions, equally many.
        Raises: ConfigError: no position counts.
        """

    @abc.abstractmethod
    def select_tile(
        self,
        selection: PositionSelection,
        rows: tuple[int, int],
        columns: tuple[int, int],
    ) -> dict[str, np.ndarray]:
        """Return the part of the `selection` of a whole layer that concerns a tile.

        rows, columns: (start, stop) of the tile's own positions.
        """

    @abc.abstractmethod
    def collect(self, features: tf.Tensor, selection: PositionSelection) -> tf.Tensor:
        """Collect what the statistic needs of `(batch, H, W, C)` features."""

    @abc.abstractmethod
    def complete(self, collected: tf.Tensor, selection: PositionSelection) -> tf.Tensor:
        """Compute the statistic of one picture, in a form that can be blended.

        collected: of all its tiles. selection: of the whole layer.
        """

    @abc.abstractmethod
    def blend(
        self, statistics: Sequence[tf.Tensor], shares: Sequence[float]
    ) -> tf.Tensor:
        """Blend the statistics of several pictures; the `shares` add up to 1."""

    @abc.abstractmethod
    def collected_shape(self, channels: int) -> tuple[int | None, ...]:
        """Return the shape of what `collect` returns, without the batch."""

    def finish(
        self, statistic: tf.Tensor, selection: PositionSelection | None = None
    ) -> tf.Tensor:
        """Compute what `call` compares with the target.

        selection: of the picture, whole; `None`: of a target.
        """
        return statistic

    def make_target(self, statistic: tf.Tensor) -> tf.Tensor:
        """Compute what `call` takes as the target."""
        return self.finish(statistic)

    def represent(
        self, features: tf.Tensor, selection: PositionSelection | None = None
    ) -> tf.Tensor:
        """Return what `call` compares of the features `(batch, H, W, C)`.

        selection: from `select`; `None`: that of the whole layer.
        """
        if selection is None:
            selection = self.select(tuple(features.shape[1:3]))
        collected = self.collect(features, selection)
        return self.finish(self.complete(collected, selection), selection)


def distance_scale(mean_square: tf.Tensor) -> tf.Tensor:
    """Return the factor on a distance that is 1 for features of 0: `1e-4 m^2 / 2`.

    mean_square: m, the mean of the squared features of the style, a channel and
        position. With it a distance has about the size that a `GramLoss` has, so that
        the same layer weights suit both: Gram matrices with all entries m would have
        that loss next to features of 0.
    """
    return STYLE_FACTOR * mean_square**2 / 2
