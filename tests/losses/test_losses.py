"""Each formula with numbers that can be worked by hand."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from kstyle.errors import ConfigError
from kstyle.losses.content import ContentLoss
from kstyle.losses.moments import GramLoss
from kstyle.losses.names import IMAGE
from kstyle.losses.regularization import TotalVariationLoss, total_variation
from kstyle.losses.style import gram_matrix, products_and_sum
from kstyle.losses.terms import compute_losses, loss_terms
from kstyle.ops.convolution import value_and_gradient


def features(rows):
    """`rows` (H, W, C) nested lists as a batch of one."""
    return np.array([rows], "float32")


def test_gram_matrix_of_disjoint_channels_is_diagonal():
    x = features([[[1.0, 0.0]], [[0.0, 2.0]]])  # H 2, W 1, C 2
    np.testing.assert_allclose(gram_matrix(x), [[[0.5, 0.0], [0.0, 2.0]]])


def test_gram_matrix_keeps_the_pictures_of_a_batch_apart():
    x = np.stack([np.full((2, 2, 1), 1.0), np.full((2, 2, 1), 3.0)])
    np.testing.assert_allclose(gram_matrix(x), [[[1.0]], [[9.0]]])


def test_gram_matrix_ignores_positions_and_repetition():
    x = np.random.default_rng(0).normal(size=(1, 4, 3, 5)).astype("float32")
    tiled = np.tile(x[:, ::-1], (1, 2, 3, 1))
    np.testing.assert_allclose(gram_matrix(x), gram_matrix(tiled), rtol=1e-5)


def test_content_loss_is_half_the_mean_squared_difference():
    loss = ContentLoss()
    a, b = (
        features([[[1.0, 2.0]], [[3.0, 4.0]]]),
        features([[[1.0, 2.0]], [[3.0, 6.0]]]),
    )
    # One difference of 2 in four numbers: 4 / 2 / 4.
    assert float(loss(loss.represent(a), b)) == pytest.approx(0.5)
    assert float(loss(a, a)) == 0


def test_style_loss_of_two_gram_matrices_computed_by_hand():
    loss = GramLoss()
    target = loss.represent(features([[[1.0, 0.0]]]))  # Gram [[1, 0], [0, 0]]
    # Gram of (3, 0): [[9, 0], [0, 0]]; difference 8: 1e-4 * 64 / 2 / 2^2.
    assert float(loss(target, features([[[3.0, 0.0]]]))) == pytest.approx(8e-4)


def test_loss_of_zeros_is_that_of_features_of_zeros():
    # Content: 5^2 / 2 / 2. Style: Gram [[9, 12], [12, 16]]: 1e-4 * 25^2 / 2 / 2^2.
    for loss, expected in ((ContentLoss(), 6.25), (GramLoss(), 7.8125e-3)):
        target = loss.represent(features([[[3.0, 4.0]]]))
        assert float(loss.loss_of_zeros(target)[0]) == pytest.approx(expected)
        assert float(loss(target, features([[[0.0, 0.0]]]))) == pytest.approx(expected)
    tall = np.ones((1, 130, 1, 1), "float32")  # more rows than are taken at once
    tall[0, -1] = 261  # mean square (129 + 261^2) / 130 = 525
    assert float(ContentLoss().loss_of_zeros(tall)[0]) == pytest.approx(262.5)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("graph", [False, True])
def test_the_gradient_of_a_gram_matrix_is_that_of_its_formula(graph, dtype):
    # d sum(U * F^T F) / dF = F (U + U^T), also where U is not symmetric. F is 2 x 2.
    output_gradient = [[[1.0, 4.0], [0.0, 0.0]]]

    def gram_and_gradient(x):
        def losses(x):
            gram = gram_matrix(x)  # divided by its 2 positions
            return tf.reduce_sum(gram * output_gradient), gram

        return value_and_gradient(losses, x)

    x = tf.cast(features([[[1.0, 2.0]], [[3.0, 4.0]]]), dtype)
    gram, found = (tf.function(gram_and_gradient) if graph else gram_and_gradient)(x)
    np.testing.assert_array_equal(gram, [[[5.0, 7.0], [7.0, 10.0]]])
    assert found.dtype == dtype
    expected = [[[[5.0, 2.0]], [[11.0, 6.0]]]]
    np.testing.assert_array_equal(tf.cast(found, "float32"), expected)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("graph", [False, True])
def test_the_gradient_of_products_and_sum_is_that_of_its_formula(graph, dtype):
    # F and U as above, and V = (2, 3) of the sums of its columns.
    output_gradient = [[[1.0, 4.0], [0.0, 0.0], [2.0, 3.0]]]

    def moments_and_gradient(x):
        def losses(x):
            moments = products_and_sum(x)
            return tf.reduce_sum(moments * output_gradient), moments

        return value_and_gradient(losses, x)

    x = tf.cast([[[1.0, 2.0], [3.0, 4.0]]], dtype)
    evaluate = tf.function(moments_and_gradient) if graph else moments_and_gradient
    moments, found = evaluate(x)
    np.testing.assert_array_equal(moments, [[[10.0, 14.0], [14.0, 20.0], [4.0, 6.0]]])
    assert found.dtype == dtype
    expected = [[[12.0, 7.0], [24.0, 15.0]]]
    np.testing.assert_array_equal(tf.cast(found, "float32"), expected)


def test_a_gram_matrix_and_its_gradient_take_one_product_each():
    def losses(x):
        return tf.reduce_sum(gram_matrix(x)), None

    graph = tf.function(lambda x: value_and_gradient(losses, x)[1])
    x = tf.ones((1, 2, 2, 3), "bfloat16")
    ops = graph.get_concrete_function(x).graph.get_operations()
    assert [op.type for op in ops if "MatMul" in op.type] == ["BatchMatMulV2"] * 2


def test_a_gram_matrix_can_be_the_output_of_a_functional_model(tmp_path):
    picture = keras.Input(batch_shape=(1, 1, 2, 2))
    model = keras.Model(picture, gram_matrix(picture))
    assert model.output_shape == (1, 2, 2)
    x = features([[[1.0, 2.0], [3.0, 4.0]]])
    model.save(tmp_path / "gram.keras")
    for each in (model, keras.models.load_model(tmp_path / "gram.keras")):
        np.testing.assert_array_equal(each(x), [[[5.0, 7.0], [7.0, 10.0]]])


def test_gram_sums_of_bfloat16_are_in_float32():
    # The square of 1 + 1/128 needs more digits than bfloat16 has, and so does 257.
    x = tf.fill((1, 257, 1, 1), tf.constant(1 + 1 / 128, "bfloat16"))
    assert float(gram_matrix(x)[0, 0, 0]) == pytest.approx((129 / 128) ** 2, rel=1e-6)


def test_total_variation_sums_both_directions_in_grey_levels():
    # Down: differences 1 and 1 (times 255), mean of squares / 2. Across: none.
    step = np.zeros((1, 2, 2, 3), "float32")
    step[:, 1] = 1.0
    assert float(total_variation(step)[0]) == pytest.approx(255**2 / 2)
    assert float(total_variation(np.swapaxes(step, 1, 2))[0]) == pytest.approx(
        255**2 / 2
    )
    both = np.zeros((1, 2, 2, 3), "float32")
    both[:, 1, 1] = 1.0  # one of two differences each way
    assert float(total_variation(both)[0]) == pytest.approx(255**2 / 2)


@pytest.mark.parametrize(
    "down, across, expected",
    [
        # 16 times the mean of sqrt(9) - 1, sqrt(5) - 1 twice, and 0
        (8.0, 8.0, 8 * 5**0.5),
        (0.2, 0.2, 0.02),  # a quarter of (0.08 + 0.04 + 0.04) / 2, as with squares
        (240.0, 0.0, (4 * 240 - 16) / 2),
    ],
)
def test_charbonnier_squares_dots_and_not_contours(down, across, expected):
    steps = np.array([[0, across], [down, down + across]], "float32") / 255
    picture = np.repeat(steps[None, :, :, None], 3, axis=3)
    found = float(total_variation(picture, threshold=4.0)[0])
    assert found == pytest.approx(expected, rel=3e-3)


@pytest.mark.parametrize("threshold", [None, 4.0])
def test_total_variation_of_rows_adds_up_to_the_pictures(threshold):
    picture = np.random.default_rng(0).random((1, 5, 4, 3), "float32")
    loss, size = TotalVariationLoss(threshold=threshold), (5, 4)
    parts = [
        float(
            loss.loss_of_rows(picture[:, k : k + 2], picture[:, k + 2 : k + 3], size)[0]
        )
        for k in (0, 2, 4)
    ]
    assert all(parts)
    assert sum(parts) == pytest.approx(float(loss(picture, picture)))


def test_total_variation_of_a_single_pixel_is_zero():
    assert float(total_variation(np.full((1, 1, 1, 3), 0.3, "float32"))[0]) == 0


def test_loss_terms_have_a_tag_and_a_weight_per_layer():
    terms = loss_terms({"conv2_2": 8}, {"conv3_1": 200, "conv4_1": 100}, tv=2)
    assert [(t.tag, t.layer, t.weight, t.source) for t in terms] == [
        ("content/conv2_2", "conv2_2", 8.0, "content"),
        ("style/conv3_1", "conv3_1", 200.0, "style"),
        ("style/conv4_1", "conv4_1", 100.0, "style"),
        ("tv", "image", 2.0, None),
    ]


@pytest.mark.parametrize("kind", [ContentLoss, GramLoss, TotalVariationLoss])
def test_a_loss_survives_keras_serialisation(kind):
    copy = keras.losses.deserialize(keras.losses.serialize(kind(name="mine")))
    assert type(copy) is kind
    assert copy.name == "mine"
    x = np.random.default_rng(0).normal(size=(1, 4, 4, 2)).astype("float32")
    target = kind().represent(2 * x)
    assert float(copy(target, x)) == float(kind()(target, x))


@pytest.mark.parametrize("function", [gram_matrix, total_variation])
def test_arrays_without_a_batch_axis_are_refused(function):
    message = rf"{function.__name__} takes \(batch, .*shape \(4, 5, 3\). Add a batch"
    with pytest.raises(ConfigError, match=message):
        function(np.zeros((4, 5, 3), "float32"))


def test_gradients_are_added_in_pairs():
    # TensorFlow may add three or more in any order.
    terms = loss_terms({"relu": 8.0}, {"relu": 200.0}, tv=3.0)
    picture = np.random.default_rng(0).uniform(size=(1, 6, 5, 3)).astype("float32")
    targets = {"content/relu": 0 * picture, "style/relu": gram_matrix(0 * picture)}

    @tf.function
    def gradient(image):
        features = {"relu": tf.nn.relu(image - 0.5), IMAGE: image}
        losses = compute_losses(terms, features, targets, {})
        return tf.gradients(losses["loss"], image)[0]

    graph = gradient.get_concrete_function(tf.constant(picture)).graph
    sums = [op for op in graph.get_operations() if op.type == "AddN"]
    assert {len(op.inputs) for op in sums} == {2}
    with tf.GradientTape() as tape:
        image = tf.Variable(picture)
        features = {"relu": tf.nn.relu(image - 0.5), IMAGE: image}
        loss = compute_losses(terms, features, targets, {})["loss"]
    expected = tape.gradient(loss, image)
    np.testing.assert_allclose(gradient(tf.constant(picture)), expected, rtol=1e-5)
