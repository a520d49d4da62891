"""Padding by what stands at the edges, in place of zeros: `reflect` and `replicate`.

TensorFlow's op for it took a sixth of a step in bfloat16. Its padding with a constant
takes much less, and little is to be written over it: the edges, in place.
"""

import contextlib
import functools
import threading

import numpy as np
import tensorflow as tf

from kstyle.hardware import host
from kstyle.ops.tf_utils import model_function, override_gradient

# TensorFlow has no replicate mode, but "symmetric" repeats the edge pixel, and one
# pixel is all that a 3 x 3 kernel needs.
PAD_MODES = {"reflect": "REFLECT", "replicate": "SYMMETRIC", "same": "CONSTANT"}
# What is padded with first. TensorFlow makes one of equal nodes, and what is written
# over may be no one else's: paddings with zeros or in the other mode have to differ.
FILL_VALUES = {"reflect": 1, "replicate": 2}
EDGE_MODES = tuple(FILL_VALUES)
ONE_PIXEL = ((0, 0), (1, 1), (1, 1), (0, 0))
PADDING_GRADIENT = "KStyleEdges_"
SMALL_VALUES = (
    2**21
)  # values: less are padded in no time, and more ops have to be traced
MAX_CACHED_SIZES = 64  # sizes whose positions are kept: those of a few scales
thread_state = threading.local()


@contextlib.contextmanager
def written_in_place(wanted=True):
    """A graph that is built inside pads in the fast way, or does not. Its ops are many,
    so that is for a graph that runs often; `tf.gradients` alone hear of their gradient,
    and XLA has none of it."""
    before, thread_state.in_place = in_place(), wanted
    try:
        yield
    finally:
        thread_state.in_place = before


def in_place():
    return getattr(thread_state, "in_place", False)


def pad_features(x, mode, around=ONE_PIXEL):
    """`(batch, H, W, C)` with a row and a column more on all sides, or on those where
    `around`, as for `tf.pad`, has a 1. mode: of `PAD_MODES`; "same" means zeros."""
    x, around = tf.convert_to_tensor(x), tf.convert_to_tensor(around)
    small = (x.shape.num_elements() or SMALL_VALUES) < SMALL_VALUES
    plain = mode == "same" or small or not in_place() or tf.executing_eagerly()
    if plain or host.has_nvidia():
        return tf.pad(x, around, PAD_MODES[mode])
    y = padded(x, around, mode)
    extra = tf.get_static_value(around)
    if extra is not None:
        wider = zip(x.shape, np.sum(extra, 1).tolist(), strict=True)
        y = tf.ensure_shape(y, [n and n + more for n, more in wider])
    return override_gradient(PADDING_GRADIENT + mode, y, x, around)


def padded(x, around, mode):
    first = tf.constant(FILL_VALUES[mode], x.dtype)
    y = tf.raw_ops.PadV2(input=x, paddings=around, constant_values=first)
    at, source = places(x, around, mode)
    channels = x.shape[-1]
    rows = tf.gather(as_rows(x, channels), source)
    filled = tf.raw_ops.InplaceUpdate(x=as_rows(y, channels), i=at, v=rows)
    return tf.reshape(filled, tf.shape(y))


def padding_gradient(mode):
    """Of what `pad` returns, at what its node takes."""

    def found(op, up, *_):
        _, x, around = op.inputs
        up = tf.ensure_shape(up, (None, None, None, x.shape[-1]))
        return None, folded(up, tf.shape(x), around, places(x, around, mode)), None

    return found


def folded(up, size, around, rows):
    """The gradient at what was padded, of shape `size`. rows: its `positions`."""
    # By `slice`, as in `losses.differences`; it is a copy, that may be changed.
    own, (at, source), channels = tf.slice(up, around[:, 0], size), rows, up.shape[-1]
    edges = tf.gather(as_rows(up, channels), at)
    own = tf.raw_ops.InplaceAdd(x=as_rows(own, channels), i=source, v=edges)
    return tf.reshape(own, size)


def padding_adjoint(up, mode, around):
    """The gradient at what `pad` was given, from `up`, the one at what it returned."""
    size = tf.shape(up) - tf.reduce_sum(around, 1)
    if mode == "same":
        return tf.slice(up, around[:, 0], size)
    if host.has_nvidia():
        how = {"paddings": around, "mode": PAD_MODES[mode]}
        return tf.raw_ops.MirrorPadGrad(input=up, **how)
    return folded(up, size, around, positions_graph(mode)(size, around))


for mode in EDGE_MODES:
    tf.RegisterGradient(PADDING_GRADIENT + mode)(padding_gradient(mode))


def as_rows(x, channels):
    """One row of `channels` for each position."""
    return tf.reshape(x, (-1, channels))


def places(x, around, mode):
    """`positions` of `x`: known already where its size is, and else a graph's work.

    A graph of its own, traced once: a layer's many small ops take a tenth of a second.
    """
    known = tf.get_static_value(around)
    if known is None or not x.shape.is_fully_defined():
        return positions_graph(mode)(tf.shape(x), around)
    return known_positions(tuple(x.shape), tuple(known.flat), mode)


@functools.lru_cache(MAX_CACHED_SIZES)
def known_positions(size, around, mode):
    with tf.init_scope():
        return positions(size, np.reshape(around, (4, 2)), mode)


@functools.cache
def positions_graph(mode):
    signature = tf.TensorSpec((4,), tf.int32), tf.TensorSpec((4, 2), tf.int32)
    return model_function(functools.partial(positions, mode=mode), signature)


def positions(size, around, mode):
    """Rows of the padding in `as_rows` of what is padded, and those of `x` to be there.

    size: the shape of `x`.
    """
    batch, rows, columns, _ = tf.unstack(size)
    _, (top, bottom), (left, right), _ = map(tf.unstack, tf.unstack(around))
    high, wide = top + rows + bottom, left + columns + right
    beside = outside(wide, left, right)
    at = tf.concat(
        [
            index_grid(wide, outside(high, top, bottom), tf.range(wide)),
            index_grid(wide, tf.range(top, high - bottom), beside),
        ],
        0,
    )
    row = nearest(at // wide - top, rows - 1, mode)
    source = columns * row + nearest(at % wide - left, columns - 1, mode)
    each = tf.range(batch)
    return index_grid(high * wide, each, at), index_grid(rows * columns, each, source)


def outside(length, begin, end):
    """The first `begin` and the last `end` positions of an axis of `length`."""
    return tf.concat([tf.range(begin), tf.range(length - end, length)], 0)


def index_grid(step, rows, columns):
    """`step * row + column` of each pair, flat."""
    return tf.reshape(step * rows[:, None] + columns, (-1,))


def nearest(place, last, mode):
    """Where what stands at `place` comes from, the first position 0."""
    inside = tf.clip_by_value(place, 0, last)
    return 2 * inside - place if mode == "reflect" else inside
