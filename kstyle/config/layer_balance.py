"""Solve layer weights from the initial picture: `--style-weights METHOD[:NUMBER]`.

They are solved once, before the first step, and are plain numbers from then on, so that
the run can be repeated. Arithmetic only: `runs/initialization.py` measures the losses
and gradient norms.

- `init-loss:FLOOR`, as the reference does: a style layer whose unweighted initial loss
  is below FLOOR gets the weight FLOOR / loss. Other layers and weights of 0 stay.
- `equal-loss[:SHARE]`: every style layer gets the same weighted initial loss.
- `equal-gradient[:SHARE]`: the gradients of the style layers' weighted losses get the
  same 2-norm at the initial picture.

The last two keep the sum over the layers (of losses or norms), so that `style_weight`
keeps its meaning. With a SHARE in (0, 1), `content_weight` is solved as well, so that
style has that share of the sum of style and content. Content is measured at the initial
picture, or at grey noise if the run starts from the content, which has no content loss.
`auto` is `equal-gradient:0.8`.
"""

import dataclasses
import math
from typing import Any, cast

from kstyle.errors import ConfigError

AUTO_METHOD = "equal-gradient:0.8"
BALANCE_METHODS = ("init-loss", "equal-loss", "equal-gradient")
METHOD_FORMS = "auto, init-loss:FLOOR, equal-loss[:SHARE] or equal-gradient[:SHARE]"
SIGNIFICANT_DIGITS = 6  # of the solved numbers: what is printed is what is run
Weights = dict[str, float]
Values = dict[str, float]


@dataclasses.dataclass(frozen=True)
class BalanceMethod:
    """The name of a method and its FLOOR or SHARE; without a SHARE (`None`) content
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
    name, colon, number = (AUTO_METHOD if text == "auto" else str(text)).partition(":")
    try:
        value = float(number) if colon else None
    except ValueError:
        value = math.nan
    if name == "init-loss":
        usable = value is not None and 0 < value < math.inf
    else:
        usable = name in BALANCE_METHODS and (value is None or 0 < value < 1)
    if not usable:
        raise ConfigError(
            f"style_weights: {text!r} is not a method. Expected {METHOD_FORMS}, with "
            "FLOOR above 0 and SHARE between 0 and 1, such as equal-loss:0.8."
        )
    return BalanceMethod(name, value)


def solve_layer_weights(
    method: BalanceMethod,
    *,
    style_layers: Weights,
    content_layers: Weights,
    style_weight: float,
    style_values: Values,
    content_values: Values,
) -> dict[str, Any]:
    """Compute the options that `method` changes: `style_layers` and, for a share,
    `content_weight`.

    style_layers, content_layers, style_weight: the options. style_values,
        content_values: `{layer: value}` of their layers at the initial picture with
        all weights 1: losses, or gradient norms for `equal-gradient`.
    Raises: ConfigError: a layer that has a weight has no loss, or one that is not
        finite.
    """
    if method.name == "init-loss":
        floor = cast(float, method.number)
        check_positive_values(style_values)
        raised = {
            layer: floor / style_values[layer]
            for layer, weight in style_layers.items()
            if weight and style_values[layer] < floor
        }
        return {"style_layers": round_weights(style_layers | raised)}
    weights = round_weights(equalized_weights(style_layers, style_values))
    options: dict[str, Any] = {"style_layers": weights}
    if method.number is not None:
        style = style_weight * sum(weights[k] * style_values[k] for k in weights)
        content = sum(content_layers[k] * content_values[k] for k in content_values)
        options["content_weight"] = solve_content_weight(method.number, style, content)
    return options


def equalized_weights(weights: Weights, values: Values) -> dict[str, float]:
    """Compute weights with which every `weight * value` is the same and the sum of
    them stays.

    A layer of weight 0 keeps it.
    """
    values = {layer: values[layer] for layer, weight in weights.items() if weight}
    if not values:
        raise ConfigError("style_weights: no style layer has a weight to be solved.")
    check_positive_values(values)
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


def check_positive_values(values: Values) -> None:
    """Refuse style layers whose value is not positive and finite."""
    for layer, value in values.items():
        if not 0 < value < math.inf:
            raise ConfigError(
                f"style_weights: style layer {layer} starts with the value {value:g}, "
                "so no weight can be found for it. Leave the layer out, start from "
                "another --init, or give the weights yourself."
            )


def round_weights(weights: Weights) -> dict[str, float]:
    """Round every weight to `SIGNIFICANT_DIGITS`."""
    return {layer: round_weight(weight) for layer, weight in weights.items()}


def round_weight(weight: float) -> float:
    return float(f"{weight:.{SIGNIFICANT_DIGITS}g}")
