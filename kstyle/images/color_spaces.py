"""Colour spaces as arithmetic: sRGB, CIELAB and distances in it, OKLab."""

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
    t, edge = linear_of_srgb(picture) @ XYZ_OF_RGB.T / WHITE, 6 / 29
    f = np.where(t > edge**3, np.cbrt(t), t / (3 * edge**2) + 4 / 29)
    x, y, z = np.moveaxis(f, -1, 0)
    return np.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], axis=-1)


def colour_difference(a: np.ndarray, b: np.ndarray) -> float:
    """Give the mean CIELAB distance (CIE 1976) of two pictures of one size."""
    return float(np.linalg.norm(cielab(a) - cielab(b), axis=-1).mean())


# OKLab (B. Ottosson, 2020, "A perceptual color space for image processing").
LMS_OF_RGB = np.array(
    (
        (0.4122214708, 0.5363325363, 0.0514459929),
        (0.2119034982, 0.6806995451, 0.1073969566),
        (0.0883024619, 0.2817188376, 0.6299787005),
    )
)
OKLAB_OF_LMS = np.array(
    (
        (0.2104542553, 0.7936177850, -0.0040720468),
        (1.9779984951, -2.4285922050, 0.4505937099),
        (0.0259040371, 0.7827717662, -0.8086757660),
    )
)
RGB_OF_LMS, LMS_OF_OKLAB = np.linalg.inv(LMS_OF_RGB), np.linalg.inv(OKLAB_OF_LMS)
GAMUT_SLACK = 1e-4  # in linear sRGB: what rounding makes of a colour at the limit
GAMUT_ROUNDS = 12  # of bisection: the chroma is exact to 1 / 4096


def oklab_of_srgb(picture: np.ndarray) -> np.ndarray:
    """Convert sRGB `(…, 3)` in [0, 1] to OKLab: L in [0, 1], a and b about +-0.3."""
    return np.cbrt(linear_of_srgb(picture) @ LMS_OF_RGB.T) @ OKLAB_OF_LMS.T


def srgb_of_oklab(lab: np.ndarray) -> np.ndarray:
    """Convert OKLab `(…, 3)` to sRGB in [0, 1].

    Of a colour outside of sRGB the chroma is reduced, by bisection, until it is inside;
    lightness and hue stay.
    """
    lab = np.array(lab, "float64")
    lab[..., 0] = np.clip(lab[..., 0], 0, 1)
    linear = linear_of_oklab(lab)
    outside = ~is_in_gamut(linear)
    if outside.any():
        found = lab[outside]
        low, high = np.zeros(len(found)), np.ones(len(found))
        for _ in range(GAMUT_ROUNDS):
            middle = (low + high) / 2
            inside = is_in_gamut(linear_of_oklab(scale_chroma(found, middle)))
            low, high = np.where(inside, middle, low), np.where(inside, high, middle)
        linear[outside] = linear_of_oklab(scale_chroma(found, low))
    return srgb_of_linear(np.clip(linear, 0, 1))


def linear_of_oklab(lab: np.ndarray) -> np.ndarray:
    """Convert OKLab to linear sRGB, which may be outside [0, 1]."""
    return (lab @ LMS_OF_OKLAB.T) ** 3 @ RGB_OF_LMS.T


def scale_chroma(lab: np.ndarray, factor: np.ndarray) -> np.ndarray:
    """Multiply a and b of `(N, 3)` colours by factors `(N,)`."""
    return np.concatenate([lab[:, :1], lab[:, 1:] * factor[:, None]], axis=-1)


def is_in_gamut(linear: np.ndarray) -> np.ndarray:
    """Return whether all channels `(…, 3)` are in [0, 1], up to rounding."""
    return np.all((linear >= -GAMUT_SLACK) & (linear <= 1 + GAMUT_SLACK), axis=-1)


def linear_of_srgb(picture: np.ndarray) -> np.ndarray:
    """Undo the transfer curve of sRGB (IEC 61966-2-1)."""
    rgb = np.asarray(picture, "float64")
    return np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)


def srgb_of_linear(linear: np.ndarray) -> np.ndarray:
    """Apply the transfer curve of sRGB to linear values in [0, 1]."""
    curve = 1.055 * np.maximum(linear, 1e-9) ** (1 / 2.4) - 0.055
    return np.where(linear <= 0.0031308, 12.92 * linear, curve)
