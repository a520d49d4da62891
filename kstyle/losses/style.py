"""The style loss: Gram matrices of features and their distance."""

import keras
import tensorflow as tf
from keras import ops

from kstyle.losses.base import TermLoss, half_square_sum
from kstyle.ops.tf_utils import override_gradient

# The reference multiplies the style loss by this, out of sight of its options; a style
# weight of 200 is 0.02 without it.
STYLE_FACTOR = 1e-4


def gram_matrix(features):
    """Which channels are active together: `(batch, H, W, C)` to `(batch, C, C)`.

    Gatys et al. 2016, eq. 3, divided by H W so that a picture's size does not count.
    Summed in float32, whatever the features are in.
    """
    batch, height, wide, channels = ops.shape(features)
    flat = ops.reshape(features, (batch, height * wide, channels))
    return channel_products(flat) / ops.cast(height * wide, "float32")


@keras.saving.register_keras_serializable("kstyle")
class GramLoss(TermLoss):
    """`1e-4 sum((G - G_style)^2) / 2 / C^2`: how it is painted (Gatys 2016, eq. 4)."""

    def __init__(self, name="style", **kwargs):
        super().__init__(name, **kwargs)

    def represent(self, features):
        return gram_matrix(features)

    def call(self, target, gram):
        """Of two Gram matrices `(batch, C, C)`: `(batch,)`."""
        error = half_square_sum(gram - target)
        return STYLE_FACTOR * error / gram.shape[-1] ** 2


GRAM_GRADIENT = "KStyleChannelProducts"


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
    return override_gradient(GRAM_GRADIENT, products, flat)


@tf.RegisterGradient(GRAM_GRADIENT)
def channel_products_gradient(op, up, _):
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
