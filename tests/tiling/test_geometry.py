"""Where tiles lie: numbers that can be done by hand."""

from kstyle.networks.vgg import VGG16
from kstyle.tiling.geometry import axis_spans, split_stages, stage_edge


def layers(*names):
    return tuple(layer for layer in VGG16.layers if layer.name in names)


def test_stages_end_at_the_second_pooling_and_at_each_after():
    first = ("conv1_1", "pool1", "conv2_1", "pool2")
    stages = split_stages(layers(*first, "conv3_1", "pool3", "conv4_1"))
    names = [tuple(layer.name for layer in stage) for stage in stages]
    assert names == [first, ("conv3_1", "pool3"), ("conv4_1",)]


def test_span_reads_one_position_per_convolution():
    stage = layers("conv3_1", "conv3_2", "pool3")
    first, second = axis_spans(stage, 13, 8, "same", ("conv3_1", "pool3"))
    # Padded only at the two ends of the axis.
    assert (first.read, first.border) == ((0, 8), (1, 0))
    assert first.inside == {"conv3_1": (0, 6), "pool3": (0, 3)}
    assert (second.read, second.border) == ((4, 13), (0, 1))
    # The pooling drops the thirteenth, which belongs to conv3_1 all the same.
    assert second.inside == {"conv3_1": (6, 13), "pool3": (3, 6)}
    assert second.crop == {"conv3_1": (1, 8), "pool3": (0, 3)}


def test_valid_padding_reads_to_one_side_and_shrinks():
    stage = layers("conv1_1", "conv1_2")
    first, second = axis_spans(stage, 10, 4, "valid", ("conv1_2",))
    assert (first.read, second.read) == ((0, 7), (3, 10))
    assert second.inside == {"conv1_2": (3, 6)}


def test_tiles_have_even_shares_of_an_axis():
    spans = axis_spans(layers("conv1_1", "pool1"), 101, 40, "same", ("pool1",))
    # 50 positions in three tiles of at most 20: 17 each, and the rest.
    assert [span.inside["pool1"] for span in spans] == [(0, 17), (17, 34), (34, 50)]


def test_tiles_halve_from_stage_to_stage_down_to_the_stride():
    stages = [layers(*s) for s in (("pool1", "pool2"), ("pool3",), ("pool4",))]
    stages.append(layers("conv5_1"))
    for tile, edges in ((1024, [1024, 512, 256, 128]), (8, [8, 4, 2, 1])):
        assert [stage_edge(tile, i, s) for i, s in enumerate(stages)] == edges
