"""The feature extractor: VGG16 or VGG19 as a functional Keras model.

From RGB in [0, 1] to `{layer: features}`, cut at the deepest layer asked for.
Names are those of `networks.vgg`: `conv1_1` is the value after the ReLU.
"""

import keras
import numpy as np
from keras import ops

from kstyle.errors import ConfigError
from kstyle.networks.architecture import PADDINGS, POOLS, RGB_CHANNELS, Layer
from kstyle.networks.registry import get_architecture
from kstyle.networks.weights import NetWeights, load_weights
from kstyle.ops.convolution import Convolution
from kstyle.ops.padding import EDGE_MODES, pad_features

# Mean RGB of the training pictures in 0..255, which the Caffe networks expect to be
# taken off (and no division): Simonyan and Zisserman 2015, section 2.1.
MEAN_RGB = (123.68, 116.779, 103.939)
PRECISIONS = ("float32", "bfloat16")
POOLING_LAYERS = (keras.layers.AveragePooling2D, keras.layers.MaxPooling2D)


@keras.saving.register_keras_serializable("kstyle")
class CaffeInput(keras.layers.Layer):
    """RGB in [0, 1] to what Caffe's VGG was trained on: BGR in 0..255 less the mean.

    Shapes: `(batch, height, width, 3)` in and out.
    """

    def call(self, image):
        mean = ops.convert_to_tensor(np.array(MEAN_RGB[::-1]), self.compute_dtype)
        return ops.flip(image, axis=-1) * 255 - mean


@keras.saving.register_keras_serializable("kstyle")
class EdgePadding(keras.layers.Layer):
    """One pixel around `(batch, height, width, channels)`: reflect or replicate."""

    def __init__(self, mode, **kwargs):
        super().__init__(**kwargs)
        self.mode = mode

    def call(self, features):
        return pad_features(features, self.mode)

    def compute_output_shape(self, shape):
        return (shape[0], *(n and n + 2 for n in shape[1:3]), shape[3])

    def get_config(self):
        return {**super().get_config(), "mode": self.mode}


def build_extractor(
    net="vgg19",
    layers=("conv4_2",),
    *,
    pool="avg",
    padding="same",
    weights="builtin",
    input_size=(None, None),
    precision="float32",
):
    """A frozen `keras.Model` from pictures to the features of `layers`.

    Input: `(batch, height, width, 3)` float RGB in [0, 1]; `input_size` fixes
    (height, width), otherwise any size from `layers.minimum_size` up will do.
    Output: `{layer: (batch, height', width', channels)}` after the ReLU, or after
    the pooling for `pool{block}`.

    net: "vgg16" or "vgg19". pool: "avg" (Gatys et al. 2016, section 2: smoother
        pictures) or "max" (as trained). padding: of the convolutions: "same" (zeros),
        "valid" (none), "reflect" or "replicate".
    weights: "builtin", "keras" (keras.applications' file), a path, what
        `load_weights` returned, or `None` for random ones (He normal).
    precision: "float32" or "bfloat16", of the weights, the products and the features;
        colours are turned and shifted in float32.
    Raises: ConfigError: unknown net, layer, pool, padding or precision, or no layer at
        all. WeightsError: the weights cannot be had, or are not this network's.
    """
    trunk = check_extractor_arguments(net, layers, pool, padding, precision, input_size)
    image = keras.Input((*input_size, 3), dtype="float32", name="image")
    x, features = CaffeInput(name="caffe_input", dtype="float32")(image), {}
    for layer in trunk:
        if layer.is_pool:
            x = pooling_layer(pool, layer, precision)(x)
        else:
            x = convolution_layer(x, layer, padding, precision)
        features[layer.name] = x
    outputs = {name: features[name] for name in features if name in layers}
    model = keras.Model(image, outputs, name=f"{net}_{pool}_{padding}")
    model.trainable = False
    if weights is not None:
        set_extractor_weights(model, net, weights, trunk)
    return model


def check_extractor_arguments(net, layers, pool, padding, precision, input_size):
    """The layers that must be run, once every argument is known to be usable."""
    for value, known, what in (
        (pool, POOLS, "pool"),
        (padding, PADDINGS, "padding"),
        (precision, PRECISIONS, "precision"),
    ):
        if value not in known:
            raise ConfigError(f"Unknown {what} {value!r}: it must be one of {known}.")
    if not layers:
        raise ConfigError("No layers were asked for: name one at least, as 'conv4_2'.")
    architecture = get_architecture(net)
    trunk = architecture.trunk(layers)
    edge = architecture.minimum_size(layers, padding)
    if any(n is not None and n < edge for n in input_size):
        deepest = trunk[-1].name
        raise ConfigError(
            f"An input of {input_size} is too small for {deepest} with {padding} "
            f"padding: it needs {edge} pixels each way at least."
        )
    return trunk


def pooling_layer(pool, layer, precision):
    """Make a pooling; an odd last row or column is dropped, as in Caffe."""
    kinds = {"avg": keras.layers.AveragePooling2D, "max": keras.layers.MaxPooling2D}
    return kinds[pool](
        layer.kernel,
        layer.stride,
        data_format="channels_last",
        name=layer.name,
        dtype=precision,
    )


def convolution_layer(x, layer, padding, precision):
    """Apply a convolution with its ReLU to the features `x`."""
    if padding in EDGE_MODES:
        x = EdgePadding(padding, name=f"{layer.name}_padding", dtype=precision)(x)
    conv = Convolution(
        layer.channels,
        layer.kernel,
        data_format="channels_last",
        padding="same" if padding == "same" else "valid",
        activation="relu",
        kernel_initializer="he_normal",
        name=layer.name,
        # The weights too: they are frozen, and a cast at every step would cost time.
        dtype=precision,
    )
    return conv(x)


def extractor_padding(extractor):
    """The padding of an extractor's convolutions, as `build_extractor` was told it."""
    modes = [k.mode for k in extractor.layers if isinstance(k, EdgePadding)]
    if modes:
        return modes[0]
    return next(k.padding for k in extractor.layers if isinstance(k, Convolution))


def extractor_precision(extractor):
    """What its convolutions are computed in: "float32" or "bfloat16"."""
    return extractor.layers[-1].compute_dtype


def extractor_layers(extractor):
    """The `Layer` records of an extractor, from the picture down."""
    records, channels = [], RGB_CHANNELS
    for layer in extractor.layers:
        if isinstance(layer, Convolution):
            (kernel, _), (stride, _) = layer.kernel_size, layer.strides
            record = Layer(layer.name, "conv", kernel, stride, channels, layer.filters)
        elif isinstance(layer, POOLING_LAYERS):
            (kernel, _), (stride, _) = layer.pool_size, layer.strides
            record = Layer(layer.name, "pool", kernel, stride, channels, channels)
        else:
            continue
        records.append(record)
        channels = record.channels
    return tuple(records)


def set_extractor_weights(model, net, weights, trunk):
    """Put the kernels and biases of `weights` into the convolutions of `model`."""
    convs = [layer.name for layer in trunk if layer.is_conv]
    if not isinstance(weights, NetWeights):
        weights = load_weights(net, weights, convs)
    for name in convs:
        model.get_layer(name).set_weights(weights.layers[name])
