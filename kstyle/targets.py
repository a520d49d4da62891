"""What the losses compare with: the features and Gram matrices of the two pictures."""

import numpy as np

from kstyle.graphs import own_graph


def represent(extractor, terms, pictures):
    """What each term compares with, computed once a run: `{tag: tensor}`.

    pictures: `{"content": …, "style": …}`, each `(height, width, 3)` in [0, 1].
    """
    found = {}
    for source in dict.fromkeys(term.source for term in terms if term.source):
        features = seen(extractor, batch_of_one(pictures[source]))
        mine = [term for term in terms if term.source == source]
        found |= {term.tag: term.loss.represent(features[term.layer]) for term in mine}
    return found


def seen(extractor, picture):
    """The features of a `(1, height, width, 3)` picture, rounded as a step's are.

    In a graph a convolution, its bias and its ReLU are one kernel, which rounds once.
    Targets in bfloat16 that are rounded otherwise lead the picture astray: the gradient
    near the end was 37 % off, and is 9 % so. In float32 it is no matter.
    """
    if precision_of(extractor) == "float32":
        return extractor(picture)
    if not hasattr(extractor, "own_graph"):  # kept with it: one trace a size
        extractor.own_graph = own_graph(extractor.call)
    return extractor.own_graph(picture)


def precision_of(extractor):
    """What its convolutions are computed in: "float32" or "bfloat16"."""
    return extractor.layers[-1].compute_dtype


def batch_of_one(picture):
    """`(height, width, 3)`, or a batch of one already, as `(1, height, width, 3)`."""
    picture = np.asarray(picture, "float32")
    return picture if picture.ndim == 4 else picture[None]
