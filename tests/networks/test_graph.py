"""Networks with branches: sizes, receptive fields, stages and names by arithmetic."""

import keras
import pytest
from keras import layers

from kstyle.errors import ConfigError
from kstyle.networks.graph_reader import read_graph
from kstyle.networks.named_models import number_names


@pytest.fixture(scope="module")
def model():
    """Two halvings, a branch, a squeeze-and-excite block, an inner model, a head."""
    image = keras.Input((None, None, 3), name="picture")
    x = layers.Rescaling(1 / 255, name="rescaling")(image)
    x = layers.ZeroPadding2D(((1, 1), (1, 1)), name="pad")(x)
    x = layers.Conv2D(4, 3, strides=2, use_bias=False, name="conv")(x)
    x = layers.BatchNormalization(name="norm")(x)
    x = layers.ReLU(name="relu")(x)
    y = layers.DepthwiseConv2D(5, padding="same", name="depthwise")(x)
    z = layers.GlobalAveragePooling2D(keepdims=True, name="squeeze")(y)
    z = layers.Conv2D(4, 1, activation="sigmoid", name="excite")(z)
    y = layers.Multiply(name="scaled")([y, z])
    x = layers.Add(name="sum")([x, y])
    x = layers.MaxPooling2D(2, name="pool")(x)
    inner = keras.Sequential([layers.Conv2D(6, 2, strides=2, name="down")], name="step")
    x = inner(x)
    x = layers.Flatten(name="flat")(layers.GlobalMaxPooling2D(name="mean")(x))
    return keras.Model(image, layers.Dense(2, name="classes")(x), name="small")


@pytest.fixture(scope="module")
def graph(model):
    return read_graph(model, "small", preprocess="none")


def test_sizes_are_those_that_keras_computes(model, graph):
    for size in ((32, 40), (33, 47), (21, 50)):
        sizes = graph.sizes(size)
        for name in graph.layer_names:
            trunk = keras.Model(model.input, model.get_layer(name).output)
            shape = trunk.compute_output_shape((1, *size, 3))
            assert sizes[name] == shape[1:3], (name, size)


def test_strides_and_fields_go_through_branches(graph):
    rows = {row.name: row for row in graph.table((64, 64))}
    reach = {name: (row.stride, row.receptive_field) for name, row in rows.items()}
    assert reach["relu"] == (2, 3)  # a window of 3
    assert reach["depthwise"] == (2, 11)  # and 4 more steps of 2
    assert reach["scaled"] == reach["sum"] == (2, None)  # a mean is part of it
    assert reach["pool"][0] == 4 and reach["step"][0] == 8


def test_costs_count_multiplications_twice(graph):
    rows = {row.name: row for row in graph.table((64, 64))}
    assert rows["conv"].gflops == pytest.approx(32 * 32 * 2 * 9 * 3 * 4 / 1e9)
    assert rows["depthwise"].gflops == pytest.approx(32 * 32 * 2 * 25 * 4 / 1e9)
    assert rows["conv"].parameters == 9 * 3 * 4 and rows["norm"].parameters == 16


def test_main_layers_and_stages_leave_out_insides(graph):
    assert graph.main_layers == ("relu", "sum", "pool", "step")
    assert graph.stages == {"stage1": "sum", "stage2": "pool", "stage3": "step"}
    assert graph.expand_layers({"stage1": 2.0}) == {"sum": 2.0}
    assert graph.content_layers == {"step": 1.0}
    assert list(graph.style_layers) == ["sum", "pool", "step"]
    assert "squeeze" not in graph.layer_names and "classes" not in graph.layer_names


def test_the_trunk_is_what_a_layer_needs(graph):
    names = [layer.name for layer in graph.trunk(["depthwise"])]
    assert names == ["picture", "rescaling", "pad", "conv", "norm", "relu", "depthwise"]
    assert graph.layers_with_weights(["relu"]) == ("conv", "norm")
    assert "step" in graph.layers_with_weights(["step"])


def test_the_smallest_picture_fills_all_windows(graph):
    assert graph.minimum_size(["relu"]) == 1
    assert graph.minimum_size(["step"]) == 7  # 4, 2 and 1 positions
    assert graph.minimum_size(["relu"], "reflect") == 2  # a pixel beside the edge


def test_a_wrong_layer_is_named_with_the_closest(graph):
    with pytest.raises(ConfigError, match="Did you mean 'depthwise'"):
        graph.check_layers(["depthwis"])
    with pytest.raises(ConfigError, match="no layer 'classes'"):
        graph.check_layers(["classes"])


def test_branches_of_different_sizes_are_refused():
    image = keras.Input((None, None, 3))
    x = layers.Conv2D(2, 3, name="valid")(image)
    y = layers.Conv2D(2, 3, padding="same", name="same")(image)
    graph = read_graph(keras.Model(image, layers.Add(name="both")([x, y])), "broken")
    with pytest.raises(ConfigError, match="end in both have 30 x 30 and 32 x 32"):
        graph.sizes((32, 32))


def test_a_layer_that_is_called_twice_is_refused():
    image, layer = keras.Input((None, None, 3)), layers.Conv2D(3, 3, name="twice")
    with pytest.raises(ConfigError, match="'twice' is called more than once"):
        read_graph(keras.Model(image, layer(layer(image))), "shared")


def test_names_do_not_depend_on_earlier_models():
    def build():
        x = image = keras.Input((None, None, 3))
        for _ in range(2):
            x = layers.MaxPooling2D()(layers.Conv2D(2, 1)(x))
        operations = keras.Model(image, x).operations[1:]
        number_names(operations)
        return [operation.name for operation in operations]

    expected = ["conv2d", "max_pooling2d", "conv2d_1", "max_pooling2d_1"]
    assert build() == build() == expected
