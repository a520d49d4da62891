"""Layers of one stage on a tile: forward, and back by their signs alone."""

import itertools

import tensorflow as tf

from kstyle import edges
from kstyle.convolution import convolve, input_gradient
from kstyle.extractor import padding_of
from kstyle.layers import width
from kstyle.signs import BITS, chosen, packed, spread, unpacked
from kstyle.tiles import is_pool


class StageLayers:
    """Some layers of the extractor, one after the other; there may be none.

    `borders` are those of the tile, ((top, bottom), (left, right)), 1 where it touches
    the picture's true border: there alone the convolutions pad.
    """

    def __init__(self, extractor, names):
        self.layers = {name: extractor.get_layer(name) for name in names}
        self.padding = padding_of(extractor)
        # The pooling that follows each convolution, if there is one.
        self.pooling = {
            name: self.layers[follows] if is_pool(follows) else None
            for name, follows in itertools.zip_longest(names, names[1:], fillvalue="")
            if not is_pool(name)
        }

    def through(self, x, borders):
        """`{layer: what it makes of x}`, each from what the one before makes."""
        found, around = {}, around_of(borders)
        for name in self.layers:
            found[name] = x = self._layer(name, x, around)
        return found

    def to_end(self, x, borders):
        """What the last layer makes of `x`, and `{convolution: bits}` of those before:
        all that `back` needs."""
        signs, around = {}, around_of(borders)
        for name in self.layers:
            x = self._layer(name, x, around)
            if name in self.pooling:
                signs[name] = packed(chosen(x, self.pooling[name]))
                x = after(signs[name], x)
        return x, signs

    def _layer(self, name, x, around):
        """A pooling, or a convolution with its ReLU, padded where the tile is at the
        border."""
        layer = self.layers[name]
        if is_pool(name):
            return layer(x)
        x = tf.cast(x, layer.compute_dtype)
        if self.padding != "valid":
            x = edges.pad(x, self.padding, around)
        x = convolve(x, layer.kernel.value, "valid")
        return tf.nn.relu(tf.nn.bias_add(x, layer.bias.value))

    def bits(self):
        """`{convolution: channels}` of the signs that `to_end` returns."""
        return {name: width(name) // BITS for name in self.pooling}

    def size(self, signs):
        """(height, width) of what the last layer makes of such a tile."""
        name, pooling = list(self.pooling.items())[-1]
        size = tf.shape(signs[name])[1:3]
        return size if pooling is None else size // 2

    def back(self, up, borders, signs):
        """The gradient at the input from `up`, the one at the last layer's output. The
        first layer has to be a convolution."""
        around = around_of(borders)
        for name, pooling in reversed(self.pooling.items()):
            positive = unpacked(signs[name], up.dtype)
            if pooling is not None:
                up = spread(up, tf.shape(positive), pooling)
            up = self._convolution_back(self.layers[name], up * positive, around)
        return up

    def _convolution_back(self, layer, up, around):
        kernel = tf.convert_to_tensor(layer.kernel.value)
        size = tf.concat([tf.shape(up)[:3] + (0, 2, 2), kernel.shape[2:3]], 0)
        up = input_gradient(size, kernel, up, "VALID")
        up = tf.ensure_shape(up, (None, None, None, kernel.shape[2]))
        if self.padding == "valid":
            return up
        return edges.adjoint(up, self.padding, around)


def after(done, x):
    """`x`, but not before `done` is there: so what that was made of is let go first."""
    with tf.control_dependencies([done]):
        return tf.identity(x)


def around_of(borders):
    """What `tf.pad` takes for a tile's borders."""
    return tf.pad(borders, [[1, 1], [0, 0]])
