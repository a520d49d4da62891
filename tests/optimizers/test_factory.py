"""L-BFGS on problems with a known minimum, alone and in ordinary Keras models."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from kstyle.errors import ConfigError
from kstyle.optimizers.factory import make_optimizer
from kstyle.optimizers.lbfgs import LBFGS, compact_coefficients


def minimise(optimizer, function, start, evaluations, report_loss=True):
    """Return the value of `function` at each evaluation, and the last point."""
    variable = keras.Variable(start, dtype="float32")
    optimizer.build([variable])

    @tf.function
    def step():
        with tf.GradientTape() as tape:
            value = function(variable.value)
        gradient = tape.gradient(value, variable.value)
        if report_loss:
            optimizer.scale_loss(value)
        optimizer.apply([gradient], [variable])
        return value

    values = [float(step()) for _ in range(evaluations)]
    return values, variable.numpy()


def rosenbrock(x):
    return tf.reduce_sum(100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2)


@pytest.mark.parametrize(("report_loss", "evaluations"), [(True, 80), (False, 110)])
def test_lbfgs_finds_the_minimum_of_rosenbrock(report_loss, evaluations):
    values, point = minimise(LBFGS(), rosenbrock, [-1.2, 1.0], evaluations, report_loss)
    assert min(values) < 1e-8
    np.testing.assert_allclose(point, [1, 1], atol=1e-3)


def test_lbfgs_solves_least_squares_to_float_precision():
    generator = np.random.default_rng(0)
    matrix = generator.normal(size=(30, 8)).astype("float32")
    right = generator.normal(size=30).astype("float32")
    expected = np.linalg.lstsq(matrix.astype("float64"), right, rcond=None)[0]

    def squares(x):
        return tf.reduce_sum((tf.linalg.matvec(matrix, x) - right) ** 2)

    _, point = minimise(LBFGS(), squares, np.zeros(8), 40)
    np.testing.assert_allclose(point, expected, atol=1e-4)


def test_lbfgs_trains_a_keras_model_with_several_variables():
    generator = np.random.default_rng(0)
    x = generator.normal(size=(64, 3)).astype("float32")
    y = x @ np.array([[1.0], [-2.0], [0.5]], "float32") + 3
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(1)])
    model.compile(LBFGS(), loss="mse", jit_compile=False)
    model.fit(x, y, batch_size=64, epochs=30, verbose=0)
    kernel, bias = model.get_weights()
    np.testing.assert_allclose(kernel[:, 0], [1, -2, 0.5], atol=1e-3)
    np.testing.assert_allclose(bias, [3], atol=1e-3)


def test_a_step_that_raised_the_loss_is_halved():
    optimizer = LBFGS()
    variable = keras.Variable([0.0], dtype="float32")
    optimizer.build([variable])

    def step(loss, gradient):
        optimizer.scale_loss(tf.constant(loss))
        optimizer.apply([tf.constant([gradient])], [variable])
        return float(variable.numpy()[0])

    assert step(1.0, -4.0) == 1.0  # steepest descent of length 1
    assert step(9.0, 4.0) == 0.5  # the loss rose: half of it, from 0
    assert step(9.0, 4.0) == 0.25
    assert step(0.5, -1.0) != 0.25  # better: accepted, a new step from 0.25
    assert float(optimizer.point_loss) == 0.5


def test_a_step_to_a_loss_that_is_not_finite_is_halved():
    optimizer = LBFGS()
    variable = keras.Variable([0.0, 0.0], dtype="float32")
    optimizer.build([variable])
    optimizer.scale_loss(tf.constant(1.0))
    optimizer.apply([tf.constant([-1.0, -1.0])], [variable])
    first = variable.numpy()
    optimizer.scale_loss(tf.constant(np.nan))
    optimizer.apply([tf.constant([np.nan, 1.0])], [variable])
    np.testing.assert_allclose(variable.numpy(), first / 2)


def test_a_bad_last_step_is_undone_at_the_end_of_fit():
    optimizer = LBFGS()
    variable = keras.Variable([0.0], dtype="float32")
    optimizer.build([variable])
    optimizer.scale_loss(tf.constant(1.0))
    optimizer.apply([tf.constant([-1.0])], [variable])
    optimizer.scale_loss(tf.constant(5.0))
    optimizer.finalize_variable_values([variable])
    assert variable.numpy() == [0.0]


def test_the_compact_form_equals_the_two_loop_recursion():
    generator = np.random.default_rng(2)
    steps = generator.normal(size=(3, 6))
    changes = steps * generator.uniform(0.5, 2, 6)  # a diagonal positive Hessian
    gradient = generator.normal(size=6)
    padded = [np.vstack([np.zeros((1, 6)), m]) for m in (steps, changes)]
    a, b, scale = compact_coefficients(
        padded[0] @ padded[1].T,
        padded[1] @ padded[1].T,
        padded[0] @ gradient,
        padded[1] @ gradient,
    )
    scale = float(scale)
    found = (
        scale * gradient + padded[0].T @ a.numpy() + scale * (padded[1].T @ b.numpy())
    )

    q, alphas = gradient.copy(), []
    for s, y in zip(steps[::-1], changes[::-1], strict=True):
        alphas.append(s @ q / (s @ y))
        q -= alphas[-1] * y
    q *= steps[-1] @ changes[-1] / (changes[-1] @ changes[-1])
    for s, y, alpha in zip(steps, changes, alphas[::-1], strict=True):
        q += s * (alpha - y @ q / (s @ y))
    np.testing.assert_allclose(found, q, rtol=1e-5)


def test_lbfgs_keeps_the_newest_pairs_and_their_products():
    # The gradient of x^2 / 2 + y^2 is (x, 2 y): a change is (1, 2) times its move.
    optimizer = LBFGS(history=3)
    minimise(optimizer, lambda x: x[0] ** 2 / 2 + x[1] ** 2, [4.0, 1.0], 5)
    steps, changes = optimizer.steps.numpy(), optimizer.changes.numpy()
    assert int(optimizer.pairs) > 3
    np.testing.assert_allclose(changes, steps * [1, 2], atol=1e-5)
    norms = np.linalg.norm(steps, axis=1)
    assert norms[-1] < norms[0]
    for kept, expected in (
        (optimizer.step_products, steps @ changes.T),
        (optimizer.change_products, changes @ changes.T),
    ):
        np.testing.assert_allclose(kept.numpy(), expected, rtol=1e-4, atol=1e-5)


def test_lbfgs_survives_serialisation_with_its_history():
    copy = keras.optimizers.deserialize(keras.optimizers.serialize(LBFGS(0.5, 7)))
    assert (copy.history, float(copy.learning_rate)) == (7, 0.5)


def test_adam_learns_in_grey_levels():
    assert float(make_optimizer("adam", 2.55).learning_rate) == pytest.approx(0.01)


def test_an_unknown_optimizer_and_an_empty_history_are_refused():
    with pytest.raises(ConfigError, match="Unknown optimizer 'sgd'"):
        make_optimizer("sgd")
    with pytest.raises(ConfigError, match="history of 1 at least"):
        LBFGS(history=0)
