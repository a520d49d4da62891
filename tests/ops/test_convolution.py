"""The convolution by way of a gradient gives the same numbers."""

import gc

import numpy as np
import pytest
import tensorflow as tf

from kstyle.hardware.host import cpu_flags
from kstyle.ops.convolution import (
    convolve,
    input_gradients_are_faster,
    value_and_gradient,
)
from kstyle.ops.tf_utils import model_function

by_gradient = pytest.mark.parametrize(
    "by_gradient", [False, True], ids=["forward", "by gradient"]
)


@by_gradient
@pytest.mark.parametrize("padding", ["same", "valid"])
def test_a_kernel_with_a_single_one_shifts_the_picture(padding, by_gradient):
    x = np.arange(20, dtype="float32").reshape(1, 4, 5, 1)
    kernel = np.zeros((3, 3, 1, 1), "float32")
    kernel[0, 2] = 1  # of the neighbour above and to the right
    expected = np.zeros((4, 5))
    expected[1:, :-1] = x[0, :-1, 1:, 0]
    if padding == "valid":
        expected = expected[1:-1, 1:-1]
    found = convolve(x, kernel, padding, by_gradient)
    assert np.array_equal(found[0, :, :, 0], expected)


@pytest.fixture
def problem():
    """Features, a kernel from 4 channels to 6, and weights of the output."""
    generator = np.random.default_rng(0)
    shapes = (2, 7, 9, 4), (3, 3, 4, 6), (2, 7, 9, 6)
    return [tf.constant(generator.normal(size=s), "float32") for s in shapes]


@by_gradient
@pytest.mark.parametrize("padding", ["same", "valid"])
@pytest.mark.parametrize("graph", [False, True])
def test_values_and_gradients_are_those_of_tensorflow(
    padding, graph, by_gradient, problem
):
    x, kernel, weights = problem
    if padding == "valid":
        weights = weights[:, 2:, 2:]

    def results(x):
        def weighted_sum(x):
            y = convolve(x, kernel, padding, by_gradient)
            return tf.reduce_sum(weights * y), y

        with tf.GradientTape() as tape:
            tape.watch((x, kernel))
            total, _ = weighted_sum(x)
        return *value_and_gradient(weighted_sum, x), *tape.gradient(total, (x, kernel))

    with tf.GradientTape() as tape:
        tape.watch((x, kernel))
        y = tf.nn.conv2d(x, kernel, 1, padding.upper())
        total = tf.reduce_sum(weights * y)
    at_x, at_kernel = tape.gradient(total, (x, kernel))
    found = (model_function(results) if graph else results)(x)
    for result, expected in zip(found, (y, at_x, at_x, at_kernel), strict=True):
        assert result.shape == expected.shape
        np.testing.assert_allclose(result, expected, atol=1e-4)


@by_gradient
def test_tf_gradients_reach_the_kernel_as_well(by_gradient, problem):
    x, kernel, _ = problem

    def kernel_gradient(kernel):
        y = convolve(x, kernel, "same", by_gradient)
        return tf.gradients(tf.reduce_sum(y**2), kernel)

    with tf.GradientTape() as tape:
        tape.watch(kernel)
        total = tf.reduce_sum(tf.nn.conv2d(x, kernel, 1, "SAME") ** 2)
    (found,) = model_function(kernel_gradient)(kernel)
    np.testing.assert_allclose(found, tape.gradient(total, kernel), rtol=1e-4)


def test_gradient_in_a_graph_needs_no_forward_convolution(problem):
    x, kernel, _ = problem

    def gradient(x):
        def total(x):
            y = convolve(x, kernel, "same", by_input_gradient=True)
            return tf.reduce_sum(y), x

        return value_and_gradient(total, x)

    graph = model_function(gradient).get_concrete_function(x).graph
    kinds = [operation.type for operation in graph.get_operations()]
    assert "Conv2D" not in kinds and kinds.count("Conv2DBackpropInput") == 2


@by_gradient
def test_no_graph_is_kept_for_its_gradient(by_gradient, problem):
    x, kernel, _ = problem

    def count():
        gc.collect()
        return sum(type(each).__name__ == "FuncGraph" for each in gc.get_objects())

    def trace():
        def total(x):
            return tf.reduce_sum(convolve(x, kernel, "same", by_gradient)), ()

        model_function(lambda x: value_and_gradient(total, x)[1])(x)

    trace()
    before = count()
    for _ in range(3):
        trace()
    assert count() == before


@pytest.mark.parametrize(
    ("flags", "onednn", "gpu", "expected"),
    [
        ("fma avx2", True, False, True),
        ("fma avx2", False, False, False),
        ("fma avx2", None, False, False),  # TensorFlow does not tell
        ("fma avx2 avx512f", True, False, False),
        ("sse4_2", True, False, False),
        ("fma avx2", True, True, False),
    ],
)
def test_input_gradients_are_used_where_they_are_faster(flags, onednn, gpu, expected):
    found = cpu_flags(f"flags : {flags}\n")
    assert input_gradients_are_faster(found, onednn, gpu) is expected
