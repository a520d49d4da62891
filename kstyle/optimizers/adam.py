"""Adam on the coefficients of a picture."""

import keras
import tensorflow as tf
from keras import ops

from kstyle.optimizers.parameterization import as_basis


@keras.saving.register_keras_serializable("kstyle")
class BasisAdam(keras.optimizers.Adam):
    """Adam (Kingma and Ba 2015) on the coefficients of the variables in a `Basis`."""

    def __init__(self, learning_rate=0.001, *, basis, **kwargs):
        super().__init__(learning_rate, **kwargs)
        self.basis = as_basis(basis)

    def build(self, variables):
        """Make the two moments of every coefficient."""
        if self.built:
            return
        keras.optimizers.Optimizer.build(self, variables)
        self._moments = [self._zeros(variable) for variable in variables]

    def _zeros(self, variable):
        parts = self.basis.parts(tf.zeros(variable.shape))
        return [
            [self.add_variable(part.shape, name=name) for name in ("mean", "square")]
            for part in parts
        ]

    def _backend_update_step(self, grads, trainable_variables, learning_rate):
        # Keras's own asks TensorFlow's distribution strategy, which keeps every graph
        # that it is traced in for the life of the process. There is one picture here.
        for gradient, variable in zip(grads, trainable_variables, strict=True):
            self.update_step(gradient, variable, learning_rate)

    def update_step(self, gradient, variable, learning_rate):
        time = ops.cast(self.iterations + 1, "float32")
        rate = learning_rate * ops.sqrt(1 - self.beta_2**time) / (1 - self.beta_1**time)
        moments, moves = self._moments[self._get_variable_index(variable)], []
        for part, (mean, square) in zip(
            self.basis.parts(gradient), moments, strict=True
        ):
            mean.assign_add((1 - self.beta_1) * (part - mean))
            square.assign_add((1 - self.beta_2) * (ops.square(part) - square))
            moves.append(mean / (ops.sqrt(square) + self.epsilon))
        move = self.basis.whole(moves, variable.shape[1:3])
        variable.assign_sub(rate * move)

    def get_config(self):
        basis = keras.saving.serialize_keras_object(self.basis)
        return {**super().get_config(), "basis": basis}
