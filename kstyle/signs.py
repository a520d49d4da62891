"""Which features are positive, in a bit each: all that the gradient of a ReLU needs.

A convolution's gradient with respect to its input needs no features, nor does that of
a pooling whose choices are known. So layers that no loss looks at have not to be
computed again on the way back, if their signs were kept: a sixteenth of the features
in bfloat16.
"""

import keras
import numpy as np
import tensorflow as tf

POOLING = {"ksize": (1, 2, 2, 1), "strides": (1, 2, 2, 1), "padding": "VALID"}
BITS = 8  # features a byte; the networks' widths are multiples of it
# Times this, the lowest bits of eight bytes come to stand in the highest byte.
GATHER = 0x0102040810204080
TABLE = np.unpackbits(np.arange(256, dtype=np.uint8)[:, None], 1, bitorder="little")


def packed(x):
    """uint8 `(batch, H, W, channels / 8)` of features `x`: 1 where they are positive,
    the first of eight in the lowest bit."""
    positive = tf.cast(x > 0, tf.uint8)
    eights = tf.concat([tf.shape(x)[:3], [x.shape[-1] // BITS, BITS]], 0)
    together = tf.bitcast(tf.reshape(positive, eights), tf.uint64)
    highest = tf.bitwise.right_shift(
        together * tf.constant(GATHER, tf.uint64), tf.constant(56, tf.uint64)
    )
    return tf.cast(highest, tf.uint8)


def unpacked(bits, dtype):
    """`(batch, H, W, channels)` of 0 and 1 from what `packed` returned."""
    size = tf.concat([tf.shape(bits)[:3], [bits.shape[-1] * BITS]], 0)
    found = tf.gather(tf.constant(TABLE, dtype), tf.cast(bits, tf.int32))
    return tf.reshape(found, size)


def chosen(x, pooling):
    """`x` where the 2 x 2 `pooling` takes it, 0 elsewhere; it is one of Keras's layers,
    or `None` for none. An average takes all but an odd last row or column."""
    if not isinstance(pooling, keras.layers.MaxPooling2D):
        return x
    y = pooling(x)
    ones = tf.ones_like(y)
    return x * tf.raw_ops.MaxPoolGrad(orig_input=x, orig_output=y, grad=ones, **POOLING)


def spread(up, size, pooling):
    """The gradient at the input of `pooling`, of shape `size`, if it takes all of it.

    up: at its output.
    """
    parts = tf.raw_ops.AvgPoolGrad(orig_input_shape=size, grad=up, **POOLING)
    return 4 * parts if isinstance(pooling, keras.layers.MaxPooling2D) else parts
