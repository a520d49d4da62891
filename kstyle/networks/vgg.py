"""VGG16 and VGG19: Simonyan and Zisserman 2015, table 1, columns D and E.

`conv{block}_{i}` is a convolution's output **after** its ReLU (Keras's
`block{block}_conv{i}`; what pystiche calls `relu{block}_{i}`), `pool{block}` the
pooling that ends a block.
"""

from kstyle.networks.architecture import RGB_CHANNELS, Architecture, Layer

BLOCK_CHANNELS = (64, 128, 256, 512, 512)


def vgg(name: str, convolutions_per_block: tuple[int, ...]) -> Architecture:
    """Build the chain of 3 x 3 convolutions and 2 x 2 poolings."""
    layers, in_channels = [], RGB_CHANNELS
    blocks = zip(convolutions_per_block, BLOCK_CHANNELS, strict=True)
    for block, (count, channels) in enumerate(blocks, start=1):
        for i in range(1, count + 1):
            layer = f"conv{block}_{i}"
            layers.append(Layer(layer, "conv", 3, 1, in_channels, channels))
            in_channels = channels
        layers.append(Layer(f"pool{block}", "pool", 2, 2, channels, channels))
    return Architecture(name, tuple(layers))


VGG16 = vgg("vgg16", (2, 2, 3, 3, 3))
VGG19 = vgg("vgg19", (2, 2, 4, 4, 4))
