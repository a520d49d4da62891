"""One stage of the extractor, forward and backward, for one of its tiles."""

import numpy as np
import tensorflow as tf
from keras import ops

from kstyle import edges
from kstyle.convolution import convolve, with_slope
from kstyle.extractor import padding_of
from kstyle.graphs import own_graph, pixels
from kstyle.layers import width
from kstyle.losses import GramLoss, gram_matrix
from kstyle.tiles import is_pool, lengths
from kstyle.variables import room


class StageGraphs:
    """One stage as two graphs for tiles of any size: `values` and `slope`.

    layers: of the stage. channels: of its input. terms: those at its layers.
    through: whether another stage follows, so that the output is wanted too.
    What passes from stage to stage is in the extractor's precision.
    """

    def __init__(self, extractor, layers, channels, terms, through):
        self.extractor, self.layers, self.channels = extractor, layers, channels
        self.padding = padding_of(extractor)
        self.grams = {t.tag: t for t in terms if isinstance(t.loss, GramLoss)}
        self.others = {t.tag: t for t in terms if t.tag not in self.grams}
        self.output = layers[-1] if through else None
        last = extractor.get_layer(layers[-1]).compute_dtype
        self.dtype = tf.as_dtype(last).as_numpy_dtype
        looked_at = {self.output, *(term.layer for term in terms)}
        self.wanted = tuple(name for name in layers if name in looked_at)
        tile = (
            pixels(channels, np.float32 if channels == 3 else self.dtype),
            tf.TensorSpec((2, 2), tf.int32),
            tf.TensorSpec((len(self.wanted), 2, 2), tf.int32),
        )
        pulls = (
            {k: square(width(t.layer)) for k, t in self.grams.items()},
            {k: tf.TensorSpec(()) for k in self.others},
            {k: pixels(width(t.layer), self.dtype) for k, t in self.others.items()},
            pixels(width(layers[-1]), self.dtype),
        )
        self.values = own_graph(self._values, tile)
        self.slope = own_graph(self._slope, (*tile, *pulls))

    def room(self, x):
        """An array for the output of the stage for its whole input `x`."""
        sizes = (lengths(self.layers, n, self.padding) for n in x.shape[1:3])
        height, wide = (size[self.output] for size in sizes)
        return room((len(x), height, wide, width(self.output)), self.dtype)

    def _features(self, x, borders, crops):
        """`{layer: the tile's own part}` of the wanted layers."""
        found, around = {}, tf.pad(borders, [[1, 1], [0, 0]])
        if self.channels == 3:
            x = self.extractor.get_layer("caffe_input")(x)
        for name in self.layers:
            layer = self.extractor.get_layer(name)
            x = layer(x) if is_pool(name) else self._convolution(layer, x, around)
            if name in self.wanted:
                found[name] = cropped(x, crops[self.wanted.index(name)])
        return found

    def _convolution(self, layer, x, around):
        """The convolution with its ReLU, padded where the tile is at the border."""
        x = tf.cast(x, layer.compute_dtype)
        if self.padding != "valid":
            x = edges.pad(x, self.padding, around)
        x = convolve(x, layer.kernel.value, "valid")
        return tf.nn.relu(tf.nn.bias_add(x, layer.bias.value))

    def _values(self, x, borders, crops):
        """`{tag: Gram of the tile's part}`, and `{layer: features}` of the output and
        of the other terms."""
        with edges.written_in_place():
            found = self._features(x, borders, crops)
        wanted = {self.output, *(term.layer for term in self.others.values())} - {None}
        return (
            {tag: gram_matrix(found[t.layer]) for tag, t in self.grams.items()},
            {name: found[name] for name in wanted},
        )

    def _slope(self, x, borders, crops, grams, weights, targets, above):
        """The gradient with respect to `x` of all that the tile's part pulls at.

        grams: `{tag: d loss / d Gram of the part}`. weights, targets: `{tag: …}` of
        the other terms. above: the gradient with respect to the stage's output.
        """

        def pulls(x):
            found = self._features(x, borders, crops)
            parts = [
                ops.sum(grams[tag] * gram_matrix(found[term.layer]))
                for tag, term in self.grams.items()
            ]
            parts += [
                weights[tag] * term.loss(targets[tag], found[term.layer])
                for tag, term in self.others.items()
            ]
            if self.output is not None:
                # Only its gradient counts, and that is `above` in any precision.
                here = ops.sum(above * found[self.output])
                parts.append(ops.cast(here, "float32"))
            return sum(parts), None

        return with_slope(pulls, x)[1]


def cropped(x, crop):
    """Rows and columns of `x` by their ((first, end), (first, end))."""
    # By `slice`: the gradient of `x[...]` is computed in one thread.
    begin = tf.pad(crop[:, 0], [[1, 1]])
    size = tf.pad(crop[:, 1] - crop[:, 0], [[1, 1]], constant_values=-1)
    return tf.slice(x, begin, size)


def square(channels):
    """Any batch of Gram matrices, likewise."""
    return tf.TensorSpec((None, channels, channels))
