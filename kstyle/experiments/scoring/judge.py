"""The judge: distances between pictures by one fixed network.

A run's own loss depends on its layers and weights and cannot be compared across runs.
The judge uses the same network, layers and Gram matrices for every result.
"""

import functools
from collections.abc import Mapping

import keras
import numpy as np
from keras import ops

from kstyle.errors import ConfigError
from kstyle.experiments.scoring.mixtures import Mixture, as_mixture
from kstyle.experiments.scoring.names import JUDGE_CONTENT_LAYER, JUDGE_STYLE_LAYERS
from kstyle.losses.style import gram_matrix
from kstyle.networks.extractor import build_extractor

MIN_JUDGED_EDGE = 16  # px: conv5_1 comes after four poolings

# Layer to the Gram matrix (style layers) or the features (content layer), float64.
Representation = Mapping[str, np.ndarray]


@functools.lru_cache(maxsize=2)
def judge_extractor(weights: str | None = "builtin") -> keras.Model:
    """Return the network of every `Judge`; for `weights` see `build_extractor`."""
    layers = (*JUDGE_STYLE_LAYERS, JUDGE_CONTENT_LAYER)
    return build_extractor("vgg19", layers, pool="avg", padding="same", weights=weights)


class Judge:
    """Measures how far results are from one content and one style picture.

    content, style: float RGB `(height, width, 3)` in [0, 1]; content at the size of
        the results, style at any size. A style of several pictures has the mean of
        their Gram matrices, by their shares, as the style loss of a mixture.
    extractor: a `judge_extractor()`, which several judges can share.
    Raises: ConfigError: a picture has an edge below 16 pixels; its methods do too.
    """

    def __init__(
        self,
        content: np.ndarray,
        style: np.ndarray | Mixture,
        extractor: keras.Model | None = None,
    ):
        self.extractor = extractor or judge_extractor()
        self.content = np.asarray(content, "float32")
        content_features = self.represent(content)[JUDGE_CONTENT_LAYER]
        styles = [(share, self.represent(each)) for share, each in as_mixture(style)]
        self.targets = {
            layer: np.sum([share * found[layer] for share, found in styles], axis=0)
            for layer in JUDGE_STYLE_LAYERS
        } | {JUDGE_CONTENT_LAYER: content_features}

    def distances(self, picture: np.ndarray) -> dict[str, float]:
        """Return the distances of a result to the content and the style picture.

        Each is `|x - target|^2 / |target|^2` of Gram matrices or features.
        Raises: ValueError: `picture` does not have the content's size.
        """
        if np.shape(picture) != self.content.shape:
            raise ValueError(
                f"The result is {np.shape(picture)}, the content {self.content.shape}: "
                "resize the content to the result."
            )
        found = self.represent(picture)
        distances = {
            layer: squared_norm(found[layer] - target) / squared_norm(target)
            for layer, target in self.targets.items()
        }
        style = {
            f"style_distance/{layer}": distances[layer] for layer in JUDGE_STYLE_LAYERS
        }
        return {
            "style_distance": sum(style.values()) / len(style),
            **style,
            "content_distance": distances[JUDGE_CONTENT_LAYER],
        }

    def style_difference(self, a: np.ndarray, b: np.ndarray) -> float:
        """Return the `style_difference` of two pictures."""
        return style_difference(self.represent(a), self.represent(b))

    def represent(self, picture: np.ndarray) -> Representation:
        """Return the Gram matrices and features of a picture, by layer."""
        height, width = np.shape(picture)[:2]
        if min(height, width) < MIN_JUDGED_EDGE:  # the deepest layer would be empty
            raise ConfigError(
                f"A picture of {height} x {width} pixels is too small to be scored: "
                f"both edges need at least {MIN_JUDGED_EDGE} pixels."
            )
        features = self.extractor(np.asarray(picture, "float32")[None])
        found = {layer: gram_matrix(features[layer]) for layer in JUDGE_STYLE_LAYERS}
        found[JUDGE_CONTENT_LAYER] = features[JUDGE_CONTENT_LAYER]
        return {
            layer: ops.convert_to_numpy(tensor).astype("float64")
            for layer, tensor in found.items()
        }


def style_difference(a: Representation, b: Representation) -> float:
    """Return how much two pictures differ in style: 0 for equal ones, at most 2.

    The mean over the layers of `|G_a - G_b|^2 / ((|G_a|^2 + |G_b|^2) / 2)`.
    """
    differences = [
        2
        * squared_norm(a[layer] - b[layer])
        / (squared_norm(a[layer]) + squared_norm(b[layer]))
        for layer in JUDGE_STYLE_LAYERS
    ]
    return sum(differences) / len(differences)


def squared_norm(array: np.ndarray) -> float:
    """Return the sum of squares; of a matrix the squared Frobenius norm."""
    return float(np.sum(np.square(array)))
