"""The Gram matrix of features, and the fast products that moments are made of."""

from typing import Any

import keras
import tensorflow as tf
from keras import ops

from kstyle.losses.base import check_axes
from kstyle.ops.tf_utils import override_gradient

GRAM_GRADIENT = "KStyleChannelProducts"
MOMENTS_GRADIENT = "KStyleProductsAndSum"


def gram_matrix(features: tf.Tensor) -> tf.Tensor:
    """Compute the Gram matrix of `(batch, H, W, C)` features: `(batch, C, C)`.

    Gatys et al. 2016, eq. 3, divided by H W so that it does not depend on the size of
    the picture. Float32 sums of features in any precision.
    Raises: ConfigError: `features` have fewer or more axes.
    """
    check_axes("gram_matrix", features)
    batch, height, width, channels = ops.shape(features)
    flat = ops.reshape(features, (batch, height * width, channels))
    return channel_products(flat) / ops.cast(height * width, "float32")


def channel_products(flat: tf.Tensor) -> tf.Tensor:
    """Compute `F^T F` in float32 of F `(batch, positions, channels)` in any precision.

    With U the gradient with respect to the result, that with respect to F is
    `F (U + U^T)`: one product, in F's precision. TensorFlow's own gradient takes two
    products in float32.
    """
    if keras.backend.is_keras_tensor(flat):  # while a functional model is built
        return ChannelProducts().symbolic_call(flat)
    flat = tf.convert_to_tensor(flat)
    return override_gradient(GRAM_GRADIENT, float32_products(flat)[0], flat)


def float32_products(flat: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Return `F^T F` and F, both in float32."""
    flat32 = tf.cast(flat, tf.float32)
    # `tf.transpose` would copy the features, which takes longer than the product.
    return tf.matmul(flat32, flat32, transpose_a=True), flat32


@tf.RegisterGradient(GRAM_GRADIENT)
def channel_products_gradient(
    op: tf.Operation, output_gradient: tf.Tensor, _: Any
) -> tuple[None, tf.Tensor]:
    """Compute the gradient of `channel_products` with respect to its input.

    op: the node of `override_gradient`; its second input is F.
    """
    return None, gradient_of_products(op.inputs[1], output_gradient)


def gradient_of_products(flat: tf.Tensor, gradient: tf.Tensor) -> tf.Tensor:
    """Compute `F (U + U^T)` in F's precision, with the `gradient` U."""
    symmetric = gradient + tf.linalg.matrix_transpose(gradient)
    return tf.matmul(flat, tf.cast(symmetric, flat.dtype))


def products_and_sum(flat: tf.Tensor) -> tf.Tensor:
    """Compute `channel_products` and, as the last row, the sum of F over positions.

    flat: F, `(batch, positions, channels)`, in any precision.
    Returns: `(batch, channels + 1, channels)` in float32. With U and v the gradients
        with respect to the two parts, that with respect to F is `F (U + U^T) + v`.
    """
    products, flat32 = float32_products(flat)
    # A product with ones is faster than `tf.reduce_sum`.
    sums = tf.matmul(tf.ones_like(flat32[..., :1]), flat32, transpose_a=True)
    found = tf.concat([products, sums], axis=1)
    return override_gradient(MOMENTS_GRADIENT, found, flat)


@tf.RegisterGradient(MOMENTS_GRADIENT)
def products_and_sum_gradient(
    op: tf.Operation, output_gradient: tf.Tensor, _: Any
) -> tuple[None, tf.Tensor]:
    """Compute the gradient of `products_and_sum` with respect to its input.

    op: the node of `override_gradient`; its second input is F.
    """
    flat = op.inputs[1]
    sums = tf.cast(output_gradient[:, -1:], flat.dtype)
    return None, gradient_of_products(flat, output_gradient[:, :-1]) + sums


@keras.saving.register_keras_serializable("kstyle")
class ChannelProducts(keras.Operation):
    """`channel_products` as a node of a functional model."""

    def call(self, flat: tf.Tensor) -> tf.Tensor:
        return channel_products(flat)

    def compute_output_spec(self, flat: keras.KerasTensor) -> keras.KerasTensor:
        batch, _, channels = flat.shape
        return keras.KerasTensor((batch, channels, channels), "float32")
