"""The small matrices of L-BFGS: the compact form of Byrd, Nocedal, Schnabel 1994."""

import tensorflow as tf


def compact_coefficients(sy, yy, sg, yg):
    """Weights (a, b, scale) in `H g = scale g + S^T a + scale Y^T b`, as float32.

    `sy`, `yy`: (m, m) products of the m pairs, the newest last; `sg`, `yg`: (m,)
    products with the gradient. Unused slots, the first, are zero rows and columns.
    """
    size = tf.shape(sy)[0]
    used = tf.linalg.diag_part(sy) != 0
    scale = sy[-1, -1] / yy[-1, -1]
    upper = tf.linalg.band_part(sy, 0, -1)
    # An unused slot gets a 1 on the diagonal, so that its coefficient is just 0.
    upper += tf.linalg.diag(tf.where(used, tf.zeros(size, sy.dtype), 1.0))
    u = tf.linalg.triangular_solve(upper, sg[:, None], lower=False)
    middle = tf.linalg.diag(tf.linalg.diag_part(sy)) + scale * yy
    right = middle @ u - scale * yg[:, None]
    a = tf.linalg.triangular_solve(upper, right, lower=False, adjoint=True)
    return tuple(tf.cast(x, tf.float32) for x in (a[:, 0], -u[:, 0], scale))


def masked(products, used):
    """`products` in float64, the rows (and columns) of unused slots zeroed."""
    products, mask = tf.cast(products, tf.float64), tf.cast(used, tf.float64)
    return products * (mask if products.shape.rank == 1 else mask[:, None] * mask)


def moved_up(products, row, column):
    """`products` of pairs without the oldest, and with a newest: its row and column."""
    sides = tf.concat([products[1:, 1:], column[:-1, None]], 1)
    return tf.concat([sides, row[None]], 0)
