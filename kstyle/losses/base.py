"""The base class of a loss term and the record that weighs it."""

import dataclasses

import keras
from keras import ops

IMAGE = "image"  # the name under which the picture itself is one of the features


def half_square_sum(difference):
    """`sum(difference^2) / 2` over all but the batch axis: `(batch,)`."""
    axes = tuple(range(1, len(difference.shape)))
    return ops.sum(ops.square(difference), axis=axes) / 2


class TermLoss(keras.losses.Loss):
    """Compares what it makes of features: of the target's once, then at every step."""

    def __init__(self, name, reduction="sum", dtype="float32"):
        # One picture a batch, and "sum" keeps the formula free of Keras's averaging.
        super().__init__(name=name, reduction=reduction, dtype=dtype)

    def __call__(self, target, features, sample_weight=None):
        """The loss of `features` next to `target`, which `represent` has made."""
        # Before Keras casts to float32 what may be in bfloat16, and twice as fast so.
        return super().__call__(target, self.represent(features), sample_weight)

    def represent(self, features):
        """What is compared of the features `(batch, H, W, C)`."""
        return features

    def of_nothing(self, target):
        """The loss, `(batch,)`, of features that are all 0."""
        target = ops.cast(target, "float32")
        return self.call(target, ops.zeros_like(target))


@dataclasses.dataclass(frozen=True)
class LossTerm:
    """One summand of the objective: `weight * loss(target, features[layer])`.

    `tag` names it in logs ("style/conv3_1"); `source` is the picture its target comes
    from: "content", "style", or `None`. A weight of 0 means measured, not optimised.
    """

    tag: str
    layer: str
    loss: TermLoss
    weight: float
    source: str | None
