"""L-BFGS as a Keras optimizer.

In TensorFlow, not in `keras.ops`: it writes rows of a matrix in place.
"""

import keras
import numpy as np
import tensorflow as tf
from keras import ops

from kstyle.errors import ConfigError
from kstyle.optimizers.parameterization import Pixels, as_basis


def flatten_tensors(tensors):
    """The `tensors` end to end as one float32 vector."""
    return ops.concatenate([ops.cast(ops.ravel(t), "float32") for t in tensors])


def unflatten_vector(vector, variables):
    """Pairs of each of `variables` and its part of `vector`, in its shape."""
    start = 0
    for variable in variables:
        end = start + int(np.prod(variable.shape))
        part = ops.reshape(vector[start:end], variable.shape)
        yield variable, ops.cast(part, variable.dtype)
        start = end


def compact_coefficients(sy, yy, sg, yg):
    """Weights (a, b, scale) in `H g = scale g + S^T a + scale Y^T b`, as float32.

    `sy`, `yy`: (m, m) products of the m pairs, the newest last; `sg`, `yg`: (m,)
    products with the gradient. Unused slots, the first, are zero rows and columns.
    """
    size = tf.shape(sy)[0]
    used = tf.linalg.diag_part(sy) != 0
    scale = sy[-1, -1] / yy[-1, -1]
    upper = tf.linalg.band_part(sy, 0, -1)
    # An unused slot gets a 1 on the diagonal, so that its coefficient is just 0.
    upper += tf.linalg.diag(tf.where(used, tf.zeros(size, sy.dtype), 1.0))
    u = tf.linalg.triangular_solve(upper, sg[:, None], lower=False)
    middle = tf.linalg.diag(tf.linalg.diag_part(sy)) + scale * yy
    right = middle @ u - scale * yg[:, None]
    a = tf.linalg.triangular_solve(upper, right, lower=False, adjoint=True)
    return tuple(tf.cast(x, tf.float32) for x in (a[:, 0], -u[:, 0], scale))


def mask_unused(products, used):
    """`products` in float64, the rows (and columns) of unused slots zeroed."""
    products, mask = tf.cast(products, tf.float64), tf.cast(used, tf.float64)
    return products * (mask if products.shape.rank == 1 else mask[:, None] * mask)


def shift_products(products, row, column):
    """`products` of pairs without the oldest, and with a newest: its row and column."""
    sides = tf.concat([products[1:, 1:], column[:-1, None]], 1)
    return tf.concat([sides, row[None]], 0)


MAX_HALVINGS = 6  # then the pairs are forgotten: 1/64 of a step says they mislead
COUNTER_DTYPE = (
    "int64"  # TensorFlow keeps an int32 variable of a GPU in the host: not for XLA
)
NO_LOSS = (
    -1e38
)  # of a point whose loss has not been told; not NaN, which checks trip on
MIN_CURVATURE = 1e-9  # pairs with less s.y / y.y are skipped: rounding, or negative


