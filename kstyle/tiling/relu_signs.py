"""The signs of features, eight in a byte, from which gradients pass backward.

The gradient of a ReLU needs only the sign of what it returned, and that of a maximum
only its place: one bit in place of 16 or 32 of the feature itself.
"""

import keras
import numpy as np
import tensorflow as tf

POOL_ARGUMENTS = {"ksize": (1, 2, 2, 1), "strides": (1, 2, 2, 1), "padding": "VALID"}
BITS_PER_BYTE = 8  # features a byte; the networks' widths are multiples of it
# A product with this gathers the lowest bits of eight bytes in the highest byte.
BIT_GATHER = 0x0102040810204080
BIT_TABLE = np.unpackbits(np.arange(256, dtype=np.uint8)[:, None], 1, bitorder="little")


def pack_signs(features: tf.Tensor) -> tf.Tensor:
    """uint8 `(batch, H, W, channels / 8)`: 1 where `features` are positive.

    The first of eight features is in the lowest bit.
    """
    positive = tf.cast(features > 0, tf.uint8)
    byte_count = features.shape[-1] // BITS_PER_BYTE
    eights = tf.concat([tf.shape(features)[:3], [byte_count, BITS_PER_BYTE]], 0)
    together = tf.bitcast(tf.reshape(positive, eights), tf.uint64)
    highest = tf.bitwise.right_shift(
        together * tf.constant(BIT_GATHER, tf.uint64), tf.constant(56, tf.uint64)
    )
    return tf.cast(highest, tf.uint8)


def unpack_signs(signs: tf.Tensor, dtype: tf.DType) -> tf.Tensor:
    """Unpack what `pack_signs` returned to `(batch, H, W, channels)` of 0 and 1."""
    shape = tf.concat([tf.shape(signs)[:3], [signs.shape[-1] * BITS_PER_BYTE]], 0)
    bits = tf.gather(tf.constant(BIT_TABLE, dtype), tf.cast(signs, tf.int32))
    return tf.reshape(bits, shape)


def selected_features(
    features: tf.Tensor, pooling: keras.layers.Layer | None
) -> tf.Tensor:
    """Return `features` where the 2 x 2 `pooling` takes them, 0 elsewhere.

    pooling: one of Keras's layers, or `None` for no pooling. An average takes all but
        an odd last row or column.
    """
    if not isinstance(pooling, keras.layers.MaxPooling2D):
        return features
    pooled = pooling(features)
    return features * tf.raw_ops.MaxPoolGrad(
        orig_input=features,
        orig_output=pooled,
        grad=tf.ones_like(pooled),
        **POOL_ARGUMENTS,
    )


def pooling_gradient(
    output_gradient: tf.Tensor, shape: tf.Tensor, pooling: keras.layers.Layer
) -> tf.Tensor:
    """Return the gradient at the input of `pooling` as if it took all features.

    shape: of the input.

    Times 1 for the `selected_features` and 0 for the others it is the gradient.
    """
    quarters = tf.raw_ops.AvgPoolGrad(
        orig_input_shape=shape, grad=output_gradient, **POOL_ARGUMENTS
    )
    return 4 * quarters if isinstance(pooling, keras.layers.MaxPooling2D) else quarters
