"""Adam on the coefficients of a picture."""

from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf
from keras import ops

from kstyle.optimizers.parameterization import Basis, as_basis


@keras.saving.register_keras_serializable("kstyle")
class BasisAdam(keras.optimizers.Adam):
    """Adam (Kingma and Ba 2015) on the coefficients of the variables in a `Basis`.

    With `use_ema` it averages what the constraint of a variable has left of each step.
    basis: a `Basis`; `None`: the variables themselves, as `keras.optimizers.Adam`.
        Other arguments are those of `keras.optimizers.Adam`.
    """

    def __init__(
        self,
        learning_rate: float = 0.001,
        *,
        basis: Basis | dict | None,
        **kwargs: Any,
    ) -> None:
        super().__init__(learning_rate, **kwargs)
        self.basis = as_basis(basis)

    def build(self, variables: Sequence[keras.Variable]) -> None:
        """Make the two moments of every coefficient, as zeros."""
        if self.built:
            return
        keras.optimizers.Optimizer.build(self, variables)
        self._moments = [self._add_moments(variable) for variable in variables]

    def _add_moments(self, variable: keras.Variable) -> list[list[keras.Variable]]:
        """Add a mean and a mean square for each tensor of coefficients."""
        coefficients = self.basis.apply_transpose(tf.zeros(variable.shape))
        return [
            [self.add_variable(part.shape, name=name) for name in ("mean", "square")]
            for part in coefficients
        ]

    def _backend_update_step(
        self,
        grads: Sequence[tf.Tensor],
        trainable_variables: Sequence[keras.Variable],
        learning_rate: tf.Tensor,
    ) -> None:
        # Keras's method goes through TensorFlow's distribution strategy, which keeps
        # every graph that it is traced in for the life of the process. kstyle has one
        # picture on one device.
        for gradient, variable in zip(grads, trainable_variables, strict=True):
            self.update_step(gradient, variable, learning_rate)

    def update_step(
        self, gradient: tf.Tensor, variable: keras.Variable, learning_rate: tf.Tensor
    ) -> None:
        """Update the moments from `gradient`, and `variable` by one step."""
        time = ops.cast(self.iterations + 1, "float32")
        rate = learning_rate * ops.sqrt(1 - self.beta_2**time) / (1 - self.beta_1**time)
        moments = self._moments[self._get_variable_index(variable)]
        coefficient_steps = []
        for part, (mean, square) in zip(
            self.basis.apply_transpose(gradient), moments, strict=True
        ):
            mean.assign_add((1 - self.beta_1) * (part - mean))
            square.assign_add((1 - self.beta_2) * (ops.square(part) - square))
            coefficient_steps.append(mean / (ops.sqrt(square) + self.epsilon))
        step = self.basis.apply(coefficient_steps, variable.shape[1:3])
        moved = variable - rate * step
        # Keras constrains a variable too, but only after it has averaged it.
        is_limited = variable.constraint is not None
        variable.assign(variable.constraint(moved) if is_limited else moved)

    def get_config(self) -> dict[str, Any]:
        basis = keras.saving.serialize_keras_object(self.basis)
        return {**super().get_config(), "basis": basis}
