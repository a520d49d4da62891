"""Layer weights found from the start picture: `--style-weights METHOD[:NUMBER]`.

Solved once, before the first step, into plain numbers that repeat the run. Arithmetic
only; what is measured at the start comes from `start.solve_weights`.

- `init-loss:FLOOR`, the reference's: a style layer whose unweighted initial loss is
  below FLOOR gets the weight FLOOR / loss; the others keep theirs, and so does a 0.
- `equal-loss[:SHARE]`: every style layer has the same weighted initial loss.
- `equal-gradient[:SHARE]`: every style layer's weighted loss has a gradient of the same
  2-norm at the start picture.

The last two keep the sum over the layers (of losses, of norms), so `style_weight` means
what it meant. With a SHARE in (0, 1), `content_weight` is solved as well: style has
that share of the sum over style and content. Content is measured where it is missing:
at the start picture, or at grey noise where the start is the content itself.
`auto` is `equal-gradient:0.8`.
"""

import dataclasses
import math

from kstyle.errors import ConfigError

AUTO_METHOD = "equal-gradient:0.8"
BALANCE_METHODS = ("init-loss", "equal-loss", "equal-gradient")
METHOD_FORMS = "auto, init-loss:FLOOR, equal-loss[:SHARE] or equal-gradient[:SHARE]"
SIGNIFICANT_DIGITS = 6  # of the solved numbers, so that what is printed is what is run


@dataclasses.dataclass(frozen=True)
class BalanceMethod:
    """A method's name, and its FLOOR or SHARE (`None`: content keeps its weight)."""

    name: str
    number: float | None

    def __str__(self):
        """As it would be typed."""
        return self.name if self.number is None else f"{self.name}:{self.number:g}"


def parse_balance_method(text):
    """The `Method` that `text` names.

    Raises: ConfigError: there is no such method, or its number makes no sense.
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


def solve_layer_weights(method, config, style, content):
    """The options of `config` that `method` changes, as plain numbers.

    style, content: `{layer: value}` of every layer of the config at the start, with
        all weights 1: losses, or gradient norms for `equal-gradient`.
    Raises: ConfigError: a layer that should be weighted has nothing to weigh.
    """
    if method.name == "init-loss":
        check_positive_values("style", style)
        low = {
            k for k, w in config.style_layers.items() if w and style[k] < method.number
        }
        raised = {layer: method.number / style[layer] for layer in low}
        weights = config.style_layers | raised
        return {"style_layers": round_weights(weights)}
    weights = round_weights(equalized_weights(config.style_layers, style))
    options = {"style_layers": weights}
    if method.number is not None:
        options["content_weight"] = solve_content_weight(
            method.number, config, weights, style, content
        )
    return options


def equalized_weights(weights, values):
    """Weights under which every `weight * value` is the same, their sum unchanged.

    A layer of weight 0 keeps it.
    """
    values = {layer: values[layer] for layer, weight in weights.items() if weight}
    if not values:
        raise ConfigError("style_weights: no style layer has a weight to be solved.")
    check_positive_values("style", values)
    each = sum(weights[layer] * values[layer] for layer in values) / len(values)
    return weights | {layer: each / value for layer, value in values.items()}


def solve_content_weight(share, config, weights, style, content):
    """The weight of the content with which style has `share` of the whole."""
    if not config.style_weight:
        raise ConfigError(
            "style_weights: style_weight is 0, so style can have no share. Give it a "
            "weight, or leave out the share."
        )
    pull = sum(config.content_layers[layer] * content[layer] for layer in content)
    if not pull > 0:
        raise ConfigError(
            "style_weights: the content has no loss to give a share to. Name content "
            "layers with a weight, or leave out the share."
        )
    carried = config.style_weight * sum(weights[k] * style[k] for k in weights)
    return round_weights({"": carried * (1 - share) / share / pull})[""]


def check_positive_values(kind, values):
    for layer, value in values.items():
        if not 0 < value < math.inf:
            raise ConfigError(
                f"style_weights: {kind} layer {layer} starts with the value {value:g}, "
                "so no weight can be found for it. Leave the layer out, start from "
                "another --init, or give the weights yourself."
            )


def round_weights(weights):
    return {layer: float(f"{w:.{SIGNIFICANT_DIGITS}g}") for layer, w in weights.items()}
