"""Solve layer weights from the initial picture: `--style-weights METHOD[:NUMBER]` and
`--content-weights METHOD[:NUMBER]`.

They are solved once, before the first step, and are plain numbers from then on, so that
the run can be repeated. Arithmetic only: `runs/initialization.py` measures the losses
and gradient norms.

- `normalized`, the default: the loss of each style layer is divided by its loss for
  features of 0, and multiplied by that of the content. The gradients of both are in
  proportion then, however large the Gram matrices of the painting are, which differ by
  orders of magnitude. The weights also grow with the size of the result, in which the
  same layers see smaller parts. The weights for the trained VGG19 were chosen by
  eye for this. Those of any other network are balanced further, so that they need no
  choice: the content loss of features of 0 is the typical one, next to which
  the total variation has its usual part, and the style layers have gradients in
  proportion to the weights given. Without that, deep layers, whose gradients can be
  hundreds of times those of shallow ones, stop the optimizer.
- `init-loss:LOSS`, as the article's program does: a layer whose initial loss, times
  `style_weight` or `content_weight`, is below LOSS gets the weight with which it starts
  at exactly LOSS. Layers above it and weights of 0 stay.
- `equal-loss[:SHARE]`: every layer gets the same weighted initial loss.
- `equal-gradient[:SHARE]`: the gradients of the layers' weighted losses get the same
  2-norm at the initial picture.

`equal-loss` and `equal-gradient` keep the sum over the layers (of losses or norms), so
that `style_weight` and `content_weight` keep their meaning. With a SHARE, which only
style can have, in (0, 1), `content_weight` is solved as well, so that style has that
share of the sum of style and content. Content is measured at the initial picture, or at
grey noise if the run starts from the content, which has no content loss. They are
instruments for studies: equal gradients at the initial picture, where the content has
none, mostly give a photograph with a tint. `auto` is `normalized`.
"""

import dataclasses
import math
from collections.abc import Mapping
from typing import cast

from kstyle.errors import ConfigError

NORMALIZED = "normalized"
BALANCE_METHODS = ("init-loss", "equal-loss", "equal-gradient")
METHOD_FORMS = (
    "normalized (also auto), init-loss:LOSS, equal-loss[:SHARE] or "
    "equal-gradient[:SHARE]"
)
NORMAL_EDGE = 512  # long edge of a result for which normalized weights are not scaled
# Loss of the content for features of 0 where there is no content layer: that of conv4_2
# of VGG19 for photographs, in the middle.
TYPICAL_CONTENT_LOSS = 5e4
CONTENT_METHOD_FORMS = "init-loss:LOSS, equal-loss or equal-gradient"
LEAST_GRADIENT = 1 / 3  # of a style layer, in gradients of the first one
SIGNIFICANT_DIGITS = 6  # of the solved numbers: what is printed is what is run
Weights = dict[str, float]
Values = dict[str, float]


@dataclasses.dataclass(frozen=True)
class BalanceMethod:
    """The name of a method and its LOSS or SHARE; without a SHARE (`None`) content
    keeps its weight."""

    name: str
    number: float | None

    def __str__(self) -> str:
        """Return the method as it is typed."""
        return self.name if self.number is None else f"{self.name}:{self.number:g}"


def parse_balance_method(text: str) -> BalanceMethod:
    """Parse METHOD or METHOD:NUMBER.

    Raises: ConfigError: there is no such method, or its number is out of range.
    """
    method = split_method(NORMALIZED if text == "auto" else str(text))
    name, number = method.name, method.number
    if name == NORMALIZED:
        usable = number is None
    elif name == "init-loss":
        usable = number is not None and 0 < number < math.inf
    else:
        usable = name in BALANCE_METHODS and (number is None or 0 < number < 1)
    if not usable:
        raise ConfigError(
            f"style_weights: {text!r} is not a method. Expected {METHOD_FORMS}, with "
            "LOSS above 0 and SHARE between 0 and 1, such as equal-loss:0.8."
        )
    return method


