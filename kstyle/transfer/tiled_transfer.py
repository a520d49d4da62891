"""`TiledTransfer`: a `StyleTransfer` whose picture is looked at tile by tile."""

import numpy as np
import tensorflow as tf
from keras import ops

from kstyle.losses.base import IMAGE
from kstyle.ops.tf_utils import (
    model_function,
    pixel_spec,
    variable_values,
    zeros_in_tf_memory,
)
from kstyle.tiling.tiled_extractor import StagedExtractor
from kstyle.transfer.style_transfer import StyleTransfer, as_batch


class TiledTransfer(StyleTransfer):
    """As `StyleTransfer`, to rounding, in memory that grows with the tile and a few
    copies of the picture, for a third more time.

    edge: of a tile in pixels, at the most; deeper in the network it covers more of the
    picture. The rest as `StyleTransfer`. The losses of the layers are summed over
    tiles, those of the picture itself (total variation) over strips of rows.
    """

    def __init__(
        self, extractor, terms, content, style, init=None, *, edge, targets=None, **more
    ):
        if targets is None:
            pictures = {"content": content, "style": style}
            targets = compute_tiled_targets(extractor, terms, pictures, edge)
        super().__init__(
            extractor, terms, content, style, init, targets=targets, **more
        )
        layered = [term for term in self.terms if term.layer != IMAGE]
        self.net = StagedExtractor(extractor, layered, edge) if layered else None
        self.on_picture = [term for term in self.terms if term.layer == IMAGE]
        self._norms_graph = self._norms  # the tiles are graphs, the loop is not
        height, wide = self.image.shape[1:3]
        rows = max(1, edge**2 // wide)  # as many pixels as a tile
        self.strips = [slice(k, k + rows) for k in range(0, height, rows)]
        rows = pixel_spec(3, shape=(1, None, wide))
        self._strip_graph = model_function(self._strip_losses, (rows, rows))
        weights = {term.tag: tf.TensorSpec(()) for term in self.on_picture}
        self._pull_graph = model_function(self._strip_pull, (rows, rows, weights))

    def _hold(self, targets):
        self.targets = targets  # they are handed to the graphs, tile by tile

    def compile(self, optimizer="adam", **kwargs):
        """As `StyleTransfer.compile`. The loop over tiles is eager, the tiles' and the
        optimizer's work is not."""
        super().compile(optimizer, run_eagerly=True, **kwargs)
        self._move_graph = model_function(super()._move)

    def _move(self):
        return self._move_graph()

    def measure(self):
        return self._measured()[0]

    def _look(self):
        losses, grams, inputs = self._measured(keep=True)
        self.optimizer.scale_loss(losses["loss"])
        weights = {term.tag: term.weight for term in self.terms}
        self.gradient.assign(self._slope(grams, inputs, weights))
        return losses

    def _norms(self):
        _, grams, inputs = self._measured(keep=True)
        norms = {}
        for term in self.terms:
            alone = {t.tag: t.weight if t is term else 0.0 for t in self.terms}
            norms[term.tag] = np.linalg.norm(self._slope(grams, list(inputs), alone))
        return norms

    def _measured(self, keep=False):
        """The losses, the `{tag: Gram}` and the stages' inputs of the picture, as
        `StagedNet.forward` has them."""
        raw, grams, inputs = {term.tag: 0.0 for term in self.on_picture}, {}, []
        for _, *rows in self._rows():
            for tag, loss in self._strip_graph(*rows).items():
                raw[tag] += float(loss)
        if self.net:
            parts = {tag: 0.0 for graphs in self.net.graphs for tag in graphs.others}
            terms = {term.tag: term for term in self.terms}

            def compare(tag, tile, features):
                target = self.targets[tag][tile.place(terms[tag].layer)]
                share = tile.share(terms[tag].layer)
                parts[tag] += share * float(terms[tag].loss(target, features))

            sums, inputs = self.net.forward(variable_values(self.image), compare, keep)
            grams = {tag: tf.constant(gram, "float32") for tag, gram in sums.items()}
            raw |= parts
            raw |= {tag: self._gram_loss(tag, gram) for tag, gram in grams.items()}
        raw = {tag: tf.constant(float(value), "float32") for tag, value in raw.items()}
        return self.weighted(raw), grams, inputs

    def _gram_loss(self, tag, gram):
        (loss,) = [term.loss for term in self.terms if term.tag == tag]
        return ops.sum(loss.call(self.targets[tag], gram))

    def _rows(self):
        """The strips: where each is, its rows, and the row below or none."""
        if not self.on_picture:
            return
        image = variable_values(self.image)
        for place in self.strips:
            yield place, image[:, place], image[:, place.stop : place.stop + 1]

    def _strip_losses(self, rows, below):
        size = self.image.shape[1:3]
        parts = {t.tag: t.loss.of_rows(rows, below, size) for t in self.on_picture}
        return {tag: ops.sum(part) for tag, part in parts.items()}

    def _strip_pull(self, rows, below, weights):
        """The gradient of the terms of the picture with `weights` at a strip's rows,
        and at the row below."""
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch((rows, below))
            losses = self._strip_losses(rows, below)
            total = sum(weights[tag] * loss for tag, loss in losses.items())
        return tape.gradient(total, (rows, below))

    def _slope(self, grams, inputs, weights):
        """The gradient of the terms with `weights`, a NumPy array; `inputs` are used
        up."""
        slope = None
        if self.net:
            pulls = {}
            for tag, gram in grams.items():
                with tf.GradientTape() as tape:
                    tape.watch(gram)
                    loss = weights[tag] * self._gram_loss(tag, gram)
                pulls[tag] = tape.gradient(loss, gram).numpy()
            slope = self.net.backward(inputs, pulls, weights, self.targets)
        if slope is None:
            slope = zeros_in_tf_memory(self.image.shape, "float32")
        pulls = {t.tag: np.float32(weights[t.tag]) for t in self.on_picture}
        for place, *rows in self._rows() if any(pulls.values()) else ():
            here, below = self._pull_graph(*rows, pulls)
            slope[:, place] += here
            slope[:, place.stop : place.stop + 1] += below
        return slope


def compute_tiled_targets(extractor, terms, pictures, edge):
    """As `model.represent`, by tiles of `edge` pixels: `{tag: array}`."""
    found = {}
    for source in sorted({term.source for term in terms if term.source}):
        mine = [term for term in terms if term.source == source]
        picture = as_batch(pictures[source])
        found |= tiled_targets_of(StagedExtractor(extractor, mine, edge), mine, picture)
    return found


def tiled_targets_of(net, terms, picture):
    """Whole layers, and Grams, of a `(1, height, width, 3)` picture for `terms`."""
    whole, layers = {}, {term.tag: term.layer for term in terms}

    def keep(tag, tile, features):
        if tag not in whole:
            shape = (len(features), *tile.sizes[layers[tag]], features.shape[-1])
            # In the network's precision: float32 would be no more exact.
            whole[tag] = zeros_in_tf_memory(shape, features.dtype.as_numpy_dtype)
        whole[tag][tile.place(layers[tag])] = features

    sums, _ = net.forward(picture, keep)
    return whole | {tag: gram.astype("float32") for tag, gram in sums.items()}
