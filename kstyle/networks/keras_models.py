"""Extractors from any functional Keras model, such as those of keras.applications.

The layers keep the names that `model.get_layer` has. Branches, residuals, batch
normalization and strides are those of the model.
"""

import difflib
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from keras import ops

from kstyle.errors import ConfigError
from kstyle.networks.architecture import POOLS
from kstyle.networks.extractor import MEAN_RGB

# Mean and standard deviation of ImageNet's RGB in [0, 1], as PyTorch's models use them.
IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)
# Factor on the features, which brings the losses to the scale of pictures in 0..255:
# how many grey levels one unit of the network's input is.
FEATURE_SCALES = {"caffe": 1.0, "none": 1.0, "tf": 127.5, "torch": 57.6}


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


def build_model_extractor(
    model: keras.Model,
    layers: Sequence[str],
    *,
    preprocess: str,
    pool: str = "avg",
) -> keras.Model:
    """Build a frozen model from pictures to the features of `layers` of `model`.

    Input: `(1, height, width, 3)` float RGB in [0, 1], of any size that the layers
    allow. Output: `{layer: (1, height', width', channels)}`, times the number of grey
    levels in a unit of the network's input: 127.5 for "tf", 57.6 for "torch".

    model: functional or sequential, with one picture as its input, such as
        `keras.applications.InceptionV3(include_top=False)`. It is copied.
    layers: names of layers, as `model.get_layer` has them.
    preprocess: what the model expects of its input: "caffe", "tf", "torch" or "none"
        (0..255; also for models that begin with layers for it).
    pool: "avg" replaces the maximum poolings that have a stride, "max" leaves them.
    Raises: ConfigError: an argument cannot be used.
    """
    check_model_arguments(model, layers, preprocess, pool)
    outputs = {name: model.get_layer(name).output for name in layers}
    trunk = keras.Model(model.inputs[0], outputs)

    def copy_layer(layer: keras.layers.Layer) -> keras.layers.Layer:
        kind, config = type(layer), layer.get_config()
        is_strided = isinstance(layer, keras.layers.MaxPooling2D) and max(layer.strides)
        if pool == "avg" and is_strided and is_strided > 1:
            kind = keras.layers.AveragePooling2D
        return kind.from_config(config)

    picture = keras.Input((None, None, 3), name="picture")
    try:
        copy = keras.models.clone_model(
            trunk, input_tensors=picture, clone_function=copy_layer
        )
    except (ValueError, TypeError) as error:
        raise ConfigError(
            f"The layers {list(layers)} cannot be computed for pictures of any size: "
            f"{str(error).splitlines()[0]} Name layers before the classifier."
        ) from None
    copy.set_weights(trunk.get_weights())
    image = keras.Input((None, None, 3), dtype="float32", name="image")
    features = copy(ModelInput(preprocess, name="model_input")(image))
    scale = FEATURE_SCALES[preprocess]
    scaled = {
        name: keras.layers.Rescaling(scale, name=f"features_of_{name}")(value)
        for name, value in features.items()
    }
    extractor = keras.Model(image, scaled, name=f"{model.name}_{pool}")
    extractor.trainable = False
    return extractor


def check_model_arguments(
    model: keras.Model, layers: Sequence[str], preprocess: str, pool: str
) -> None:
    """Refuse arguments of `build_model_extractor` that cannot be used.

    Raises: ConfigError.
    """
    if preprocess not in FEATURE_SCALES:
        raise ConfigError(
            f"Unknown preprocess {preprocess!r}: it must be one of "
            f"{sorted(FEATURE_SCALES)}."
        )
    if pool not in POOLS:
        raise ConfigError(f"Unknown pool {pool!r}: it must be one of {POOLS}.")
    if not layers:
        raise ConfigError("No layers are given: name at least one.")
    inputs = getattr(model, "inputs", None)
    if not inputs or len(inputs) != 1 or inputs[0].shape[1:][-1:] != (3,):
        raise ConfigError(
            f"{model!r} has no graph of layers from one RGB picture. Give a functional "
            "or sequential Keras model with an input of (None, None, 3)."
        )
    known = [layer.name for layer in model.layers]
    for name in layers:
        if name not in known:
            close = difflib.get_close_matches(name, known, n=1)
            hint = f"Did you mean {close[0]!r}?" if close else "See model.summary()."
            raise ConfigError(f"{model.name} has no layer {name!r}. {hint}")
        if len(model.get_layer(name).output.shape) != 4:
            raise ConfigError(
                f"The output of {name!r} is no feature map of height, width and "
                "channels. Name a layer before the classifier."
            )
