"""Bits in place of features: which are positive, and what a pooling takes."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from kstyle.tiling.relu_signs import (
    pack_signs,
    pooling_gradient,
    selected_features,
    unpack_signs,
)


def test_eight_signs_make_a_byte_lowest_bit_first():
    row = tf.constant([1.0, -2, 0, 0.5, 0, 0, 0, 3] + [0] * 7 + [1e-30])
    bits = pack_signs(tf.reshape(row, (1, 1, 1, 16)))
    assert bits.numpy().tolist() == [[[[1 + 8 + 128, 128]]]]


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_what_is_unpacked_is_one_where_a_feature_was_positive(dtype):
    numbers = np.random.default_rng(0).normal(size=(2, 3, 5, 24))
    found = unpack_signs(pack_signs(tf.cast(numbers, dtype)), dtype)
    assert found.dtype == dtype
    np.testing.assert_array_equal(found.numpy(), numbers > 0)


def test_a_maximum_is_the_first_of_equal_values():
    x = tf.constant([[1.0, 5, 2], [5, 3, 9]])[None, :, :, None]
    taken = selected_features(x, keras.layers.MaxPooling2D(2))
    assert taken.numpy()[0, :, :, 0].tolist() == [[0, 5, 0], [0, 0, 0]]


def test_an_average_takes_all():
    x = tf.ones((1, 2, 2, 1))
    assert selected_features(x, keras.layers.AveragePooling2D(2)) is x
    assert selected_features(x, None) is x


@pytest.mark.parametrize(("kind", "part"), [("Max", 8.0), ("Average", 2.0)])
def test_a_gradient_is_spread_over_the_four_pooled_values(kind, part):
    pooling = getattr(keras.layers, f"{kind}Pooling2D")(2)
    found = pooling_gradient(tf.fill((1, 1, 1, 1), 8.0), (1, 2, 3, 1), pooling)
    assert found.numpy()[0, :, :, 0].tolist() == [[part, part, 0]] * 2


@pytest.mark.parametrize("kind", ["Max", "Average"])
def test_spread_and_chosen_make_the_gradient_of_a_pooling(kind):
    pooling = getattr(keras.layers, f"{kind}Pooling2D")(2)
    rng = np.random.default_rng(1)
    # Few different values: maxima that are equal are met with.
    x = tf.constant(rng.integers(1, 4, (1, 7, 6, 8)), tf.float32)
    up = tf.constant(rng.normal(size=(1, 3, 3, 8)), tf.float32)
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = pooling(x)
    positive = unpack_signs(pack_signs(selected_features(x, pooling)), "float32")
    found = positive * pooling_gradient(up, tf.shape(x), pooling)
    np.testing.assert_array_equal(found, tape.gradient(y, x, up))
