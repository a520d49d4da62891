"""Keras models by the name of the option `net`: of keras.applications, or a file.

A model is built once in a process and serves as a template: its layers are read, and
its weights are loaded and copied.
"""

import contextlib
import functools
import hashlib
import math
import re
import threading
import warnings
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np

from kstyle.errors import ConfigError, WeightsError
from kstyle.files import why_unreadable
from kstyle.images.picture import resize
from kstyle.images.reading import load_picture
from kstyle.images.samples import sample_names
from kstyle.networks.applications import (
    DEFAULT_LAYERS_OF,
    LAYER_ALIASES,
    Application,
    find_application,
)
from kstyle.networks.graph import GraphArchitecture
from kstyle.networks.graph_reader import graph_operations, read_graph
from kstyle.networks.keras_models import (
    ModelInput,
    build_model_extractor,
    set_layer_weights,
)
from kstyle.networks.preprocessing import IMAGENET_STD, PREPROCESS_MODES

MAX_MODELS = 2  # that a process keeps
# Edge in pixels of the samples at which normalizations of random weights are measured.
RANDOM_WEIGHTS_EDGE = 160
LayerArrays = tuple[np.ndarray, ...]
# Held while the weights of a template are others than its own.
template_lock = threading.RLock()


@contextlib.contextmanager
def borrowed_model(net: str) -> Iterator[keras.Model]:
    """Yield the template of `net`, to be given other weights within the block.

    Raises: ConfigError: as `open_model`.
    """
    with template_lock:
        model = open_model(net)
        own = model.get_weights()
        try:
            yield model
        finally:
            model.set_weights(own)


def open_model(net: str) -> keras.Model:
    """Return the model of `net`, a name of keras.applications or a `.keras` file.

    Its operations have the names that they would have in a new process. Weights of a
    named one are random.
    Raises: ConfigError: the file is not there, or no model that Keras can load.
    """
    application = find_application(net)
    if application is not None:
        return build_application(application)
    path = Path(net).expanduser()
    if reason := why_unreadable(path):
        raise ConfigError(f"The network {net!r} cannot be read: {reason}.")
    status = path.stat()
    return read_model_file(path, status.st_mtime_ns, status.st_size)


@functools.lru_cache(maxsize=MAX_MODELS)
def build_application(application: Application) -> keras.Model:
    """Build a network of keras.applications without its classifier."""
    function = getattr(keras.applications, application.function, None)
    if function is None:
        raise ConfigError(
            f"This Keras ({keras.__version__}) has no {application.function}. Install "
            "a newer one."
        )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of sizes that its weights were trained at
        model = function(weights=None, include_top=False, input_shape=(None, None, 3))
    number_names(graph_operations(model))
    return model


def number_names(operations: Sequence[keras.Operation]) -> None:
    """Number the names that Keras has given, "conv2d_97", from the model's first one.

    Keras counts on from model to model, so that a layer's name would depend on what the
    process has built before.
    """
    given: dict[str, dict[int, keras.Operation]] = defaultdict(dict)
    for operation in operations:
        base, _, number = operation.name.rpartition("_")
        if not number.isdecimal():
            base, number = operation.name, "0"
        if base == snake_case(type(operation).__name__):
            given[base][int(number)] = operation
    for base, numbered in given.items():
        first = min(numbered)
        for number, operation in numbered.items():
            count = number - first
            operation.name = f"{base}_{count}" if count else base


def snake_case(name: str) -> str:
    """Return the name that Keras gives the first layer of a class: MaxPooling2D,
    "max_pooling2d"."""
    name = re.sub("(.)([A-Z][a-z]+)", r"\1_\2", name)
    return re.sub("([a-z])([A-Z])", r"\1_\2", name).lower()


