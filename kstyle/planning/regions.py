"""Regions of the content, each with a style: weights of positions by layer.

Arithmetic on masks. The weight of a position of a layer is the exact average of the
mask over the pixels that it stands for (after Gatys et al. 2017, "Controlling
Perceptual Factors in Neural Style Transfer", section 4, whose masks are squared in the
Gram matrix; these are not).
"""

import dataclasses
from collections.abc import Mapping, Sequence

import numpy as np

from kstyle.config.style_config import StyleConfig
from kstyle.errors import ConfigError
from kstyle.images.masks import LEAST_WEIGHT, box_averages, resize_mask
from kstyle.losses.names import IMAGE
from kstyle.networks.architecture import PositionGrid, even_grids, position_grids
from kstyle.networks.registry import get_architecture, get_chain, is_built_in
from kstyle.planning.scales import ScalePlan, Size

# A layer has too few positions in a region if there are fewer than this share of its
# channels, or of all its positions where these are fewer.
LEAST_SHARE = 1 / 8
# What is left of a region of the style, at least, where its border is cut off.
ERODED_SHARE = 0.5


@dataclasses.dataclass(frozen=True, eq=False)
class Region:
    """A region of the content and the styles that it is painted in.

    name: unique, for tags and messages. mask: `(height, width)` in [0, 1] of the whole
        content. styles: numbers of the styles, from 0. shares: of each in the blend;
        they add up to 1. style_masks: of each style, the part of it that counts;
        `None`: all of it.
    """

    name: str
    mask: np.ndarray
    styles: tuple[int, ...]
    shares: tuple[float, ...]
    style_masks: tuple[np.ndarray | None, ...]


@dataclasses.dataclass(frozen=True, eq=False)
class RegionAtScale:
    """A region at one scale.

    share: of the picture that it covers. weights: `{layer: (height, width)}` of the
        picture's positions, `IMAGE` for its pixels, without the layers that have too
        few. style_weights: for
        each of the region's styles, the same of its positions; empty if all count.
    few: `{layer: positions}` of the layers that are left out.
    """

    region: Region
    share: float
    weights: Mapping[str, np.ndarray]
    style_weights: tuple[Mapping[str, np.ndarray], ...]
    few: Mapping[str, float]


def plan_regions(
    config: StyleConfig, regions: Sequence[Region], scale: ScalePlan
) -> tuple[RegionAtScale, ...]:
    """Compute the weights of the regions of a run at one scale."""
    if not regions:
        return ()
    architecture = get_architecture(config.net)
    tables = {
        size: architecture.table(size, config.padding)
        for size in (scale.content_size, *scale.style_sizes)
    }
    sizes = {
        size: {row.name: (row.height, row.width) for row in table}
        for size, table in tables.items()
    }
    if is_built_in(config.net):
        grids = position_grids(get_chain(config.net).layers, config.padding)
    else:
        grids = even_grids(tables[scale.content_size])
    return tuple(
        region_at_scale(
            region, scale, tuple(config.layers_of_region(region.name)), grids, sizes
        )
        for region in regions
    )


def region_at_scale(
    region: Region,
    scale: ScalePlan,
    layers: Sequence[str],
    grids: Mapping[str, PositionGrid],
    sizes: Mapping[Size, Mapping[str, Size]],
) -> RegionAtScale:
    """Compute the weights of a region at the `layers` of its style.

    grids: of the layers. sizes: `{(height, width) of a picture: {layer: (height,
        width) of its positions}}` of the content and the styles at this scale.
    """
    mask = resize_mask(region.mask, scale.content_size)
    weights = {IMAGE: mask}
    few: dict[str, float] = {}
    style_masks = [
        None if own is None else resize_mask(own, scale.style_sizes[number])
        for number, own in zip(region.styles, region.style_masks, strict=True)
    ]
    style_weights = [{} if own is None else {IMAGE: own} for own in style_masks]
    for layer in layers:
        grid = grids[layer]
        own = layer_weights(mask, grid, sizes[scale.content_size][layer])
        of_styles = {
            n: eroded_weights(
                style_mask, grid, sizes[scale.style_sizes[region.styles[n]]][layer]
            )
            for n, style_mask in enumerate(style_masks)
            if style_mask is not None
        }
        least = min(
            (each.sum() / fewest_positions(each.size, grid.channels), each.sum())
            for each in (own, *of_styles.values())
        )
        if least[0] < 1:
            few[layer] = float(least[1])
            continue
        weights[layer] = own
        for n, each in of_styles.items():
            style_weights[n][layer] = each
    return RegionAtScale(region, float(mask.mean()), weights, tuple(style_weights), few)


