"""Looks: `--look NAME` and `--strength X`, and what they mean in plain options.

A look is a weight of the style loss. With weights of the layers that are normalized to
the pictures (`layer_balance.py`) one number has a similar effect with every pair of
pictures. Chosen by eye; docs/gallery.md has the pairs and sizes that were compared.
"""

import math
from collections.abc import Mapping
from typing import Any, Literal

from kstyle.config.layer_balance import NORMALIZED, parse_balance_method
from kstyle.config.option_types import named_option
from kstyle.config.style_source import without_replaced_styles
from kstyle.errors import ConfigError
from kstyle.losses.conventions import REFERENCE
from kstyle.losses.names import CONTENT_LOSS_NAMES, STYLE_LOSS_NAMES
from kstyle.networks.registry import canonical_net, get_graph, is_built_in
from kstyle.networks.weights import default_weights, is_random

LookName = Literal["faithful", "balanced", "painterly", "pastiche"]
DEFAULT_LOOK = "balanced"
DEFAULT_NET = "vgg19"
# Weight of the style loss of each look, from the photograph to the painting. The looks
# divide the strengths 0..1 evenly.
LOOKS: dict[str, float] = {
    "faithful": 30,
    "balanced": 100,
    "painterly": 300,
    "pastiche": 3000,
}

# The network whose weights of layers were chosen by eye, as it was trained.
TUNED_NET = "vgg19"
# Layers of the content beside normalized losses. With conv4_2 alone, at every 8th
# pixel, a small face lost eyes and mouth (docs/gallery.md).
NORMALIZED_CONTENT_LAYERS = {"conv4_2": 0.5, "conv3_2": 2.0}
PLAIN_CONTENT_LAYERS = {"conv4_2": 1.0}
# Weights of normalized losses: shares of the layers in the style loss.
NORMALIZED_STYLE_LAYERS = {
    "conv1_1": 0.4,
    "conv2_1": 1.0,
    "conv3_1": 1.0,
    "conv4_1": 1.0,
    "conv5_1": 0.2,
}
# Statistics of these layers. Most of a Gram matrix is the product of the features'
# means, and flat areas in the photograph's colours change little of that. Without the
# means, in the middle layers, they get the painting's colours and fewer dots; without
# them in the deepest layers as well a face was lost (docs/gallery.md).
NORMALIZED_STYLE_LOSS = "gram,conv2_1=covariance,conv3_1=covariance"
# By eye at 192 px: with conv3, at every 16th pixel, the content cannot be recognised.
ALEXNET_CONTENT_LAYERS = {"conv2": 1.0}
ALEXNET_STYLE_LAYERS = {
    "conv1": 0.4,
    "conv2": 1.0,
    "conv3": 1.0,
    "conv4": 1.0,
    "conv5": 0.2,
}
# Power of the edge of a scale with which the style loss grows along the scales. A layer
# sees smaller parts of a larger picture, which with a constant weight is less painted;
# and a constant weight that is right at 512 px loses a face at 128 px.
NORMALIZED_GROWTH = 1.0
# Weight of each kind of total variation. The first is part of normalized weights, the
# second of plain ones, as it was before the first was there.
TV_WEIGHTS = {"charbonnier": 2000.0, "squared": 120.0}
# Statistic of layers that are given, and of those of another network.
PLAIN_STYLE_LOSS = STYLE_LOSS_NAMES[0]
MSE = CONTENT_LOSS_NAMES[0]
# Weights of losses that are not normalized, for the other methods of `style_weights`
# and for none. With equal weights conv4_1 is 95 % of the initial loss of the samples at
# 128 px, and their colours were wrong.
PLAIN_STYLE_LAYERS = {
    "conv1_1": 20.0,
    "conv2_1": 4.0,
    "conv3_1": 2.0,
    "conv4_1": 0.3,
    "conv5_1": 20.0,
}


