"""Scores that need no network: statistics of pixels and of loss curves."""

from collections.abc import Mapping, Sequence

import numpy as np

from kstyle.experiments.scoring.names import FALL_SHARE, NEAR_FACTOR
from kstyle.images.color_spaces import cielab
from kstyle.losses.regularization import total_variation

# ITU-R BT.709, the weights of sRGB's primaries, applied to encoded values.
LUMA_WEIGHTS = np.array([0.2126, 0.7152, 0.0722])
FINE_FREQUENCY = 0.25  # cycles per pixel: half of the highest possible one
# Waves longer than a sixth of the short edge count as shapes, not strokes. Of 3 to 12,
# six was best at ordering photographs repainted with brushes of 3 to 18 pixels.
SHAPE_WAVES = 6
# Of `stroke_length`: the Gaussians, and the mirrored border of a picture, in pixels.
GRADIENT_SIGMA, DIRECTION_SIGMA, DIRECTION_MARGIN = 1.0, 2.0, 12
# Smaller divisors give NaN: energy of rounding to 8 bits, chroma that looks grey.
MIN_ENERGY = (1 / 255) ** 2 / 12
MIN_CHROMA = 1.0


def pixel_scores(picture: np.ndarray, content: np.ndarray) -> dict[str, float]:
    """Return the scores of a result's pixels.

    picture, content: float32 RGB of one size, in [0, 1].
    Returns: `{name: float}`; NaN where the divisor is too small: `high_frequency` of a
        flat content picture, `chroma` of a grey one, `stroke_scale` and `stroke_length`
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
        "stroke_length": stroke_length(picture),
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
    """Return when the loss has fallen, and from when it stays near its last value.

    curve: lists `step`, `seconds`, `loss`. Near is at most 1.1 x the last loss. The
    first time below that does not count: a coarser scale's loss is of another picture.
    `steps_to_fall` is the step from which 90 % of the fall from the first to the last
    loss is kept; NaN if the loss did not fall. Unlike near, it depends neither on the
    scale of the loss nor on a constant part of it.
    Returns: `{"steps_to_fall", "steps_to_near", "seconds_to_near"}`.
    """
    loss = np.asarray(curve["loss"])
    fall = loss[0] - loss[-1]
    above = np.flatnonzero(loss > loss[0] - FALL_SHARE * fall)
    far = np.flatnonzero(loss > NEAR_FACTOR * loss[-1])
    first = far[-1] + 1 if len(far) else 0
    return {
        "steps_to_fall": (
            float(curve["step"][above[-1] + 1]) if fall > 0 else float("nan")
        ),
        "steps_to_near": float(curve["step"][first]),
        "seconds_to_near": float(curve["seconds"][first]),
    }


def stroke_length(picture: np.ndarray) -> float:
    """Return the distance over which the direction of the luma's lines persists.

    In pixels: where the mean of cos(2 a), a the angle between the directions of two
    pixels, falls to one half; at most a third of the short edge. The directions are
    those of the structure tensor (Bigün and Granlund 1987) with Gaussians of 1 and
    2 px, and each pixel counts by its strength. Unlike `stroke_scale`, the score is not
    lowered by noise or dots over the strokes, which have no direction, nor by fine
    lines along them. It orders pictures by the size of their strokes and does not
    measure one: strokes that lie across each other shorten it. NaN for a flat picture.
    """
    luma = np.asarray(picture, "float64") @ LUMA_WEIGHTS
    height, width = luma.shape
    padded = np.pad(luma - luma.mean(), DIRECTION_MARGIN, "symmetric")
    ky = 2 * np.pi * np.fft.fftfreq(padded.shape[0])[:, None]
    kx = 2 * np.pi * np.fft.fftfreq(padded.shape[1])
    square = kx**2 + ky**2
    waves = np.fft.fft2(padded) * np.exp(-square * GRADIENT_SIGMA**2 / 2)
    across, down = (np.fft.ifft2(1j * k * waves).real for k in (kx, ky))
    # A complex number whose angle is twice that of the gradient: opposite gradients,
    # as at the two sides of a line, have the same.
    doubled = np.fft.fft2((across + 1j * down) ** 2)
    smooth = np.fft.ifft2(doubled * np.exp(-square * DIRECTION_SIGMA**2 / 2))
    inside = slice(DIRECTION_MARGIN, -DIRECTION_MARGIN)
    directions = smooth[inside, inside]
    if np.abs(directions).mean() < MIN_ENERGY:
        return float("nan")
    agreement = autocorrelation(directions)
    strength = autocorrelation(np.abs(directions))
    rows, columns = (np.fft.fftfreq(2 * n, 1 / (2 * n)) for n in (height, width))
    distances = np.rint(np.hypot(rows[:, None], columns)).astype(int)
    longest = max(1, min(height, width) // 3)
    near = distances <= longest
    agreed = np.bincount(distances[near], agreement[near])
    profile = agreed / np.bincount(distances[near], strength[near])
    below = np.flatnonzero(profile < 0.5)
    if not len(below):
        return float(longest)
    first = below[0]
    before, after = profile[first - 1], profile[first]
    return float(first - 1 + (before - 0.5) / (before - after))


def autocorrelation(array: np.ndarray) -> np.ndarray:
    """Return the real part of the sum over x of `a(x) conj(a(x + d))` for every shift
    d; nothing is outside of the array."""
    waves = np.fft.fft2(array, [2 * n for n in array.shape])
    return np.fft.ifft2(np.abs(waves) ** 2).real
