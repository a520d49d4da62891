"""One stage of the extractor, forward and backward, for one of its tiles."""

import numpy as np
import tensorflow as tf
from keras import ops

from kstyle import edges
from kstyle.convolution import with_slope
from kstyle.extractor import padding_of
from kstyle.graphs import own_graph, pixels
from kstyle.layers import width
from kstyle.losses import GramLoss, gram_matrix
from kstyle.stage_layers import StageLayers, after
from kstyle.tiles import lengths, looked_at
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
        names = {term.layer for term in terms}
        self.wanted = tuple(n for n in layers if n in {self.output, *names})
        # On the way back the first are computed again, of the rest the signs are kept.
        first = looked_at(layers, names)
        self.first = StageLayers(extractor, first)
        self.rest = StageLayers(extractor, layers[len(first) :])
        tile = (
            pixels(channels, np.float32 if channels == 3 else self.dtype),
            tf.TensorSpec((2, 2), tf.int32),
            tf.TensorSpec((len(self.wanted), 2, 2), tf.int32),
        )
        self.values = own_graph(self._values, tile)
        self.slope = own_graph(self._slope, (*tile, *self._pulls()))

    def _pulls(self):
        """What `slope` takes beside a tile."""
        return (
            {name: pixels(n, np.uint8) for name, n in self.rest.bits().items()},
            {k: square(width(t.layer)) for k, t in self.grams.items()},
            {k: tf.TensorSpec(()) for k in self.others},
            {k: pixels(width(t.layer), self.dtype) for k, t in self.others.items()},
            pixels(width(self.layers[-1]), self.dtype),
        )

    def room(self, x):
        """An array for the output of the stage for its whole input `x`."""
        return room(self._output_shape(x), self.dtype)

    def nothing(self, x):
        """The gradient with respect to that output if nothing deeper pulls."""
        nowhere = (1, 1, 1, width(self.layers[-1]))  # not used
        shape = nowhere if self.output is None else self._output_shape(x)
        return np.broadcast_to(np.zeros((), self.dtype), shape)

    def _output_shape(self, x):
        sizes = (lengths(self.layers, n, self.padding) for n in x.shape[1:3])
        return len(x), *(size[self.output] for size in sizes), width(self.output)

    def _input(self, x):
        return self.extractor.get_layer("caffe_input")(x) if self.channels == 3 else x

    def _values(self, x, borders, crops):
        """`{tag: Gram of the tile's part}`, `{layer: features}` of the output and of
        the other terms, and `{layer: signs}` of the rest."""
        x = self._input(x)
        with edges.written_in_place():
            found = self.first.through(x, borders)
            end, signs = self.rest.to_end(last_of(found, x), borders)
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
            x = self._input(after(up, x))  # not beside the way back through the rest
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
                end = last_of(found, x) if signs else own[self.output]
                # Only its gradient counts, and that is `up` in any precision.
                here = ops.sum(tf.cast(up, end.dtype) * end)
                parts.append(ops.cast(here, "float32"))
            return sum(parts), None

        return with_slope(pulls, x)[1]

    def _own(self, found, crops):
        """The tile's own part of the wanted layers among the `found`."""
        each = zip(self.wanted, tf.unstack(crops), strict=True)
        return {n: cropped(found[n], crop) for n, crop in each if n in found}

    def _from_above(self, above, borders, crops, signs):
        """The gradient with respect to what the first layers make, back through the
        rest; where there is no rest, `above` itself, of the tile's own part."""
        if not signs:
            return above
        crop = crops[self.wanted.index(self.output)]
        up = uncropped(above, crop, self.rest.size(signs))
        return self.rest.back(up, borders, signs)


def last_of(found, x):
    """What the last layer made; `x` where there was none."""
    return [x, *found.values()][-1]


def cropped(x, crop):
    """Rows and columns of `x` by their ((first, end), (first, end))."""
    # By `slice`: the gradient of `x[...]` is computed in one thread.
    begin = tf.pad(crop[:, 0], [[1, 1]])
    size = tf.pad(crop[:, 1] - crop[:, 0], [[1, 1]], constant_values=-1)
    return tf.slice(x, begin, size)


def uncropped(x, crop, size):
    """`x` where `cropped` took it from, zeros around it; size: (height, width)."""
    around = tf.stack([crop[:, 0], size - crop[:, 1]], 1)
    return tf.pad(x, tf.pad(around, [[1, 1], [0, 0]]))


def square(channels):
    """Any batch of Gram matrices, likewise."""
    return tf.TensorSpec((None, channels, channels))