@keras.saving.register_keras_serializable("kstyle")
class LBFGS(keras.optimizers.Optimizer):
    """Limited-memory BFGS for full-batch problems, without a line search.

    Each `apply` costs one evaluation of the loss. The direction is the compact form
    of Byrd, Nocedal and Schnabel 1994 (theorem 2.2), which needs the pairs only in
    matrix products. A step that made the loss worse is taken back and halved; after
    six in a row the pairs are forgotten. The loss is heard of through `scale_loss`,
    which every Keras `train_step` calls; else the gradients tell (trapezoid rule).

    learning_rate: factor on every step, 1 as in Newton's method.
    history: pairs of steps and gradient changes that are kept; each takes twice the
        memory of the variables.
    basis: of `parameterizations`; the steps are those of L-BFGS on the coefficients.
        `None`: on the variables themselves.
    """

    def __init__(
        self,
        learning_rate=1.0,
        history=10,
        basis=None,
        name="lbfgs",
        **kwargs,
    ):
        super().__init__(learning_rate=learning_rate, name=name, **kwargs)
        if history < 1:
            raise ConfigError(f"L-BFGS needs a history of 1 at least, not {history!r}.")
        self.history = history
        self.basis = as_basis(basis)

    def build(self, variables):
        """Make the state: the accepted point, the step from it, and the pairs."""
        if self.built:
            return
        super().build(variables)
        size = sum(int(np.prod(variable.shape)) for variable in variables)
        self.shapes = [tuple(variable.shape) for variable in variables]
        for name in ("point", "slope", "pull", "step"):
            self._state(name, (size,))
        for name in ("steps", "changes"):
            self._state(name, (self.history, size))
        for name in ("products", "stretch"):
            self._state(name, (self.history, self.history))
        self._state("point_loss", ())
        self._state("trial_loss", (), NO_LOSS)
        for name in ("pairs", "halvings"):
            self._state(name, (), dtype=COUNTER_DTYPE)

    def _state(self, name, shape, value=0.0, dtype="float32"):
        start = keras.initializers.Constant(value)
        variable = self.add_variable(shape, initializer=start, dtype=dtype, name=name)
        setattr(self, name, variable)

    def scale_loss(self, loss):
        """Remember the loss at the present point; Keras calls this before `apply`."""
        if self.built:
            self.trial_loss.assign(ops.cast(loss, "float32"))
        return super().scale_loss(loss)

    def apply(self, grads, trainable_variables=None):
        """Move the variables once, given the gradients where they now are."""
        if trainable_variables is None:
            trainable_variables = self._trainable_variables
        if not self.built:
            with tf.init_scope():
                self.build(trainable_variables)
        slope, here = flatten_tensors(grads), flatten_tensors(trainable_variables)
        worse = self._worse(slope, here)
        tf.cond(worse, self._take_back, lambda: self._accept(slope, here))
        self.trial_loss.assign(NO_LOSS)
        self.iterations.assign_add(1)
        for variable, value in unflatten_vector(
            self.point + self.step, trainable_variables
        ):
            variable.assign(value)
            if variable.constraint is not None:
                variable.assign(variable.constraint(variable))

    def learn(self, steps, changes, pairs):
        """Begin with pairs of a loss that is nearly the same: they tell the lengths of
        the first steps.

        steps, changes: `history` tensors of the shape of the one variable, the newest
            last. pairs: how many of them are to be used; those before one without
            curvature are not.
        """
        pulled = self.basis(changes)
        rows = (self.history, -1)
        steps, changes, pulled = (tf.reshape(x, rows) for x in (steps, changes, pulled))
        onto = tf.matmul(steps, changes, transpose_b=True)
        least = MIN_CURVATURE * tf.reduce_sum(tf.square(changes), axis=1)
        curved = tf.cast(tf.linalg.diag_part(onto) > least, COUNTER_DTYPE)
        last = tf.reduce_sum(tf.math.cumprod(curved[::-1]))
        for variable, value in (
            (self.steps, steps),
            (self.changes, changes),
            (self.products, onto),
            (self.stretch, tf.matmul(changes, pulled, transpose_b=True)),
            (self.pairs, tf.minimum(tf.cast(pairs, COUNTER_DTYPE), last)),
        ):
            variable.assign(value)

    def finalize_variable_values(self, var_list):
        """At the end of `fit`, undo a last step that made the loss worse."""
        begun = self.built and int(self.iterations) and bool(self._losses_are_known())
        if begun and float(self.trial_loss) > float(self.point_loss):
            for variable, value in unflatten_vector(self.point, var_list):
                variable.assign(value)

    def get_config(self):
        basis = keras.saving.serialize_keras_object(self.basis)
        return {**super().get_config(), "history": self.history, "basis": basis}

    def _preconditioned(self, vector):
        """The flat `vector` by `A A^T` of the basis, variable by variable."""
        if isinstance(self.basis, Pixels):  # variables of any shape
            return vector
        ends = np.cumsum([int(np.prod(shape)) for shape in self.shapes])
        parts = tf.split(vector, np.diff(ends, prepend=0))
        pairs = zip(parts, self.shapes, strict=True)
        return flatten_tensors([self.basis(tf.reshape(*pair)) for pair in pairs])

    def rejects_last_step(self):
        """Return whether the next `apply` will take the last step back.

        As far as the losses tell, which `scale_loss` has been told of. Returns: a bool
        tensor.
        """
        return (self.iterations.value > 0) & self._losses_are_known() & self._rises()

    def accepted_point(self):
        """Return the flat point that the steps are taken from, and its gradient."""
        return self.point.value, self.slope.value

    def _losses_are_known(self):
        """Whether the losses of the accepted point and of the step from it are."""
        losses = tf.stack([self.trial_loss.value, self.point_loss.value])
        return tf.reduce_all(tf.math.is_finite(losses) & (losses > NO_LOSS))

    def _rises(self):
        """Whether the loss is more than rounding above that of the accepted point."""
        # float32 sums differ in the last bits; halving steps over that ends nowhere.
        rise = self.trial_loss - self.point_loss - 1e-6 * ops.abs(self.point_loss)
        return rise > 0

    def _worse(self, slope, here):
        """Whether the last step raised the loss, or led out of the finite numbers."""
        moved = ops.sum((slope + self.slope) * (here - self.point)) / 2
        rises = tf.where(self._losses_are_known(), self._rises(), moved > 0)
        lost = ~tf.math.is_finite(ops.sum(slope))
        return (self.iterations.value > 0) & (rises | lost)

    def _take_back(self):
        """Half the step from the accepted point, or a new start from there."""
        self.halvings.assign_add(1)
        restart = self.halvings.value % MAX_HALVINGS == 0
        self.pairs.assign(self.pairs * tf.cast(~restart, COUNTER_DTYPE))
        shrunk = self.step / 2
        self.step.assign(tf.where(restart, self._descent(tf.norm(shrunk)), shrunk))

    def _descent(self, length):
        """Steepest descent of `length` in the 2-norm; nothing where it is flat."""
        return -self.pull * (length / ops.maximum(tf.norm(self.pull), 1e-30))

    def _accept(self, slope, here):
        """Keep the pair, make `here` the accepted point and choose the next step."""
        first = self.iterations.value == 0
        change, moved = slope - self.slope, here - self.point
        curved = ops.sum(moved * change) > MIN_CURVATURE * ops.sum(ops.square(change))
        keep = curved & ~first
        pull = self._preconditioned(slope)
        pulled = pull - self.pull
        tf.cond(keep, lambda: self._remember(moved, change, pulled), lambda: None)
        for variable, value in (
            (self.point, here),
            (self.slope, slope),
            (self.pull, pull),
            (self.point_loss, self.trial_loss),
            (self.halvings, 0),
        ):
            variable.assign(value)
        # Without a pair there is no scale: SciPy's first length, 1. From a flat start
        # (noise) the curvature is negative for a while, and the steps have to grow.
        length = tf.where(first, 1.0, 4 * tf.norm(moved))
        step = tf.cond(
            self.pairs.value > 0, self._newton_step, lambda: self._descent(length)
        )
        self.step.assign(self.learning_rate * step)

    def _remember(self, moved, change, pulled):
        """Keep a pair: the move and the gradient's change, plain and preconditioned.

        The rows are all moved up for it. To write one in place (`scatter_update`) costs
        more: TensorFlow then copies the whole matrix whenever it is read.
        """
        for kept, value in ((self.steps, moved), (self.changes, change)):
            kept.assign(tf.concat([kept.value[1:], value[None]], 0))
        steps, changes = self.steps.value, self.changes.value
        onto = tf.linalg.matvec(changes, moved), tf.linalg.matvec(steps, change)
        self.products.assign(shift_products(self.products.value, *onto))
        # `Y M Y^T`, so that the preconditioned changes themselves need not be kept.
        onto = tf.linalg.matvec(changes, pulled)
        self.stretch.assign(shift_products(self.stretch.value, onto, onto))
        self.pairs.assign_add(1)

    def _newton_step(self):
        """`-H slope` for the compact H of the pairs."""
        used = (
            tf.range(self.history, dtype=COUNTER_DTYPE)
            >= self.history - self.pairs.value
        )
        steps, changes = self.steps.value, self.changes.value
        a, b, scale = compact_coefficients(
            mask_unused(self.products.value, used),
            mask_unused(self.stretch.value, used),
            mask_unused(tf.linalg.matvec(steps, self.slope.value), used),
            mask_unused(tf.linalg.matvec(changes, self.pull.value), used),
        )
        onto = self._preconditioned(tf.linalg.matvec(changes, b, transpose_a=True))
        along = tf.linalg.matvec(steps, a, transpose_a=True)
        return -(scale * (self.pull + onto) + along)
