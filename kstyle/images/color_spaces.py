"""Colour spaces as arithmetic: sRGB to CIELAB, and distances in it."""

import numpy as np

# Linear sRGB to CIE XYZ, from the primaries of IEC 61966-2-1 and D65, to more digits
# than its four. The white is the matrix's own, so that greys have no chroma.
XYZ_OF_RGB = np.array(
    (
        (0.4124564, 0.3575761, 0.1804375),
        (0.2126729, 0.7151522, 0.0721750),
        (0.0193339, 0.1191920, 0.9503041),
    )
)
WHITE = XYZ_OF_RGB.sum(axis=1)


def cielab(picture: np.ndarray) -> np.ndarray:
    """Convert to CIELAB (D65) sRGB `(…, 3)` in [0, 1]: IEC 61966-2-1, then CIE 15."""
    rgb = np.asarray(picture, "float64")
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    t, edge = linear @ XYZ_OF_RGB.T / WHITE, 6 / 29
    f = np.where(t > edge**3, np.cbrt(t), t / (3 * edge**2) + 4 / 29)
    x, y, z = np.moveaxis(f, -1, 0)
    return np.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], axis=-1)


def colour_difference(a: np.ndarray, b: np.ndarray) -> float:
    """Give the mean CIELAB distance (CIE 1976) of two pictures of one size."""
    return float(np.linalg.norm(cielab(a) - cielab(b), axis=-1).mean())
