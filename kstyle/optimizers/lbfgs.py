"""L-BFGS as a Keras optimizer.

Written for the TensorFlow backend: conditions in a graph (`tf.cond`) and float64
products have no equivalent in `keras.ops`.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from keras import ops

from kstyle.errors import ConfigError
from kstyle.optimizers.parameterization import Basis, Pixels, as_basis

# After this many halvings in a row the pairs are dropped: a step that has to be cut to
# 1/64 says that they no longer describe the loss.
MAX_HALVINGS = 6
# TensorFlow keeps an int32 variable of a GPU in host memory, where XLA cannot use it.
COUNTER_DTYPE = "int64"
# Stands for a loss that is not known. Not NaN, at which `check_numerics` would stop.
NO_LOSS = -1e38
# Pairs with less `s.y / y.y` are skipped: rounding, or negative curvature.
MIN_CURVATURE = 1e-9


def flatten_tensors(tensors: Sequence[Any]) -> tf.Tensor:
    """Concatenate `tensors` of any shapes into one float32 vector."""
    return ops.concatenate([ops.cast(ops.ravel(t), "float32") for t in tensors])


def unflatten_vector(
    vector: tf.Tensor, variables: Sequence[keras.Variable]
) -> Iterator[tuple[keras.Variable, tf.Tensor]]:
    """Yield each variable with its part of `vector`, in its shape and type.

    Inverse of `flatten_tensors`.
    """
    start = 0
    for variable in variables:
        end = start + int(np.prod(variable.shape))
        part = ops.reshape(vector[start:end], variable.shape)
        yield variable, ops.cast(part, variable.dtype)
        start = end


def compact_coefficients(
    sy: tf.Tensor, yy: tf.Tensor, sg: tf.Tensor, yg: tf.Tensor
) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """Compute (a, b, scale) in `H g = scale g + S^T a + scale Y^T b`, as float32.

    H approximates the inverse Hessian: Byrd, Nocedal and Schnabel 1994, theorem 2.2.
    sy, yy: `(m, m)` products `S Y^T` and `Y Y^T` of m pairs, the newest last.
    sg, yg: `(m,)` products `S g` and `Y g` with the gradient. Unused slots, which come
        first, are zero rows and columns.
    """
    size = tf.shape(sy)[0]
    used = tf.linalg.diag_part(sy) != 0
    scale = sy[-1, -1] / yy[-1, -1]
    upper = tf.linalg.band_part(sy, 0, -1)
    # An unused slot gets a 1 on the diagonal, which makes its coefficient 0.
    upper += tf.linalg.diag(tf.where(used, tf.zeros(size, sy.dtype), 1.0))
    u = tf.linalg.triangular_solve(upper, sg[:, None], lower=False)
    middle = tf.linalg.diag(tf.linalg.diag_part(sy)) + scale * yy
    right = middle @ u - scale * yg[:, None]
    a = tf.linalg.triangular_solve(upper, right, lower=False, adjoint=True)
    return tuple(tf.cast(x, tf.float32) for x in (a[:, 0], -u[:, 0], scale))


def mask_unused(products: tf.Tensor, used: tf.Tensor) -> tf.Tensor:
    """Return `products` in float64 with the rows and columns of unused slots zeroed.

    products: `(m, m)` or `(m,)`. used: `(m,)` bool.
    """
    products, mask = tf.cast(products, tf.float64), tf.cast(used, tf.float64)
    return products * (mask if products.shape.rank == 1 else mask[:, None] * mask)


def shift_products(products: tf.Tensor, row: tf.Tensor, column: tf.Tensor) -> tf.Tensor:
    """Drop the oldest pair from `(m, m)` `products` and append the newest.

    row, column: `(m,)` products of the newest pair with all.
    """
    kept_rows = tf.concat([products[1:, 1:], column[:-1, None]], 1)
    return tf.concat([kept_rows, row[None]], 0)


@keras.saving.register_keras_serializable("kstyle")
class LBFGS(keras.optimizers.Optimizer):
    """Limited-memory BFGS for full-batch problems, without a line search.

    Each `apply` costs one evaluation of the loss. The direction is the compact form
    of Byrd, Nocedal and Schnabel 1994 (theorem 2.2), which needs the pairs only in
    matrix products. A step that raised the loss is undone and halved; after
    `MAX_HALVINGS` in a row the pairs are dropped. The loss comes from `scale_loss`,
    which every Keras `train_step` calls; without it, its change is estimated from the
    gradients (trapezoid rule).

    learning_rate: factor on every step; 1 is Newton's method.
    history: number of pairs (step, change of the gradient) that are kept; each takes
        twice the memory of the variables.
    basis: a `Basis`: the steps are those of L-BFGS on its coefficients. `None`: on the
        variables themselves.
    Raises: ConfigError: `history` is less than 1.
    """

    def __init__(
        self,
        learning_rate: float = 1.0,
        history: int = 10,
        basis: Basis | dict | None = None,
        name: str = "lbfgs",
        **kwargs: Any,
    ) -> None:
        super().__init__(learning_rate=learning_rate, name=name, **kwargs)
        if history < 1:
            raise ConfigError(f"L-BFGS needs a history of 1 at least, not {history!r}.")
        self.history = history
        self.basis = as_basis(basis)

    def build(self, variables: Sequence[keras.Variable]) -> None:
        """Make the state: the accepted point, the step from it, and the pairs.

        With n numbers in `variables` and m pairs: the point and its gradient, plain and
        times `A A^T` of the basis, and the step: `(n,)` each; the pairs S and Y:
        `(m, n)` each; `S Y^T` and `Y A A^T Y^T`: `(m, m)`. The order is that in which
        `state.npz` of a run stores them.
        """
        if self.built:
            return
        super().build(variables)
        size = sum(int(np.prod(variable.shape)) for variable in variables)
        self.shapes = [tuple(variable.shape) for variable in variables]
        for name in ("point", "gradient", "preconditioned_gradient", "step"):
            self._add_state(name, (size,))
        for name in ("steps", "changes"):
            self._add_state(name, (self.history, size))
        for name in ("step_products", "change_products"):
            self._add_state(name, (self.history, self.history))
        self._add_state("point_loss", ())
        self._add_state("trial_loss", (), NO_LOSS)
        for name in ("pairs", "halvings"):
            self._add_state(name, (), dtype=COUNTER_DTYPE)

    def _add_state(
        self,
        name: str,
        shape: tuple[int, ...],
        value: float = 0.0,
        dtype: str = "float32",
    ) -> None:
        """Add a variable of that name, full of `value`, as an attribute."""
        initializer = keras.initializers.Constant(value)
        variable = self.add_variable(
            shape, initializer=initializer, dtype=dtype, name=name
        )
        setattr(self, name, variable)

    def scale_loss(self, loss: tf.Tensor) -> tf.Tensor:
        """Record the loss at the current point; Keras calls this before `apply`."""
        if self.built:
            self.trial_loss.assign(ops.cast(loss, "float32"))
        return super().scale_loss(loss)

    def apply(
        self,
        grads: Sequence[tf.Tensor],
        trainable_variables: Sequence[keras.Variable] | None = None,
    ) -> None:
        """Take one step, given the gradients at the current point."""
        if trainable_variables is None:
            trainable_variables = self._trainable_variables
        if not self.built:
            with tf.init_scope():
                self.build(trainable_variables)
        gradient = flatten_tensors(grads)
        point = flatten_tensors(trainable_variables)
        worse = self._is_worse(gradient, point)
        tf.cond(worse, self._shorten_step, lambda: self._accept(gradient, point))
        self.trial_loss.assign(NO_LOSS)
        self.iterations.assign_add(1)
        for variable, value in unflatten_vector(
            self.point + self.step, trainable_variables
        ):
            variable.assign(value)
            if variable.constraint is not None:
                variable.assign(variable.constraint(variable))

    def load_pairs(
        self, steps: tf.Tensor, changes: tf.Tensor, pairs: tf.Tensor
    ) -> None:
        """Load the pairs of a similar loss, so that the first steps have its scale.

        steps, changes: `(history, *shape)` for the one variable of `shape`, the newest
            last.
        pairs: number of pairs to use, from the newest back to the first without
            positive curvature.
        """
        preconditioned = self.basis(changes)
        steps, changes, preconditioned = (
            tf.reshape(x, (self.history, -1)) for x in (steps, changes, preconditioned)
        )
        step_products = tf.matmul(steps, changes, transpose_b=True)
        least = MIN_CURVATURE * tf.reduce_sum(tf.square(changes), axis=1)
        curved = tf.cast(tf.linalg.diag_part(step_products) > least, COUNTER_DTYPE)
        usable = tf.reduce_sum(tf.math.cumprod(curved[::-1]))
        self.steps.assign(steps)
        self.changes.assign(changes)
        self.step_products.assign(step_products)
        self.change_products.assign(
            tf.matmul(changes, preconditioned, transpose_b=True)
        )
        self.pairs.assign(tf.minimum(tf.cast(pairs, COUNTER_DTYPE), usable))

    def change_loss(
        self, grads: Sequence[tf.Tensor], variables: Sequence[keras.Variable]
    ) -> None:
        """Continue with another loss, given its gradients at the current point.

        Its value there was given to `scale_loss`. The pairs are kept: the other loss
        is taken to have a similar curvature.
        """
        if not int(self.pairs):  # then the length of the next step comes from the last
            return
        self.point.assign(flatten_tensors(variables))
        self.gradient.assign(flatten_tensors(grads))
        self.point_loss.assign(self.trial_loss)

    def finalize_variable_values(self, var_list: Sequence[keras.Variable]) -> None:
        """Undo a last step that raised the loss: Keras calls this after `fit`."""
        known = self.built and int(self.iterations) and bool(self._losses_are_known())
        if known and float(self.trial_loss) > float(self.point_loss):
            for variable, value in unflatten_vector(self.point, var_list):
                variable.assign(value)

    def get_config(self) -> dict[str, Any]:
        basis = keras.saving.serialize_keras_object(self.basis)
        return {**super().get_config(), "history": self.history, "basis": basis}

    def _precondition(self, vector: tf.Tensor) -> tf.Tensor:
        """Multiply the flat `vector` by `A A^T` of the basis, variable by variable."""
        if isinstance(self.basis, Pixels):  # A is 1, for variables of any shape
            return vector
        ends = np.cumsum([int(np.prod(shape)) for shape in self.shapes])
        parts = tf.split(vector, np.diff(ends, prepend=0))
        return flatten_tensors(
            [
                self.basis(tf.reshape(part, shape))
                for part, shape in zip(parts, self.shapes, strict=True)
            ]
        )

    def rejects_last_step(self) -> tf.Tensor:
        """Return whether the next `apply` will undo the last step, as a bool tensor.

        Decided by the losses given to `scale_loss`; False without them.
        """
        return (
            (self.iterations.value > 0) & self._losses_are_known() & self._loss_rises()
        )

    def accepted_point(self) -> tuple[tf.Tensor, tf.Tensor]:
        """Return the last accepted point and its gradient, as flat vectors."""
        return self.point.value, self.gradient.value

    def _losses_are_known(self) -> tf.Tensor:
        """Return whether the losses before and after the last step are known."""
        losses = tf.stack([self.trial_loss.value, self.point_loss.value])
        return tf.reduce_all(tf.math.is_finite(losses) & (losses > NO_LOSS))

    def _loss_rises(self) -> tf.Tensor:
        """Return whether the last step raised the loss by more than rounding."""
        # float32 sums differ in the last bits: without the margin, steps near a minimum
        # would be halved for that alone.
        rise = self.trial_loss - self.point_loss - 1e-6 * ops.abs(self.point_loss)
        return rise > 0

    def _is_worse(self, gradient: tf.Tensor, point: tf.Tensor) -> tf.Tensor:
        """Return whether the last step raised the loss or made the gradient infinite.

        gradient, point: flat vectors, after that step.
        """
        # Trapezoid rule along the step.
        rise = ops.sum((gradient + self.gradient) * (point - self.point)) / 2
        rises = tf.where(self._losses_are_known(), self._loss_rises(), rise > 0)
        not_finite = ~tf.math.is_finite(ops.sum(gradient))
        return (self.iterations.value > 0) & (rises | not_finite)

    def _shorten_step(self) -> None:
        """Halve the step; after `MAX_HALVINGS`, drop the pairs and use the gradient."""
        self.halvings.assign_add(1)
        restart = self.halvings.value % MAX_HALVINGS == 0
        self.pairs.assign(self.pairs * tf.cast(~restart, COUNTER_DTYPE))
        half = self.step / 2
        self.step.assign(tf.where(restart, self._descent_step(tf.norm(half)), half))

    def _descent_step(self, length: tf.Tensor) -> tf.Tensor:
        """Return a step of steepest descent, of 2-norm `length`."""
        direction = self.preconditioned_gradient
        return -direction * (length / ops.maximum(tf.norm(direction), 1e-30))

    def _accept(self, gradient: tf.Tensor, point: tf.Tensor) -> None:
        """Accept `point`: store the pair that led to it and choose the next step.

        gradient, point: flat vectors.
        """
        first = self.iterations.value == 0
        change, step = gradient - self.gradient, point - self.point
        curved = ops.sum(step * change) > MIN_CURVATURE * ops.sum(ops.square(change))
        preconditioned_gradient = self._precondition(gradient)
        preconditioned_change = preconditioned_gradient - self.preconditioned_gradient
        tf.cond(
            curved & ~first,
            lambda: self._store_pair(step, change, preconditioned_change),
            lambda: None,
        )
        self.point.assign(point)
        self.gradient.assign(gradient)
        self.preconditioned_gradient.assign(preconditioned_gradient)
        self.point_loss.assign(self.trial_loss)
        self.halvings.assign(0)
        # Without a pair the scale is unknown: the first length is 1, as in SciPy. From
        # a flat start (noise) the curvature is negative at first: the steps must grow.
        length = tf.where(first, 1.0, 4 * tf.norm(step))
        next_step = tf.cond(
            self.pairs.value > 0, self._newton_step, lambda: self._descent_step(length)
        )
        self.step.assign(self.learning_rate * next_step)

    def _store_pair(
        self, step: tf.Tensor, change: tf.Tensor, preconditioned_change: tf.Tensor
    ) -> None:
        """Append a pair, `(n,)` each, and drop the oldest."""
        # All rows are shifted. Writing one in place (`scatter_update`) costs more:
        # TensorFlow then copies the whole matrix whenever it is read.
        for rows, row in ((self.steps, step), (self.changes, change)):
            rows.assign(tf.concat([rows.value[1:], row[None]], 0))
        steps, changes = self.steps.value, self.changes.value
        row = tf.linalg.matvec(changes, step)
        column = tf.linalg.matvec(steps, change)
        self.step_products.assign(shift_products(self.step_products.value, row, column))
        # With `Y A A^T Y^T` the preconditioned changes themselves need not be stored.
        row = tf.linalg.matvec(changes, preconditioned_change)
        self.change_products.assign(
            shift_products(self.change_products.value, row, row)
        )
        self.pairs.assign_add(1)

    def _newton_step(self) -> tf.Tensor:
        """Return `-H gradient`, H from the pairs by `compact_coefficients`."""
        used = (
            tf.range(self.history, dtype=COUNTER_DTYPE)
            >= self.history - self.pairs.value
        )
        steps, changes = self.steps.value, self.changes.value
        a, b, scale = compact_coefficients(
            mask_unused(self.step_products.value, used),
            mask_unused(self.change_products.value, used),
            mask_unused(tf.linalg.matvec(steps, self.gradient.value), used),
            mask_unused(
                tf.linalg.matvec(changes, self.preconditioned_gradient.value), used
            ),
        )
        along_changes = self._precondition(
            tf.linalg.matvec(changes, b, transpose_a=True)
        )
        along_steps = tf.linalg.matvec(steps, a, transpose_a=True)
        preconditioned = self.preconditioned_gradient + along_changes
        return -(scale * preconditioned + along_steps)
