"""Move colours between pictures: the options `color` match, keep and exact.

All functions take and return sRGB pixels `(height, width, 3)` in [0, 1], and work
through rows in strips, so that a large picture takes no copies of itself in float64.
"""

from collections.abc import Callable, Iterator, Sequence

import numpy as np

from kstyle.images.color_spaces import oklab_of_srgb, srgb_of_oklab

ROWS_PER_STRIP = 256
# Added to the variance of each channel before a covariance is inverted: (2.5 / 255)^2.
# What varies less, such as the noise of a grey photograph, is not amplified to colours.
VARIANCE_FLOOR = 1e-4
# The same for OKLab's a and b, whose range is about a third of RGB's.
CHROMA_FLOOR = 1e-5


def match_color(
    pixels: np.ndarray, reference: np.ndarray, weights: np.ndarray | None = None
) -> np.ndarray:
    """Give `pixels` the mean and covariance of the colours of `reference`.

    The linear map of optimal transport between two Gaussians, so every colour moves as
    little as it can ("sym" in Gatys et al. 2017, "Controlling Perceptual Factors in
    Neural Style Transfer", section 5):
    `x -> m_r + T (x - m)`, `T = S^(-1/2) (S^(1/2) S_r S^(1/2))^(1/2) S^(-1/2)`.

    weights: `(height, width)` of `reference`'s pixels, such as its alpha.
    Returns: float32, clipped to [0, 1].
    """
    mean, covariance = color_statistics(pixels)
    reference_mean, reference_covariance = color_statistics(reference, weights)
    transport = transport_matrix(covariance, reference_covariance, VARIANCE_FLOOR)
    result = np.empty(pixels.shape, np.float32)
    for rows in strips(len(pixels)):
        moved = (pixels[rows] - mean) @ transport + reference_mean
        result[rows] = np.clip(moved, 0, 1)
    return result


def keep_color(pixels: np.ndarray, content: np.ndarray) -> np.ndarray:
    """Combine the lightness of `pixels` with the hue and chroma of `content`.

    In OKLab, of pictures of one size. Where the two do not go together in sRGB, the
    chroma is reduced and the lightness stays.
    """
    result = np.empty(pixels.shape, np.float32)
    for rows in strips(len(pixels)):
        lab = oklab_of_srgb(content[rows])
        lab[..., 0] = oklab_of_srgb(pixels[rows])[..., 0]
        result[rows] = srgb_of_oklab(lab)
    return result


def match_palette(
    pixels: np.ndarray,
    styles: Sequence[np.ndarray],
    shares: Sequence[float] = (1.0,),
    weights: np.ndarray | None = None,
) -> np.ndarray:
    """Give the chroma of `pixels` the mean and covariance of the chroma of the styles.

    In OKLab; the lightness stays, within the range of the styles' (after Kolkin et al.
    2022, "Neural Neighbor Style Transfer", section 3.4).
    shares: of the styles in a blend; they add up to 1. weights: `(height, width)` of
        the pixels whose chroma is measured, such as the mask of a region.
    """
    style_mean, style_covariance = blended_statistics(
        [color_statistics(style, convert=chroma) for style in styles], shares
    )
    mean, covariance = color_statistics(pixels, weights, convert=chroma)
    transport = transport_matrix(covariance, style_covariance, CHROMA_FLOOR)
    lightness = [
        oklab_of_srgb(style[rows])[..., 0]
        for style in styles
        for rows in strips(len(style))
    ]
    low, high = min(x.min() for x in lightness), max(x.max() for x in lightness)
    result = np.empty(pixels.shape, np.float32)
    for rows in strips(len(pixels)):
        lab = oklab_of_srgb(pixels[rows])
        lab[..., 0] = np.clip(lab[..., 0], low, high)
        lab[..., 1:] = (lab[..., 1:] - mean) @ transport + style_mean
        result[rows] = srgb_of_oklab(lab)
    return result


def chroma(pixels: np.ndarray) -> np.ndarray:
    """Return OKLab's a and b of sRGB pixels: `(…, 2)`."""
    return oklab_of_srgb(pixels)[..., 1:]


def color_statistics(
    pixels: np.ndarray,
    weights: np.ndarray | None = None,
    convert: Callable[[np.ndarray], np.ndarray] = np.asarray,
) -> tuple[np.ndarray, np.ndarray]:
    """Compute the mean `(C,)` and covariance `(C, C)` of colours `(height, width, C)`.

    weights: `(height, width)`; `None`: all pixels count alike. convert: applied to the
        pixels first, some rows at a time.
    """
    count: float = 0.0
    total: np.ndarray = np.zeros(())
    products: np.ndarray = np.zeros(())
    for rows in strips(len(pixels)):
        part = convert(pixels[rows])
        flat = part.reshape(-1, part.shape[-1]).astype("float64")
        weight = np.ones(len(flat)) if weights is None else weights[rows].ravel()
        weighted = flat * weight[:, None]
        count += weight.sum()
        total = total + weighted.sum(axis=0)
        products = products + flat.T @ weighted
    mean = total / count
    return mean, products / count - np.outer(mean, mean)


def blended_statistics(
    statistics: Sequence[tuple[np.ndarray, np.ndarray]], shares: Sequence[float]
) -> tuple[np.ndarray, np.ndarray]:
    """Blend the means and covariances of several pictures as raw moments."""
    mean, products = np.zeros(()), np.zeros(())
    for (own, covariance), share in zip(statistics, shares, strict=True):
        mean = mean + share * own
        products = products + share * (covariance + np.outer(own, own))
    return mean, products - np.outer(mean, mean)


def transport_matrix(
    covariance: np.ndarray, target: np.ndarray, floor: float
) -> np.ndarray:
    """Compute the symmetric map that turns `covariance` into `target`.

    The optimal transport of zero-mean Gaussians. floor: added to the variances.
    """
    identity = np.eye(len(covariance))
    covariance, target = covariance + floor * identity, target + floor * identity
    root = matrix_power(covariance, 0.5)
    inverse = matrix_power(covariance, -0.5)
    return inverse @ matrix_power(root @ target @ root, 0.5) @ inverse


def matrix_power(matrix: np.ndarray, exponent: float) -> np.ndarray:
    """Raise a symmetric positive definite matrix to `exponent`."""
    values, vectors = np.linalg.eigh(matrix)
    return (vectors * np.maximum(values, 0) ** exponent) @ vectors.T


def strips(height: int) -> Iterator[slice]:
    """Yield the slices of `ROWS_PER_STRIP` rows that make up `height`."""
    for start in range(0, height, ROWS_PER_STRIP):
        yield slice(start, start + ROWS_PER_STRIP)