def parse_content_method(text: str, init: str) -> BalanceMethod:
    """Parse METHOD or METHOD:NUMBER of the content layers.

    init: the option.
    Raises: ConfigError: there is no such method, its number is out of range, or the
        run starts from the content, where no content layer has a loss to be raised.
    """
    method = split_method(text)
    name, number = method.name, method.number
    if name == "init-loss":
        usable = number is not None and 0 < number < math.inf
    else:
        usable = name in BALANCE_METHODS and number is None and ":" not in text
    if not usable:
        raise ConfigError(
            f"content_weights: {text!r} is not a method. Expected "
            f"{CONTENT_METHOD_FORMS}, with LOSS above 0, such as init-loss:1000."
        )
    if name == "init-loss" and init == "content":
        raise ConfigError(
            "content_weights: at init content the content loss is 0, whatever its "
            "weight. Start from --init noise or a file, or use another method."
        )
    return method


def split_method(text: str) -> BalanceMethod:
    """Split METHOD or METHOD:NUMBER; text that is no number gives NaN."""
    name, colon, number = text.partition(":")
    try:
        return BalanceMethod(name, float(number) if colon else None)
    except ValueError:
        return BalanceMethod(name, math.nan)


def solve_layer_weights(
    method: BalanceMethod,
    *,
    style_layers: Mapping[str, Weights],
    content_layers: Weights,
    style_weight: float,
    style_values: Mapping[str, Values],
    content_values: Values,
) -> tuple[dict[str, Weights], float | None]:
    """Compute the weights of the style layers by `method` and, for a share, the option
    `content_weight`, else `None`.

    style_layers: `{source of style terms: the option}`, one for the whole picture or
        one for each region, which are solved apart. content_layers, style_weight: the
        options. style_values: by source, and content_values: `{layer: value}` of
        their layers at the initial picture with all weights 1: losses, or gradient
        norms for `equal-gradient`.
    Raises: ConfigError: a layer that has a weight has no loss, or one that is not
        finite.
    """
    solved = {
        source: solve_kind("style", method, layers, style_weight, style_values[source])
        for source, layers in style_layers.items()
    }
    if method.name == "init-loss" or method.number is None:
        return solved, None
    style = style_weight * sum(
        solved[source][layer] * value
        for source in solved
        for layer, value in style_values[source].items()
    )
    content = sum(content_layers[k] * content_values[k] for k in content_values)
    return solved, solve_content_weight(method.number, style, content)


def solve_kind(
    kind: str,
    method: BalanceMethod,
    layers: Weights,
    kind_weight: float,
    values: Values,
) -> dict[str, float]:
    """Compute the weights of the layers of one kind, rounded.

    kind: "style" or "content". layers, kind_weight: the options `style_layers` and
        `style_weight`, or those of content. values: as for `solve_layer_weights`; a
        layer without one, as a region has too few positions there at every scale, keeps
        its weight.
    Raises: ConfigError: as for `solve_layer_weights`.
    """
    weighted = [k for k, weight in layers.items() if weight and k in values]
    if not weighted:
        raise ConfigError(f"{kind}_weights: no {kind} layer has a weight to be solved.")
    values = {layer: values[layer] for layer in weighted}
    check_positive_values(values, kind)
    if method.name != "init-loss":
        return round_weights(equalized_weights(layers, values))
    if not kind_weight:
        raise ConfigError(
            f"{kind}_weights: {kind}_weight is 0, so no layer can start with a loss. "
            "Give it a weight."
        )
    losses = {layer: kind_weight * value for layer, value in values.items()}
    return round_weights(raised_weights(layers, losses, cast(float, method.number)))


