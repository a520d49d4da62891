"""Scores that compare pictures made under different losses.

A run's own loss depends on its layers and weights, so it says nothing across runs.
Here one fixed network, its layers and their Gram matrices judge every result.
"""

import functools

import numpy as np
from keras import ops

from kstyle.errors import ConfigError
from kstyle.experiments.score_names import CONTENT_LAYER, NEAR, STYLE_LAYERS
from kstyle.extractor import build_extractor
from kstyle.losses import gram_matrix, total_variation

SMALLEST = 16  # pixels an edge: four poolings lie before conv5_1
# ITU-R BT.709, the weights of sRGB's primaries, on encoded values.
LUMA = np.array([0.2126, 0.7152, 0.0722])
FINE = 0.25  # cycles a pixel: half of what pixels can hold
# Waves longer than a sixth of the short edge are taken for shapes. Of 3 to 12, six was
# best at ordering photographs repainted with brushes of 3 to 18 pixels.
SHAPES = 6
# Too little to be relative to: what rounding to 8 bits leaves, what an eye calls grey.
LEAST_ENERGY, LEAST_CHROMA = (1 / 255) ** 2 / 12, 1.0
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


@functools.lru_cache(maxsize=2)
def judge_extractor(weights="builtin"):
    """The network of every `Judge`; see `build_extractor` for `weights`."""
    layers = (*STYLE_LAYERS, CONTENT_LAYER)
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
        photograph = self.look(content)[CONTENT_LAYER]
        self.targets = {**self.look(style), CONTENT_LAYER: photograph}

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
        far = {k: square(seen[k] - t) / square(t) for k, t in self.targets.items()}
        return {
            "style_distance": sum(far[k] for k in STYLE_LAYERS) / len(STYLE_LAYERS),
            **{f"style_distance/{k}": far[k] for k in STYLE_LAYERS},
            "content_distance": far[CONTENT_LAYER],
            **pixel_scores(np.asarray(picture, "float32"), self.content),
        }

    def style_difference(self, a, b):
        """`style_difference` of two pictures."""
        return style_difference(self.look(a), self.look(b))

    def look(self, picture):
        """By layer: Gram matrices of the style, features of the content."""
        height, width = np.shape(picture)[:2]
        if min(height, width) < SMALLEST:  # the deepest layer would be empty
            raise ConfigError(
                f"A picture of {height} x {width} pixels is too small to be judged: "
                f"it needs {SMALLEST} each way at least."
            )
        features = self.extractor(np.asarray(picture, "float32")[None])
        seen = {k: gram_matrix(features[k]) for k in STYLE_LAYERS}
        seen[CONTENT_LAYER] = features[CONTENT_LAYER]
        return {k: ops.convert_to_numpy(x).astype("float64") for k, x in seen.items()}


def style_difference(a, b):
    """How differently two pictures are painted: 0 is alike, 2 the most.

    a, b: what `Judge.look` saw of them. The mean over the layers of
    `|G_a - G_b|^2 / ((|G_a|^2 + |G_b|^2) / 2)`.
    """
    far = [
        2 * square(a[k] - b[k]) / (square(a[k]) + square(b[k])) for k in STYLE_LAYERS
    ]
    return sum(far) / len(far)


def square(array):
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
        "high_frequency": quotient(fine_energy(picture), fine_energy(content)),
        "colour_shift": float(np.linalg.norm(shift)),
        "chroma": quotient(*chromas, LEAST_CHROMA),
        "stroke_scale": stroke_scale(picture),
    }


def quotient(value, whole, least=LEAST_ENERGY):
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
    luma = np.asarray(picture, "float64") @ LUMA
    # Two points more, so that no pixel has the weight 0.
    window = np.outer(*(np.hanning(n + 2)[1:-1] for n in luma.shape))
    waves = np.fft.fft2((luma - np.average(luma, weights=window)) * window)
    down, right = (np.fft.fftfreq(n) for n in luma.shape)
    energies = np.abs(waves) ** 2 / (luma.size * square(window))
    return np.hypot(down[:, None], right), energies


def fine_energy(picture):
    """Energy of the luma's waves shorter than 4 pixels."""
    frequencies, energies = spectrum(picture)
    return energies[frequencies > FINE].sum()


def stroke_scale(picture):
    """Half the wavelength of the luma's mean frequency, weighted by energy; in pixels.

    Soft stripes w pixels wide have w, as their wavelength is 2 w. It orders pictures
    by their strokes up to a twelfth of the short edge, and is no calipers: sharp
    edges and grain pull it down.
    """
    frequencies, energies = spectrum(picture)
    strokes = frequencies > SHAPES / min(frequencies.shape)
    frequencies, energies = frequencies[strokes], energies[strokes]
    return 0.5 / quotient((energies * frequencies).sum(), energies.sum())


def cielab(picture):
    """CIELAB (D65) of sRGB `(…, 3)` in [0, 1]: IEC 61966-2-1, then CIE 15."""
    rgb = np.asarray(picture, "float64")
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    t, edge = linear @ XYZ_OF_RGB.T / WHITE, 6 / 29
    f = np.where(t > edge**3, np.cbrt(t), t / (3 * edge**2) + 4 / 29)
    x, y, z = np.moveaxis(f, -1, 0)
    return np.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], axis=-1)


def colour_difference(a, b):
    """Mean CIELAB distance (CIE 1976) of two pictures of one size, pixel by pixel."""
    return float(np.linalg.norm(cielab(a) - cielab(b), axis=-1).mean())


def curve_scores(curve):
    """When the loss is there for good: `{"steps_to_near", "seconds_to_near"}`.

    curve: lists `step`, `seconds`, `loss`. From then on the loss is never above 1.1 x
    its last. A first touch will not do: a coarser scale's loss is another picture's.
    """
    loss = np.asarray(curve["loss"])
    far = np.flatnonzero(loss > NEAR * loss[-1])
    first = far[-1] + 1 if len(far) else 0
    return {
        "steps_to_near": float(curve["step"][first]),
        "seconds_to_near": float(curve["seconds"][first]),
    }
