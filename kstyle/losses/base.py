"""`TermLoss`, the base class of the losses, and `LossTerm`, a loss with its weight."""

import dataclasses
from typing import Any

import keras
import tensorflow as tf
from keras import ops

from kstyle.errors import ConfigError


def check_axes(name: str, x: Any) -> None:
    """Refuse what is not `(batch, height, width, channels)`. Raises: ConfigError.

    name: of the function that takes `x`.
    """
    if len(x.shape) != 4:
        raise ConfigError(
            f"{name} takes (batch, height, width, channels), and this has the shape "
            f"{tuple(x.shape)}. Add a batch axis to a single picture: x[None]."
        )


def half_square_sum(difference: tf.Tensor) -> tf.Tensor:
    """Compute `sum(difference^2) / 2` over all axes but the first: `(batch,)`."""
    axes = tuple(range(1, len(difference.shape)))
    return ops.sum(ops.square(difference), axis=axes) / 2


class TermLoss(keras.losses.Loss):
    """Compares a representation of features with that of a target.

    `represent` computes the representation: once for the target, then at every step
    for the picture. `call` compares the two.
    """

    def __init__(
        self, name: str, reduction: str = "sum", dtype: str = "float32"
    ) -> None:
        # A batch is one picture: "sum" leaves its loss as the formula gives it.
        super().__init__(name=name, reduction=reduction, dtype=dtype)

    def __call__(
        self, target: Any, features: tf.Tensor, sample_weight: Any = None
    ) -> tf.Tensor:
        """Compute the loss of `features` `(batch, H, W, C)`.

        target: what `represent` returned for the features of the target.
        """
        # Keras casts its arguments to float32. Representing bfloat16 features before
        # that is twice as fast.
        return self.compare(target, self.represent(features), sample_weight)

    def compare(
        self, target: Any, representation: Any, sample_weight: Any = None
    ) -> tf.Tensor:
        """Compute the loss of what `represent` returned: a scalar by default."""
        return super().__call__(target, representation, sample_weight)

    def represent(self, features: tf.Tensor) -> tf.Tensor:
        """Return what is compared of the features `(batch, H, W, C)`."""
        return features

    # Factor on the formula, so that the same weight suits all statistics.
    balance = 1.0

    def normal_loss(self, target: Any) -> tf.Tensor:
        """Compute what normalized weights divide by, `(batch,)`."""
        return self.loss_of_zeros(target) / self.balance

    def loss_of_zeros(self, target: Any) -> tf.Tensor:
        """Compute the loss, `(batch,)`, of features that are all 0."""
        target = ops.cast(target, "float32")
        return self.call(target, ops.zeros_like(target))


@dataclasses.dataclass(frozen=True)
class LossTerm:
    """One term of the total loss: `weight * loss(target, features[layer])`.

    tag: its name in logs, as "style/conv3_1".
    layer: name of a layer of the network, or `IMAGE`.
    weight: factor on the loss; 0: the loss is measured, but not optimised.
    source: the picture of the target: "content", "style", or "style/NAME" for the
        styles of a region; `None`: no target, and `loss` gets the features of the layer
        themselves in its place.
    """

    tag: str
    layer: str
    loss: TermLoss
    weight: float = 1.0
    source: str | None = None

    @property
    def is_style(self) -> bool:
        """Whether the target is of one or several style pictures."""
        return self.source is not None and self.source.split("/")[0] == "style"
