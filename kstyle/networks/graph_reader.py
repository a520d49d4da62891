"""Read the graph of a Keras model: `GraphArchitecture` from its layers."""

import math
from collections.abc import Iterator, Mapping
from typing import Any

import keras
from keras import layers as keras_layers

from kstyle.errors import ConfigError
from kstyle.networks.graph import GraphArchitecture, GraphLayer, Pair

AVERAGE_POOLINGS = (keras_layers.AveragePooling2D,)
MAXIMUM_POOLINGS = (keras_layers.MaxPooling2D,)
GLOBAL_POOLINGS = (
    keras_layers.GlobalAveragePooling2D,
    keras_layers.GlobalMaxPooling2D,
)
NORMALIZATIONS = (
    keras_layers.BatchNormalization,
    keras_layers.LayerNormalization,
    keras_layers.GroupNormalization,
)


def read_graph(model: keras.Model, name: str, **facts: Any) -> GraphArchitecture:
    """Return the layers of a functional or sequential model as records.

    facts: other arguments of `GraphArchitecture`.
    Raises: ConfigError: it has no graph from one RGB picture, or calls a layer twice.
    """
    check_has_graph(model)
    return GraphArchitecture(name, tuple(read_layers(model)), **facts)


def check_has_graph(model: keras.Model) -> None:
    """Raise `ConfigError` unless the model is a graph from one RGB picture."""
    inputs = getattr(model, "inputs", None)
    if not inputs or len(inputs) != 1 or inputs[0].shape[1:][-1:] != (3,):
        raise ConfigError(
            f"{model!r} has no graph of layers from one RGB picture. Give a functional "
            "or sequential Keras model with an input of (None, None, 3)."
        )


def graph_operations(model: keras.Model) -> list[keras.Operation]:
    """Return the operations of a model in the order of computation."""
    # A sequential model has no list of operations.
    return keras.Model(model.inputs, model.outputs).operations


def graph_inputs(model: keras.Model) -> dict[str, tuple[str, ...]]:
    """Map each operation of a model to the operations whose outputs it takes.

    Raises: ConfigError: a layer is called more than once.
    """
    found = {}
    for entry in keras.Model(model.inputs, model.outputs).get_config()["layers"]:
        calls = entry["inbound_nodes"]
        if len(calls) > 1:
            raise ConfigError(
                f"The layer {entry['name']!r} is called more than once in its model, "
                "which kstyle does not support. Use a model that calls it once."
            )
        found[entry["name"]] = tuple(tensor_sources(calls))
    return found


def tensor_sources(value: Any) -> Iterator[str]:
    """Yield the names of the operations that made the tensors in serialized arguments.

    value: nested dicts and lists, as `get_config` has them.
    """
    if isinstance(value, dict):
        if value.get("class_name") == "__keras_tensor__":
            yield value["config"]["keras_history"][0]
            return
        value = value.values()
    elif not isinstance(value, (list, tuple)):
        return
    for part in value:
        yield from tensor_sources(part)


def read_layers(
    model: keras.Model, prefix: str = "", source: str | None = None
) -> Iterator[GraphLayer]:
    """Yield the records of a model's operations, those of inner models with theirs.

    prefix: of the names, in an inner model. source: the name of what an inner model is
        called with.
    """
    sources = graph_inputs(model)
    for operation in graph_operations(model):
        name = prefix + operation.name
        if isinstance(operation, keras_layers.InputLayer):
            if source is None:
                yield GraphLayer(name, "input", (), 3)
            else:
                yield GraphLayer(name, "other", (source,), operation.output.shape[-1])
            continue
        inputs = tuple(prefix + each for each in sources[operation.name])
        if isinstance(operation, keras.Model):
            yield from read_layers(operation, f"{name}/", inputs[0])
            last = f"{name}/{graph_operations(operation)[-1].name}"
            yield GraphLayer(name, "other", (last,), operation.output.shape[-1])
        else:
            yield read_layer(operation, name, inputs)


def read_layer(
    layer: keras.Operation, name: str, inputs: tuple[str, ...]
) -> GraphLayer:
    """Return the record of one operation."""
    shape = tuple(getattr(layer.output, "shape", ()))
    is_map = len(shape) == 4
    channels = shape[-1] if shape and shape[-1] is not None else 1
    facts: dict[str, Any] = {
        "parameters": layer.count_params() if hasattr(layer, "count_params") else 0,
        "is_map": is_map,
    }
    windowed = read_window(layer, channels)
    if windowed is not None:
        return GraphLayer(name, inputs=inputs, channels=channels, **facts, **windowed)
    if isinstance(layer, keras_layers.ZeroPadding2D):
        facts |= {"kind": "pad", "amounts": layer.padding}
    elif isinstance(layer, keras_layers.Cropping2D):
        facts |= {"kind": "crop", "amounts": layer.cropping}
    elif isinstance(layer, keras_layers.UpSampling2D):
        facts |= {"kind": "resize", "scale": layer.size}
    elif isinstance(layer, keras_layers.Conv2DTranspose):
        facts |= {"kind": "resize", "scale": layer.strides}
        facts["operations"] = (
            2 * math.prod(layer.kernel.shape) // math.prod(layer.strides)
        )
    elif isinstance(layer, GLOBAL_POOLINGS):
        facts["kind"] = "mean"
    elif isinstance(layer, NORMALIZATIONS):
        facts |= {"kind": "norm", "operations": 2 * channels}
    elif isinstance(layer, keras_layers.Dense):
        facts |= {"kind": "conv", "operations": 2 * math.prod(layer.kernel.shape)}
    else:
        kind = "merge" if len(inputs) > 1 else "other"
        facts |= {"kind": kind, "operations": channels}
    return GraphLayer(name, inputs=inputs, channels=channels, **facts)


def read_window(layer: keras.Operation, channels: int) -> Mapping[str, Any] | None:
    """Return what a layer with a window has: its kind, size, steps and cost.

    channels: of its output. Returns: `None` for another layer.
    """
    kind, cost = "conv", 0
    if isinstance(layer, keras_layers.SeparableConv2D):
        depthwise = math.prod(layer.depthwise_kernel.shape)
        cost = 2 * (depthwise + math.prod(layer.pointwise_kernel.shape))
        window = layer.kernel_size
    elif isinstance(layer, keras_layers.DepthwiseConv2D):
        cost, window = 2 * math.prod(layer.kernel.shape), layer.kernel_size
    elif isinstance(layer, keras_layers.Conv2D):  # groups are in the kernel's shape
        cost, window = 2 * math.prod(layer.kernel.shape), layer.kernel_size
    elif isinstance(layer, AVERAGE_POOLINGS + MAXIMUM_POOLINGS):
        kind, window = "pool", layer.pool_size
        cost = math.prod(window) * channels
    else:
        return None
    dilation: Pair = getattr(layer, "dilation_rate", (1, 1))
    return {
        "kind": kind,
        "operations": cost,
        "window": tuple((n - 1) * d + 1 for n, d in zip(window, dilation, strict=True)),
        "strides": tuple(layer.strides),
        "padding": layer.padding,
        "has_maximum": isinstance(layer, MAXIMUM_POOLINGS),
    }