def default_content_layers(net: str, normalized: bool) -> dict[str, float]:
    """Return the layers of the content loss of a network, with weights.

    normalized: whether the style has the layers and weights of normalized losses.
    """
    if net == "alexnet":
        return ALEXNET_CONTENT_LAYERS
    if not is_built_in(net):
        return get_graph(net).content_layers
    return NORMALIZED_CONTENT_LAYERS if normalized else PLAIN_CONTENT_LAYERS


def default_style_layers(net: str, normalized: bool) -> dict[str, float]:
    """Return the layers of the style loss of a network, with weights.

    normalized: whether the weights are those of normalized losses.
    """
    if net == "alexnet":
        return ALEXNET_STYLE_LAYERS
    if not is_built_in(net):
        return get_graph(net).style_layers
    return NORMALIZED_STYLE_LAYERS if normalized else PLAIN_STYLE_LAYERS


def default_style_loss(layers: Mapping[str, float]) -> str:
    """Return the statistics of default layers of the style loss."""
    is_look = layers == NORMALIZED_STYLE_LAYERS
    return NORMALIZED_STYLE_LOSS if is_look else PLAIN_STYLE_LOSS


def has_tuned_layers(net: str, weights: str) -> bool:
    """Return whether the layers' weights were chosen by eye for a network.

    weights: the option.
    """
    return net == TUNED_NET and not is_random(weights)


def network_defaults(net: str) -> dict[str, tuple[Any, ...]]:
    """Return values of options that no user has chosen, so that those of another
    network replace them."""
    layers = tuple(default_style_layers(net, k) for k in (True, False))
    return {
        "content_layers": tuple(default_content_layers(net, k) for k in (True, False)),
        "style_layers": layers,
        "style_loss": (default_style_loss(layers[0]),),
        "weights": (default_weights(net),),
    }


def strength_style_weight(strength: float) -> float:
    """Return the weight of the style loss at `strength`, in [0, 1].

    0 is the look `faithful`, 1 `pastiche`; between two looks it grows by equal factors.
    """
    weights = list(LOOKS.values())
    place = strength * (len(weights) - 1)
    below = min(int(place), len(weights) - 2)
    ratio = weights[below + 1] / weights[below]
    return float(f"{weights[below] * math.pow(ratio, place - below):.4g}")


