"""The extractor: the right network, whatever the layers, pooling, padding and size."""

import keras
import numpy as np
import pytest

from kstyle.errors import ConfigError
from kstyle.networks.extractor import MEAN_RGB, CaffeInput, build_extractor
from kstyle.networks.registry import NETWORKS
from kstyle.networks.weights import NetWeights, load_weights

KERAS_NETS = {"vgg16": keras.applications.VGG16, "vgg19": keras.applications.VGG19}


def keras_name(layer):
    """`conv1_2` as keras.applications calls it."""
    if layer.startswith("pool"):
        return f"block{layer[4:]}_pool"
    block, index = layer.removeprefix("conv").split("_")
    return f"block{block}_conv{index}"


def random_weights(net, bias=0.1):
    """He-normal kernels and biases that are not zero."""
    generator = np.random.default_rng(3)
    layers = {
        name: (
            generator.normal(0, np.sqrt(2 / (9 * shape[2])), shape).astype("float32"),
            generator.normal(0, bias, shape[3]).astype("float32"),
        )
        for name, shape in NETWORKS[net].kernel_shapes().items()
    }
    return NetWeights(layers, "test", "0")


@pytest.mark.parametrize("net", ["vgg16", "vgg19"])
def test_every_layer_equals_that_of_keras_applications(net, random_picture):
    weights, picture = random_weights(net), random_picture(48, 40)[None]
    theirs = KERAS_NETS[net](include_top=False, weights=None)
    for name, pair in weights.layers.items():
        theirs.get_layer(keras_name(name)).set_weights(pair)
    names = NETWORKS[net].layer_names
    ours = build_extractor(net, names, pool="max", weights=weights)(picture)
    outputs = [theirs.get_layer(keras_name(name)).output for name in names]
    preprocess = keras.applications.vgg16.preprocess_input(255 * picture)
    expected = keras.Model(theirs.input, outputs)(preprocess)
    for name, value in zip(names, expected, strict=True):
        scale = np.abs(value).max()
        np.testing.assert_allclose(ours[name], value, rtol=1e-4, atol=1e-4 * scale)


