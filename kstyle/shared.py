"""What the runs of one process have in common: extractors and targets, made once."""

import collections
import hashlib

import numpy as np

from kstyle.extractor import build_extractor
from kstyle.model import represent
from kstyle.tiled_model import represent_tiled

EXTRACTORS = 4  # a VGG19 down to conv5_1 is 50 MB
TARGETS = 64  # a conv2_2 of 320 x 213 pixels is 9 MB, a Gram 1 MB at most


class Shared:
    """Extractors by what they are made of; targets by network, layer and picture.

    The least recently used go when there are too many, so that a process can run any
    number of configurations.
    """

    def __init__(self):
        self.extractors = Recent(EXTRACTORS)
        self.kept = Recent(TARGETS)

    def extractor(self, job, layers, precision="float32"):
        """The extractor that the job's config describes, for `layers`."""
        config = job.config
        options = {"pool": config.pool, "padding": config.padding}
        options |= {"weights": job.weights, "precision": precision}
        key = (*network_of(job, precision), tuple(sorted(layers)))
        return self.extractors.get(
            key, lambda: build_extractor(config.net, layers, **options)
        )

    def targets(
        self, job, extractor, terms, pictures, tile=None, *, precision="float32"
    ):
        """`model.represent` of the terms; those met before are not computed again.

        tile: the edge of the tiles in pixels that they are computed in, if any.
        precision: the extractor's.
        """
        network = (*network_of(job, precision), tile)
        digests = {name: digest(picture) for name, picture in pictures.items()}
        keys = {
            term.tag: (*network, term.loss.name, term.layer, digests[term.source])
            for term in terms
            if term.source
        }
        # Held here as well: what is new may put out what is still needed.
        known = {tag: self.kept.values[k] for tag, k in keys.items() if k in self.kept}
        missing = [t for t in terms if t.tag in keys and t.tag not in known]
        if tile is None:
            found = known | represent(extractor, missing, pictures)
        else:
            found = known | represent_tiled(extractor, missing, pictures, tile)
        for tag, key in keys.items():
            self.kept.get(key, lambda tag=tag: found[tag])
        return found


def network_of(job, precision):
    """What tells the network of one run from that of another."""
    config = job.config
    return config.net, config.pool, config.padding, job.weights.sha256, precision


class Recent:
    """At most `limit` values; the least recently used one makes room."""

    def __init__(self, limit):
        self.limit = limit
        self.values = collections.OrderedDict()

    def __contains__(self, key):
        return key in self.values

    def get(self, key, make):
        """The value of `key`, made by `make()` if it is not there."""
        if key not in self.values:
            self.values[key] = make()
        self.values.move_to_end(key)
        while len(self.values) > self.limit:
            self.values.popitem(last=False)
        return self.values[key]


def digest(picture):
    """What tells one array of pixels from another: its shape and its bytes' hash."""
    picture = np.ascontiguousarray(picture, np.float32)
    return picture.shape, hashlib.sha256(picture).hexdigest()
