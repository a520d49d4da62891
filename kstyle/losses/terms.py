"""What the picture is optimised for: content, style and total variation.

Every formula is in the `reference` convention (S. Singla, "Experiments on different
loss configurations for style transfer", 2017): 0..255 units, halves from TensorFlow's
`l2_loss`, and a fixed 1e-4 on style, so that the weights 8 / 200 / 200 of that article
mean the same here. The image variable is in [0, 1]; `total_variation` brings it to
0..255 and the extractor does so for the rest.
"""

from kstyle.losses.base import IMAGE, LossTerm
from kstyle.losses.content import ContentLoss
from kstyle.losses.regularization import TotalVariationLoss
from kstyle.losses.style import GramLoss


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
