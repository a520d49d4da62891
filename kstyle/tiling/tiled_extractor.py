"""The extractor by stages and tiles: exact features and gradients of any picture.

Forward, the stages are run one after the other, each tile by tile, and the Gram
matrices of whole layers are summed over the tiles. Backward, from the deepest stage
up, each tile is computed once more down to its last layer with a loss: only the
stages' inputs were kept, and the signs of what lies deeper. Tiles overlap by what a
stage sees beyond them, and only those at the picture's true border are padded, so the
result is that of the whole picture, up to the order of sums. Whole layers are NumPy
arrays on the host.
"""

import numpy as np

from kstyle.networks.extractor import extractor_layers, extractor_padding
from kstyle.ops.tf_utils import zeros_in_tf_memory
from kstyle.tiling.geometry import make_tiles, split_stages, stage_edge
from kstyle.tiling.stage import StageGraphs


class StagedExtractor:
    """The extractor down to the layers of `terms`, in tiles of `edge` pixels.

    terms: `LossTerm`s at layers of the network. A Gram is summed over the tiles; any
        other loss has to be a mean over positions.
    """

    def __init__(self, extractor, terms, edge):
        self.edge, self.padding = edge, extractor_padding(extractor)
        layers = extractor_layers(extractor)
        depths = {layer.name: depth for depth, layer in enumerate(layers, start=1)}
        depth = max(depths[term.layer] for term in terms)
        self.stages, self.graphs = split_stages(layers[:depth]), []
        for stage in self.stages:
            names = {layer.name for layer in stage}
            mine = [term for term in terms if term.layer in names]
            through = stage is not self.stages[-1]
            self.graphs.append(StageGraphs(extractor, stage, mine, through))

    def tiles(self, number, x):
        """The `Tile`s of stage `number` for its whole input `x`."""
        stage = self.stages[number]
        edge = stage_edge(self.edge, number, stage)
        wanted = self.graphs[number].wanted
        return make_tiles(stage, x.shape[1:3], edge, self.padding, wanted)

    def forward(self, picture, receive, keep=False):
        """`{tag: Gram of the whole layer}` in float64, and for each stage its input and
        its tiles' signs, if they are to be kept for `backward`.

        picture: `(batch, height, width, 3)` in [0, 1].
        receive: called with (tag, tile, features) for each tile's own part of the
            layers of the terms that are no Grams.
        """
        sums, inputs = {tag: 0.0 for graphs in self.graphs for tag in graphs.grams}, []
        for number, graphs in enumerate(self.graphs):
            output, signs = None, []
            if graphs.output is not None:
                output = graphs.room(picture)
            for tile in self.tiles(number, picture):
                at = tile_arguments(picture, tile, graphs.wanted)
                grams, features, positive = graphs.values(*at)
                if keep:
                    signs.append(positive)
                for tag, term in graphs.grams.items():
                    sums[tag] += tile.share(term.layer) * np.float64(grams[tag])
                for tag, term in graphs.others.items():
                    receive(tag, tile, features[term.layer])
                if graphs.output is not None:
                    output[tile.place(graphs.output)] = features[graphs.output]
            if keep:
                inputs.append((picture, signs))
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
            (x, signs), graphs = inputs.pop(), self.graphs[len(inputs)]
            pulled = any(weights[tag] for tag in graphs.others)
            pulled = pulled or any(np.any(grams[tag]) for tag in graphs.grams)
            if above is None and not pulled:
                continue
            if above is None:
                above = graphs.nothing(x)
            slope = zeros_in_tf_memory(x.shape, x.dtype)
            for tile, positive in zip(self.tiles(len(inputs), x), signs, strict=True):
                pulls = tile_gradients(graphs, tile, grams, weights, targets, above)
                at = tile_arguments(x, tile, graphs.wanted)
                part = graphs.slope(*at, positive, *pulls)
                slope[tile.read] += part
            above = slope
        return above


def tile_gradients(graphs, tile, grams, weights, targets, above):
    """What `StageGraphs.slope` takes of the whole layers for one tile."""
    share = {
        tag: np.float32(tile.share(term.layer))
        for tag, term in (graphs.grams | graphs.others).items()
    }
    place = {tag: tile.place(term.layer) for tag, term in graphs.others.items()}
    if graphs.output is not None:
        above = above[tile.place(graphs.output)]
    return (
        {tag: share[tag] * np.float32(grams[tag]) for tag in graphs.grams},
        {tag: share[tag] * np.float32(weights[tag]) for tag in graphs.others},
        {tag: targets[tag][at] for tag, at in place.items()},
        above,
    )


def tile_arguments(x, tile, wanted):
    """What the graphs take of the stage's whole input: pixels, borders, crops."""
    return x[tile.read], np.int32(tile.borders), np.int32(tile.crops(wanted))
