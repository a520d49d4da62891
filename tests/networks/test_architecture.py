"""Layer arithmetic: names, shapes, receptive fields, cost."""

import pytest

from kstyle.errors import ConfigError
from kstyle.networks.architecture import Architecture, Layer
from kstyle.networks.registry import get_architecture, layer_table
from kstyle.networks.vgg import VGG16, VGG19


def row(name, net="vgg16", **kwargs):
    return {info.name: info for info in layer_table(net, **kwargs)}[name]


@pytest.mark.parametrize(("network", "count"), [(VGG16, 13), (VGG19, 16)])
def test_vgg_has_so_many_convolutions_and_5_poolings(network, count):
    assert sum(layer.is_conv for layer in network.layers) == count
    poolings = [layer.name for layer in network.layers if layer.is_pool]
    assert poolings == ["pool1", "pool2", "pool3", "pool4", "pool5"]


def test_receptive_field_grows_by_two_strides_a_convolution():
    assert row("conv1_1").receptive_field == 3
    assert row("conv1_2").receptive_field == 5
    assert row("pool1").receptive_field == 6
    assert row("conv2_1").receptive_field == 10
    assert row("conv5_3").receptive_field == 196  # a known figure for VGG16
    assert row("pool5").receptive_field == 212


def test_parameters_add_up_to_the_published_number():
    totals = {"alexnet": 2_469_696, "vgg16": 14_714_688, "vgg19": 20_024_384}
    for net, total in totals.items():
        assert sum(info.parameters for info in layer_table(net)) == total


def test_shapes_and_cost_of_224_pixels():
    conv = row("conv3_1")
    assert (conv.height, conv.width, conv.channels, conv.stride) == (56, 56, 256, 4)
    assert conv.gflops == pytest.approx(2 * 9 * 128 * 256 * 56 * 56 / 1e9)
    total = sum(info.gflops for info in layer_table("vgg16"))
    assert total == pytest.approx(30.7, abs=0.1)


def test_alexnet_has_the_known_sizes_of_224_pixels():
    rows = layer_table("alexnet")
    assert [row.height for row in rows] == [55, 27, 27, 13, 13, 13, 13, 6]
    assert [row.stride for row in rows] == [4, 8, 8, 16, 16, 16, 16, 32]
    assert [row.receptive_field for row in rows] == [11, 19, 51, 67, 99, 131, 163, 195]


def test_table_ends_where_the_picture_is_used_up():
    names = [info.name for info in layer_table("vgg16", (6, 6), "valid")]
    assert names == ["conv1_1", "conv1_2", "pool1"]


def test_unknown_layer_error_offers_the_close_name():
    with pytest.raises(ConfigError, match=r"'conv11'. Did you mean 'conv1_1'\?"):
        VGG19.check_layers(["conv11"])
    with pytest.raises(ConfigError, match="vgg16 has no layer 'conv3_4'"):
        VGG16.check_layers(["conv3_4"])


def test_patterns_and_other_names_become_layers():
    assert VGG19.expand_layers({"conv1_*": 0.5}) == {"conv1_1": 0.5, "conv1_2": 0.5}
    names = {"block4_conv2": 1, "relu3_1": 2, "block2_pool": 3, "nothing": 4}
    assert VGG16.expand_layers(names) == {
        "conv4_2": 1,
        "conv3_1": 2,
        "pool2": 3,
        "nothing": 4,
    }
    with pytest.raises(ConfigError, match="named twice"):
        VGG16.expand_layers({"conv1_*": 1, "relu1_2": 2})
    with pytest.raises(ConfigError, match=r"no layer like 'fc\*'"):
        VGG16.expand_layers({"fc*": 1})


def test_unknown_network_error_lists_the_networks():
    with pytest.raises(ConfigError, match=r"Give alexnet, vgg16, vgg19, .*'vgg17'"):
        get_architecture("vgg17")


def test_trunk_ends_at_the_deepest_layer():
    assert VGG16.trunk(["conv2_1", "conv1_1"])[-1].name == "conv2_1"
    assert VGG16.trunk([]) == ()


@pytest.mark.parametrize(
    ("layer", "padding", "edge"),
    [
        ("conv1_1", "same", 1),
        ("conv1_1", "reflect", 2),
        ("conv1_1", "valid", 3),
        ("pool1", "valid", 6),
        ("pool2", "same", 4),
        ("conv2_1", "reflect", 4),
        ("conv2_1", "valid", 10),
    ],
)
def test_minimum_size_is_the_smallest_with_an_output(layer, padding, edge):
    assert VGG16.minimum_size([layer], padding) == edge


def test_kernel_shapes_chain():
    shapes = list(VGG19.kernel_shapes().values())
    assert shapes[0] == (3, 3, 3, 64)
    assert all(a[3] == b[2] for a, b in zip(shapes, shapes[1:], strict=False))


def test_any_chain_of_layers_has_the_same_arithmetic():
    layers = (
        Layer("first", "conv", 5, 2, 3, 8),
        Layer("shrink", "pool", 3, 2, 8, 8),
        Layer("last", "conv", 1, 1, 8, 4),
    )
    network = Architecture("tiny", layers)
    rows = network.table((11, 12))
    # ceil(11 / 2) = 6, (6 - 3) // 2 + 1 = 2
    assert [(row.height, row.width) for row in rows] == [(6, 6), (2, 2), (2, 2)]
    assert [row.receptive_field for row in rows] == [5, 9, 9]
    assert [row.stride for row in rows] == [2, 4, 4]
    assert [row.parameters for row in rows] == [5 * 5 * 3 * 8 + 8, 0, 8 * 4 + 4]
    assert network.minimum_size(["last"], "valid") == 9
    assert len(network.table((9, 9), "valid")) == 3
    assert len(network.table((8, 8), "valid")) == 1
