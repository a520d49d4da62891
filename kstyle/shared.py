"""What the runs of one process have in common, made once: extractors, targets, models.

A model's graphs take longer to trace than some steps of a small picture, so a process
of many runs keeps the models and starts them again for the next picture.
"""

import hashlib
import math

import numpy as np

from kstyle.extractor import build_extractor
from kstyle.optimizers import optimizer_options
from kstyle.recent import Recent
from kstyle.targets import represent
from kstyle.tiled_model import represent_tiled

EXTRACTORS = 4  # a VGG19 down to conv5_1 is 50 MB
TARGETS = 2**28  # bytes: the Grams of 35 styles at three scales, or a few contents
# Bytes, where models are kept: a run's at 1024 px have as many with L-BFGS. A step of a
# larger picture takes so long that tracing does not count.
MODELS = 2**28
FLOAT = 4  # bytes


class Shared:
    """Extractors and models by what they are made of; targets by network, layer and
    picture.

    models: bytes of models to keep; none unless given, as one run meets each once.
    The least recently used go when there are too many, so that a process can run any
    number of configurations.
    """

    def __init__(self, models=0):
        self.extractors = Recent(EXTRACTORS)
        self.kept = Recent(TARGETS, size_in_bytes)
        self.models = Recent(models, state_bytes)

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

    def model(self, job, terms, tile, precision, build, start):
        """The compiled model that `build()` makes, or one like it, started again.

        tile, precision: as for `targets`. start: the arguments of
            `StyleTransfer.restart`; those that the model depends on otherwise are the
            job's and the terms.
        """
        config = job.config
        key = (
            *(*network_of(job, precision), tile, start["init"].shape, config.device),
            *optimizer_options(config).items(),
            tuple((t.tag, t.layer, t.loss.name, t.weight, t.source) for t in terms),
        )
        again = key in self.models
        model = self.models.get(key, build)
        if again:
            model.restart(**start)
        return model


def network_of(job, precision):
    """What tells the network of one run from that of another."""
    config = job.config
    return config.net, config.pool, config.padding, job.weights.sha256, precision


def size_in_bytes(array):
    """Of an array, a tensor or a variable; none of ours has larger numbers."""
    return FLOAT * math.prod(array.shape)


def state_bytes(model):
    """Of a model's picture, gradient, targets and optimiser's state."""
    held = [model.image, model.gradient, *model.targets.values()]
    return sum(map(size_in_bytes, (*held, *model.optimizer.variables)))


def digest(picture):
    """What tells one array of pixels from another: its shape and its bytes' hash."""
    picture = np.ascontiguousarray(picture, np.float32)
    return picture.shape, hashlib.sha256(picture).hexdigest()
