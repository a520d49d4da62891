"""Scores that need no network: statistics of pixels and of loss curves."""

from collections.abc import Mapping, Sequence

import numpy as np

from kstyle.experiments.scoring.names import NEAR_FACTOR
from kstyle.images.color_spaces import cielab
from kstyle.losses.regularization import total_variation

# ITU-R BT.709, the weights of sRGB's primaries, applied to encoded values.
LUMA_WEIGHTS = np.array([0.2126, 0.7152, 0.0722])
FINE_FREQUENCY = 0.25  # cycles per pixel: half of the highest possible one
# Waves longer than a sixth of the short edge count as shapes, not strokes. Of 3 to 12,
# six was best at ordering photographs repainted with brushes of 3 to 18 pixels.
SHAPE_WAVES = 6
# `stroke_width`: the smallest width, and how closely the widths lie.
MIN_WIDTH = 1.5
WIDTHS_PER_OCTAVE = 4
# Stripes w pixels wide are a wave of length 2 w, whose curvature times sigma^2 is
# largest at sigma = sqrt(2) / (2 pi / 2 w).
SIGMA_OF_WIDTH = 2**0.5 / np.pi
# Smaller divisors give NaN: energy of rounding to 8 bits, chroma that looks grey.
MIN_ENERGY = (1 / 255) ** 2 / 12
MIN_CHROMA = 1.0


def pixel_scores(picture: np.ndarray, content: np.ndarray) -> dict[str, float]:
    """Return the scores of a result's pixels.

    picture, content: float32 RGB of one size, in [0, 1].
    Returns: `{name: float}`; NaN where the divisor is too small: `high_frequency` of a
        flat content picture, `chroma` of a grey one, `stroke_scale` and `stroke_width`
        of a flat result.
    """
    picture, content = np.asarray(picture, "float32"), np.asarray(content, "float32")
    lab, content_lab = cielab(picture), cielab(content)
    shift = lab.mean(axis=(0, 1)) - content_lab.mean(axis=(0, 1))
    return {
        "tv_energy": float(total_variation(picture[None])[0]),
        "roughness": roughness(picture),
        "high_frequency": relative_to(
            fine_energy(picture), fine_energy(content), MIN_ENERGY
        ),
        "colour_shift": float(np.linalg.norm(shift)),
        "chroma": relative_to(mean_chroma(lab), mean_chroma(content_lab), MIN_CHROMA),
        "stroke_scale": stroke_scale(picture),
        "stroke_width": stroke_width(picture),
    }


def mean_chroma(lab: np.ndarray) -> float:
    """Return the mean distance of CIELAB colours `(H, W, 3)` from grey."""
    return np.hypot(lab[..., 1], lab[..., 2]).mean()


def relative_to(value: float, divisor: float, minimum: float) -> float:
    """Return `value / divisor`; NaN where the divisor is below `minimum`."""
    return float(value / divisor) if divisor >= minimum else float("nan")


def roughness(picture: np.ndarray) -> float:
    """Return the mean absolute difference of neighbouring pixels, in grey levels."""
    steps = [np.abs(np.diff(picture, axis=axis)).ravel() for axis in (0, 1)]
    return float(255 * np.concatenate(steps).mean(dtype="float64"))


