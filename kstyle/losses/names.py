"""The names of the losses, and how they are chosen layer by layer.

Imports no TensorFlow: options are checked with it.
"""

import difflib
from collections.abc import Callable, Iterable, Sequence

from kstyle.errors import ConfigError

IMAGE = "image"  # the picture itself, among layers and features

# The style losses, each with the factor on its formula with which a look keeps about as
# much of the photograph as with Gram matrices: by the cosine of conv4_3 and by eye on
# four pairs (docs/gallery.md).
STYLE_BALANCE = {
    "gram": 1.0,
    "covariance": 0.3,
    "mean-std": 1.0,
    "wasserstein": 0.25,
    "sliced": 2.0,
    "emd": 0.25,
    "nearest": 0.5,
}
STYLE_LOSS_NAMES = tuple(STYLE_BALANCE)
# The content losses, with factors for about as much of the photograph.
CONTENT_BALANCE = {"mse": 1.0, "self-similarity": 16.0}
CONTENT_LOSS_NAMES = tuple(CONTENT_BALANCE)


def choose_losses(
    text: str, layers: Iterable[str], names: Sequence[str]
) -> dict[str, str]:
    """Return `{layer: name of its loss}` of "NAME" or "NAME,LAYER=NAME,...".

    A NAME alone is for all layers that are not named; without one that is the first of
    `names`.
    Raises: ConfigError: a name is not one of `names`, a layer is not one of `layers`,
        or something is given twice.
    """
    layers = tuple(layers)
    chosen: dict[str, str] = {}
    for part in text.split(","):
        layer, equals, name = (x.strip() for x in part.rpartition("="))
        if name not in names:
            raise ConfigError(f"{name!r} is not a loss. {known_names(name, names)}")
        if equals and layer not in layers:
            raise ConfigError(
                f"{layer!r} has a loss, but is not one of the layers "
                f"{', '.join(layers)}. Name it in the layers as well."
            )
        if layer in chosen:
            raise ConfigError(f"Two losses for {layer or 'all layers'}: give one.")
        chosen[layer] = name
    default = chosen.get("", names[0])
    return {layer: chosen.get(layer, default) for layer in layers}


def expand_loss_layers(
    text: str, layers: Iterable[str], resolve: Callable[[str], Iterable[str]]
) -> str:
    """Replace other names of layers and patterns in a text for `choose_losses`.

    layers: that have a loss; of those that a pattern fits, the others are left out.
    resolve: returns the layers of a network that a name or pattern stands for.
    Raises: ConfigError: a pattern fits none of `layers`.
    """
    layers = tuple(layers)
    parts = []
    for part in text.split(","):
        layer, equals, name = (x.strip() for x in part.rpartition("="))
        found = list(resolve(layer)) if equals else [layer]
        if found == [layer]:
            parts.append(part)
            continue
        if len(found) > 1:
            found = [each for each in found if each in layers]
        if not found:
            raise ConfigError(
                f"{layer!r} has a loss, but fits none of the layers "
                f"{', '.join(layers)}. Name one of its layers there as well."
            )
        parts += [f"{each}={name}" for each in found]
    return ",".join(parts)


def known_names(name: str, names: Sequence[str]) -> str:
    """Return a sentence with the closest of `names`, or with all of them."""
    close = difflib.get_close_matches(name, names, n=1)
    return f"Did you mean {close[0]!r}?" if close else f"Known: {', '.join(names)}."