@functools.lru_cache(maxsize=MAX_MODELS)
def read_model_file(path: Path, changed: int, size: int) -> keras.Model:
    """Load a `.keras` file; again when its time or size has changed.

    Raises: ConfigError: Keras cannot load it.
    """
    del changed, size  # only part of the key
    try:
        return keras.models.load_model(path, compile=False, safe_mode=True)
    except Exception as error:  # a file of another kind can raise anything
        reason = " ".join(str(error).split())[:300]
        raise ConfigError(
            f"Keras cannot load {path} ({reason}). Give a file that model.save has "
            "written; import the classes of its custom layers first, from Python."
        ) from None


def read_named_graph(net: str) -> GraphArchitecture:
    """Read the layers of `net`, as for `open_model`."""
    model = open_model(net)
    application = find_application(net)
    if application is not None:
        name = application.name
        return read_graph(
            model,
            name,
            aliases=LAYER_ALIASES.get(name, {}),
            preprocess=application.preprocess,
            grey_levels=application.grey_levels,
            default_layers=DEFAULT_LAYERS_OF.get(name),
        )
    preprocess, levels = expected_input(model)
    return read_graph(
        model, net, preprocess=preprocess, grey_levels=levels, has_own_weights=True
    )


def expected_input(model: keras.Model) -> tuple[str | None, float]:
    """Return what a model of a file expects of its input, as far as it tells.

    Returns: a mode, `None` where that is not known, and the grey levels of a unit.
    """
    application = find_application(model.name)
    if application is not None:
        return application.preprocess, application.grey_levels
    for layer in graph_operations(model)[1:]:
        if isinstance(layer, keras.layers.Rescaling):
            return "none", float(1 / np.max(np.abs(layer.scale)))
        if isinstance(layer, keras.layers.Normalization):
            return "none", float(np.sqrt(np.mean(np.array(layer.variance))))
        break
    return None, PREPROCESS_MODES["none"]


def read_model_weights(
    net: str, source: str, file: Path | None, preprocess: str
) -> dict[str, LayerArrays]:
    """Return `{layer: its arrays}` of all layers of `net` with weights.

    source: "builtin" (those of the model's own file), "random", "random:SEED", or what
        is read from `file`. preprocess: a mode, for random weights.
    Raises: WeightsError: `file` does not fit the network.
    """
    with borrowed_model(net) as model:
        if file is not None:
            load_weights_file(model, net, file)
        elif source != "builtin":
            draw_weights(model, int(source.partition(":")[2] or 0), preprocess)
        return {
            layer.name: tuple(layer.get_weights())
            for layer in model.layers
            if layer.weights
        }


def load_weights_file(model: keras.Model, net: str, file: Path) -> None:
    """Load a file of weights into the model, in place. Raises: WeightsError."""
    try:
        if file.suffix == ".keras":
            loaded = keras.models.load_model(file, compile=False, safe_mode=True)
            model.set_weights(loaded.get_weights())
        else:
            model.load_weights(file)
    except Exception as error:  # a file of another kind can raise anything
        reason = " ".join(str(error).split())[:300]
        raise WeightsError(
            f"{file} does not fit {net} without its classifier ({reason}). Give what "
            "model.save_weights or model.save has written of it (.weights.h5, .keras), "
            "or the file of keras.applications whose name ends in notop.h5."
        ) from None
    application = find_application(net)
    if application is not None and needs_keras_correction(application, file):
        correct_normalization(model)


def needs_keras_correction(application: Application, file: Path) -> bool:
    """Return whether the file is Keras's of the first EfficientNets.

    With these weights Keras itself divides the normalized input by the square root of
    `IMAGENET_STD`, in a layer that the network does not have otherwise.
    """
    if not application.name.startswith("efficientnet_b"):
        return False
    digest = hashlib.md5(file.read_bytes(), usedforsecurity=False).hexdigest()
    return application.checksum == f"md5:{digest}"


