"""The small matrices of L-BFGS: the compact form of Byrd, Nocedal, Schnabel 1994."""

import tensorflow as tf


def compact_coefficients(sy, yy, sg, yg):
    """Weights (a, b, scale) in `H g = scale g + S^T a + scale Y^T b`, as float32.

    `sy`, `yy`: (m, m) products of the m pairs, oldest first; `sg`, `yg`: (m,)
    products with the gradient. Unused slots are zero rows and columns.
    """
    size = tf.shape(sy)[0]
    used = tf.linalg.diag_part(sy) != 0
    last = tf.reduce_sum(tf.cast(used, tf.int32)) - 1
    scale = sy[last, last] / yy[last, last]
    upper = tf.linalg.band_part(sy, 0, -1)
    # An unused slot gets a 1 on the diagonal, so that its coefficient is just 0.
    upper += tf.linalg.diag(tf.where(used, tf.zeros(size, sy.dtype), 1.0))
    u = tf.linalg.triangular_solve(upper, sg[:, None], lower=False)
    middle = tf.linalg.diag(tf.linalg.diag_part(sy)) + scale * yy
    right = middle @ u - scale * yg[:, None]
    a = tf.linalg.triangular_solve(upper, right, lower=False, adjoint=True)
    return tuple(tf.cast(x, tf.float32) for x in (a[:, 0], -u[:, 0], scale))


def ordered(products, order, used):
    """`products` in float64, rows (and columns) permuted to `order`, unused zeroed."""
    products = tf.cast(products, tf.float64)
    for axis in range(products.shape.rank):
        products = tf.gather(products, order, axis=axis)
    mask = tf.cast(used, tf.float64)
    return products * (mask if products.shape.rank == 1 else mask[:, None] * mask)
