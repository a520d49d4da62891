"""Extractors from any Keras model: branches, residuals, strides, batch norm."""

import keras
import numpy as np
import pytest
from keras import layers

from kstyle import build_model_extractor
from kstyle.errors import ConfigError
from kstyle.losses.terms import loss_terms
from kstyle.networks.keras_models import FanOut, ModelInput
from kstyle.optimizers.factory import make_optimizer
from kstyle.transfer.style_transfer import StyleTransfer


@pytest.fixture(scope="module")
def model():
    """A small network for 32 px with a branch, a residual and a classifier."""
    image = x = keras.Input((32, 32, 3))
    x = layers.Conv2D(8, 5, strides=2, padding="same", name="first")(x)
    x = layers.BatchNormalization(name="norm")(x)
    x = layers.MaxPooling2D(3, 2, padding="same", name="pooled")(x)
    left = layers.Conv2D(8, 1, activation="relu", name="left")(x)
    x = layers.Add(name="residual")([x, left])
    x = layers.Concatenate(name="mixed")([x, left])
    x = layers.GlobalAveragePooling2D(name="mean")(x)
    found = keras.Model(image, layers.Dense(2, name="classes")(x), name="small")
    found.get_layer("norm").set_weights([np.linspace(0.5, 2, 8)] * 4)
    return found


def test_features_are_those_of_the_model_times_the_scale(model, random_picture):
    picture = random_picture(32, 32)[None]
    ours = build_model_extractor(model, ["norm", "mixed"], preprocess="tf", pool="max")(
        picture
    )
    theirs = keras.Model(model.input, [model.get_layer(n).output for n in ours])
    for value, expected in zip(ours.values(), theirs(2 * picture - 1), strict=True):
        np.testing.assert_allclose(value, 127.5 * np.array(expected), rtol=1e-4, atol=1)


@pytest.mark.parametrize("mode", ["caffe", "tf", "torch"])
def test_the_input_is_that_of_keras_applications(mode, random_picture):
    picture = random_picture(5, 4)[None]
    expected = keras.applications.imagenet_utils.preprocess_input(
        255 * picture, data_format="channels_last", mode=mode
    )
    np.testing.assert_allclose(
        ModelInput(mode)(picture), expected, rtol=1e-4, atol=1e-4
    )
    np.testing.assert_allclose(ModelInput("none")(picture), 255 * picture, rtol=1e-6)


def test_average_pooling_replaces_maxima_and_leaves_the_model(model, random_picture):
    picture = random_picture(17, 23)[None]
    found = [
        build_model_extractor(model, ["pooled"], preprocess="none", pool=pool)(picture)
        for pool in ("avg", "max")
    ]
    average, maximum = (np.array(features["pooled"]) for features in found)
    assert average.shape == maximum.shape == (1, 5, 6, 8)
    assert (average <= maximum + 1e-4).all() and (average < maximum).any()
    assert isinstance(model.get_layer("pooled"), layers.MaxPooling2D)


def test_a_picture_is_optimised_with_any_model(model, random_picture):
    extractor = build_model_extractor(model, ["residual", "mixed"], preprocess="torch")
    terms = loss_terms({"residual": 1}, {"mixed": 100})
    pictures = random_picture(24, 30), random_picture(28, 20, seed=1)
    transfer = StyleTransfer(extractor, terms, *pictures)
    transfer.compile(make_optimizer("lbfgs"))
    before = float(transfer.evaluate_losses()["loss"])
    transfer.fit(steps_per_epoch=5, verbose=0)
    assert transfer.evaluate() < before
    with pytest.raises(ConfigError, match="tiles"):
        StyleTransfer(extractor, terms, *pictures, tile=128)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"layers": ["mixd"]}, r"small has no layer 'mixd'. Did you mean 'mixed'\?"),
        ({"layers": ["classes"]}, "no feature map"),
        ({"layers": []}, "No layers"),
        ({"preprocess": "keras"}, "Unknown preprocess 'keras'"),
        ({"pool": "l2"}, "Unknown pool 'l2'"),
    ],
)
def test_wrong_arguments_are_named(model, change, message):
    arguments = {"layers": ["mixed"], "preprocess": "tf", **change}
    with pytest.raises(ConfigError, match=message):
        build_model_extractor(model, arguments.pop("layers"), **arguments)


@pytest.mark.parametrize("padding", ["replicate", "reflect"])
@pytest.mark.parametrize("size", [(9, 12), (10, 11)])
def test_an_even_picture_stays_even_at_its_edges(padding, size):
    image = keras.Input((None, None, 3))
    x = layers.ZeroPadding2D(((2, 1), (0, 3)), name="pad")(image)
    ones = {"kernel_initializer": "ones", "use_bias": False}
    x = layers.Conv2D(1, 3, strides=2, padding="same", name="strided", **ones)(x)
    x = layers.DepthwiseConv2D(5, padding="same", depthwise_initializer="ones")(x)
    model = keras.Model(image, layers.Activation("linear", name="end")(x))
    picture = np.full((1, *size, 3), 1 / 255, "float32")
    features = {
        mode: build_model_extractor(model, ["end"], preprocess="none", padding=mode)(
            picture
        )["end"]
        for mode in ("same", padding)
    }
    expected = keras.Model(image, model.output).compute_output_shape((1, *size, 3))
    assert features["same"].shape == features[padding].shape == expected
    np.testing.assert_allclose(features[padding], 27 * 25, rtol=1e-5)
    assert np.min(features["same"]) < 27 * 25 * 0.9


def test_several_users_of_a_layer_get_copies_in_a_fixed_order(random_picture):
    image = keras.Input((None, None, 3))
    x = layers.Conv2D(4, 3, name="shared")(image)
    branches = [layers.Conv2D(2, 1, name=f"branch{i}")(x) for i in range(3)]
    model = keras.Model(image, layers.Concatenate(name="mixed")(branches))
    extractor = build_model_extractor(model, ["mixed"], preprocess="none")
    copy = next(k for k in extractor.layers if isinstance(k, keras.Model))
    assert [k.users for k in copy.layers if isinstance(k, FanOut)] == [3]
    picture = random_picture(8, 9)[None]
    np.testing.assert_allclose(
        extractor(picture)["mixed"], model(255 * picture), rtol=1e-4, atol=1e-3
    )


def test_bfloat16_features_are_near_those_in_float32(model, random_picture):
    picture = random_picture(32, 32)[None]
    single, half = (
        build_model_extractor(
            model, ["mixed"], preprocess="tf", padding="replicate", precision=precision
        )(picture)["mixed"]
        for precision in ("float32", "bfloat16")
    )
    assert half.dtype == "bfloat16"
    error = np.linalg.norm(np.array(half, "float32") - single) / np.linalg.norm(single)
    assert error < 0.02