def fewest_positions(positions: int, channels: int) -> float:
    """Return the least sum of weights with which a layer counts for a region."""
    return LEAST_SHARE * min(positions, channels)


def position_boxes(
    grid: PositionGrid, count: int, length: int, margin: float = 0.0
) -> tuple[np.ndarray, np.ndarray]:
    """Return the first and last pixel edges of the boxes of `count` positions.

    length: of the picture in pixels, along the axis. margin: pixels by which each box
        is enlarged on both sides.
    """
    if grid.first_edge is None:
        edges = np.linspace(0, length, count + 1)
    else:
        edges = grid.first_edge + grid.stride * np.arange(count + 1, dtype="float64")
    return edges[:-1] - margin, edges[1:] + margin


def layer_weights(
    mask: np.ndarray, grid: PositionGrid, size: Size, margin: float = 0.0
) -> np.ndarray:
    """Average a mask of a picture over the pixels of each position: float32 `size`."""
    rows, columns = (
        position_boxes(grid, count, length, margin)
        for count, length in zip(size, mask.shape, strict=True)
    )
    return box_averages(mask, rows, columns)


def eroded_weights(mask: np.ndarray, grid: PositionGrid, size: Size) -> np.ndarray:
    """Return the weights of a region of a style, without positions that see past it.

    The border that is cut off is half the receptive field, or less of it where more
    than half of the region would be lost.
    """
    weights = layer_weights(mask, grid, size)
    margin = (grid.receptive_field - grid.stride) / 2
    inside = (mask >= 0.5).astype("float32")
    while margin >= grid.stride / 2:
        seen = layer_weights(inside, grid, size, margin)
        eroded = np.where(seen >= 1 - 1e-6, weights, 0).astype("float32")
        if eroded.sum() >= ERODED_SHARE * weights.sum():
            return eroded
        margin /= 2
    return weights


def coverage(regions: Sequence[Region], size: Size) -> np.ndarray | None:
    """Return how much of each pixel the regions cover, at most 1: float32 `size`.

    `None`: all of every pixel, or there are no regions.
    """
    if not regions:
        return None
    total = sum(resize_mask(region.mask, size) for region in regions)
    covered = np.minimum(total, 1.0).astype("float32")
    return None if covered.min() >= 1 - LEAST_WEIGHT else covered


def skipped_layers(
    config: StyleConfig, regions: Sequence[Region], scales: Sequence[ScalePlan]
) -> list[str]:
    """Describe the layers that are left out, a sentence for each region.

    scales: of the run.
    Raises: ConfigError: a region is left out of every layer at every scale.
    """
    sentences = []
    at_scales = [plan_regions(config, regions, scale) for scale in scales]
    for number, region in enumerate(regions):
        name = region.name
        places = [
            (scale.edge, found[number])
            for scale, found in zip(scales, at_scales, strict=True)
        ]
        if not any(each.weights.keys() - {IMAGE} for _, each in places):
            positions = max(max(each.few.values(), default=0) for _, each in places)
            raise ConfigError(
                f"region {name} has too few positions at every layer of the style, "
                f"{positions:.1f} at most. Draw it larger, or use a larger --size or "
                "--style-size."
            )
        edges: dict[str, dict[str, None]] = {}
        for edge, each in places:
            for layer in each.few:
                edges.setdefault(layer, {})[str(edge)] = None
        if edges:
            parts = [f"{layer} at {', '.join(e)} px" for layer, e in edges.items()]
            sentences.append(
                f"region {name} has too few positions at {'; '.join(parts)}, and is "
                "left out there."
            )
    return sentences
