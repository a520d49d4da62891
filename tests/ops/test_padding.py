"""Padding by the edges is TensorFlow's own, forward and backward, by any way."""

import numpy as np
import pytest
import tensorflow as tf

import kstyle
from kstyle.hardware import host
from kstyle.ops import padding
from kstyle.ops.tf_utils import model_function

SIDES = [(1, 1, 1, 1), (0, 0, 0, 0), (1, 0, 0, 1), (0, 1, 1, 0), (1, 1, 0, 0)]


@pytest.fixture(autouse=True)
def in_place(monkeypatch):
    monkeypatch.setattr(host, "has_nvidia", lambda: False)
    monkeypatch.setattr(padding, "SMALL", 0)
    with padding.written_in_place():
        yield


def around_of(top, bottom, left, right):
    return np.int32([(0, 0), (top, bottom), (left, right), (0, 0)])


def features(dtype, batch=1):
    generator = np.random.default_rng(0)
    return tf.constant(generator.integers(-8, 8, (batch, 5, 4, 3)), dtype)


def test_a_row_and_a_column_by_hand():
    x = tf.reshape(tf.constant([[1.0, 2], [3, 4]]), (1, 2, 2, 1))
    same = model_function(lambda: padding.pad_features(x, "replicate"))()[0, ..., 0]
    mirrored = model_function(lambda: padding.pad_features(x, "reflect"))()[0, ..., 0]
    assert same.numpy().tolist() == [
        [1, 1, 2, 2],
        [1, 1, 2, 2],
        [3, 3, 4, 4],
        [3, 3, 4, 4],
    ]
    assert mirrored.numpy().tolist() == [
        *([4, 3, 4, 3], [2, 1, 2, 1]),
        *([4, 3, 4, 3], [2, 1, 2, 1]),
    ]


@pytest.mark.parametrize("sides", SIDES)
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("mode", ["replicate", "reflect"])
def test_values_and_gradients_are_those_of_tensorflow(mode, dtype, sides):
    around, x = around_of(*sides), features(dtype, batch=2)

    def theirs(x):
        return tf.pad(x, around, padding.PAD_MODES[mode])

    pull = tf.cast(tf.range(tf.size(theirs(x))) % 5 - 2, dtype)

    def found(pad):
        def values():
            y = pad(x)
            return y, tf.gradients(y, x, tf.reshape(pull, tf.shape(y)))[0]

        return model_function(values)()

    ours = found(lambda x: padding.pad_features(x, mode, around))
    for one, other in zip(ours, found(theirs), strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("nvidia", [False, True])
@pytest.mark.parametrize("mode", ["same", *padding.EDGE_MODES])
def test_the_adjoint_is_the_gradient_without_what_was_padded(mode, nvidia, monkeypatch):
    monkeypatch.setattr(host, "has_nvidia", lambda: nvidia)
    x, around = tf.zeros((2, 5, 4, 3)), around_of(1, 0, 0, 1)
    pull = np.random.default_rng(1).integers(0, 9, (2, 6, 5, 3)).astype("float32")
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = tf.pad(x, around, padding.PAD_MODES[mode])
    given = tf.TensorSpec(pull.shape), tf.TensorSpec((4, 2), tf.int32)
    back = model_function(
        lambda up, around: padding.padding_adjoint(up, mode, around), given
    )
    np.testing.assert_array_equal(back(pull, around), tape.gradient(y, x, pull))


def test_what_is_padded_stays_as_it_was():
    x = features("float32")
    before = x.numpy()

    def twice(x):
        return (
            padding.pad_features(x, "replicate"),
            padding.pad_features(x, "reflect"),
            x + 0,
        )

    same, mirrored, after = model_function(twice)(x)
    np.testing.assert_array_equal(after, before)
    np.testing.assert_array_equal(x, before)
    np.testing.assert_array_equal(same, np.pad(before, padding.ONE_PIXEL, "edge"))
    np.testing.assert_array_equal(
        mirrored, np.pad(before, padding.ONE_PIXEL, "reflect")
    )


def test_extractors_of_all_paddings_share_a_graph_and_a_picture():
    names = ("replicate", "reflect", "same", "replicate")
    picture = tf.constant(
        np.random.default_rng(0).uniform(size=(1, 9, 8, 3)), "float32"
    )
    nets = []
    for name in names:
        tf.keras.utils.set_random_seed(0)
        layers = ("conv1_2", "conv2_1")
        nets.append(kstyle.build_extractor("vgg16", layers, weights=None, padding=name))

    def slopes(nets):
        def loss():
            return sum(
                tf.reduce_mean(v**2) for net in nets for v in net(picture).values()
            )

        return model_function(lambda: tf.gradients(loss(), picture)[0])().numpy()

    alone = [slopes([net]) for net in nets]
    np.testing.assert_allclose(slopes(nets), sum(alone), rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(alone[0], alone[3])
    assert not np.allclose(alone[0], alone[1], rtol=1e-3)


def test_only_large_features_and_where_it_is_asked_for_are_written_in_place(
    monkeypatch,
):
    mode, spec = "replicate", tf.TensorSpec((1, 3, 3, 1))

    def kinds():
        graph = model_function(
            lambda x: padding.pad_features(x, mode), (spec,)
        ).get_concrete_function()
        return {op.type for op in graph.graph.get_operations()}

    assert "InplaceUpdate" in kinds()
    monkeypatch.setattr(padding, "SMALL", 10)
    assert "MirrorPad" in kinds()
    monkeypatch.setattr(padding, "SMALL", 9)
    assert "InplaceUpdate" in kinds()
    padding.thread_state.in_place = False
    assert "MirrorPad" in kinds()


def test_sizes_may_be_unknown_and_features_of_one_pixel_replicated():
    graph = tf.function(
        lambda x: padding.pad_features(x, "replicate"),
        input_signature=[tf.TensorSpec((None, None, None, 2))],
    )
    assert graph(np.ones((1, 1, 1, 2), "float32")).shape == (1, 3, 3, 2)
    assert graph(np.ones((3, 4, 7, 2), "float32")).shape == (3, 6, 9, 2)


@pytest.mark.parametrize("mode", ["replicate", "reflect"])
def test_a_step_ends_where_one_with_tensorflow_s_own_ends_and_xla_s(mode, monkeypatch):
    picture = np.random.default_rng(0).uniform(size=(12, 10, 3))

    def losses(small, jit=False):
        monkeypatch.setattr(padding, "SMALL", small)
        tf.keras.utils.set_random_seed(0)
        layers = ("conv1_2", "conv2_1")
        net = kstyle.build_extractor("vgg16", layers, weights=None, padding=mode)
        terms = kstyle.loss_terms({"conv2_1": 1}, {"conv1_2": 1})
        model = kstyle.StyleTransfer(net, terms, picture, picture[::-1])
        model.compile("adam", jit_compile=jit)
        return model.fit(epochs=3).history["loss"]

    plain = losses(small=2**21)
    np.testing.assert_allclose(losses(small=0), plain, rtol=1e-5)
    np.testing.assert_allclose(losses(small=0, jit=True), plain, rtol=1e-4)
