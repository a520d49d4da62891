"""Every network that kstyle knows, by name."""

from kstyle.errors import ConfigError
from kstyle.networks.alexnet import ALEXNET
from kstyle.networks.architecture import Architecture, LayerInfo
from kstyle.networks.vgg import VGG16, VGG19

NETWORKS = {network.name: network for network in (ALEXNET, VGG16, VGG19)}


def get_architecture(net: str) -> Architecture:
    """Return the `Architecture` of the network `net`.

    Raises: ConfigError: there is no such network.
    """
    if net not in NETWORKS:
        raise ConfigError(
            f"Unknown network {net!r}. It must be one of {list(NETWORKS)}."
        )
    return NETWORKS[net]


def layer_table(
    net: str, size: tuple[int, int] = (224, 224), padding: str = "same"
) -> list[LayerInfo]:
    """List the `LayerInfo` of each layer of `net` for an input of `size`.

    size: (height, width) in pixels.

    Layers that `size` is too small for (a valid padding, a deep pooling) are left out
    at the end of the list.
    Raises: ConfigError: there is no such network.
    """
    return get_architecture(net).table(size, padding)
