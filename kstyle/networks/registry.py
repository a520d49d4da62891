"""Every network that kstyle knows, by name: built in, of keras.applications, or a file.

Networks that are not built in are read from their Keras model, for which TensorFlow is
loaded.
"""

import difflib
import functools
import sys
from pathlib import Path

from kstyle.errors import ConfigError
from kstyle.files import why_unreadable
from kstyle.hardware.keras_setup import check_keras_backend
from kstyle.hardware.tensorflow_setup import load_tensorflow
from kstyle.networks.alexnet import ALEXNET
from kstyle.networks.applications import (
    APPLICATIONS,
    NOT_FOR_ALL_SIZES,
    find_application,
    letters_of,
)
from kstyle.networks.architecture import Architecture, LayerInfo, Network
from kstyle.networks.graph import GraphArchitecture
from kstyle.networks.preprocessing import PREPROCESS_MODES
from kstyle.networks.vgg import VGG16, VGG19

NETWORKS = {network.name: network for network in (ALEXNET, VGG16, VGG19)}
MODEL_SUFFIX = ".keras"
NET_FORMS = "alexnet, vgg16, vgg19, a name of keras.applications, or a .keras file"
PREPROCESS_OPTIONS = ("auto", *PREPROCESS_MODES)
MAX_GRAPHS = 16  # read from models, that a process keeps


def canonical_net(net: str) -> str:
    """Return the name of a network as kstyle has it: "ResNet50V2", "resnet50_v2".

    The path of a file stays as it is.
    Raises: ConfigError: there is no such network.
    """
    if is_model_file(net):
        return net
    built_in = {letters_of(name): name for name in NETWORKS}
    if letters_of(net) in built_in:
        return built_in[letters_of(net)]
    application = find_application(net)
    if application is not None:
        return application.name
    if letters_of(net) in NOT_FOR_ALL_SIZES:
        raise ConfigError(
            f"{net} cannot be used: its graph in Keras fits pictures of one size only. "
            f"Use {NET_FORMS}."
        )
    known = [*NETWORKS, *APPLICATIONS]
    close = difflib.get_close_matches(net.lower(), known, n=1)
    hint = f"Did you mean {close[0]!r}? " if close else ""
    raise ConfigError(
        f"There is no such network. {hint}Give {NET_FORMS}. Received: {net!r}"
    )


def is_built_in(net: str) -> bool:
    """Return whether `net` is a chain of layers that kstyle has itself."""
    return net in NETWORKS


def is_model_file(net: str) -> bool:
    """Return whether `net` is the path of a file of a Keras model."""
    return net.endswith(MODEL_SUFFIX)


def get_architecture(net: str) -> Network:
    """Return the layers of the network `net`.

    Raises: ConfigError: there is no such network, or its file cannot be read.
    """
    net = canonical_net(net)
    return NETWORKS[net] if is_built_in(net) else get_graph(net)


def get_chain(net: str) -> Architecture:
    """Return the layers of a built-in network. Raises: ConfigError: it is another."""
    if not is_built_in(net):
        raise ConfigError(f"{net} is not one of the built-in {list(NETWORKS)}.")
    return NETWORKS[net]


def get_graph(net: str) -> GraphArchitecture:
    """Return the layers of a network that is not built in, as `get_architecture`."""
    changed = None
    if is_model_file(net):
        try:
            path = Path(net).expanduser()
            reason = why_unreadable(path)
            changed = None if reason else path.stat().st_mtime_ns
        except (OSError, RuntimeError, ValueError) as error:
            reason = str(error)
        if reason:
            raise ConfigError(f"The network {net!r} cannot be read: {reason}.")
    return read_graph_once(net, changed)


@functools.lru_cache(maxsize=MAX_GRAPHS)
def read_graph_once(net: str, changed: int | None) -> GraphArchitecture:
    """Read the layers of a Keras model; of a file again when it has changed."""
    del changed  # only part of the key
    check_keras_backend()
    if "keras" not in sys.modules:
        load_tensorflow()
    from kstyle.networks import named_models  # it imports TensorFlow

    return named_models.read_named_graph(net)


def resolve_preprocess(net: str, preprocess: str) -> str:
    """Return what a network that is not built in expects of its input.

    preprocess: the option: "auto" or a mode of `PREPROCESS_MODES`.
    Raises: ConfigError: it is "auto", and the model of a file does not tell.
    """
    if preprocess != "auto":
        return preprocess
    expected = get_graph(net).preprocess
    if expected is None:
        raise ConfigError(
            f"preprocess: {net} does not say what it expects of its input. Give one of "
            f"{', '.join(PREPROCESS_MODES)} (caffe: BGR less the mean, tf: -1..1, "
            "torch: less the mean and divided by the deviation, none: 0..255).",
            option="preprocess",
        )
    return expected


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