def spectrum(picture: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the frequency (cycles per pixel) and the energy of every wave in the luma.

    A Hann window removes the step between opposite edges. The energies sum to the
    windowed variance of the luma, at any size.
    """
    luma = np.asarray(picture, "float64") @ LUMA_WEIGHTS
    # Two more points, so that the outermost pixels have a weight above 0.
    rows, columns = (np.hanning(n + 2)[1:-1] for n in luma.shape)
    window = np.outer(rows, columns)
    waves = np.fft.fft2((luma - np.average(luma, weights=window)) * window)
    down, right = (np.fft.fftfreq(n) for n in luma.shape)
    energies = np.abs(waves) ** 2 / (luma.size * np.sum(np.square(window)))
    return np.hypot(down[:, None], right), energies


def fine_energy(picture: np.ndarray) -> float:
    """Return the energy of the luma's waves shorter than 4 pixels."""
    frequencies, energies = spectrum(picture)
    return energies[frequencies > FINE_FREQUENCY].sum()


def stroke_scale(picture: np.ndarray) -> float:
    """Return half the wavelength of the luma's mean frequency, weighted by energy.

    In pixels. Soft stripes w pixels wide have the wavelength 2 w and the score w. The
    score orders pictures by strokes up to a twelfth of the short edge; it does not
    measure one stroke, since sharp edges and noise lower it.
    """
    frequencies, energies = spectrum(picture)
    strokes = frequencies > SHAPE_WAVES / min(frequencies.shape)
    frequencies, energies = frequencies[strokes], energies[strokes]
    total = (energies * frequencies).sum()
    return 0.5 / relative_to(total, energies.sum(), MIN_ENERGY)


def curve_scores(curve: Mapping[str, Sequence[float]]) -> dict[str, float]:
    """Return the step and the time from which the loss stays near its last value.

    curve: lists `step`, `seconds`, `loss`. Near is at most 1.1 x the last loss. The
    first time below that does not count: a coarser scale's loss is of another picture.
    Returns: `{"steps_to_near", "seconds_to_near"}`.
    """
    loss = np.asarray(curve["loss"])
    far = np.flatnonzero(loss > NEAR_FACTOR * loss[-1])
    first = far[-1] + 1 if len(far) else 0
    return {
        "steps_to_near": float(curve["step"][first]),
        "seconds_to_near": float(curve["seconds"][first]),
    }


def stroke_width(picture: np.ndarray) -> float:
    """Return the median width of the luma's strokes, in pixels.

    Scale selection after Lindeberg 1998, "Edge detection and ridge detection with
    automatic scale selection": at each pixel the difference of the two curvatures (the
    eigenvalues of the Hessian) of the picture smoothed by a Gaussian, times the square
    of the Gaussian's sigma, is largest where sigma fits the stroke. A pattern of dots
    or a grid has equal curvatures, and one of a small amplitude loses against a stroke
    at the same pixel: unlike `stroke_scale`, the score is not lowered by either. The
    median is weighted by the strength. NaN for a flat picture.
    """
    luma = np.asarray(picture, "float64") @ LUMA_WEIGHTS
    widest = min(luma.shape) / (2 * SHAPE_WAVES)
    count = int(np.ceil(WIDTHS_PER_OCTAVE * np.log2(max(2, widest / MIN_WIDTH)))) + 1
    widths = np.geomspace(MIN_WIDTH, max(2 * MIN_WIDTH, widest), count)
    best, chosen = np.zeros(luma.shape), np.zeros(luma.shape)
    margin = min(*luma.shape, int(np.ceil(3 * SIGMA_OF_WIDTH * widths[-1])))
    waves = np.fft.rfft2(np.pad(luma - luma.mean(), margin, "symmetric"))
    down, right = (n + 2 * margin for n in luma.shape)
    ky = 2 * np.pi * np.fft.fftfreq(down)[:, None]
    kx = 2 * np.pi * np.fft.rfftfreq(right)
    inside = tuple(slice(margin, margin + n) for n in luma.shape)
    for width in widths:
        sigma = SIGMA_OF_WIDTH * width
        smooth = waves * np.exp(-(kx**2 + ky**2) * sigma**2 / 2)
        # The difference of the eigenvalues: sqrt((L_xx - L_yy)^2 + 4 L_xy^2).
        uneven, mixed = (
            np.fft.irfft2(smooth * factor, (down, right))[inside]
            for factor in (ky**2 - kx**2, -2 * kx * ky)
        )
        strength = sigma**2 * np.hypot(uneven, mixed)
        better = strength > best
        best[better], chosen[better] = strength[better], width
    if np.square(best).mean() < MIN_ENERGY:
        return float("nan")
    order = np.argsort(chosen, axis=None)
    weights = np.cumsum(best.ravel()[order])
    middle = np.searchsorted(weights, weights[-1] / 2)
    return float(chosen.ravel()[order[middle]])
