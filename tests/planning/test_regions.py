"""Weights of regions at layers: averages, erosion, too few positions."""

import numpy as np
import pytest

from kstyle.config.style_config import StyleConfig
from kstyle.errors import ConfigError
from kstyle.networks.architecture import position_grids
from kstyle.networks.registry import get_architecture
from kstyle.planning.regions import (
    Region,
    coverage,
    eroded_weights,
    layer_weights,
    plan_regions,
    skipped_layers,
)
from kstyle.planning.scales import ScalePlan


def grids(net="vgg19", padding="same"):
    return position_grids(get_architecture(net).layers, padding)


def half(height, width, column):
    """A mask of 1 from `column` on."""
    mask = np.zeros((height, width), "float32")
    mask[:, column:] = 1
    return mask


def region(mask, style_mask=None):
    return Region("sky", mask, (0,), (1.0,), (style_mask,))


def test_positions_stand_for_the_pixels_of_their_stride():
    found = layer_weights(half(8, 12, 5), grids()["conv2_1"], (4, 6))
    np.testing.assert_allclose(found[0], [0, 0, 0.5, 1, 1, 1])
    # With valid padding conv2_1 begins at the fifth pixel.
    found = layer_weights(half(20, 20, 7), grids(padding="valid")["conv2_1"], (6, 6))
    np.testing.assert_allclose(found[0], [0, 0.5, 1, 1, 1, 1])
    # AlexNet: 11 pixels, two of them padding, in steps of 4.
    assert grids("alexnet")["conv1"].first_edge == 1.5


def test_a_region_of_the_style_ends_before_its_border_is_seen():
    grid = grids()["conv2_1"]  # sees 10 pixels, 4 beyond its own 2 on each side
    found = eroded_weights(half(40, 40, 20), grid, (20, 20))
    np.testing.assert_array_equal(found[0], [0] * 12 + [1] * 8)
    # Of a narrow region at least half is left.
    narrow = eroded_weights(half(40, 40, 34), grid, (20, 20))
    assert narrow[0].sum() >= 1.5


def test_a_layer_with_too_few_positions_is_left_out_and_named():
    config = StyleConfig(style_layers="conv1_1,conv3_1")
    # conv3_1 has 32 x 32 positions and 256 channels: 32 positions at least.
    plan = ScalePlan((128, 128), (128, 128), 1)
    enough, few = np.zeros((2, 128, 128), "float32")
    enough[:32, :16] = 1  # 8 x 4 positions
    few[:32, :12] = 1
    (found,) = plan_regions(config, [region(enough)], plan)
    assert list(found.weights) == ["image", "conv1_1", "conv3_1"]
    assert found.share == 1 / 32
    (found,) = plan_regions(config, [region(few)], plan)
    assert (list(found.weights)[1:], found.few) == (["conv1_1"], {"conv3_1": 24.0})
    assert skipped_layers(config, [region(few)], [plan]) == [
        "region sky has too few positions at conv3_1 at 128 px, and is left out there."
    ]
    assert skipped_layers(config, [region(enough)], [plan]) == []


def test_a_small_part_of_the_style_leaves_a_layer_out_too():
    config = StyleConfig(style_layers="conv3_1")
    tiny = np.zeros((128, 128), "float32")
    tiny[:8, :8] = 1
    plan = ScalePlan((128, 128), (128, 128), 1)
    (found,) = plan_regions(config, [region(half(128, 128, 0), tiny)], plan)
    assert found.few == {"conv3_1": 4.0}


def test_a_region_without_any_layer_is_refused():
    config, dot = StyleConfig(), np.zeros((64, 64), "float32")
    dot[0, 0] = 1
    with pytest.raises(ConfigError, match="region sky has too few positions at every"):
        skipped_layers(config, [region(dot)], [ScalePlan((64, 64), (64, 64), 1)])


def test_coverage_is_none_where_regions_fill_the_picture():
    left = 1 - half(4, 4, 2)
    assert coverage([], (4, 4)) is None
    assert coverage([region(left), region(half(4, 4, 2))], (4, 4)) is None
    found = coverage([region(left)], (2, 2))
    np.testing.assert_array_equal(found, [[1, 0], [1, 0]])
