"""The convolution by way of a gradient: the same numbers, and where it is used."""

import gc

import numpy as np
import pytest
import tensorflow as tf

from kstyle.hardware import host
from kstyle.networks.extractor import build_extractor
from kstyle.ops import convolution
from kstyle.ops.convolution import convolve, value_and_gradient
from kstyle.ops.tf_utils import model_function


@pytest.fixture(params=[False, True], ids=["forward", "backward"])
def backward(request, monkeypatch):
    """Whether the processor is one on which convolutions are computed backward."""
    monkeypatch.setattr(convolution, "backward", lambda: request.param)
    return request.param


@pytest.mark.parametrize("padding", ["same", "valid"])
def test_a_single_one_in_the_kernel_moves_the_picture(padding, backward):
    x = np.arange(20, dtype="float32").reshape(1, 4, 5, 1)
    kernel = np.zeros((3, 3, 1, 1), "float32")
    kernel[0, 2] = 1  # of the neighbour above and to the right
    wanted = np.zeros((4, 5))
    wanted[1:, :-1] = x[0, :-1, 1:, 0]
    if padding == "valid":
        wanted = wanted[1:-1, 1:-1]
    assert np.array_equal(convolve(x, kernel, padding)[0, :, :, 0], wanted)


@pytest.fixture
def problem():
    """Features, a kernel from 4 channels to 6, and what the output is weighed with."""
    generator = np.random.default_rng(0)
    shapes = (2, 7, 9, 4), (3, 3, 4, 6), (2, 9, 11, 6)
    return [tf.constant(generator.normal(size=s), "float32") for s in shapes]


@pytest.mark.parametrize("padding", ["same", "valid"])
@pytest.mark.parametrize("graph", [False, True])
def test_numbers_and_gradients_are_those_of_tensorflow(
    padding, graph, backward, problem
):
    x, kernel, weights = problem
    less = {"same": 0, "valid": 2}[padding]
    weights = weights[:, : 7 - less, : 9 - less]

    def found(x):
        def losses(x):
            y = convolve(x, kernel, padding)
            return tf.reduce_sum(weights * y), y

        with tf.GradientTape() as tape:
            tape.watch((x, kernel))
            total, _ = losses(x)
        return *value_and_gradient(losses, x), *tape.gradient(total, (x, kernel))

    with tf.GradientTape() as tape:
        tape.watch((x, kernel))
        y = tf.nn.conv2d(x, kernel, 1, padding.upper())
        total = tf.reduce_sum(weights * y)
    at_x, at_kernel = tape.gradient(total, (x, kernel))
    results = (model_function(found) if graph else found)(x)
    for result, wanted in zip(results, (y, at_x, at_x, at_kernel), strict=True):
        assert result.shape == wanted.shape
        np.testing.assert_allclose(result, wanted, atol=1e-4)


def test_tf_gradients_reach_the_kernel_as_well(backward, problem):
    x, kernel, _ = problem

    def at_kernel(kernel):
        return tf.gradients(tf.reduce_sum(convolve(x, kernel, "same") ** 2), kernel)

    with tf.GradientTape() as tape:
        tape.watch(kernel)
        total = tf.reduce_sum(tf.nn.conv2d(x, kernel, 1, "SAME") ** 2)
    (found,) = model_function(at_kernel)(kernel)
    np.testing.assert_allclose(found, tape.gradient(total, kernel), rtol=1e-4)


@pytest.mark.parametrize("padding", ["same", "valid", "replicate"])
def test_an_extractor_sees_the_same_either_way(padding, monkeypatch, random_picture):
    picture = random_picture(76, 73)[None]
    layers = ["conv1_1", "conv2_2", "pool3", "conv4_1"]
    seen = []
    for way in (False, True):
        monkeypatch.setattr(convolution, "backward", lambda way=way: way)
        extractor = build_extractor("vgg16", layers, padding=padding, weights="builtin")
        seen.append(model_function(extractor.call)(picture))
    for name in layers:
        most = np.max(np.abs(seen[0][name]))
        assert seen[1][name].shape == seen[0][name].shape
        np.testing.assert_allclose(*(each[name] for each in seen), atol=1e-5 * most)


def test_in_a_graph_the_slope_needs_no_forward_convolution(monkeypatch, problem):
    monkeypatch.setattr(convolution, "backward", lambda: True)
    x, kernel, _ = problem

    def slope(x):
        return value_and_gradient(
            lambda x: (tf.reduce_sum(convolve(x, kernel, "same")), x), x
        )

    graph = model_function(slope).get_concrete_function(x).graph
    kinds = [operation.type for operation in graph.get_operations()]
    assert "Conv2D" not in kinds and kinds.count("Conv2DBackpropInput") == 2


def test_no_graph_is_kept_for_its_gradient(backward, problem):
    x, kernel, _ = problem

    def count():
        gc.collect()
        return sum(type(each).__name__ == "FuncGraph" for each in gc.get_objects())

    def once():
        def losses(x):
            return tf.reduce_sum(convolve(x, kernel, "same")), ()

        model_function(lambda x: value_and_gradient(losses, x)[1])(x)

    once()
    before = count()
    for _ in range(3):
        once()
    assert count() == before


@pytest.mark.parametrize(
    ("flags", "onednn", "gpu", "wanted"),
    [
        ("fma avx2", True, False, True),
        ("fma avx2", False, False, False),
        ("fma avx2", None, False, False),  # TensorFlow does not tell
        ("fma avx2 avx512f", True, False, False),
        ("sse4_2", True, False, False),
        ("fma avx2", True, True, False),
    ],
)
def test_convolutions_are_computed_backward_where_that_is_faster(
    flags, onednn, gpu, wanted, monkeypatch
):
    real = host.cpu_flags
    monkeypatch.setattr(host, "cpu_flags", lambda: real(f"flags : {flags}\n"))
    monkeypatch.setattr(host, "has_nvidia", lambda: gpu)
    monkeypatch.setattr(convolution, "has_onednn", lambda: onednn)
    for cached in (host.has_avx2_alone, convolution.uses_input_gradients):
        cached.cache_clear()
    assert convolution.uses_input_gradients() is wanted
    for cached in (host.has_avx2_alone, convolution.uses_input_gradients):
        cached.cache_clear()
