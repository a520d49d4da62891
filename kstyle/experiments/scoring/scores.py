"""Scores that compare pictures made under different losses.

A run's own loss depends on its layers and weights, so it says nothing across runs.
Here one fixed network, its layers and their Gram matrices judge every result.
"""

import functools

import numpy as np
from keras import ops

from kstyle.errors import ConfigError
from kstyle.experiments.scoring.names import (
    JUDGE_CONTENT_LAYER,
    JUDGE_STYLE_LAYERS,
    NEAR_FACTOR,
)
from kstyle.images.color_spaces import cielab
from kstyle.losses.regularization import total_variation
from kstyle.losses.style import gram_matrix
from kstyle.networks.extractor import build_extractor

MIN_JUDGED_EDGE = 16  # pixels an edge: four poolings lie before conv5_1
# ITU-R BT.709, the weights of sRGB's primaries, on encoded values.
LUMA_WEIGHTS = np.array([0.2126, 0.7152, 0.0722])
FINE_FREQUENCY = 0.25  # cycles a pixel: half of what pixels can hold
# Waves longer than a sixth of the short edge are taken for shapes. Of 3 to 12, six was
# best at ordering photographs repainted with brushes of 3 to 18 pixels.
SHAPES = 6
# Too little to be relative to: what rounding to 8 bits leaves, what an eye calls grey.
LEAST_ENERGY, LEAST_CHROMA = (1 / 255) ** 2 / 12, 1.0


@functools.lru_cache(maxsize=2)
def judge_extractor(weights="builtin"):
    """The network of every `Judge`; see `build_extractor` for `weights`."""
    layers = (*JUDGE_STYLE_LAYERS, JUDGE_CONTENT_LAYER)
    return build_extractor("vgg19", layers, pool="avg", padding="same", weights=weights)


class Judge:
    """Scores results of one content and one style picture.

    content, style: float RGB `(height, width, 3)` in [0, 1]; content at the size of
        the results, style at a size of its own.
    extractor: a `judge_extractor()`, for many judges to share.
    Raises: ConfigError: a picture has an edge below 16 pixels; its methods do too.
    """

    def __init__(self, content, style, extractor=None):
        self.extractor = extractor or judge_extractor()
        self.content = np.asarray(content, "float32")
        photograph = self.look(content)[JUDGE_CONTENT_LAYER]
        self.targets = {**self.look(style), JUDGE_CONTENT_LAYER: photograph}

    def scores(self, picture):
        """Every score of a result `(height, width, 3)`: `{name: float}`.

        A distance is `|x - target|^2 / |target|^2` of Gram matrices or features. Not a
        number where there is nothing to be relative to: `high_frequency` of a flat
        content picture, `chroma` of a grey one, `stroke_scale` of a flat result.
        Raises: ValueError: `picture` is not of the content's size.
        """
        if np.shape(picture) != self.content.shape:
            raise ValueError(
                f"The result is {np.shape(picture)}, the content {self.content.shape}: "
                "resize the content to the result."
            )
        seen = self.look(picture)
        far = {
            k: squared_norm(seen[k] - t) / squared_norm(t)
            for k, t in self.targets.items()
        }
        return {
            "style_distance": sum(far[k] for k in JUDGE_STYLE_LAYERS)
            / len(JUDGE_STYLE_LAYERS),
            **{f"style_distance/{k}": far[k] for k in JUDGE_STYLE_LAYERS},
            "content_distance": far[JUDGE_CONTENT_LAYER],
            **pixel_scores(np.asarray(picture, "float32"), self.content),
        }

    def style_difference(self, a, b):
        """`style_difference` of two pictures."""
        return style_difference(self.look(a), self.look(b))

    def look(self, picture):
        """By layer: Gram matrices of the style, features of the content."""
        height, width = np.shape(picture)[:2]
        if min(height, width) < MIN_JUDGED_EDGE:  # the deepest layer would be empty
            raise ConfigError(
                f"A picture of {height} x {width} pixels is too small to be judged: "
                f"it needs {MIN_JUDGED_EDGE} each way at least."
            )
        features = self.extractor(np.asarray(picture, "float32")[None])
        seen = {k: gram_matrix(features[k]) for k in JUDGE_STYLE_LAYERS}
        seen[JUDGE_CONTENT_LAYER] = features[JUDGE_CONTENT_LAYER]
        return {k: ops.convert_to_numpy(x).astype("float64") for k, x in seen.items()}


