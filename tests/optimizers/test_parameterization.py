"""The bases of the picture: maps by hand, and the steps of the optimisers in them."""

import csv

import keras
import numpy as np
import pytest
import tensorflow as tf

import kstyle
from kstyle.errors import ConfigError
from kstyle.optimizers.adam import BasisAdam
from kstyle.optimizers.factory import make_optimizer
from kstyle.optimizers.lbfgs import LBFGS
from kstyle.optimizers.parameterization import (
    BASES,
    Fourier,
    Pyramid,
    dct_matrix,
    make_basis,
    upsample,
    upsample_adjoint,
)
from kstyle.transfer.pixel_range import PixelLimits

TESTED_BASES = (Pyramid(3, 0.7), Fourier(0.5))


def values(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype("float32")


def test_upsample_adjoint_sums_the_gradients_of_copies():
    flat = tf.ones((1, 1, 1, 3))
    np.testing.assert_array_equal(upsample(flat, (2, 2)), np.ones((1, 2, 2, 3)))
    picture = tf.constant(np.arange(4.0).reshape(1, 2, 2, 1), "float32")
    np.testing.assert_array_equal(upsample_adjoint(picture, (1, 1)), [[[[6]]]])


@pytest.mark.parametrize("basis", TESTED_BASES, ids=["pyramid", "fourier"])
@pytest.mark.parametrize("size", [(7, 10), (1, 5), (8, 8)])
def test_apply_transpose_is_the_transpose_of_apply(basis, size):
    gradient = tf.constant(values(1, *size, 3))
    parts = basis.apply_transpose(gradient)
    others = [tf.constant(values(*part.shape, seed=1)) for part in parts]
    inside = sum(tf.reduce_sum(a * b) for a, b in zip(parts, others, strict=True))
    outside = tf.reduce_sum(gradient * basis.apply(others, size))
    np.testing.assert_allclose(inside, outside, rtol=1e-4)


def test_a_pyramid_adds_the_steps_of_all_levels():
    # Level 1 has one pixel that sums four: 1 + 0.5 * 0.5 * 4 = 2.
    moved = Pyramid(2, 0.5)(tf.ones((1, 2, 2, 3)))
    np.testing.assert_allclose(moved, np.full((1, 2, 2, 3), 2))


def test_the_cosines_are_orthonormal_and_begin_with_the_mean():
    matrix = dct_matrix(5)
    np.testing.assert_allclose(matrix @ matrix.T, np.eye(5), atol=1e-6)
    np.testing.assert_allclose(matrix[0], np.full(5, 5**-0.5), rtol=1e-6)


def test_frequencies_of_power_0_are_the_pixels():
    gradient = tf.constant(values(1, 4, 6, 3))
    np.testing.assert_allclose(Fourier(0)(gradient), gradient, atol=1e-5)


def test_low_frequencies_move_further_than_high_ones():
    # Of 4 pixels: 1/4 (the mean too), 1/4, 2/4 and 3/4; a power of 1 counts twice.
    moved, flat = Fourier(1.0), tf.ones((1, 1, 4, 1))
    highest = tf.reshape(dct_matrix(4)[3], (1, 1, 4, 1))
    np.testing.assert_allclose(moved(flat), 9 * flat, rtol=1e-5)
    np.testing.assert_allclose(moved(highest), highest, rtol=1e-5)


def quartic(x):
    """Convex, with curvatures from 1 to 210."""
    flat = tf.reshape(x, (-1,))
    scale = tf.range(1.0, 211.0)
    return tf.reduce_sum(flat**4 + scale * tf.square(flat - 1))


def minimise(optimizer, variables, picture, evaluations):
    """The loss at each evaluation of the picture that `picture(variables)` is."""
    optimizer.build(variables)

    @tf.function
    def step():
        with tf.GradientTape() as tape:
            value = quartic(picture([v.value for v in variables]))
        gradients = tape.gradient(value, [v.value for v in variables])
        optimizer.scale_loss(value)
        optimizer.apply(gradients, variables)
        return value

    return [float(step()) for _ in range(evaluations)]


def levels(basis, start):
    """The coefficients of `start`: all of it in the finest level."""
    parts = basis.apply_transpose(tf.zeros(start.shape))
    coarse = [np.zeros(part.shape, "float32") for part in parts[1:]]
    return [keras.Variable(value) for value in (start, *coarse)]


@pytest.mark.parametrize(
    ("inside", "outside", "tolerance"),
    [
        # L-BFGS's first move has another length: 1 in coefficients, or in pixels.
        (lambda basis: LBFGS(basis=basis), LBFGS, 0.15),
        (
            lambda basis: BasisAdam(0.01, basis=basis),
            lambda: keras.optimizers.Adam(0.01),
            1e-3,
        ),
    ],
    ids=["lbfgs", "adam"],
)
def test_a_basis_equals_optimising_its_coefficients(inside, outside, tolerance):
    basis, start = Pyramid(3, 0.7), values(1, 7, 10, 3)
    ours = minimise(inside(basis), [keras.Variable(start)], lambda x: x[0], 30)
    theirs = minimise(
        outside(), levels(basis, start), lambda x: basis.apply(x, (7, 10)), 30
    )
    np.testing.assert_allclose(ours[4:], theirs[4:], rtol=tolerance)
    assert ours[-1] < ours[0] / 2


@pytest.mark.parametrize("name", ["adam", "lbfgs"])
@pytest.mark.parametrize("kind", [kind for kind in BASES if kind != "pixels"])
def test_optimisers_survive_serialisation_with_their_basis(name, kind):
    optimizer = make_optimizer(name, parameterization=kind)
    copy = keras.optimizers.deserialize(keras.optimizers.serialize(optimizer))
    assert copy.basis.get_config() == make_basis(kind).get_config()


def test_adams_average_is_that_of_the_pictures():
    optimizer = make_optimizer("adam", 2.55, average=0.5, parameterization="pyramid")
    variable = keras.Variable(np.zeros((1, 2, 2, 3), "float32"))
    optimizer.build([variable])
    pictures = []
    for _ in range(2):
        optimizer.apply([tf.ones((1, 2, 2, 3))], [variable])
        pictures.append(variable.numpy())
    optimizer.finalize_variable_values([variable])
    expected = 0.5 * pictures[0] + 0.5 * pictures[1]
    np.testing.assert_allclose(variable.numpy(), expected, rtol=1e-5)


@pytest.mark.parametrize("kind", BASES)
def test_adams_average_stays_within_the_limits_of_the_pixels(kind):
    optimizer = make_optimizer("adam", 2.55, average=0.5, parameterization=kind)
    limits = PixelLimits(*(np.full((2, 2, 3), x, "float32") for x in (0.5, 0.504)))
    start = np.full((1, 2, 2, 3), 0.5, "float32")
    variable = keras.Variable(start)
    variable.constraint = limits
    optimizer.build([variable])
    for _ in range(3):
        optimizer.apply([-tf.ones(start.shape)], [variable])
    optimizer.finalize_variable_values([variable])
    # Three steps of 0.01 or more: the limit, in each of the averaged pictures.
    np.testing.assert_allclose(variable.numpy(), 0.504, rtol=1e-6)


def test_an_unknown_parameterization_is_refused():
    with pytest.raises(ConfigError, match="Unknown parameterization 'wavelets'"):
        make_optimizer("lbfgs", parameterization="wavelets")


@pytest.mark.parametrize(
    ("name", "kind"), [("lbfgs", "pyramid"), ("lbfgs", "fourier"), ("adam", "pyramid")]
)
def test_a_run_with_a_parameterization_lowers_the_loss(name, kind, small_run):
    options = {"optimizer": name, "parameterization": kind, "scales": "12,18"}
    config = kstyle.StyleConfig(**(small_run | options))
    result = kstyle.stylize(config)
    with open(result.folder / "losses.csv") as file:
        first = next(csv.DictReader(file))
    assert result.losses["loss"] < 0.9 * float(first["loss"])
