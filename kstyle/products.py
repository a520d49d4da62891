"""The product behind a Gram matrix, `F^T F`, and its gradient in one product more."""

import keras
import tensorflow as tf

from kstyle.graphs import with_gradient

GRADIENT = "KStyleChannelProducts"


def channel_products(flat):
    """`F^T F` in float32 of `(batch, positions, channels)` in any precision.

    With U the gradient that comes down to it, F gets F (U + U^T): one product, in F's
    precision. TensorFlow works out two from F^T F, both in float32.
    """
    if keras.backend.is_keras_tensor(flat):  # of a functional model that is being made
        return ChannelProducts().symbolic_call(flat)
    flat = tf.convert_to_tensor(flat)
    wide = tf.cast(flat, tf.float32)
    # Not of `tf.transpose`: that would be computed, and takes longer than the product.
    products = tf.matmul(wide, wide, transpose_a=True)
    if tf.executing_eagerly():
        return products
    return with_gradient(GRADIENT, products, flat)


@tf.RegisterGradient(GRADIENT)
def gradient(op, up, _):
    """Of what `channel_products` returns, at what its node takes."""
    flat = op.inputs[1]
    both = up + tf.linalg.matrix_transpose(up)
    return None, tf.matmul(flat, tf.cast(both, flat.dtype))


@keras.saving.register_keras_serializable("kstyle")
class ChannelProducts(keras.Operation):
    """`channel_products` as a node of a functional model."""

    def call(self, flat):
        return channel_products(flat)

    def compute_output_spec(self, flat):
        batch, _, channels = flat.shape
        return keras.KerasTensor((batch, channels, channels), "float32")
