"""Layer arithmetic: names, shapes, receptive fields, cost."""

import pytest

from kstyle.errors import ConfigError
from kstyle.networks.vgg import (
    check_layers,
    conv_shapes,
    layer_names,
    layer_table,
    minimum_size,
    trunk,
)


def row(name, net="vgg16", **kwargs):
    return {info.name: info for info in layer_table(net, **kwargs)}[name]


def test_vgg16_has_13_convolutions_and_vgg19_16_and_both_5_poolings():
    for net, count in (("vgg16", 13), ("vgg19", 16)):
        names = layer_names(net)
        assert sum(name.startswith("conv") for name in names) == count
        assert [n for n in names if n.startswith("pool")] == [
            f"pool{i}" for i in range(1, 6)
        ]


def test_the_receptive_field_grows_by_two_strides_a_convolution_and_one_a_pooling():
    assert row("conv1_1").receptive_field == 3
    assert row("conv1_2").receptive_field == 5
    assert row("pool1").receptive_field == 6
    assert row("conv2_1").receptive_field == 10
    assert row("conv5_3").receptive_field == 196  # a known figure for VGG16
    assert row("pool5").receptive_field == 212


def test_parameters_add_up_to_the_published_number():
    for net, total in (("vgg16", 14_714_688), ("vgg19", 20_024_384)):
        assert sum(info.parameters for info in layer_table(net)) == total


def test_shapes_and_cost_of_224_pixels():
    conv = row("conv3_1")
    assert (conv.height, conv.width, conv.channels, conv.stride) == (56, 56, 256, 4)
    assert conv.gflops == pytest.approx(2 * 9 * 128 * 256 * 56 * 56 / 1e9)
    assert sum(info.gflops for info in layer_table("vgg16")) == pytest.approx(
        30.7, abs=0.1
    )


def test_the_table_stops_where_the_picture_is_used_up():
    assert [i.name for i in layer_table("vgg16", (6, 6), "valid")] == [
        "conv1_1",
        "conv1_2",
        "pool1",
    ]


def test_an_unknown_layer_is_answered_with_the_close_name():
    with pytest.raises(ConfigError, match=r"'conv11'. Did you mean 'conv1_1'\?"):
        check_layers("vgg19", ["conv11"])
    with pytest.raises(ConfigError, match="vgg16 has no layer 'conv3_4'"):
        check_layers("vgg16", ["conv3_4"])
    with pytest.raises(ConfigError, match="Unknown network 'vgg17'"):
        layer_names("vgg17")


def test_the_trunk_ends_at_the_deepest_layer():
    assert trunk("vgg16", ["conv2_1", "conv1_1"])[-1] == "conv2_1"
    assert trunk("vgg16", []) == ()


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
def test_the_minimum_size_is_the_smallest_with_an_output(layer, padding, edge):
    assert minimum_size("vgg16", [layer], padding) == edge


def test_kernel_shapes_chain():
    shapes = list(conv_shapes("vgg19").values())
    assert shapes[0] == (3, 3, 3, 64)
    assert all(a[3] == b[2] for a, b in zip(shapes, shapes[1:], strict=False))
