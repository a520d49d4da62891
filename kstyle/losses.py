"""What the picture is optimised for: content, style and total variation.

Every formula is in the `reference` convention (S. Singla, "Experiments on different
loss configurations for style transfer", 2017): 0..255 units, halves from TensorFlow's
`l2_loss`, and a fixed 1e-4 on style, so that the weights 8 / 200 / 200 of that article
mean the same here. The image variable is in [0, 1]; `total_variation` brings it to
0..255 and the extractor does so for the rest.
"""

import dataclasses

import keras
from keras import ops

from kstyle.products import channel_products

# The reference multiplies the style loss by this, out of sight of its options; a style
# weight of 200 is 0.02 without it.
STYLE_FACTOR = 1e-4
ROWS = 64  # of a layer that are looked at together where all would be too much
IMAGE = "image"  # the name under which the picture itself is one of the features


def gram_matrix(features):
    """Which channels are active together: `(batch, H, W, C)` to `(batch, C, C)`.

    Gatys et al. 2016, eq. 3, divided by H W so that a picture's size does not count.
    Summed in float32, whatever the features are in.
    """
    batch, height, wide, channels = ops.shape(features)
    flat = ops.reshape(features, (batch, height * wide, channels))
    return channel_products(flat) / ops.cast(height * wide, "float32")


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


@keras.saving.register_keras_serializable("kstyle")
class ContentLoss(TermLoss):
    """`sum((F - F_content)^2) / 2 / (H W C)`: what is where (Gatys 2016, eq. 1)."""

    def __init__(self, name="content", **kwargs):
        super().__init__(name, **kwargs)

    def call(self, target, features):
        count = ops.prod(ops.shape(features)[1:])
        error = half_square_sum(features - target)
        return error / ops.cast(count, error.dtype)

    def of_nothing(self, target):
        """By `ROWS` at a time: a large picture's layer takes gigabytes."""
        parts = [target[:, k : k + ROWS] for k in range(0, target.shape[1], ROWS)]
        sums = [part.shape[1] * TermLoss.of_nothing(self, part) for part in parts]
        return sum(sums) / target.shape[1]


@keras.saving.register_keras_serializable("kstyle")
class GramLoss(TermLoss):
    """`1e-4 sum((G - G_style)^2) / 2 / C^2`: how it is painted (Gatys 2016, eq. 4)."""

    def __init__(self, name="style", **kwargs):
        super().__init__(name, **kwargs)

    def represent(self, features):
        return gram_matrix(features)

    def call(self, target, gram):
        """Of two Gram matrices `(batch, C, C)`: `(batch,)`."""
        error = half_square_sum(gram - target)
        return STYLE_FACTOR * error / gram.shape[-1] ** 2


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


def loss_terms(content, style, tv=0.0):
    """The terms for `{layer: weight}` of content and of style, and the weight of TV.

    `loss_terms({"conv2_2": 8}, {"conv3_1": 200}, tv=200)` is the article's objective.
    """
    terms = [
        LossTerm(f"{kind}/{layer}", layer, loss, float(weight), kind)
        for kind, loss, layers in (
            ("content", ContentLoss(), content),
            ("style", GramLoss(), style),
        )
        for layer, weight in layers.items()
    ]
    return (*terms, LossTerm("tv", IMAGE, TotalVariationLoss(), float(tv), None))


def build_terms(config):
    """The terms of a `StyleConfig`: each layer's weight times that of its kind."""
    return loss_terms(
        {k: w * config.content_weight for k, w in config.content_layers.items()},
        {k: w * config.style_weight for k, w in config.style_layers.items()},
        config.tv_weight,
    )
