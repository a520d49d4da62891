"""Extractors from any functional Keras model, such as those of keras.applications.

The layers keep the names that the model's operations have. Branches, residuals, batch
normalization and strides are those of the model.
"""

import collections
import difflib
import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from keras import ops

from kstyle.errors import ConfigError
from kstyle.networks.architecture import POOLS
from kstyle.networks.graph import PADDINGS_OF_GRAPHS
from kstyle.networks.graph_reader import (
    NORMALIZATIONS,
    check_has_graph,
    graph_inputs,
    graph_operations,
)
from kstyle.networks.preprocessing import (
    IMAGENET_MEAN,
    IMAGENET_STD,
    MEAN_RGB,
    PREPROCESS_MODES,
)
from kstyle.ops.padding import EDGE_MODES, pad_edges
from kstyle.ops.tf_utils import fan_out

PRECISIONS = ("float32", "bfloat16")
WINDOWED = (
    keras.layers.Conv2D,
    keras.layers.DepthwiseConv2D,
    keras.layers.SeparableConv2D,
)
# Layers that convert the picture: bfloat16 has fewer steps than a picture's 256.
INPUT_LAYERS = (keras.layers.Rescaling, keras.layers.Normalization)
# Contributions to a gradient from which on TensorFlow may add them in any order.
UNORDERED_SUM = 3


@keras.saving.register_keras_serializable("kstyle")
class ModelInput(keras.layers.Layer):
    """Converts RGB in [0, 1] to the input of a Keras model.

    mode: "caffe" (BGR in 0..255 less the mean), "tf" (-1..1), "torch" (less the mean,
        divided by the standard deviation) or "none" (0..255), as
        `keras.applications.imagenet_utils.preprocess_input` has them.
    Shapes: `(batch, height, width, 3)` in and out.
    """

    def __init__(self, mode: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.mode = mode

    def call(self, image: tf.Tensor) -> tf.Tensor:
        if self.mode == "tf":
            return 2 * image - 1
        if self.mode == "torch":
            return (image - np.array(IMAGENET_MEAN, "float32")) / np.array(
                IMAGENET_STD, "float32"
            )
        if self.mode == "caffe":
            return ops.flip(255 * image - np.array(MEAN_RGB, "float32"), axis=-1)
        return 255 * image

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "mode": self.mode}


