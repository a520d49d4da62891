"""AlexNet, as torchvision has it: Krizhevsky 2014, "One weird trick for parallelizing
convolutional neural networks", section 5, a network of one column.

`conv{i}` is the output of a convolution **after** its ReLU (what LPIPS calls
`relu{i}`), `pool{i}` the pooling after it. The poolings overlap.
"""

from kstyle.networks.architecture import RGB_CHANNELS, Architecture, Layer

ALEXNET = Architecture(
    "alexnet",
    (
        Layer("conv1", "conv", 11, 4, RGB_CHANNELS, 64, pad=2),
        Layer("pool1", "pool", 3, 2, 64, 64),
        Layer("conv2", "conv", 5, 1, 64, 192),
        Layer("pool2", "pool", 3, 2, 192, 192),
        Layer("conv3", "conv", 3, 1, 192, 384),
        Layer("conv4", "conv", 3, 1, 384, 256),
        Layer("conv5", "conv", 3, 1, 256, 256),
        Layer("pool5", "pool", 3, 2, 256, 256),
    ),
)