def normalize_layer_weights(
    style_layers: Weights,
    content_layers: Weights,
    *,
    style_values: Values,
    content_values: Values,
    edge: int,
) -> Weights:
    """Compute the weights of the style layers for the method `normalized`.

    style_layers, content_layers: the options. style_values, content_values: `{layer:
        unweighted loss of features that are all 0}`. edge: the long edge of the result
        in pixels.
    A layer without such a loss, as the style has no features there, keeps its weight.
    """
    content = sum(content_layers[k] * content_values[k] for k in content_layers)
    unit = (content or TYPICAL_CONTENT_LOSS) * edge / NORMAL_EDGE
    scaled = {
        layer: style_layers[layer] * unit / value
        for layer, value in style_values.items()
        if value
    }
    return round_weights({**style_layers, **scaled})


def normalize_content_weights(content_layers: Weights, values: Values) -> Weights:
    """Compute content weights with which features of 0 have the typical content loss.

    content_layers: the option. values: `{layer: unweighted loss of features that are
        all 0}`. Without any loss the weights stay.
    """
    loss = sum(content_layers[k] * values[k] for k in content_layers)
    factor = TYPICAL_CONTENT_LOSS / loss if loss else 1.0
    return round_weights({k: w * factor for k, w in content_layers.items()})


def balance_gradients(weights: Weights, norms: Values, shares: Weights) -> Weights:
    """Compute the weights of style layers with gradients in proportion to `shares`.

    weights: normalized. norms: `{layer: norm of the gradient of its weighted loss}` at
        the content, the first layer of the network first. shares: the option
        `style_layers`, in proportion to which the `weights` times the losses of
        features of 0 are.
    The sum of these losses stays. Layers without a share or a gradient keep their
    weight. A layer with a gradient below `LEAST_GRADIENT` is treated as having that:
    random deep layers can have a large loss that hardly depends on the picture, and
    with an equal gradient it would take nearly all of the sum.
    """
    used = [k for k, norm in norms.items() if shares[k] and 0 < norm < math.inf]
    if not used:
        return weights
    least = LEAST_GRADIENT * norms[used[0]]
    factors = {k: shares[k] / max(norms[k], least) for k in used}
    kept = sum(shares[k] for k in used) / sum(shares[k] * factors[k] for k in used)
    balanced = {k: weights[k] * factors[k] * kept for k in used}
    return round_weights({**weights, **balanced})


def raised_weights(weights: Weights, losses: Values, start: float) -> dict[str, float]:
    """Compute the weights with which layers below the loss `start` start there.

    losses: of the layers to be solved, with all but the layers' own weights.
    """
    raised = {layer: start / loss for layer, loss in losses.items() if loss < start}
    return weights | raised


def equalized_weights(weights: Weights, values: Values) -> dict[str, float]:
    """Compute weights with which every `weight * value` is the same and the sum of
    them stays.

    values: of the layers to be solved; the others keep their weight.
    """
    each = sum(weights[layer] * values[layer] for layer in values) / len(values)
    return weights | {layer: each / value for layer, value in values.items()}


def solve_content_weight(share: float, style: float, content: float) -> float:
    """Compute the weight of the content with which style has `share` of the sum.

    style: the weighted sum over the style's layers. content: that of the content's
        with `content_weight` 1.
    """
    if not style:
        raise ConfigError(
            "style_weights: style_weight is 0, so style can have no share. Give it a "
            "weight, or leave out the share."
        )
    if not content > 0:
        raise ConfigError(
            "style_weights: the content has no loss to give a share to. Name content "
            "layers with a weight, or leave out the share."
        )
    return round_weight(style * (1 - share) / share / content)


def check_positive_values(values: Values, kind: str) -> None:
    """Refuse layers of a kind whose value is not positive and finite."""
    for layer, value in values.items():
        if not 0 < value < math.inf:
            raise ConfigError(
                f"{kind}_weights: {kind} layer {layer} starts with the value "
                f"{value:g}, so no weight can be found for it. Leave the layer out, "
                "start from another --init, or give the weights yourself."
            )


def round_weights(weights: Weights) -> dict[str, float]:
    """Round every weight to `SIGNIFICANT_DIGITS`."""
    return {layer: round_weight(weight) for layer, weight in weights.items()}


def round_weight(weight: float) -> float:
    return float(f"{weight:.{SIGNIFICANT_DIGITS}g}")