def numpy_convolution(x, kernel, bias, pad=1, stride=1, mode="constant"):
    """A convolution and its ReLU from the definition, for `(H, W, C)`."""
    padded = np.pad(x, ((pad, pad), (pad, pad), (0, 0)), mode=mode)
    edge = len(kernel)
    height, width = ((n - edge) // stride + 1 for n in padded.shape[:2])
    total = np.zeros((height, width, kernel.shape[3]))
    for i in range(edge):
        for j in range(edge):
            rows, columns = slice(i, None, stride), slice(j, None, stride)
            total += padded[rows, columns][:height, :width] @ kernel[i, j]
    return np.maximum(total + bias, 0)


def numpy_max_pooling(x):
    """The maxima of overlapping 3 x 3 windows, two positions apart."""
    height, width = ((n - 3) // 2 + 1 for n in x.shape[:2])
    windows = [
        x[i : i + 2 * height - 1 : 2, j : j + 2 * width - 1 : 2]
        for i in range(3)
        for j in range(3)
    ]
    return np.max(windows, axis=0)


@pytest.mark.parametrize(
    ("padding", "mode"),
    [("same", "constant"), ("reflect", "reflect"), ("replicate", "edge")],
)
def test_alexnet_equals_its_definition_in_float64(padding, mode, random_picture):
    weights, picture = load_weights("alexnet"), random_picture(71, 64)
    x = (255 * picture.astype("float64") - MEAN_RGB)[..., ::-1]
    expected = {}
    for name, pad, stride in (("conv1", 2, 4), ("conv2", 2, 1)):
        x = numpy_convolution(x, *weights.layers[name], pad, stride, mode)
        expected[name] = x
        x = numpy_max_pooling(x)
    names = ["conv1", "pool1", "conv2"]
    ours = build_extractor("alexnet", names, pool="max", padding=padding)(picture[None])
    for name in ("conv1", "conv2"):
        scale = np.abs(expected[name]).max()
        np.testing.assert_allclose(ours[name][0], expected[name], atol=1e-5 * scale)
    pooled = numpy_max_pooling(expected["conv1"])
    np.testing.assert_allclose(ours["pool1"][0], pooled, rtol=1e-4, atol=1e-3)


def test_two_layers_equal_a_numpy_convolution_in_float64(random_picture):
    weights, picture = random_weights("vgg16"), random_picture(7, 9)
    x = (255 * picture.astype("float64") - MEAN_RGB)[..., ::-1]  # BGR
    first = numpy_convolution(x, *weights.layers["conv1_1"])
    second = numpy_convolution(first, *weights.layers["conv1_2"])
    ours = build_extractor("vgg16", ["conv1_1", "conv1_2"], weights=weights)
    features = ours(picture[None])
    np.testing.assert_allclose(features["conv1_1"][0], first, rtol=1e-4, atol=1e-3)
    np.testing.assert_allclose(features["conv1_2"][0], second, rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize("pool", ["avg", "max"])
def test_pooling_takes_two_by_two_and_drops_an_odd_row(pool, random_picture):
    layers = ["conv1_2", "pool1"]
    features = build_extractor("vgg16", layers, pool=pool, weights=None)(
        random_picture(5, 6)[None]
    )
    blocks = np.array(features["conv1_2"])[0, :4].reshape(2, 2, 3, 2, 64)
    expected = {"avg": blocks.mean((1, 3)), "max": blocks.max((1, 3))}[pool]
    np.testing.assert_allclose(features["pool1"][0], expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    ("padding", "mode"), [("reflect", "reflect"), ("replicate", "edge")]
)
def test_mirror_paddings_equal_valid_on_a_padded_input(padding, mode, random_picture):
    weights, picture = random_weights("vgg16"), random_picture(6, 6)
    around = np.pad(picture, ((1, 1), (1, 1), (0, 0)), mode=mode)
    ours = build_extractor("vgg16", ["conv1_1"], padding=padding, weights=weights)
    valid = build_extractor("vgg16", ["conv1_1"], padding="valid", weights=weights)
    np.testing.assert_allclose(
        ours(picture[None])["conv1_1"],
        valid(around[None])["conv1_1"],
        rtol=1e-5,
        atol=1e-4,
    )


@pytest.mark.parametrize("padding", ["same", "valid", "reflect", "replicate"])
@pytest.mark.parametrize(("net", "layer"), [("vgg16", "conv3_1"), ("alexnet", "conv3")])
def test_the_minimum_size_runs_and_one_less_is_refused(net, layer, padding):
    edge = NETWORKS[net].minimum_size([layer], padding)
    model = build_extractor(net, [layer], padding=padding, weights=None)
    output = model(np.zeros((1, edge, edge, 3), "float32"))[layer]
    assert min(output.shape) >= 1
    with pytest.raises(ConfigError, match=f"it needs {edge} pixels"):
        build_extractor(
            net,
            [layer],
            padding=padding,
            weights=None,
            input_size=(edge - 1, 99),
        )


def test_static_and_unknown_sizes_give_the_same_features(random_picture):
    weights, picture = random_weights("vgg16"), random_picture(18, 13)[None]
    free = build_extractor("vgg16", ["pool2"], padding="reflect", weights=weights)
    fixed = build_extractor(
        "vgg16", ["pool2"], padding="reflect", weights=weights, input_size=(18, 13)
    )
    assert free.output["pool2"].shape == (None, None, None, 128)
    assert fixed.output["pool2"].shape == (None, 4, 3, 128)
    np.testing.assert_array_equal(free(picture)["pool2"], fixed(picture)["pool2"])


def test_the_network_is_cut_at_the_deepest_layer_and_frozen():
    model = build_extractor("vgg19", ["conv1_1", "conv2_1"], weights=None)
    assert list(model.output) == ["conv1_1", "conv2_1"]
    assert model.layers[-1].name == "conv2_1"
    assert model.trainable_weights == []


def test_the_input_layer_turns_to_bgr_and_takes_the_mean_off():
    red = np.zeros((1, 1, 1, 3), "float32")
    red[..., 0] = 1.0
    np.testing.assert_allclose(
        CaffeInput()(red)[0, 0, 0], [-103.939, -116.779, 255 - 123.68], rtol=1e-6
    )


def test_the_extractor_saves_and_loads_as_a_keras_file(tmp_path, random_picture):
    model = build_extractor("vgg16", ["conv1_2"], padding="replicate", weights=None)
    model.save(tmp_path / "extractor.keras")
    copy = keras.saving.load_model(tmp_path / "extractor.keras")
    picture = random_picture(8, 8)[None]
    np.testing.assert_array_equal(copy(picture)["conv1_2"], model(picture)["conv1_2"])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"pool": "l2"}, "Unknown pool 'l2'"),
        ({"padding": "zero"}, "Unknown padding 'zero'"),
        ({"layers": []}, "No layers are given"),
        ({"net": "vgg11"}, "no such network.*'vgg11'"),
    ],
)
def test_wrong_arguments_are_named(change, message):
    arguments = {"net": "vgg16", "layers": ["conv1_1"], "weights": None, **change}
    with pytest.raises(ConfigError, match=message):
        build_extractor(arguments.pop("net"), arguments.pop("layers"), **arguments)
