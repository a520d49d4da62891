"""One stage of the extractor, forward and backward, for one of its tiles."""

import itertools

import keras
import numpy as np
import tensorflow as tf
from keras import ops

from kstyle.losses.style import GramLoss, gram_matrix
from kstyle.networks.extractor import extractor_padding
from kstyle.ops import padding
from kstyle.ops.convolution import convolve, input_gradient, value_and_gradient
from kstyle.ops.tf_utils import model_function, pixel_spec, zeros_in_tf_memory
from kstyle.tiling.geometry import layer_lengths, recomputed_layers

POOL_ARGUMENTS = {"ksize": (1, 2, 2, 1), "strides": (1, 2, 2, 1), "padding": "VALID"}
BITS_PER_BYTE = 8  # features a byte; the networks' widths are multiples of it
# Times this, the lowest bits of eight bytes come to stand in the highest byte.
BIT_GATHER = 0x0102040810204080
BIT_TABLE = np.unpackbits(np.arange(256, dtype=np.uint8)[:, None], 1, bitorder="little")


def pack_signs(x):
    """uint8 `(batch, H, W, channels / 8)` of features `x`: 1 where they are positive,
    the first of eight in the lowest bit."""
    positive = tf.cast(x > 0, tf.uint8)
    eights = tf.concat(
        [tf.shape(x)[:3], [x.shape[-1] // BITS_PER_BYTE, BITS_PER_BYTE]], 0
    )
    together = tf.bitcast(tf.reshape(positive, eights), tf.uint64)
    highest = tf.bitwise.right_shift(
        together * tf.constant(BIT_GATHER, tf.uint64), tf.constant(56, tf.uint64)
    )
    return tf.cast(highest, tf.uint8)


def unpack_signs(bits, dtype):
    """`(batch, H, W, channels)` of 0 and 1 from what `packed` returned."""
    size = tf.concat([tf.shape(bits)[:3], [bits.shape[-1] * BITS_PER_BYTE]], 0)
    found = tf.gather(tf.constant(BIT_TABLE, dtype), tf.cast(bits, tf.int32))
    return tf.reshape(found, size)


def selected_features(x, pooling):
    """`x` where the 2 x 2 `pooling` takes it, 0 elsewhere; it is one of Keras's layers,
    or `None` for none. An average takes all but an odd last row or column."""
    if not isinstance(pooling, keras.layers.MaxPooling2D):
        return x
    y = pooling(x)
    ones = tf.ones_like(y)
    return x * tf.raw_ops.MaxPoolGrad(
        orig_input=x, orig_output=y, grad=ones, **POOL_ARGUMENTS
    )


def pooling_gradient(up, size, pooling):
    """The gradient at the input of `pooling`, of shape `size`, if it takes all of it.

    up: at its output.
    """
    parts = tf.raw_ops.AvgPoolGrad(orig_input_shape=size, grad=up, **POOL_ARGUMENTS)
    return 4 * parts if isinstance(pooling, keras.layers.MaxPooling2D) else parts


class StageLayers:
    """Some layers of the extractor, one after the other; there may be none.

    `borders` are those of the tile, ((top, bottom), (left, right)), 1 where it touches
    the picture's true border: there alone the convolutions pad.
    """

    def __init__(self, extractor, layers):
        self.records = layers
        self.layers = {k.name: extractor.get_layer(k.name) for k in layers}
        self.padding = extractor_padding(extractor)
        # The pooling that follows each convolution, if there is one.
        self.pooling = {
            layer.name: self.layers[after.name] if after and after.is_pool else None
            for layer, after in itertools.zip_longest(layers, layers[1:])
            if layer.is_conv
        }

    def through(self, x, borders):
        """`{layer: what it makes of x}`, each from what the one before makes."""
        found, around = {}, border_padding(borders)
        for layer in self.records:
            found[layer.name] = x = self._layer(layer, x, around)
        return found

    def to_end(self, x, borders):
        """What the last layer makes of `x`, and `{convolution: bits}` of those before:
        all that `back` needs."""
        signs, around = {}, border_padding(borders)
        for layer in self.records:
            name = layer.name
            x = self._layer(layer, x, around)
            if name in self.pooling:
                signs[name] = pack_signs(selected_features(x, self.pooling[name]))
                x = run_after(signs[name], x)
        return x, signs

    def _layer(self, record, x, around):
        """A pooling, or a convolution with its ReLU, padded where the tile is at the
        border."""
        layer = self.layers[record.name]
        if record.is_pool:
            return layer(x)
        x = tf.cast(x, layer.compute_dtype)
        if self.padding != "valid":
            x = padding.pad_features(x, self.padding, around)
        x = convolve(x, layer.kernel.value, "valid")
        return tf.nn.relu(tf.nn.bias_add(x, layer.bias.value))

    def bits(self):
        """`{convolution: channels}` of the signs that `to_end` returns."""
        convolutions = [layer for layer in self.records if layer.is_conv]
        return {k.name: k.channels // BITS_PER_BYTE for k in convolutions}

    def size(self, signs):
        """(height, width) of what the last layer makes of such a tile."""
        name, pooling = list(self.pooling.items())[-1]
        size = tf.shape(signs[name])[1:3]
        return size if pooling is None else size // 2

    def back(self, up, borders, signs):
        """The gradient at the input from `up`, the one at the last layer's output. The
        first layer has to be a convolution."""
        around = border_padding(borders)
        for name, pooling in reversed(self.pooling.items()):
            positive = unpack_signs(signs[name], up.dtype)
            if pooling is not None:
                up = pooling_gradient(up, tf.shape(positive), pooling)
            up = self._convolution_back(self.layers[name], up * positive, around)
        return up

    def _convolution_back(self, layer, up, around):
        kernel = tf.convert_to_tensor(layer.kernel.value)
        size = tf.concat([tf.shape(up)[:3] + (0, 2, 2), kernel.shape[2:3]], 0)
        up = input_gradient(size, kernel, up, "VALID")
        up = tf.ensure_shape(up, (None, None, None, kernel.shape[2]))
        if self.padding == "valid":
            return up
        return padding.padding_adjoint(up, self.padding, around)


def run_after(done, x):
    """`x`, but not before `done` is there: so what that was made of is let go first."""
    with tf.control_dependencies([done]):
        return tf.identity(x)


def border_padding(borders):
    """What `tf.pad` takes for a tile's borders."""
    return tf.pad(borders, [[1, 1], [0, 0]])


class StageGraphs:
    """One stage as two graphs for tiles of any size: `values` and `slope`.

    layers: the `Layer`s of the stage. terms: those at its layers.
    through: whether another stage follows, so that the output is wanted too.
    What passes from stage to stage is in the extractor's precision.
    """

    def __init__(self, extractor, layers, terms, through):
        self.extractor, self.layers = extractor, layers
        self.channels = layers[0].in_channels
        self.width = {layer.name: layer.channels for layer in layers}
        self.padding = extractor_padding(extractor)
        self.grams = {t.tag: t for t in terms if isinstance(t.loss, GramLoss)}
        self.others = {t.tag: t for t in terms if t.tag not in self.grams}
        self.output = layers[-1].name if through else None
        last = extractor.get_layer(layers[-1].name).compute_dtype
        self.dtype = tf.as_dtype(last).as_numpy_dtype
        names = {term.layer for term in terms}
        self.wanted = tuple(n for n in self.width if n in {self.output, *names})
        # On the way back the first are computed again, of the rest the signs are kept.
        first = recomputed_layers(layers, names)
        self.first = StageLayers(extractor, first)
        self.rest = StageLayers(extractor, layers[len(first) :])
        tile = (
            pixel_spec(self.channels, np.float32 if self.channels == 3 else self.dtype),
            tf.TensorSpec((2, 2), tf.int32),
            tf.TensorSpec((len(self.wanted), 2, 2), tf.int32),
        )
        self.values = model_function(self._values, tile)
        self.slope = model_function(self._slope, (*tile, *self._pulls()))

    def _pulls(self):
        """What `slope` takes beside a tile."""
        return (
            {name: pixel_spec(n, np.uint8) for name, n in self.rest.bits().items()},
            {k: gram_spec(self.width[t.layer]) for k, t in self.grams.items()},
            {k: tf.TensorSpec(()) for k in self.others},
            {
                k: pixel_spec(self.width[t.layer], self.dtype)
                for k, t in self.others.items()
            },
            pixel_spec(self.layers[-1].channels, self.dtype),
        )

    def room(self, x):
        """An array for the output of the stage for its whole input `x`."""
        return zeros_in_tf_memory(self._output_shape(x), self.dtype)

    def nothing(self, x):
        """The gradient with respect to that output if nothing deeper pulls."""
        nowhere = (1, 1, 1, self.layers[-1].channels)  # not used
        shape = nowhere if self.output is None else self._output_shape(x)
        return np.broadcast_to(np.zeros((), self.dtype), shape)

    def _output_shape(self, x):
        sizes = (layer_lengths(self.layers, n, self.padding) for n in x.shape[1:3])
        return (
            len(x),
            *(size[self.output] for size in sizes),
            self.width[self.output],
        )

    def _input(self, x):
        return self.extractor.get_layer("caffe_input")(x) if self.channels == 3 else x

    def _values(self, x, borders, crops):
        """`{tag: Gram of the tile's part}`, `{layer: features}` of the output and of
        the other terms, and `{layer: signs}` of the rest."""
        x = self._input(x)
        with padding.written_in_place():
            found = self.first.through(x, borders)
            end, signs = self.rest.to_end(last_features(found, x), borders)
        if self.output is not None:
            found[self.output] = end
        own = self._own(found, crops)
        wanted = {self.output, *(term.layer for term in self.others.values())} - {None}
        return (
            {tag: gram_matrix(own[t.layer]) for tag, t in self.grams.items()},
            {name: own[name] for name in wanted},
            signs,
        )

    def _slope(self, x, borders, crops, signs, grams, weights, targets, above):
        """The gradient with respect to `x` of all that the tile's part pulls at.

        signs: from `values`. grams: `{tag: d loss / d Gram of the part}`. weights,
        targets: `{tag: …}` of the other terms. above: the gradient with respect to the
        stage's output.
        """

        def pulls(x):
            up = self._from_above(above, borders, crops, signs)
            x = self._input(
                run_after(up, x)
            )  # not beside the way back through the rest
            found = self.first.through(x, borders)
            own = self._own(found, crops)
            parts = [
                ops.sum(grams[tag] * gram_matrix(own[term.layer]))
                for tag, term in self.grams.items()
            ]
            parts += [
                weights[tag] * term.loss(targets[tag], own[term.layer])
                for tag, term in self.others.items()
            ]
            if self.output is not None:
                end = last_features(found, x) if signs else own[self.output]
                # Only its gradient counts, and that is `up` in any precision.
                here = ops.sum(tf.cast(up, end.dtype) * end)
                parts.append(ops.cast(here, "float32"))
            return sum(parts), None

        return value_and_gradient(pulls, x)[1]

    def _own(self, found, crops):
        """The tile's own part of the wanted layers among the `found`."""
        each = zip(self.wanted, tf.unstack(crops), strict=True)
        return {n: crop_features(found[n], crop) for n, crop in each if n in found}

    def _from_above(self, above, borders, crops, signs):
        """The gradient with respect to what the first layers make, back through the
        rest; where there is no rest, `above` itself, of the tile's own part."""
        if not signs:
            return above
        crop = crops[self.wanted.index(self.output)]
        up = uncrop_features(above, crop, self.rest.size(signs))
        return self.rest.back(up, borders, signs)


def last_features(found, x):
    """What the last layer made; `x` where there was none."""
    return [x, *found.values()][-1]


def crop_features(x, crop):
    """Rows and columns of `x` by their ((first, end), (first, end))."""
    # By `slice`: the gradient of `x[...]` is computed in one thread.
    begin = tf.pad(crop[:, 0], [[1, 1]])
    size = tf.pad(crop[:, 1] - crop[:, 0], [[1, 1]], constant_values=-1)
    return tf.slice(x, begin, size)


def uncrop_features(x, crop, size):
    """`x` where `cropped` took it from, zeros around it; size: (height, width)."""
    around = tf.stack([crop[:, 0], size - crop[:, 1]], 1)
    return tf.pad(x, tf.pad(around, [[1, 1], [0, 0]]))


def gram_spec(channels):
    """Any batch of Gram matrices, likewise."""
    return tf.TensorSpec((None, channels, channels))
