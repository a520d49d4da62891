"""Padding by the edges is TensorFlow's own, forward and backward, by any way."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import kstyle
from kstyle.ops.padding import (
    EDGE_MODES,
    ONE_PIXEL,
    PAD_MODES,
    pad_features,
    padding_gradient,
)
from kstyle.ops.tf_utils import model_function

SIDES = [(1, 1, 1, 1), (0, 0, 0, 0), (1, 0, 0, 1), (0, 1, 1, 0), (1, 1, 0, 0)]
# Of features whose size a graph does not know; of a known size they would be small.
ANY_SIZE = tf.TensorSpec((None, None, None, 3))


def paddings_of(top, bottom, left, right):
    return tf.constant([(0, 0), (top, bottom), (left, right), (0, 0)])


def features(dtype="float32", batch=1):
    generator = np.random.default_rng(0)
    return tf.constant(generator.integers(-8, 8, (batch, 5, 4, 3)), dtype)


@pytest.mark.parametrize(
    ("mode", "expected"),
    [
        ("replicate", [[1, 1, 2, 2], [1, 1, 2, 2], [3, 3, 4, 4], [3, 3, 4, 4]]),
        ("reflect", [[4, 3, 4, 3], [2, 1, 2, 1], [4, 3, 4, 3], [2, 1, 2, 1]]),
    ],
)
def test_a_row_and_a_column_by_hand(mode, expected):
    x = tf.repeat(tf.reshape(tf.constant([[1.0, 2], [3, 4]]), (1, 2, 2, 1)), 3, axis=-1)
    graph = model_function(lambda x: pad_features(x, mode), (ANY_SIZE,))
    assert graph(x)[0, ..., 2].numpy().tolist() == expected


@pytest.mark.parametrize("sides", SIDES)
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("mode", EDGE_MODES)
def test_values_and_gradients_are_those_of_tensorflow(mode, dtype, sides):
    paddings, x = paddings_of(*sides), features(dtype, batch=2)

    def results(pad):
        def values(x):
            y = pad(x)
            weights = tf.cast(tf.range(tf.size(y)) % 5 - 2, dtype)
            weights = tf.reshape(weights, tf.shape(y))
            (gradient,) = tf.gradients(y, x, weights)
            with tf.GradientTape() as tape:
                tape.watch(x)
                y = pad(x)
            return y, gradient, tape.gradient(y, x, weights)

        return model_function(values, (tf.TensorSpec((None, None, None, 3), dtype),))(x)

    ours = results(lambda x: pad_features(x, mode, paddings))
    theirs = results(lambda x: tf.pad(x, paddings, PAD_MODES[mode]))
    for one, other in zip(ours, theirs, strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("mode", PAD_MODES)
def test_gradient_without_the_padded_features(mode):
    x, paddings = tf.zeros((2, 5, 4, 3)), paddings_of(1, 0, 0, 1)
    generator = np.random.default_rng(1)
    weights = generator.integers(0, 9, (2, 6, 5, 3)).astype("float32")
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = tf.pad(x, paddings, PAD_MODES[mode])
    graph = model_function(lambda x: padding_gradient(x, mode, paddings), (ANY_SIZE,))
    np.testing.assert_array_equal(graph(weights), tape.gradient(y, x, weights))


def test_padded_features_stay_as_they_were():
    x = features()
    before = x.numpy()

    def pad_twice(x):
        return pad_features(x, "replicate"), pad_features(x, "reflect"), x + 0

    replicated, mirrored, after = model_function(pad_twice, (ANY_SIZE,))(x)
    np.testing.assert_array_equal(after, before)
    np.testing.assert_array_equal(x, before)
    np.testing.assert_array_equal(replicated, np.pad(before, ONE_PIXEL, "edge"))
    np.testing.assert_array_equal(mirrored, np.pad(before, ONE_PIXEL, "reflect"))


def test_one_pixel_can_be_replicated():
    graph = model_function(lambda x: pad_features(x, "replicate"), (ANY_SIZE,))
    assert graph(np.ones((1, 1, 1, 3), "float32")).shape == (1, 3, 3, 3)


@pytest.mark.parametrize("mode", EDGE_MODES)
def test_large_features_have_the_same_gradient_with_xla(mode):
    x = tf.random.normal((1, 149, 151, 96))  # more than `SMALL_VALUES`

    def gradient(pad):
        return lambda x: tf.gradients(tf.reduce_sum(pad(x) ** 2), x)[0]

    graphs = [
        model_function(gradient(lambda x: tf.pad(x, ONE_PIXEL, PAD_MODES[mode]))),
        model_function(gradient(lambda x: pad_features(x, mode))),
        model_function(gradient(lambda x: pad_features(x, mode)), jit_compile=True),
    ]
    expected, *others = (graph(x) for graph in graphs)
    for other in others:
        np.testing.assert_allclose(other, expected, rtol=1e-6)


def test_extractors_of_all_paddings_share_a_graph():
    picture = tf.random.uniform((1, 9, 8, 3))
    extractors = []
    for padding in ("replicate", "reflect", "same", "replicate"):
        keras.utils.set_random_seed(0)
        layers = ("conv1_2", "conv2_1")
        extractors.append(
            kstyle.build_extractor("vgg16", layers, weights=None, padding=padding)
        )

    def gradient(extractors):
        def compute(x):
            outputs = [y for extractor in extractors for y in extractor(x).values()]
            return tf.gradients(sum(tf.reduce_mean(y**2) for y in outputs), x)[0]

        return model_function(compute, (ANY_SIZE,))(picture).numpy()

    alone = [gradient([extractor]) for extractor in extractors]
    np.testing.assert_allclose(gradient(extractors), sum(alone), rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(alone[0], alone[3])
    assert not np.allclose(alone[0], alone[1], rtol=1e-3)