def implied_options(options: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options that `options` imply and do not give: by a look or strength,
    or by the way in which the layers are weighted."""
    implied: dict[str, Any] = {}
    look, strength = options.get("look"), options.get("strength")
    if "style_weight" not in options:
        if strength is not None and is_strength(strength):
            implied["style_weight"] = strength_style_weight(float(strength))
        elif isinstance(look, str) and look in LOOKS:
            implied["style_weight"] = LOOKS[look]
    # Weights that are given are meant as they are.
    foreign = options.get("convention") not in (None, REFERENCE)
    if foreign:
        check_foreign_weights(options)
    default_method = None if foreign or "style_layers" in options else NORMALIZED
    normalized = is_normalized(options.get("style_weights", default_method))
    if not normalized:
        check_plain_look(implied.get("style_weight"), options)
    with named_option("net"):
        net = canonical_net(str(options.get("net", DEFAULT_NET)))
        layers = default_style_layers(net, normalized)
        given = "style_layers" in options
        is_mse = options.get("content_loss", MSE) == MSE
        implied["content_layers"] = default_content_layers(
            net, normalized and is_mse and not given
        )
    implied["weights"] = default_weights(net)
    if foreign:
        layers = dict.fromkeys(layers, 1.0)
    return implied | {
        "style_weights": default_method,
        "style_layers": layers,
        "style_loss": PLAIN_STYLE_LOSS if given else default_style_loss(layers),
        "style_growth": NORMALIZED_GROWTH if normalized else 0.0,
        **implied_total_variation(options, normalized),
    }


def check_plain_look(implied_weight: float | None, options: Mapping[str, Any]) -> None:
    """Raise `ConfigError` if a look or strength is given for weights that are plain.

    Weights with a `style_growth` are those that a run has solved, in its config.yaml:
    normalized too.
    implied_weight: of the style loss, by the look or strength. That of the default is
        the default of plain weights too.
    """
    if implied_weight in (None, LOOKS[DEFAULT_LOOK]) or is_growing(options):
        return
    name = "look" if options.get("strength") is None else "strength"
    raise ConfigError(
        f"{name} {options[name]} is a weight of normalized style losses, and layers or "
        "style_weights are given without normalization. Add style_weights normalized, "
        f"or give style_weight in place of {name}.",
        option=name,
    )


def implied_total_variation(
    options: Mapping[str, Any], normalized: bool
) -> dict[str, Any]:
    """Return the kind and the weight of the total variation that `options` imply.

    A weight that is given without a kind is that of squares, the only kind before.
    """
    is_new = normalized and "tv_weight" not in options
    kind = options.get("tv_loss", "charbonnier" if is_new else "squared")
    weight = TV_WEIGHTS.get(str(kind), TV_WEIGHTS["squared"])
    return {"tv_loss": kind, "tv_weight": weight}


def check_foreign_weights(options: Mapping[str, Any]) -> None:
    """Raise `ConfigError` if a convention is given without weights in it."""
    missing = {"content_weight", "style_weight"} - set(options)
    if missing:
        raise ConfigError(
            f"convention {options['convention']} needs {' and '.join(sorted(missing))} "
            "too: the defaults are weights of another convention. docs/coming_from.md "
            "has those of each program.",
            option="convention",
        )


def is_growing(options: Mapping[str, Any]) -> bool:
    """Return whether `style_growth`, as YAML or a flag gives it, is above 0."""
    try:
        return float(options.get("style_growth", 0)) > 0
    except (TypeError, ValueError):
        return False


def is_strength(value: Any) -> bool:
    """Return whether `value` is a number in [0, 1], as YAML or a flag gives it."""
    if value is None or isinstance(value, bool):
        return False
    try:
        return 0 <= float(value) <= 1
    except (TypeError, ValueError):
        return False


def is_normalized(style_weights: Any) -> bool:
    """Return whether a value of `style_weights` names the method `NORMALIZED`."""
    try:
        return parse_balance_method(str(style_weights)).name == NORMALIZED
    except ConfigError:
        return False


def override_options(
    options: Mapping[str, Any], changes: Mapping[str, Any]
) -> dict[str, Any]:
    """Return `options` with `changes`, which have priority.

    What the changes imply (`implied_options`) also replaces what the options have: the
    weight of the style loss for a look, the normalized weights for other layers, and
    the layers themselves for another network, where they are a network's defaults.
    Other styles replace all that the options have about the styles.
    """
    options = without_replaced_styles(options, changes)
    replaced: set[str] = set()
    net = options.get("net", DEFAULT_NET)
    if changes.get("net", net) != net:
        replaced |= {
            name
            for name, defaults in network_defaults(canonical_net(net)).items()
            if options.get(name) in defaults
        }
    if {"look", "strength"} & set(changes):
        replaced |= {"look", "strength", "style_weight"}
    if {"style_layers", "style_weights", "convention"} & set(changes):
        replaced.add("style_growth")
        if options.get("style_loss") == NORMALIZED_STYLE_LOSS:
            replaced.add("style_loss")
    depends_on = {"style_layers", "style_weights", "convention", "content_loss"}
    if depends_on & set(changes) and (
        options.get("content_layers") == NORMALIZED_CONTENT_LAYERS
    ):
        replaced.add("content_layers")
    is_default = options.get("tv_weight") == TV_WEIGHTS.get(str(options.get("tv_loss")))
    depends_on = {"style_layers", "style_weights", "convention", "tv_loss", "tv_weight"}
    if is_default and depends_on & set(changes):
        replaced |= {"tv_loss", "tv_weight"}
    if {"style_layers", "convention"} & set(changes):
        replaced.add("style_weights")
    if {"style_weights", "convention"} & set(changes) and (
        options.get("style_layers") == NORMALIZED_STYLE_LAYERS
    ):
        replaced.add("style_layers")
    kept = {name: value for name, value in options.items() if name not in replaced}
    return {**kept, **changes}
