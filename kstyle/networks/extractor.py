"""The feature extractor: a network by its name as a functional Keras model.

It maps RGB in [0, 1] to `{layer: features}` and ends at the deepest requested layer.
Layers have the names of `networks.vgg` and `networks.alexnet`: `conv1_1` and `conv1`
are values after the ReLU.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from keras import ops

from kstyle.errors import ConfigError
from kstyle.networks.architecture import PADDINGS, POOLS, RGB_CHANNELS, Layer
from kstyle.networks.keras_models import PRECISIONS
from kstyle.networks.named_models import build_named_extractor
from kstyle.networks.preprocessing import MEAN_RGB
from kstyle.networks.registry import (
    canonical_net,
    get_chain,
    get_graph,
    is_built_in,
    resolve_preprocess,
)
from kstyle.networks.weights import NetWeights, load_weights
from kstyle.ops.convolution import Convolution
from kstyle.ops.padding import EDGE_MODES, ONE_PIXEL, PAD_MODES, pad_features

POOLING_LAYERS = (keras.layers.AveragePooling2D, keras.layers.MaxPooling2D)


@keras.saving.register_keras_serializable("kstyle")
class CaffeInput(keras.layers.Layer):
    """Converts RGB in [0, 1] to the input of Caffe's VGG: BGR in 0..255 minus the mean.

    Shapes: `(batch, height, width, 3)` in and out.
    """

    def call(self, image: tf.Tensor) -> tf.Tensor:
        mean = ops.convert_to_tensor(np.array(MEAN_RGB[::-1]), self.compute_dtype)
        return ops.flip(image, axis=-1) * 255 - mean


@keras.saving.register_keras_serializable("kstyle")
class EdgePadding(keras.layers.Layer):
    """Pads `(batch, height, width, channels)` by `width` pixels on each side.

    mode: "reflect", "replicate" or "same" (zeros).
    """

    def __init__(self, mode: str, width: int = 1, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.mode, self.width = mode, width

    def call(self, features: tf.Tensor) -> tf.Tensor:
        if self.width == 1 and None in tuple(features.shape):
            # A graph for pictures of all sizes, such as that of the targets, runs too
            # rarely to make up for tracing the ops of `pad_features`.
            return tf.pad(features, ONE_PIXEL, PAD_MODES[self.mode])
        return pad_features(features, self.mode, width=self.width)

    def compute_output_shape(
        self, shape: tuple[int | None, ...]
    ) -> tuple[int | None, ...]:
        size = (n and n + 2 * self.width for n in shape[1:3])
        return (shape[0], *size, shape[3])

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "mode": self.mode, "width": self.width}


def build_extractor(
    net: str = "vgg19",
    layers: Sequence[str] = ("conv4_2",),
    *,
    pool: str = "avg",
    padding: str = "same",
    weights: str | Path | NetWeights | None = "builtin",
    input_size: tuple[int | None, int | None] = (None, None),
    precision: str = "float32",
    preprocess: str = "auto",
) -> keras.Model:
    """Build a frozen model from pictures to the features of `layers`.

    Input: `(batch, height, width, 3)` float RGB in [0, 1].
    Output: `{layer: (batch, height', width', channels)}`; of the built-in networks
    after the ReLU, or after the pooling for `pool{block}`.

    net: "alexnet", "vgg16", "vgg19", a name of keras.applications, or a `.keras` file.
    layers: names of layers, as "conv4_2" or "pool4".
    pool: "avg" (Gatys et al. 2016, section 2: smoother pictures) or "max" (as trained).
    padding: of the convolutions: "same" (zeros), "valid" (none), "reflect" or
        "replicate".
    weights: "builtin", "keras" (the file of keras.applications), a path, the result of
        `load_weights`, or `None` for random weights (He normal).
    input_size: (height, width) in pixels; `None`: any from `Architecture.minimum_size`.
    precision: "float32" or "bfloat16", of the weights, the products and the features;
        the conversion of the colours is in float32.
    preprocess: of a network that is not built in: "caffe", "tf", "torch", "none"
        (0..255), or "auto": what it expects, as far as that is known.
    Raises: ConfigError: unknown net, layer, pool, padding or precision, no layer, or an
        `input_size` that is too small. WeightsError: the weights cannot be read, or are
        those of another network.
    """
    net = canonical_net(net)
    if not is_built_in(net):
        return build_graph_extractor(
            net,
            layers,
            weights,
            preprocess=resolve_preprocess(net, preprocess),
            pool=pool,
            padding=padding,
            precision=precision,
        )
    trunk = check_extractor_arguments(net, layers, pool, padding, precision, input_size)
    # Random numbers that are overwritten would take a quarter of a second.
    initializer = "he_normal" if weights is None else "zeros"
    image = keras.Input((*input_size, 3), dtype="float32", name="image")
    x, features = CaffeInput(name="caffe_input", dtype="float32")(image), {}
    for layer in trunk:
        if layer.is_pool:
            x = pooling_layer(pool, layer, precision)(x)
        else:
            x = convolution_layer(x, layer, padding, precision, initializer)
        features[layer.name] = x
    outputs = {name: features[name] for name in features if name in layers}
    model = keras.Model(image, outputs, name=f"{net}_{pool}_{padding}")
    model.trainable = False
    if weights is not None:
        set_extractor_weights(model, net, weights, trunk)
    return model


def build_graph_extractor(
    net: str,
    layers: Sequence[str],
    weights: str | Path | NetWeights | None,
    *,
    preprocess: str,
    pool: str,
    padding: str,
    precision: str,
) -> keras.Model:
    """Build the extractor of a network that is not built in; arguments as above."""
    graph = get_graph(net)
    graph.check_layers(layers)
    if weights is not None and not isinstance(weights, NetWeights):
        weights = load_weights(net, weights, graph.layers_with_weights(layers))
    return build_named_extractor(
        graph,
        layers,
        None if weights is None else weights.layers,
        preprocess=preprocess,
        pool=pool,
        padding=padding,
        precision=precision,
    )


def check_extractor_arguments(
    net: str,
    layers: Sequence[str],
    pool: str,
    padding: str,
    precision: str,
    input_size: tuple[int | None, int | None],
) -> tuple[Layer, ...]:
    """Return the layers to compute, in order, if every argument can be used.

    Raises: ConfigError: an argument of `build_extractor` cannot be used.
    """
    for value, known, what in (
        (pool, POOLS, "pool"),
        (padding, PADDINGS, "padding"),
        (precision, PRECISIONS, "precision"),
    ):
        if value not in known:
            raise ConfigError(f"Unknown {what} {value!r}: it must be one of {known}.")
    if not layers:
        raise ConfigError("No layers are given: name at least one, as 'conv4_2'.")
    architecture = get_chain(net)
    trunk = architecture.trunk(layers)
    edge = architecture.minimum_size(layers, padding)
    if any(n is not None and n < edge for n in input_size):
        deepest = trunk[-1].name
        raise ConfigError(
            f"An input of {input_size} is too small for {deepest} with {padding} "
            f"padding: it needs {edge} pixels or more in height and width."
        )
    return trunk


def pooling_layer(pool: str, layer: Layer, precision: str) -> keras.layers.Layer:
    """Make a pooling layer. It drops an odd last row or column.

    pool: "avg" or "max".
    """
    kinds = {"avg": keras.layers.AveragePooling2D, "max": keras.layers.MaxPooling2D}
    return kinds[pool](
        layer.kernel,
        layer.stride,
        data_format="channels_last",
        name=layer.name,
        dtype=precision,
    )


def convolution_layer(
    x: keras.KerasTensor,
    layer: Layer,
    padding: str,
    precision: str,
    initializer: str,
) -> keras.KerasTensor:
    """Apply a convolution with its padding and ReLU to the features `x`."""
    # What Keras calls "same" pads less with a stride, and not evenly.
    as_keras = layer.stride == 1 and layer.margin == layer.kernel // 2
    if padding in EDGE_MODES or (padding == "same" and not as_keras):
        name = f"{layer.name}_padding"
        x = EdgePadding(padding, layer.margin, name=name, dtype=precision)(x)
    conv = Convolution(
        layer.channels,
        layer.kernel,
        layer.stride,
        data_format="channels_last",
        padding="same" if padding == "same" and as_keras else "valid",
        activation="relu",
        kernel_initializer=initializer,
        name=layer.name,
        # Also of the weights: they are frozen, and a cast at every step costs time.
        dtype=precision,
    )
    return conv(x)


def has_chain(extractor: keras.Model) -> bool:
    """Return whether an extractor is one of `build_extractor`: a chain of layers."""
    return any(isinstance(layer, CaffeInput) for layer in extractor.layers)


def extractor_padding(extractor: keras.Model) -> str:
    """Return the `padding` that an extractor was built with."""
    modes = [k.mode for k in extractor.layers if isinstance(k, EdgePadding)]
    if modes:
        return modes[0]
    return next(k.padding for k in extractor.layers if isinstance(k, Convolution))


def extractor_precision(extractor: keras.Model) -> str:
    """Return the precision of an extractor's convolutions: "float32" or "bfloat16"."""
    return extractor.layers[-1].compute_dtype


