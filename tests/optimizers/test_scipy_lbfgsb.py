"""SciPy's L-BFGS-B, one evaluation at a time, against SciPy itself."""

import gc
import sys
import threading

import keras
import numpy as np
import pytest
import tensorflow as tf
from scipy.optimize import Bounds, minimize

from kstyle.errors import ConfigError
from kstyle.optimizers.factory import make_optimizer
from kstyle.optimizers.scipy_lbfgsb import UPPER_BOUND, Minimization, SciPyLBFGSB

GENERATOR = np.random.default_rng(0)
MATRIX = GENERATOR.normal(size=(12, 8)).astype("float32")
TARGET = GENERATOR.uniform(-0.3, 1.3, 8).astype("float32")  # partly out of bounds


def loss_of(x):
    return tf.reduce_sum(tf.linalg.matvec(MATRIX, x - TARGET) ** 2)


def loss_and_gradient(x):
    x = tf.constant(x, tf.float32)
    with tf.GradientTape() as tape:
        tape.watch(x)
        loss = loss_of(x)
    return float(loss), tape.gradient(loss, x).numpy().astype("float64")


def run(optimizer, steps=1000):
    """Return the losses of the evaluated points and the final variable."""
    variable = keras.Variable(np.full(8, 0.5), dtype="float32")
    optimizer.build([variable])

    @tf.function
    def step():
        with tf.GradientTape() as tape:
            loss = loss_of(variable.value)
        gradient = tape.gradient(loss, variable.value)
        optimizer.scale_loss(loss)
        optimizer.apply([gradient], [variable])
        return loss

    losses = []
    while len(losses) < steps and not (
        optimizer.minimization is not None and optimizer.minimization.finished
    ):
        losses.append(float(step()))
    return losses, variable


def test_it_evaluates_what_scipy_alone_evaluates():
    seen = []

    def function(x):
        loss, gradient = loss_and_gradient(x / UPPER_BOUND)
        seen.append(loss)
        return loss, gradient / UPPER_BOUND

    start = np.full(8, UPPER_BOUND / 2)
    bounds = Bounds(np.zeros(8), np.full(8, UPPER_BOUND))
    result = minimize(function, start, jac=True, method="L-BFGS-B", bounds=bounds)
    optimizer = SciPyLBFGSB()
    losses, variable = run(optimizer)
    np.testing.assert_allclose(losses[:5], seen[:5], rtol=1e-5)
    np.testing.assert_allclose(variable.numpy(), result.x / UPPER_BOUND, atol=1e-4)
    assert optimizer.minimization.evaluations == len(losses)
    assert int(optimizer.done) == optimizer.minimization.iterations > 3
    assert "CONVERGENCE" in optimizer.minimization.message
    on_a_bound = np.isin(variable.numpy(), (0, 1))
    assert 0 < on_a_bound.sum() < 8


def test_it_ends_after_its_iterations_at_the_last_one():
    optimizer = SciPyLBFGSB(max_iterations=2)
    _, variable = run(optimizer)
    accepted = optimizer.minimization.accepted / UPPER_BOUND
    assert int(optimizer.done) == optimizer.minimization.iterations == 2
    optimizer.finalize_variable_values([variable])
    np.testing.assert_allclose(variable.numpy(), accepted, atol=1e-7)
    assert optimizer.minimization is None and int(optimizer.done) == 0


def test_a_variable_that_was_changed_begins_a_new_minimisation():
    optimizer = SciPyLBFGSB()
    _, variable = run(optimizer, steps=4)
    first = optimizer.minimization
    variable.assign(np.full(8, 0.25))
    optimizer.scale_loss(loss_of(variable.value))
    optimizer.apply([loss_and_gradient(variable.numpy())[1]], [variable])
    assert optimizer.minimization is not first
    assert optimizer.minimization.evaluations == 1
    optimizer.finalize_variable_values([variable])
    np.testing.assert_array_equal(variable.numpy(), np.full(8, 0.25, "float32"))


def test_a_forgotten_minimisation_ends_its_thread():
    before = threading.active_count()
    optimizer, variable = SciPyLBFGSB(), keras.Variable(np.full(8, 0.5))
    optimizer.build([variable])
    optimizer.apply([np.ones(8, "float32")], [variable])
    assert threading.active_count() == before + 1
    del optimizer
    gc.collect()
    assert threading.active_count() == before


def test_an_error_of_scipy_reaches_the_caller():
    minimization = Minimization(np.full(3, 9.0), history=10, max_iterations=None)
    with pytest.raises(ValueError):
        minimization.advance(np.zeros(2), np.zeros(3))  # a loss is one number


def test_its_options_survive_serialisation():
    config = SciPyLBFGSB(7, 20).get_config()
    again = SciPyLBFGSB.from_config(config)
    assert (again.history, again.max_iterations) == (7, 20)
    made = make_optimizer("scipy", history=7, iterations=20)
    assert (made.history, made.max_iterations) == (7, 20)


def test_without_scipy_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "scipy", None)
    with pytest.raises(ConfigError, match=r'pip install "kstyle\[scipy\]"'):
        SciPyLBFGSB()
