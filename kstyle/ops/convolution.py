"""The 3 x 3 convolution, in the form that the processor computes fastest.

On x86-64 with AVX2 but without AVX-512, oneDNN (3.7, as in TensorFlow 2.21) has a fast
kernel for a convolution's gradient with respect to its input, and for the convolution
itself only copies of patches and matrix products, which take up to five times longer.
Turned by 180 degrees, with its input and output channels exchanged, a kernel makes the
one into the other.
"""

import functools

import keras
import tensorflow as tf

from kstyle.hardware import host
from kstyle.hardware.tensorflow_setup import has_onednn
from kstyle.ops import padding as padding_module
from kstyle.ops.tf_utils import override_gradient

STRIDES = (1, 1, 1, 1)
CONVOLUTION_GRADIENT = "KStyleConvolution"


@keras.saving.register_keras_serializable("kstyle")
class Convolution(keras.layers.Conv2D):
    """`keras.layers.Conv2D` with stride 1, computed by `convolve`."""

    def convolution_op(self, inputs, kernel):
        return convolve(inputs, kernel, self.padding)


def convolve(x, kernel, padding):
    """`(batch, H, W, in)` with a `(3, 3, in, out)` kernel; padding: "same", "valid"."""
    x, kernel, padding = *map(tf.convert_to_tensor, (x, kernel)), padding.upper()
    if x.dtype != tf.float32 or not uses_input_gradients():
        return tf.nn.conv2d(x, kernel, 1, padding)
    y = convolve_by_input_gradient(x, kernel, padding)
    if tf.executing_eagerly():
        return y
    # A tape goes through `turned`: to the same numbers, by way of the slow kernel.
    return override_gradient(CONVOLUTION_GRADIENT + padding, y, x, kernel)


@functools.cache
def uses_input_gradients():
    """Whether gradients of convolutions are faster here than convolutions."""
    return host.has_avx2_alone() and bool(has_onednn())


def convolve_by_input_gradient(x, kernel, padding):
    """The convolution as the gradient of another."""
    mirrored = tf.transpose(tf.reverse(kernel, (0, 1)), (0, 1, 3, 2))
    size = tf.concat([tf.shape(x)[:3], kernel.shape[-1:]], 0)
    # TensorFlow gives oneDNN a "SAME" one; what "VALID" has not is cut off.
    y = input_gradient(size, mirrored, x, "SAME")
    if padding == "VALID":  # by `slice`, as in `losses.differences`
        y = tf.slice(y, (0, 1, 1, 0), size - (0, 2, 2, 0))
    less = {"SAME": 0, "VALID": 2}[padding]
    height, wide = (n and n - less for n in x.shape[1:3])
    return tf.ensure_shape(y, (x.shape[0], height, wide, kernel.shape[-1]))


def input_gradient(size, kernel, up, padding):
    return tf.raw_ops.Conv2DBackpropInput(
        input_sizes=size,
        filter=kernel,
        out_backprop=up,
        strides=STRIDES,
        padding=padding,
    )


def convolution_gradients(padding):
    """Of what `convolve` returns, at what its node takes."""

    def found(op, up, *_):
        _, x, kernel = op.inputs
        at_kernel = tf.raw_ops.Conv2DBackpropFilter(
            input=x,
            filter_sizes=tf.shape(kernel),
            out_backprop=up,
            strides=STRIDES,
            padding=padding,
        )
        return None, input_gradient(tf.shape(x), kernel, up, padding), at_kernel

    return found


for padding in ("SAME", "VALID"):
    tf.RegisterGradient(CONVOLUTION_GRADIENT + padding)(convolution_gradients(padding))


def value_and_gradient(losses, x, *, jit=False):
    """What `losses(x)` returns beside the number that comes first, and the gradient of
    that number at `x`: in a graph by the fast ways of `convolve` and `edges.pad`, the
    latter where the graph is not for XLA, which does not know it."""
    if tf.executing_eagerly():
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(x)
            total, found = losses(x)
        return found, tape.gradient(total, x)
    with padding_module.written_in_place(not jit):
        total, found = losses(x)
    (slope,) = tf.gradients(total, x)
    return found, slope