def extractor_layers(extractor: keras.Model) -> tuple[Layer, ...]:
    """Return the `Layer` records of an extractor, in the order of computation."""
    records, channels, pad = [], RGB_CHANNELS, None
    for layer in extractor.layers:
        if isinstance(layer, EdgePadding):
            pad = layer.width
            continue
        if isinstance(layer, Convolution):
            (kernel, _), (stride, _) = layer.kernel_size, layer.strides
            record = Layer(
                layer.name, "conv", kernel, stride, channels, layer.filters, pad
            )
            pad = None
        elif isinstance(layer, POOLING_LAYERS):
            (kernel, _), (stride, _) = layer.pool_size, layer.strides
            record = Layer(layer.name, "pool", kernel, stride, channels, channels)
        else:
            continue
        records.append(record)
        channels = record.channels
    return tuple(records)


def set_extractor_weights(
    model: keras.Model,
    net: str,
    weights: str | Path | NetWeights,
    trunk: Sequence[Layer],
) -> None:
    """Assign the kernels and biases of `weights` to the convolutions of `model`.

    Raises: WeightsError: the weights cannot be read, or are those of another network.
    """
    convs = [layer.name for layer in trunk if layer.is_conv]
    if not isinstance(weights, NetWeights):
        weights = load_weights(net, weights, convs)
    for name in convs:
        model.get_layer(name).set_weights(weights.layers[name])