def correct_normalization(model: keras.Model) -> None:
    """Divide the normalized input of an EfficientNet by the root of `IMAGENET_STD`."""
    layer = model.get_layer("normalization")
    mean, variance, *count = layer.get_weights()
    factor = np.array(IMAGENET_STD, variance.dtype)
    set_layer_weights(layer, [mean, variance * factor, *count])


def draw_weights(model: keras.Model, seed: int, preprocess: str) -> None:
    """Draw the weights of a model, in place.

    Kernels are normal with the variance 2 / inputs, which ReLUs need (He et al. 2015,
    eq. 10), biases 0, factors 1. The means and variances of batch normalizations are
    those at the sample pictures, so that features keep their size from block to block.
    """
    for number, layer in enumerate(model.layers):
        generator = np.random.default_rng((seed, number))
        drawn = [
            draw_array(layer, w.path.rpartition("/")[2], w.numpy(), generator)
            for w in layer.weights
        ]
        if drawn:
            set_layer_weights(layer, drawn)
    if any(isinstance(k, keras.layers.BatchNormalization) for k in model.layers):
        measure_normalizations(model, preprocess)


def draw_array(
    layer: keras.layers.Layer,
    name: str,
    value: np.ndarray,
    generator: np.random.Generator,
) -> np.ndarray:
    """Draw one array of a layer. name: of the variable. value: what it has now."""
    if name.endswith("kernel"):
        # An output of a depthwise kernel has one input channel.
        is_depthwise = isinstance(layer, keras.layers.DepthwiseConv2D)
        is_depthwise = is_depthwise or name == "depthwise_kernel"
        inputs = math.prod(value.shape[:2] if is_depthwise else value.shape[:-1])
        scale = np.float32(math.sqrt(2 / inputs))
        return scale * generator.standard_normal(value.shape, np.float32)
    if name in ("bias", "beta", "moving_mean"):
        return np.zeros_like(value)
    if name in ("gamma", "moving_variance"):
        return np.ones_like(value)
    return value


def measure_normalizations(model: keras.Model, preprocess: str) -> None:
    """Set the means and variances of batch normalizations to those at the samples.

    All of them: with those of one picture the features of a painting with other colours
    grow from block to block.
    """
    size = tuple(model.inputs[0].shape[1:3])
    if None in size:
        size = (RANDOM_WEIGHTS_EDGE,) * 2
    pixels = [
        resize(load_picture(f"sample:{name}").pixels, size) for name in sample_names()
    ]
    pictures = ModelInput(preprocess)(np.stack(pixels))
    restore = [*set_attribute(model, "momentum", 0.0)]
    # Nothing else may act as in training.
    for name in ("rate", "drop_path_rate"):
        restore += set_attribute(model, name, 0.0)
    try:
        model(pictures, training=True)
    finally:
        for layer, name, value in restore:
            setattr(layer, name, value)


def set_attribute(
    model: keras.Model, name: str, value: float
) -> Iterator[tuple[keras.layers.Layer, str, Any]]:
    """Set an attribute of all layers that have it; yield (layer, name, old value)."""
    for layer in model.layers:
        if hasattr(layer, name):
            yield layer, name, getattr(layer, name)
            setattr(layer, name, value)


def build_named_extractor(
    graph: GraphArchitecture,
    layers: Sequence[str],
    weights: Mapping[str, LayerArrays] | None,
    *,
    preprocess: str,
    pool: str,
    padding: str,
    precision: str,
) -> keras.Model:
    """Build the extractor of a network, with `weights` by layer; `None`: random.

    graph: from `read_named_graph`.

    Other arguments as for `build_model_extractor`.
    """
    is_expected = preprocess == graph.preprocess
    with borrowed_model(graph.name) as model:
        for name, arrays in (weights or {}).items():
            set_layer_weights(model.get_layer(name), arrays)
        return build_model_extractor(
            model,
            layers,
            preprocess=preprocess,
            pool=pool,
            padding=padding,
            precision=precision,
            feature_scale=graph.grey_levels if is_expected else None,
        )
