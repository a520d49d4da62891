"""The 3 x 3 convolution with stride 1, in the form that the processor computes fastest.

On x86-64 with AVX2 but without AVX-512, oneDNN (3.7, as in TensorFlow 2.21) has a fast
kernel for a convolution's gradient with respect to its input, and for the convolution
itself only copies of patches and matrix products, which take up to five times longer.
Turned by 180 degrees, with its input and output channels exchanged, a kernel makes the
one into the other.
"""

import functools
from collections.abc import Callable, Mapping
from typing import Any

import keras
import tensorflow as tf

from kstyle.hardware import host
from kstyle.hardware.devices import has_onednn
from kstyle.ops.tf_utils import override_gradient

STRIDES = (1, 1, 1, 1)
PLAIN_KERNEL = (3, 3)
CONVOLUTION_GRADIENT = "KStyleConvolution"


@keras.saving.register_keras_serializable("kstyle")
class Convolution(keras.layers.Conv2D):
    """`keras.layers.Conv2D`, computed by `convolve`."""

    def convolution_op(self, inputs: tf.Tensor, kernel: tf.Tensor) -> tf.Tensor:
        return convolve(inputs, kernel, self.padding, stride=self.strides[0])


def convolve(
    x: tf.Tensor,
    kernel: tf.Tensor,
    padding: str,
    by_input_gradient: bool | None = None,
    stride: int = 1,
) -> tf.Tensor:
    """Convolve `(batch, H, W, in)` with a `(height, width, in, out)` kernel.

    padding: "same" or "valid". by_input_gradient: whether float32 is computed as the
        gradient of another convolution; `None`: where that is faster. Only for a 3 x 3
        kernel and stride 1.
    """
    x, kernel = tf.convert_to_tensor(x), tf.convert_to_tensor(kernel)
    padding = padding.upper()
    if by_input_gradient is None:
        by_input_gradient = uses_input_gradients()
    is_plain = kernel.shape[:2] == PLAIN_KERNEL and stride == 1
    if x.dtype != tf.float32 or not by_input_gradient or not is_plain:
        return tf.nn.conv2d(x, kernel, stride, padding)
    y = convolve_by_input_gradient(x, kernel, padding)
    # A tape goes through the ops that made `y`: the same numbers, by the slow kernel.
    return override_gradient(CONVOLUTION_GRADIENT + padding, y, x, kernel)


@functools.cache
def uses_input_gradients() -> bool:
    """Return whether gradients of convolutions are faster here than convolutions."""
    return input_gradients_are_faster(host.cpu_flags(), has_onednn(), host.has_nvidia())


def input_gradients_are_faster(
    cpu_flags: Mapping[str, bool | None], onednn: bool | None, gpu: bool
) -> bool:
    """Return whether they are faster: with AVX2 alone, with oneDNN, without a GPU.

    cpu_flags: from `host.cpu_flags`. onednn: `None` where TensorFlow does not tell.
    """
    avx2_alone = bool(cpu_flags["AVX2"]) and not cpu_flags["AVX-512F"]
    return avx2_alone and bool(onednn) and not gpu


def convolve_by_input_gradient(
    x: tf.Tensor, kernel: tf.Tensor, padding: str
) -> tf.Tensor:
    """Compute the convolution as the gradient of another; padding in capitals."""
    mirrored = tf.transpose(tf.reverse(kernel, (0, 1)), (0, 1, 3, 2))
    shape = tf.concat([tf.shape(x)[:3], kernel.shape[-1:]], 0)
    # TensorFlow gives oneDNN a "SAME" one; what "VALID" does not have is cut off.
    y = input_gradient(shape, mirrored, x, "SAME")
    trimmed = 0
    if padding == "VALID":
        # By `slice`: the gradient of `y[...]` is computed in one thread.
        trimmed = 2
        y = tf.slice(y, (0, 1, 1, 0), shape - (0, trimmed, trimmed, 0))
    height, width = (n and n - trimmed for n in x.shape[1:3])
    return tf.ensure_shape(y, (x.shape[0], height, width, kernel.shape[-1]))


def input_gradient(
    shape: tf.Tensor, kernel: tf.Tensor, output_gradient: tf.Tensor, padding: str
) -> tf.Tensor:
    """Return the gradient at a convolution's input from that at its output.

    shape: of the input.
    """
    return tf.raw_ops.Conv2DBackpropInput(
        input_sizes=shape,
        filter=kernel,
        out_backprop=output_gradient,
        strides=STRIDES,
        padding=padding,
    )


def register_convolution_gradient(padding: str) -> None:
    """Register the gradient that `convolve` gives its result."""

    @tf.RegisterGradient(CONVOLUTION_GRADIENT + padding)
    def gradient(
        op: tf.Operation, output_gradient: tf.Tensor, *_: tf.Tensor
    ) -> tuple[None, tf.Tensor, tf.Tensor]:
        _, x, kernel = op.inputs
        at_kernel = tf.raw_ops.Conv2DBackpropFilter(
            input=x,
            filter_sizes=tf.shape(kernel),
            out_backprop=output_gradient,
            strides=STRIDES,
            padding=padding,
        )
        at_x = input_gradient(tf.shape(x), kernel, output_gradient, padding)
        return None, at_x, at_kernel


for conv_padding in ("SAME", "VALID"):
    register_convolution_gradient(conv_padding)


def value_and_gradient(
    function: Callable[[tf.Tensor], tuple[tf.Tensor, Any]], x: tf.Tensor
) -> tuple[Any, tf.Tensor]:
    """Compute the gradient at `x` of the scalar that `function(x)` returns first.

    In a graph by the gradients that `convolve`, `pad_features` and `gram_matrix` give
    their results, which a tape does not use.
    Returns: what else `function` returned, and the gradient.
    """
    if tf.executing_eagerly():
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(x)
            scalar, other = function(x)
        return other, tape.gradient(scalar, x)
    scalar, other = function(x)
    (gradient,) = tf.gradients(scalar, x)
    return other, gradient
