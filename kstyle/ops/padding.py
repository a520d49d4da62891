"""Padding with the pixels at the edges in place of zeros: reflect and replicate.

TensorFlow's own op for it runs in one thread and takes up to a tenth of a step in
bfloat16. Padding with zeros takes much less, and only the edges have to be filled in:
`docs/performance.md` has the measurements.
"""

import functools
from collections.abc import Sequence
from typing import Any

import tensorflow as tf

from kstyle.hardware import host
from kstyle.ops.tf_utils import model_function, override_gradient

# TensorFlow has no replicate mode, but "symmetric" repeats the edge pixel where one
# pixel is padded; wider paddings are added pixel by pixel.
PAD_MODES = {"reflect": "REFLECT", "replicate": "SYMMETRIC", "same": "CONSTANT"}
EDGE_MODES = ("reflect", "replicate")
ONE_PIXEL = ((0, 0), (1, 1), (1, 1), (0, 0))
PADDING_GRADIENT = "KStylePadding_"
# Values of features that are known to be small: they are padded in no time, and
# TensorFlow's one op takes less time to trace.
SMALL_VALUES = 2**21


def pad_features(
    x: tf.Tensor, mode: str, paddings: tf.Tensor = ONE_PIXEL, width: int = 1
) -> tf.Tensor:
    """Pad `(batch, H, W, C)` by `width` rows and columns on each side.

    mode: of `PAD_MODES`; "same" means zeros. paddings: as for `tf.pad` with one pixel,
        with a 0 for the sides that are not to be padded.
    """
    if mode != "replicate" and width != 1:
        return pad_positions(x, mode, width * tf.convert_to_tensor(paddings))
    channels = x.shape[-1]
    for _ in range(width):
        x = pad_positions(x, mode, paddings)
        if width > 1:  # paddings that a graph does not know hide the channels
            x = tf.ensure_shape(x, (None, None, None, channels))
    return x


def pad_positions(x: tf.Tensor, mode: str, paddings: tf.Tensor) -> tf.Tensor:
    """Pad `(batch, H, W, C)` by `paddings`, as for `tf.pad`."""
    x, paddings = tf.convert_to_tensor(x), tf.convert_to_tensor(paddings)
    is_small = (x.shape.num_elements() or SMALL_VALUES) < SMALL_VALUES
    if mode == "same" or is_small or tf.executing_eagerly() or host.has_nvidia():
        return tf.pad(x, paddings, PAD_MODES[mode])
    padded = tf.pad(x, paddings)
    channels = x.shape[-1]
    edges, sources = edge_positions(mode)(tf.shape(x), paddings)
    filled = tf.tensor_scatter_nd_update(  # in place: `padded` has no other user
        tf.reshape(padded, (-1, channels)),
        edges[:, None],
        tf.gather(tf.reshape(x, (-1, channels)), sources),
    )
    filled = tf.ensure_shape(tf.reshape(filled, tf.shape(padded)), padded.shape)
    return override_gradient(PADDING_GRADIENT + mode, filled, x, paddings)


def padding_gradient(
    output_gradient: tf.Tensor, mode: str, paddings: tf.Tensor
) -> tf.Tensor:
    """Return the gradient at the input of `pad_positions` from that at its output."""
    shape = tf.shape(output_gradient) - tf.reduce_sum(paddings, 1)
    inside = tf.slice(output_gradient, paddings[:, 0], shape)
    if mode == "same":
        return inside
    channels = output_gradient.shape[-1]
    edges, sources = edge_positions(mode)(shape, paddings)
    gradient = tf.tensor_scatter_nd_add(
        tf.reshape(inside, (-1, channels)),
        sources[:, None],
        tf.gather(tf.reshape(output_gradient, (-1, channels)), edges),
    )
    return tf.reshape(gradient, shape)


def pad_edges(x: tf.Tensor, mode: str, amounts: Sequence[tuple[Any, Any]]) -> tf.Tensor:
    """Pad `(batch, H, W, C)` by different numbers of pixels on each side.

    mode: of `EDGE_MODES`. amounts: ((top, bottom), (left, right)): numbers, or scalar
        tensors.
    """
    amounts = tuple(tuple(sides) for sides in amounts)
    sides = [n for pair in amounts for n in pair]
    if None not in tuple(x.shape) and all(n in (0, 1) for n in sides):
        return pad_features(x, mode, ((0, 0), *amounts, (0, 0)))
    if mode == "reflect":
        return tf.pad(x, ((0, 0), *amounts, (0, 0)), PAD_MODES[mode])
    for axis, (before, after) in enumerate(amounts, start=1):
        first, _ = tf.split(x, (1, -1), axis)
        _, last = tf.split(x, (-1, 1), axis)
        first, last = tf.repeat(first, before, axis), tf.repeat(last, after, axis)
        x = tf.concat((first, x, last), axis)
    return x


@functools.cache
def edge_positions(mode: str) -> tf.types.experimental.PolymorphicFunction:
    """Make a graph from a shape to be padded, and paddings, to flat positions.

    Those of the padding in the result, and of the pixels that they repeat. A graph of
    its own, traced once, because the ops of many layers take time to trace.
    """

    def positions(shape: tf.Tensor, paddings: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        pixels = tf.reshape(tf.range(tf.reduce_prod(shape[:3])), shape[:3])
        sources = tf.pad(pixels, paddings[:3], PAD_MODES[mode])
        # Rows first, then what is beside them: the order in which a corner's gradients
        # are added decides its last bit.
        kinds = tf.zeros_like(pixels)
        kinds = tf.pad(kinds, paddings[:3] * [[0], [0], [1]], constant_values=2)
        kinds = tf.pad(kinds, paddings[:3] * [[0], [1], [0]], constant_values=1)
        flat_kinds = tf.reshape(kinds, (-1,))
        edges = tf.concat([tf.where(flat_kinds == kind)[:, 0] for kind in (1, 2)], 0)
        return edges, tf.gather(tf.reshape(sources, (-1,)), edges)

    signature = (tf.TensorSpec((4,), tf.int32), tf.TensorSpec((4, 2), tf.int32))
    return model_function(positions, signature)


def register_padding_gradient(mode: str) -> None:
    """Register the gradient that `pad_positions` gives its result."""

    @tf.RegisterGradient(PADDING_GRADIENT + mode)
    def gradient(
        op: tf.Operation, output_gradient: tf.Tensor, *_: tf.Tensor
    ) -> tuple[None, tf.Tensor, None]:
        _, x, paddings = op.inputs
        output_gradient = tf.ensure_shape(
            output_gradient, (None, None, None, x.shape[-1])
        )
        found = padding_gradient(output_gradient, mode, paddings)
        return None, tf.ensure_shape(found, x.shape), None


for edge_mode in EDGE_MODES:
    register_padding_gradient(edge_mode)
