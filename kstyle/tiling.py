"""The extractor by stages and tiles: exact features and gradients of any picture.

Forward, the stages are run one after the other, each tile by tile, and the Gram
matrices of whole layers are summed over the tiles. Backward, from the deepest stage
up, each tile is computed once more (nothing but the stages' inputs was kept) under a
gradient tape. Tiles overlap by what a stage sees beyond them, and only those at the
picture's true border are padded, so the result is that of the whole picture, up to
the order of sums. Whole layers are NumPy arrays on the host.
"""

import numpy as np
import tensorflow as tf
from keras import ops

from kstyle.extractor import PAD_MODES, padding_of
from kstyle.graphs import own_graph
from kstyle.layers import width
from kstyle.losses import GramLoss, gram_matrix
from kstyle.tiles import is_pool, lengths, split_stages, stage_edge, tiles


class StageGraphs:
    """One stage as two graphs for tiles of any size: `values` and `slope`.

    layers: of the stage. channels: of its input. terms: those at its layers.
    through: whether another stage follows, so that the output is wanted too.
    What passes from stage to stage is in the extractor's precision, gradients not.
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
            {k: pixels(width(t.layer)) for k, t in self.others.items()},
            pixels(width(layers[-1])),
        )
        self.values = own_graph(self._values, tile)
        self.slope = own_graph(self._slope, (*tile, *pulls))

    def room(self, x):
        """An array for the output of the stage for its whole input `x`."""
        sizes = (lengths(self.layers, n, self.padding) for n in x.shape[1:3])
        height, wide = (size[self.output] for size in sizes)
        shape = (len(x), height, wide, width(self.output))
        return np.empty(shape, self.dtype)

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
            x = tf.pad(x, around, PAD_MODES.get(self.padding, "constant"))
        x = tf.nn.conv2d(x, layer.kernel.value, 1, "VALID")
        return tf.nn.relu(tf.nn.bias_add(x, layer.bias.value))

    def _values(self, x, borders, crops):
        """`{tag: Gram of the tile's part}`, and `{layer: features}` of the output and
        of the other terms."""
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
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(x)
            found = self._features(x, borders, crops)
            pulls = [
                ops.sum(grams[tag] * gram_matrix(found[term.layer]))
                for tag, term in self.grams.items()
            ]
            pulls += [
                weights[tag] * term.loss(targets[tag], found[term.layer])
                for tag, term in self.others.items()
            ]
            if self.output is not None:
                pulls.append(ops.sum(above * tf.cast(found[self.output], tf.float32)))
            total = sum(pulls)
        return tf.cast(tape.gradient(total, x), tf.float32)


class StagedNet:
    """The extractor down to the layers of `terms`, in tiles of `edge` pixels.

    terms: `LossTerm`s at layers of the network. A Gram is summed over the tiles; any
        other loss has to be a mean over positions.
    """

    def __init__(self, extractor, terms, edge):
        self.edge, self.padding = edge, padding_of(extractor)
        names = [k.name for k in extractor.layers if k.name[-1].isdigit()]
        depth = max(names.index(term.layer) for term in terms)
        self.stages, self.graphs, channels = split_stages(names[: depth + 1]), [], 3
        for stage in self.stages:
            mine = [term for term in terms if term.layer in stage]
            through = stage is not self.stages[-1]
            self.graphs.append(StageGraphs(extractor, stage, channels, mine, through))
            channels = width(stage[-1])

    def tiles(self, number, x):
        """The `Tile`s of stage `number` for its whole input `x`."""
        stage = self.stages[number]
        edge = stage_edge(self.edge, number, stage)
        wanted = self.graphs[number].wanted
        return tiles(stage, x.shape[1:3], edge, self.padding, wanted)

    def forward(self, picture, receive):
        """`{tag: Gram of the whole layer}` in float64, and the stages' inputs.

        picture: `(batch, height, width, 3)` in [0, 1].
        receive: called with (tag, tile, features) for each tile's own part of the
            layers of the terms that are no Grams.
        """
        sums, inputs = {tag: 0.0 for graphs in self.graphs for tag in graphs.grams}, []
        for number, graphs in enumerate(self.graphs):
            inputs.append(picture)
            output = None
            if graphs.output is not None:
                output = graphs.room(picture)
            for tile in self.tiles(number, picture):
                grams, features = graphs.values(*tile_of(picture, tile, graphs.wanted))
                for tag, term in graphs.grams.items():
                    sums[tag] += tile.share(term.layer) * np.float64(grams[tag])
                for tag, term in graphs.others.items():
                    receive(tag, tile, features[term.layer])
                if graphs.output is not None:
                    output[tile.place(graphs.output)] = features[graphs.output]
            picture = output
        return sums, inputs

    def backward(self, inputs, grams, weights, targets):
        """The gradient with respect to the picture; `None` if nothing pulls at it.

        inputs: from `forward`; emptied on the way, to have the memory again.
        grams: `{tag: d loss / d Gram of the whole layer}`. weights, targets:
            `{tag: weight}` and `{tag: whole layer}` of the other terms.
        """
        above = None
        while inputs:
            x, graphs = inputs.pop(), self.graphs[len(inputs)]
            pulled = any(weights[tag] for tag in graphs.others)
            pulled = pulled or any(np.any(grams[tag]) for tag in graphs.grams)
            if above is None and not pulled:
                continue
            slope = np.zeros(x.shape, "float32")
            for tile in self.tiles(len(inputs), x):
                pulls = pulls_at(graphs, tile, grams, weights, targets, above)
                part = graphs.slope(*tile_of(x, tile, graphs.wanted), *pulls)
                slope[tile.read] += part
            above = slope
        return above


def pulls_at(graphs, tile, grams, weights, targets, above):
    """What `StageGraphs.slope` takes of the whole layers for one tile."""
    share = {
        tag: np.float32(tile.share(term.layer))
        for tag, term in (graphs.grams | graphs.others).items()
    }
    place = {tag: tile.place(term.layer) for tag, term in graphs.others.items()}
    if above is None:  # nothing deeper pulls: one 0 for all positions
        above = np.zeros((1, 1, 1, width(graphs.layers[-1])), "float32")
    else:
        above = above[tile.place(graphs.output)]
    return (
        {tag: share[tag] * np.float32(grams[tag]) for tag in graphs.grams},
        {tag: share[tag] * np.float32(weights[tag]) for tag in graphs.others},
        {tag: targets[tag][at] for tag, at in place.items()},
        above,
    )


def tile_of(x, tile, wanted):
    """What the graphs take of the stage's whole input: pixels, borders, crops."""
    return x[tile.read], np.int32(tile.borders), np.int32(tile.crops(wanted))


def cropped(x, crop):
    """Rows and columns of `x` by their ((first, end), (first, end))."""
    # By `slice`: the gradient of `x[...]` is computed in one thread.
    begin = tf.pad(crop[:, 0], [[1, 1]])
    size = tf.pad(crop[:, 1] - crop[:, 0], [[1, 1]], constant_values=-1)
    return tf.slice(x, begin, size)


def pixels(channels, dtype=np.float32):
    """Any batch, height and width of so many channels, for a graph's signature."""
    return tf.TensorSpec((None, None, None, channels), dtype)


def square(channels):
    """Any batch of Gram matrices, likewise."""
    return tf.TensorSpec((None, channels, channels))
