"""The extractor by stages and tiles: exact features and gradients of any picture.

Forward, the stages are run one after the other, each tile by tile, and what the
statistics of whole layers collect is summed over the tiles. Backward, from the deepest
stage up, each tile is computed once more down to its last layer with a loss: only the
stages' inputs were kept, and the signs of what lies deeper. Tiles overlap by what a
stage sees beyond them, and only those at the picture's true border are padded, so the
result is that of the whole picture, up to the order of sums. Whole layers are NumPy
arrays on the host.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from kstyle.losses.base import LossTerm
from kstyle.losses.statistics import PositionSelection
from kstyle.networks.extractor import extractor_layers, extractor_padding
from kstyle.tiling.geometry import Tile, make_tiles, split_stages, stage_edge
from kstyle.tiling.stage import StageGraphs

# The whole input of a stage, and for each of its tiles what the backward pass needs.
StageInput = tuple[np.ndarray, list[dict[str, tf.Tensor]]]


class TiledExtractor:
    """The extractor down to the layers of `terms`, in tiles.

    terms: `LossTerm`s at layers of the network. What a `StatisticLoss` collects is
        summed over the tiles; any other loss has to be a mean over positions.
    tile: largest edge of a tile of the first stage in pixels.
    selections: `{tag: selection}` of the statistics, for whole layers. They may be
        replaced by others of the same names and types, for another picture.
    """

    def __init__(
        self,
        extractor: keras.Model,
        terms: Sequence[LossTerm],
        tile: int,
        selections: Mapping[str, PositionSelection],
    ) -> None:
        self.selections = selections
        self.tile, self.padding = tile, extractor_padding(extractor)
        layers = extractor_layers(extractor)
        depths = {layer.name: depth for depth, layer in enumerate(layers, start=1)}
        depth = max(depths[term.layer] for term in terms)
        self.stages = split_stages(layers[:depth])
        self.graphs = []
        for stage in self.stages:
            names = {layer.name for layer in stage}
            own_terms = [term for term in terms if term.layer in names]
            is_last = stage is self.stages[-1]
            self.graphs.append(
                StageGraphs(extractor, stage, own_terms, not is_last, selections)
            )

    @property
    def position_terms(self) -> dict[str, LossTerm]:
        """`{tag: term}` of the terms that compare positions, not a statistic."""
        return {k: term for graphs in self.graphs for k, term in graphs.others.items()}

    def tiles(self, number: int, stage_input: np.ndarray) -> list[Tile]:
        """Return the `Tile`s of stage `number`, from 0, for its whole input."""
        stage = self.stages[number]
        edge = stage_edge(self.tile, number, stage)
        layers = self.graphs[number].used_layers
        return make_tiles(stage, stage_input.shape[1:3], edge, self.padding, layers)

    def forward(
        self,
        picture: np.ndarray,
        receive: Callable[[str, Tile, tf.Tensor], None],
        for_gradient: bool = False,
    ) -> tuple[dict[str, np.ndarray], list[StageInput]]:
        """Run the stages one after the other.

        picture: `(batch, height, width, 3)` in [0, 1].
        receive: called with (tag, tile, features) for each tile's own part of the
            layers of the `position_terms`.
        for_gradient: whether to keep what `backward` needs.
        Returns: `{tag: what its statistic collects of the whole layer}` in float64, and
            a `StageInput` of each stage, or none.
        """
        collected: dict[str, Any] = {
            tag: 0.0 for graphs in self.graphs for tag in graphs.statistics
        }
        stage_inputs: list[StageInput] = []
        whole = picture
        for number, graphs in enumerate(self.graphs):
            output = graphs.empty_output(whole) if graphs.output else None
            signs = []
            for tile in self.tiles(number, whole):
                arguments = self._tile_arguments(graphs, whole, tile)
                of_tile, features, tile_signs = graphs.forward(*arguments)
                if for_gradient:
                    signs.append(tile_signs)
                for tag, term in graphs.statistics.items():
                    collected[tag] += tile_factor(term, tile) * np.float64(of_tile[tag])
                for tag, term in graphs.others.items():
                    receive(tag, tile, features[term.layer])
                if output is not None:
                    last = graphs.layers[-1].name
                    output[tile.place(last)] = features[last]
            if for_gradient:
                stage_inputs.append((whole, signs))
            if output is not None:
                whole = output
        return collected, stage_inputs

    def backward(
        self,
        stage_inputs: list[StageInput],
        collected_gradients: Mapping[str, np.ndarray],
        weights: Mapping[str, float],
        targets: Mapping[str, np.ndarray],
    ) -> np.ndarray | None:
        """Return the gradient at the picture; `None` if no term has one.

        stage_inputs: from `forward`; emptied on the way, to free the memory.
        collected_gradients: `{tag: d loss / d what is collected of the whole layer}`.
        weights, targets: `{tag: weight}` and `{tag: whole layer}` of `position_terms`.
        """
        output_gradient = None
        while stage_inputs:
            whole, signs = stage_inputs.pop()
            number = len(stage_inputs)
            graphs = self.graphs[number]
            has_gradient = any(weights[tag] for tag in graphs.others) or any(
                np.any(collected_gradients[tag]) for tag in graphs.statistics
            )
            if output_gradient is None and not has_gradient:
                continue
            if output_gradient is None:
                output_gradient = graphs.zero_output_gradient(whole)
            gradient = np.zeros(whole.shape, whole.dtype)
            for tile, tile_signs in zip(self.tiles(number, whole), signs, strict=True):
                gradient[tile.read] += graphs.gradient(
                    *self._tile_arguments(graphs, whole, tile),
                    tile_signs,
                    *tile_gradients(
                        graphs,
                        tile,
                        collected_gradients,
                        weights,
                        targets,
                        output_gradient,
                    ),
                )
            output_gradient = gradient
        return output_gradient

    def _tile_arguments(
        self, graphs: StageGraphs, stage_input: np.ndarray, tile: Tile
    ) -> tuple[Any, ...]:
        """Return the first four arguments of the graphs for one tile."""
        selections = {}
        for tag in graphs.selections:
            layer, loss = graphs.statistics[tag].layer, graphs.statistics[tag].loss
            rows, columns = tile.rows.inside[layer], tile.columns.inside[layer]
            selections[tag] = loss.select_tile(self.selections[tag], rows, columns)
        return (
            stage_input[tile.read],
            np.array(tile.borders, np.int32),
            np.array(tile.crops(graphs.used_layers), np.int32),
            selections,
        )


def tile_factor(term: LossTerm, tile: Tile) -> float:
    """Return the factor with which what is collected of a tile is added up."""
    return tile.share(term.layer) if term.loss.collects_means else 1.0


def tile_gradients(
    graphs: StageGraphs,
    tile: Tile,
    collected_gradients: Mapping[str, np.ndarray],
    weights: Mapping[str, float],
    targets: Mapping[str, np.ndarray],
    output_gradient: np.ndarray,
) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any], np.ndarray]:
    """Return the last four arguments of `StageGraphs.gradient` for one tile."""
    factors = {
        tag: np.float32(tile_factor(term, tile))
        for tag, term in graphs.statistics.items()
    }
    shares = {k: np.float32(tile.share(t.layer)) for k, t in graphs.others.items()}
    if graphs.output:
        output_gradient = output_gradient[tile.place(graphs.output)]
    return (
        {k: factors[k] * np.float32(collected_gradients[k]) for k in graphs.statistics},
        {tag: shares[tag] * np.float32(weights[tag]) for tag in graphs.others},
        {k: targets[k][tile.place(term.layer)] for k, term in graphs.others.items()},
        output_gradient,
    )