def style_difference(a, b):
    """How differently two pictures are painted: 0 is alike, 2 the most.

    a, b: what `Judge.look` saw of them. The mean over the layers of
    `|G_a - G_b|^2 / ((|G_a|^2 + |G_b|^2) / 2)`.
    """
    far = [
        2 * squared_norm(a[k] - b[k]) / (squared_norm(a[k]) + squared_norm(b[k]))
        for k in JUDGE_STYLE_LAYERS
    ]
    return sum(far) / len(far)


def squared_norm(array):
    """Sum of squares: of a matrix, its squared Frobenius norm."""
    return float(np.sum(np.square(array)))


def pixel_scores(picture, content):
    """The scores that need no network, of float32 pictures of one size."""
    labs = [cielab(p) for p in (picture, content)]
    shift = np.subtract(*(lab.mean(axis=(0, 1)) for lab in labs))
    chromas = [np.hypot(lab[..., 1], lab[..., 2]).mean() for lab in labs]
    return {
        "tv_energy": float(total_variation(picture[None])[0]),
        "roughness": roughness(picture),
        "high_frequency": relative_to(fine_energy(picture), fine_energy(content)),
        "colour_shift": float(np.linalg.norm(shift)),
        "chroma": relative_to(*chromas, LEAST_CHROMA),
        "stroke_scale": stroke_scale(picture),
    }


def relative_to(value, whole, least=LEAST_ENERGY):
    """`value / whole`; not a number where `whole` is below `least`."""
    return float(value / whole) if whole >= least else float("nan")


def roughness(picture):
    """Mean absolute difference of neighbours, both directions, in grey levels."""
    steps = [np.abs(np.diff(picture, axis=axis)).ravel() for axis in (0, 1)]
    return float(255 * np.concatenate(steps).mean(dtype="float64"))


def spectrum(picture):
    """Frequency in cycles a pixel and energy of every wave in the luma.

    Under a Hann window, so that opposite edges need not fit. The energies sum to the
    windowed variance of the luma, at any size.
    """
    luma = np.asarray(picture, "float64") @ LUMA_WEIGHTS
    # Two points more, so that no pixel has the weight 0.
    window = np.outer(*(np.hanning(n + 2)[1:-1] for n in luma.shape))
    waves = np.fft.fft2((luma - np.average(luma, weights=window)) * window)
    down, right = (np.fft.fftfreq(n) for n in luma.shape)
    energies = np.abs(waves) ** 2 / (luma.size * squared_norm(window))
    return np.hypot(down[:, None], right), energies


def fine_energy(picture):
    """Energy of the luma's waves shorter than 4 pixels."""
    frequencies, energies = spectrum(picture)
    return energies[frequencies > FINE_FREQUENCY].sum()


def stroke_scale(picture):
    """Half the wavelength of the luma's mean frequency, weighted by energy; in pixels.

    Soft stripes w pixels wide have w, as their wavelength is 2 w. It orders pictures
    by their strokes up to a twelfth of the short edge, and is no calipers: sharp
    edges and grain pull it down.
    """
    frequencies, energies = spectrum(picture)
    strokes = frequencies > SHAPES / min(frequencies.shape)
    frequencies, energies = frequencies[strokes], energies[strokes]
    return 0.5 / relative_to((energies * frequencies).sum(), energies.sum())


def curve_scores(curve):
    """When the loss is there for good: `{"steps_to_near", "seconds_to_near"}`.

    curve: lists `step`, `seconds`, `loss`. From then on the loss is never above 1.1 x
    its last. A first touch will not do: a coarser scale's loss is another picture's.
    """
    loss = np.asarray(curve["loss"])
    far = np.flatnonzero(loss > NEAR_FACTOR * loss[-1])
    first = far[-1] + 1 if len(far) else 0
    return {
        "steps_to_near": float(curve["step"][first]),
        "seconds_to_near": float(curve["seconds"][first]),
    }