@keras.saving.register_keras_serializable("kstyle")
class WindowPadding(keras.layers.Layer):
    """Pads `(batch, H, W, C)` by pixels at the edges, as much as zeros would be.

    mode: "reflect" or "replicate". amounts: ((top, bottom), (left, right)), or `None`
        for what a convolution of this `window` and these `strides` with the padding
        "same" needs, which with strides depends on the size.
    """

    def __init__(
        self,
        mode: str,
        amounts: Sequence[Sequence[int]] | None = None,
        window: Sequence[int] = (1, 1),
        strides: Sequence[int] = (1, 1),
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.mode, self.amounts = mode, amounts
        self.window, self.strides = tuple(window), tuple(strides)

    def call(self, features: tf.Tensor) -> tf.Tensor:
        return pad_edges(features, self.mode, self._amounts(features))

    def _amounts(self, features: tf.Tensor) -> list[tuple[Any, Any]]:
        """Return (before, after) of rows and of columns: numbers or tensors."""
        if self.amounts is not None:
            return [(before, after) for before, after in self.amounts]
        sizes = zip(self.window, self.strides, strict=True)
        found = []
        for axis, (window, stride) in enumerate(sizes, start=1):
            total: Any = window - 1
            if stride > 1:
                length = features.shape[axis]
                if length is None:
                    length = tf.shape(features)[axis]
                steps = (length + stride - 1) // stride - 1
                total = steps * stride + window - length
                total = max(total, 0) if isinstance(total, int) else tf.nn.relu(total)
            found.append((total // 2, total - total // 2))
        return found

    def compute_output_shape(
        self, shape: tuple[int | None, ...]
    ) -> tuple[int | None, ...]:
        size: list[int | None] = []
        for axis, length in enumerate(shape[1:3]):
            if length is None:
                size.append(None)
                continue
            if self.amounts is not None:
                size.append(length + sum(self.amounts[axis]))
                continue
            window, stride = self.window[axis], self.strides[axis]
            steps = math.ceil(length / stride) - 1
            size.append(max(steps * stride + window, length))
        return (shape[0], *size, shape[3])

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "mode": self.mode,
            "amounts": self.amounts,
            "window": self.window,
            "strides": self.strides,
        }


@keras.saving.register_keras_serializable("kstyle")
class FanOut(keras.layers.Layer):
    """Returns its input once for each of its users: see `ops.tf_utils.fan_out`."""

    def __init__(self, users: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.users = users

    def call(self, features: tf.Tensor) -> list[tf.Tensor]:
        return fan_out(features, self.users)

    def compute_output_spec(self, features: Any) -> list[keras.KerasTensor]:
        return [
            keras.KerasTensor(features.shape, self.compute_dtype)
            for _ in range(self.users)
        ]

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "users": self.users}


def build_model_extractor(
    model: keras.Model,
    layers: Sequence[str],
    *,
    preprocess: str,
    pool: str = "avg",
    padding: str = "same",
    precision: str = "float32",
    feature_scale: float | None = None,
) -> keras.Model:
    """Build a frozen model from pictures to the features of `layers` of `model`.

    Input: `(1, height, width, 3)` float RGB in [0, 1], of any size that the layers
    allow. Output: `{layer: (1, height', width', channels)}`, times the number of grey
    levels in a unit of the network's input: 127.5 for "tf", 57.6 for "torch".

    model: functional or sequential, with one picture as its input, such as
        `keras.applications.InceptionV3(include_top=False)`. It is copied.
    layers: names of layers, as `model.get_layer` has them, or of other operations.
    preprocess: what the model expects of its input: "caffe", "tf", "torch" or "none"
        (0..255; also for models that begin with layers for it).
    pool: "avg" replaces the maximum poolings that have a stride, "max" leaves them.
    padding: "same" (zeros, as trained), "reflect" or "replicate", of the convolutions
        and of layers that pad with zeros.
    precision: "float32" or "bfloat16", of weights and features; normalizations have
        their weights, and the conversion of the picture is, in float32.
    feature_scale: factor on the features in place of the one of `preprocess`.
    Raises: ConfigError: an argument cannot be used.
    """
    check_model_arguments(model, layers, preprocess, pool, padding, precision)
    by_name = {operation.name: operation for operation in graph_operations(model)}
    trunk = keras.Model(
        model.inputs[0], {name: by_name[name].output for name in layers}
    )
    picture = keras.Input((None, None, 3), name="picture")
    try:
        copy = keras.models.clone_model(
            trunk,
            input_tensors=picture,
            clone_function=layer_copier(pool, padding, precision),
            call_function=layer_caller(trunk, layers, padding),
            recursive=True,
        )
    except (ValueError, TypeError) as error:
        raise ConfigError(
            f"The layers {list(layers)} cannot be computed for pictures of any size: "
            f"{str(error).splitlines()[0]} Name layers before the classifier."
        ) from None
    for layer in trunk.layers:
        if layer.weights:
            set_layer_weights(copy.get_layer(layer.name), layer.get_weights())
    image = keras.Input((None, None, 3), dtype="float32", name="image")
    features = copy(ModelInput(preprocess, name="model_input", dtype="float32")(image))
    scale = PREPROCESS_MODES[preprocess] if feature_scale is None else feature_scale
    scaled = {
        name: keras.layers.Rescaling(
            scale, name=f"features_of_{name}", dtype=precision
        )(value)
        for name, value in features.items()
    }
    extractor = keras.Model(image, scaled, name=f"{model.name}_{pool}_{padding}")
    extractor.trainable = False
    return extractor


def layer_copier(
    pool: str, padding: str, precision: str
) -> Callable[[keras.Operation], keras.Operation]:
    """Return a function that makes the extractor's copy of a layer, without weights."""

    def copy_layer(layer: keras.Operation) -> keras.Operation:
        kind, config = type(layer), layer.get_config()
        if isinstance(layer, keras.layers.Layer):
            config["dtype"] = layer_precision(layer, precision)
        is_maximum = isinstance(layer, keras.layers.MaxPooling2D)
        if is_maximum and pool == "avg" and max(layer.strides) > 1:
            kind = keras.layers.AveragePooling2D
        elif pads_window(layer, padding):
            config["padding"] = "valid"
        elif isinstance(layer, keras.layers.ZeroPadding2D) and padding in EDGE_MODES:
            dtype = config["dtype"]
            return WindowPadding(padding, layer.padding, name=layer.name, dtype=dtype)
        return kind.from_config(config)

    return copy_layer


def layer_precision(layer: keras.layers.Layer, precision: str) -> str:
    """Return the type, or the pair of types, of a layer's weights and features."""
    if isinstance(layer, INPUT_LAYERS):
        return "float32"
    if precision == "bfloat16" and isinstance(layer, NORMALIZATIONS):
        return "mixed_bfloat16"
    return precision


def pads_window(layer: keras.Operation, padding: str) -> bool:
    """Return whether a convolution's zeros are to be replaced."""
    return (
        padding in EDGE_MODES
        and isinstance(layer, WINDOWED)
        and layer.padding == "same"
        and max(dilated_window(layer)) > 1
    )


def dilated_window(layer: Any) -> tuple[int, ...]:
    """Return (height, width) of a convolution's window with its gaps."""
    pairs = zip(layer.kernel_size, layer.dilation_rate, strict=True)
    return tuple((n - 1) * d + 1 for n, d in pairs)


def layer_caller(
    trunk: keras.Model, layers: Sequence[str], padding: str
) -> Callable[..., Any]:
    """Return the function with which copies of the layers of `trunk` are called.

    It pads what a convolution takes, and gives each user of a layer its own copy of the
    output where the order in which gradients are added is open otherwise.
    """
    users = collections.Counter(
        name for sources in graph_inputs(trunk).values() for name in sources
    )
    originals = {operation.name: operation for operation in graph_operations(trunk)}
    copies: dict[int, Iterator[Any]] = {}

    def take(tensor: Any) -> Any:
        return next(copies[id(tensor)]) if id(tensor) in copies else tensor

    def call_layer(layer: keras.Operation, *args: Any, **kwargs: Any) -> Any:
        args, kwargs = keras.tree.map_structure(take, (args, kwargs))
        original = originals.get(layer.name)
        if original is not None and pads_window(original, padding):
            pad = WindowPadding(
                padding,
                window=dilated_window(original),
                strides=original.strides,
                name=f"{layer.name}_padding",
                dtype=layer.compute_dtype,
            )
            args = (pad(args[0]), *args[1:])
        result = layer(*args, **kwargs)
        count = users[layer.name]
        if count + (layer.name in layers) >= UNORDERED_SUM and count > 1:
            dtype = getattr(layer, "compute_dtype", result.dtype)
            made = FanOut(count, name=f"{layer.name}_users", dtype=dtype)(result)
            copies[id(result)] = iter(made)
        return result

    return call_layer


def set_layer_weights(layer: keras.layers.Layer, arrays: Sequence[np.ndarray]) -> None:
    """Assign a layer's weights, and compute what it derives of them."""
    layer.set_weights(arrays)
    if hasattr(layer, "finalize_state"):
        layer.finalize_state()


def check_model_arguments(
    model: keras.Model,
    layers: Sequence[str],
    preprocess: str,
    pool: str,
    padding: str,
    precision: str,
) -> None:
    """Refuse arguments of `build_model_extractor` that cannot be used.

    Raises: ConfigError.
    """
    for value, known, what in (
        (preprocess, tuple(sorted(PREPROCESS_MODES)), "preprocess"),
        (pool, POOLS, "pool"),
        (padding, PADDINGS_OF_GRAPHS, "padding"),
        (precision, PRECISIONS, "precision"),
    ):
        if value not in known:
            raise ConfigError(f"Unknown {what} {value!r}: it must be one of {known}.")
    if not layers:
        raise ConfigError("No layers are given: name at least one.")
    check_has_graph(model)
    known_layers = {each.name: each for each in graph_operations(model)}
    for name in layers:
        if name not in known_layers:
            close = difflib.get_close_matches(name, list(known_layers), n=1)
            hint = f"Did you mean {close[0]!r}?" if close else "See model.summary()."
            raise ConfigError(f"{model.name} has no layer {name!r}. {hint}")
        if len(known_layers[name].output.shape) != 4:
            raise ConfigError(
                f"The output of {name!r} is no feature map of height, width and "
                "channels. Name a layer before the classifier."
            )
