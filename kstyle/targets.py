"""What the losses compare with: the features and Gram matrices of the two pictures."""

import numpy as np

from kstyle.graphs import own_graph, pixels
from kstyle.recent import Recent

GRAPHS = 8  # that an extractor keeps, one for each set of layers


def represent(extractor, terms, pictures):
    """What each term compares with, computed once a run: `{tag: tensor}`.

    pictures: `{"content": …, "style": …}`, each `(height, width, 3)` in [0, 1].
    """
    found = {}
    for source in dict.fromkeys(term.source for term in terms if term.source):
        mine = [term for term in terms if term.source == source]
        layers = {term.layer for term in mine}
        features = seen(extractor, batch_of_one(pictures[source]), layers)
        found |= {term.tag: term.loss.represent(features[term.layer]) for term in mine}
    return found


def seen(extractor, picture, layers):
    """`{layer: features}` of a `(1, height, width, 3)` picture, and no layer above.

    In a graph, as a step's are: a convolution, its bias and its ReLU are one kernel
    there, which is faster, and rounds once. Targets in bfloat16 that are rounded
    otherwise lead the picture astray: the gradient near the end was 37 % off, and is
    9 % so. One graph serves pictures of all sizes.
    """
    if not hasattr(extractor, "graphs"):
        extractor.graphs = Recent(GRAPHS)
    names = tuple(sorted(layers))

    def features(picture):
        found = extractor.call(picture)
        return {name: found[name] for name in names}

    any_size = (pixels(3, shape=(1, None, None)),)
    graph = extractor.graphs.get(names, lambda: own_graph(features, any_size))
    return graph(picture)


def precision_of(extractor):
    """What its convolutions are computed in: "float32" or "bfloat16"."""
    return extractor.layers[-1].compute_dtype


def batch_of_one(picture):
    """`(height, width, 3)`, or a batch of one already, as `(1, height, width, 3)`."""
    picture = np.asarray(picture, "float32")
    return picture if picture.ndim == 4 else picture[None]
