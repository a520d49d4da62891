"""The style that scores compare with: one picture, or several with shares."""

from collections.abc import Sequence

import numpy as np

from kstyle.images.picture import fit_long_edge, resize

Mixture = Sequence[tuple[float, np.ndarray]]  # shares, which add up to 1, and pictures


def as_mixture(style: np.ndarray | Mixture) -> Mixture:
    """Return a style as a mixture. style: float RGB `(height, width, 3)`, or one."""
    return [(1.0, style)] if isinstance(style, np.ndarray) else style


def shrink_style(style: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Shrink a style picture to the long edge of results of `size` (height, width), if
    it is larger: all of it is compared at their scale."""
    long_edge = min(max(size), max(style.shape[:2]))
    return resize(style, fit_long_edge(style.shape[:2], long_edge))
