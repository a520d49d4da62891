"""`TiledTransfer`: a `StyleTransfer` whose picture is looked at tile by tile."""

import numpy as np
import tensorflow as tf
from keras import ops

from kstyle.losses import IMAGE
from kstyle.model import StyleTransfer, own_graph
from kstyle.tiling import StagedNet, represent_tiled


class TiledTransfer(StyleTransfer):
    """As `StyleTransfer`, to rounding, in memory that grows with the tile and a few
    copies of the picture, for half as much time again.

    edge: of a tile in pixels; deeper in the network it covers more of the picture.
    The rest as `StyleTransfer`. The losses of the layers are summed over tiles; those
    of the picture itself (total variation) are taken from the whole of it.
    """

    def __init__(
        self, extractor, terms, content, style, init=None, *, edge, targets=None, **more
    ):
        if targets is None:
            pictures = {"content": content, "style": style}
            targets = represent_tiled(extractor, terms, pictures, edge)
        super().__init__(
            extractor, terms, content, style, init, targets=targets, **more
        )
        layered = [term for term in self.terms if term.layer != IMAGE]
        self.net = StagedNet(extractor, layered, edge) if layered else None
        self._picture_graph = own_graph(self._picture_slope)

    def compile(self, optimizer="adam", **kwargs):
        """As `StyleTransfer.compile`. The loop over tiles is eager, the tiles' and the
        optimizer's work is not."""
        super().compile(optimizer, run_eagerly=True, **kwargs)
        self._look_graph = self._look
        self._move_graph = own_graph(super()._move)

    def _move(self):
        return self._move_graph()

    def measure(self):
        return self._measured()[0]

    def _look(self):
        losses, slopes, inputs = self._measured()
        self.optimizer.scale_loss(losses["loss"])
        weights = {term.tag: term.weight for term in self.terms}
        self.gradient.assign(self._slope(slopes, inputs, weights))
        return losses

    def _norms(self):
        _, slopes, inputs = self._measured()
        norms = {}
        for term in self.terms:
            alone = {t.tag: t.weight * (t is term) for t in self.terms}
            slope = self._slope(slopes, list(inputs), alone)
            norms[term.tag] = tf.norm(slope)
        return norms

    def _measured(self):
        """The losses, the slopes `{tag: d raw loss / d Gram}`, the stages' inputs."""
        picture = self.image.numpy()
        of_picture = [term for term in self.terms if term.layer == IMAGE]
        raw = {t.tag: self._compare(t, self.image.value) for t in of_picture}
        slopes, inputs = {}, []
        if self.net:
            parts, sums, inputs = self._pass(picture)
            raw |= parts
            for tag, gram in sums.items():
                raw[tag], slopes[tag] = self._gram_slope(tag, gram)
        raw = {term.tag: ops.cast(raw[term.tag], "float32") for term in self.terms}
        return self._weighted(raw), slopes, inputs
