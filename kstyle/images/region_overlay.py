"""The coverage of regions as a picture: the photograph, tinted where each applies."""

import colorsys
from collections.abc import Sequence

import numpy as np

TINT = 0.55  # share of a region's colour in its tint
GOLDEN = 0.381966  # of the hues: neighbours in a list are far apart


def region_color(number: int) -> np.ndarray:
    """Return the colour of a region, RGB in 0..1. number: from 0."""
    return np.array(colorsys.hsv_to_rgb((0.58 + GOLDEN * number) % 1, 0.85, 0.95))


def overlay_regions(pixels: np.ndarray, masks: Sequence[np.ndarray]) -> np.ndarray:
    """Tint a picture with the colour of each region, as strongly as its mask.

    pixels: `(height, width, 3)` in [0, 1]. masks: each `(height, width)` in [0, 1].
    Where no region is, the picture is grey. Where several are, their colours mix.
    """
    grey = pixels.mean(axis=2, keepdims=True)
    total = np.sum(masks, axis=0)
    colors = (
        sum(mask[..., None] * region_color(number) for number, mask in enumerate(masks))
        / np.maximum(total, 1e-6)[..., None]
    )
    covered = np.minimum(total, 1.0)[..., None]
    tinted = (1 - TINT) * pixels + TINT * colors * (0.3 + 0.7 * grey)
    return ((1 - covered) * grey + covered * tinted).astype("float32")
