"""Refuse options that are each allowed, but not together."""

from collections.abc import Iterable, Mapping

from kstyle.config.finishes import parse_finish
from kstyle.config.layer_balance import (
    parse_balance_method,
    parse_content_method,
)
from kstyle.config.option_types import counted, named_option
from kstyle.config.style_source import MIXTURE_HINT
from kstyle.errors import ConfigError, WeightsError
from kstyle.images.picture import parse_crop
from kstyle.losses.names import CONTENT_LOSS_NAMES, STYLE_LOSS_NAMES, choose_losses
from kstyle.networks.registry import (
    NETWORKS,
    get_architecture,
    get_graph,
    resolve_preprocess,
)
from kstyle.networks.weights import check_graph_source


def known_layers(net: str, layers: Mapping[str, float]) -> dict[str, float]:
    """Return layers, with weights, under a network's names, patterns expanded.

    Raises: ConfigError: the network has no such layer.
    """
    architecture = get_architecture(net)
    found = architecture.expand_layers(layers)
    architecture.check_layers(found)
    return found


def check_layers(
    net: str, content_layers: Mapping[str, float], style_layers: Mapping[str, float]
) -> None:
    """Refuse layers that the network does not have, and a run without layers."""
    architecture = get_architecture(net)
    for name, layers in (
        ("content_layers", content_layers),
        ("style_layers", style_layers),
    ):
        with named_option(name):
            architecture.check_layers(tuple(layers))
    if not content_layers and not style_layers:
        raise ConfigError("No layers: give content_layers or style_layers.")


def check_losses(
    style_loss: str,
    style_layers: Mapping[str, float],
    content_loss: str,
    content_layers: Mapping[str, float],
    tv_loss: str,
    convention: str,
) -> None:
    """Refuse losses of layers that have none, and factors that are of other losses."""
    for name, losses, layers, names in (
        ("style_loss", style_loss, style_layers, STYLE_LOSS_NAMES),
        ("content_loss", content_loss, content_layers, CONTENT_LOSS_NAMES),
    ):
        with named_option(name):
            choose_losses(losses, layers, names)
    chosen = style_loss, content_loss, tv_loss
    if convention != "reference" and chosen != ("gram", "mse", "squared"):
        raise ConfigError(
            f"convention {convention} has factors for style_loss gram, content_loss "
            "mse and tv_loss squared only. Leave one or the other out.",
            option="convention",
        )


def check_optimizer(
    optimizer: str,
    *,
    average: float,
    iterations: int | None,
    parameterization: str,
    learning_rate: float | None,
) -> None:
    """Refuse what the optimizer cannot do, and what only another one can."""
    if average and optimizer != "adam":
        raise ConfigError("average is Adam's. Leave it out, or use optimizer adam.")
    if optimizer != "scipy":
        if iterations is not None:
            raise ConfigError(
                "iterations are SciPy's. Leave them out, or use optimizer scipy.",
                option="iterations",
            )
        return
    if parameterization != "pixels":
        raise ConfigError(
            "optimizer scipy optimises the pixels, between bounds: use "
            f"parameterization pixels with it, not {parameterization}.",
            option="optimizer",
        )
    if learning_rate is not None:
        raise ConfigError(
            "optimizer scipy has a line search and no learning_rate. Leave it out.",
            option="optimizer",
        )


def check_built_in_network(net: str, preprocess: str) -> None:
    """Refuse an input format, which a built-in network has already."""
    if preprocess != "auto":
        raise ConfigError(
            f"preprocess: {net} is built in, and its input is known. Leave it out.",
            option="preprocess",
        )


def check_keras_network(
    net: str,
    *,
    preprocess: str,
    weights: str,
    tile: str | int,
    padding: str,
    pool: str,
) -> None:
    """Refuse options that a network which is not built in has no layers for."""
    if tile != "off":
        raise ConfigError(
            f"tile: {net} cannot be computed in tiles, only {', '.join(NETWORKS)}. "
            "Leave it out, or use a smaller size.",
            option="tile",
        )
    if padding == "valid":
        raise ConfigError(
            f"padding: {net} needs its padding, as branches that are added must have "
            "the same size. Use same, reflect or replicate.",
            option="padding",
        )
    if pool == "max" and not get_graph(net).has_maximum_pooling:
        raise ConfigError(
            f"pool: {net} has no maximum pooling with a stride that an average could "
            "replace. Leave it out.",
            option="pool",
        )
    with named_option("preprocess"):
        resolve_preprocess(net, preprocess)
    with named_option("weights"):
        try:
            check_graph_source(net, weights)
        except WeightsError as error:
            raise ConfigError(str(error)) from None


def check_finish(
    finish: str, style_layers: Mapping[str, float], style_weight: float
) -> None:
    """Refuse a finish that is unknown or has nothing to pull with.

    The weight of a layer in it is that of the run, times a factor.
    """
    with named_option("finish"):
        parse_finish(finish)
    if not any(style_layers.values()):
        raise ConfigError(
            "finish needs style layers with a weight. Name some, or leave it out.",
            option="finish",
        )
    if not style_weight:
        raise ConfigError(
            "finish needs a style_weight above 0, which its steps pull with. Give one, "
            "or leave it out.",
            option="finish",
        )


def check_crops(
    content_crop: str | None, style_crop: str | None, crops: Iterable[str | None]
) -> None:
    """Refuse crops that cannot be read; `crops` are those of several styles."""
    options = [("content_crop", content_crop), ("style_crop", style_crop)]
    options += [("styles", crop) for crop in crops]
    for name, text in options:
        if text is not None:
            with named_option(name):
                parse_crop(text)


def check_blend(blend: tuple[float, ...] | None, styles: int) -> None:
    """Refuse shares that are not as many as the styles."""
    if blend is not None and len(blend) != styles:
        raise ConfigError(
            f"blend: {counted(len(blend), 'share')} for "
            f"{counted(styles, 'style picture')}. Name as many styles as shares."
            f"{MIXTURE_HINT}",
            option="blend",
        )


def check_region_layers(
    style_layers: Mapping[str, float],
    region_layers: Mapping[str, Mapping[str, float]],
) -> None:
    """Refuse regions without layers, and layers of regions that have no loss."""
    for name, layers in region_layers.items():
        if not layers:
            raise ConfigError(
                f"region_layers: {name} has no layers, so it would have no style. Give "
                f"some, as {name}: {{conv1_1: 2}}, or leave {name} out.",
                option="region_layers",
            )
        for layer in set(layers) - set(style_layers):
            raise ConfigError(
                f"region_layers: {name} has {layer}, which is not among the "
                "style_layers. Add it there.",
                option="region_layers",
            )


def check_balance(
    style_weights: str | None, content_weights: str | None, init: str
) -> None:
    """Refuse methods of finding weights that are unknown or do not fit `init`."""
    if style_weights is not None:
        with named_option("style_weights"):
            parse_balance_method(style_weights)
    if content_weights is not None:
        with named_option("content_weights"):
            parse_content_method(content_weights, init)
