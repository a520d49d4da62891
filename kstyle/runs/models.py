"""What the runs of one process have in common, made once: extractors, targets, models.

A model's graphs take longer to trace than some steps of a small picture, so a process
of many runs keeps the models and starts them again for the next picture.
"""

import contextlib
import functools
import hashlib
import math

import numpy as np
import tensorflow as tf

from kstyle.errors import OutOfMemoryError
from kstyle.hardware.devices import use_device
from kstyle.lru_cache import LRUCache
from kstyle.networks.extractor import build_extractor
from kstyle.optimizers.factory import make_optimizer, optimizer_options
from kstyle.planning.footprint import tile_edge
from kstyle.planning.memory_fit import out_of_memory_advice
from kstyle.transfer.style_transfer import StyleTransfer
from kstyle.transfer.targets import compute_targets

ONEDNN_MEMORY_ERROR = (
    "could not create"  # a primitive, its descriptor, memory: where memory ends
)


@contextlib.contextmanager
def memory_errors(job):
    """Turn what is raised inside where memory ends into one sentence."""
    try:
        yield
    except (MemoryError, tf.errors.ResourceExhaustedError, tf.errors.AbortedError) as e:
        if isinstance(e, tf.errors.AbortedError) and ONEDNN_MEMORY_ERROR not in str(e):
            raise
        sizes = job.content.size, job.style.shape[:2]
        raise OutOfMemoryError(out_of_memory_advice(job.config, *sizes)) from None


def on_device(function):
    """Decorate `function(job, ...)`: it runs on the device of the job's config, and
    raises `OutOfMemoryError` where memory ends."""

    @functools.wraps(function)
    def placed(job, *args, **kwargs):
        with use_device(job.config.device), memory_errors(job):
            return function(job, *args, **kwargs)

    return placed


def build_model(
    job,
    edge,
    shared,
    terms,
    start,
    *,
    start_step=0,
    precision="float32",
    optimise=False,
):
    """A `StyleTransfer` of the job's pictures at long `edge`.

    In tiles if the config asks for them and a picture is larger than one.
    precision: of the network; what is measured and kept is measured in float32: after
        steps in bfloat16 in tiles of half the edge, to take no more memory than they.
    optimise: whether it shall be compiled with the config's optimiser, so that it can
        `fit`. One that `shared` has kept of another run is started again then.
    """
    config = job.config
    pictures = {"content": job.content_at(edge), "style": job.style_at(edge)}
    layers = list(dict.fromkeys(term.layer for term in terms if term.source))
    extractor = shared.extractor(job, layers, precision)
    tile = tile_edge(config, *(p.shape[:2] for p in pictures.values()))
    if tile and not optimise and config.precision == "bfloat16":
        tile //= 2
    options = {"init": start, "start_step": start_step}
    options["targets"] = shared.targets(
        job, extractor, terms, pictures, tile, precision=precision
    )
    # Only their sizes count from here on, and a large one's pixels take memory.
    pictures = {k: np.broadcast_to(np.float32(0), p.shape) for k, p in pictures.items()}

    def build():
        model = StyleTransfer(extractor, terms, **pictures, **options, tile=tile)
        if optimise:
            model.compile(make_optimizer(**optimizer_options(config)))
        return model

    if not optimise:
        return build()
    return shared.model(job, terms, tile, precision, build, options)


MAX_EXTRACTORS = 4  # a VGG19 down to conv5_1 is 50 MB
MAX_TARGET_BYTES = (
    2**28
)  # bytes: the Grams of 35 styles at three scales, or a few contents
# Bytes, where models are kept: a run's at 1024 px have as many with L-BFGS. A step of a
# larger picture takes so long that tracing does not count.
MAX_MODEL_BYTES = 2**28
VALUE_BYTES = 4  # bytes


class ModelCache:
    """Extractors and models by what they are made of; targets by network, layer and
    picture.

    models: bytes of models to keep; none unless given, as one run meets each once.
    The least recently used go when there are too many, so that a process can run any
    number of configurations.
    """

    def __init__(self, models=0):
        self.extractors = LRUCache(MAX_EXTRACTORS)
        self.kept = LRUCache(MAX_TARGET_BYTES, array_bytes)
        self.models = LRUCache(models, model_bytes)

    def extractor(self, job, layers, precision="float32"):
        """The extractor that the job's config describes, for `layers`."""
        config = job.config
        options = {"pool": config.pool, "padding": config.padding}
        options |= {"weights": job.weights, "precision": precision}
        key = (*network_key(job, precision), tuple(sorted(layers)))
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
        network = (*network_key(job, precision), tile)
        digests = {name: picture_digest(picture) for name, picture in pictures.items()}
        keys = {
            term.tag: (*network, term.loss.name, term.layer, digests[term.source])
            for term in terms
            if term.source
        }
        # Held here as well: what is new may put out what is still needed.
        known = {tag: self.kept.values[k] for tag, k in keys.items() if k in self.kept}
        missing = [t for t in terms if t.tag in keys and t.tag not in known]
        found = known | compute_targets(extractor, missing, pictures, tile)
        for tag, key in keys.items():
            self.kept.get(key, lambda tag=tag: found[tag])
        return found

    def model(self, job, terms, tile, precision, build, start):
        """The compiled model that `build()` makes, or one like it, started again.

        tile, precision: as for `targets`. start: the arguments of
            `StyleTransfer.reset`; those that the model depends on otherwise are the
            job's and the terms.
        """
        config = job.config
        key = (
            *(*network_key(job, precision), tile, start["init"].shape, config.device),
            *optimizer_options(config).items(),
            tuple((t.tag, t.layer, t.loss.name, t.weight, t.source) for t in terms),
        )
        again = key in self.models
        model = self.models.get(key, build)
        if again:
            model.reset(**start)
        return model


def network_key(job, precision):
    """What tells the network of one run from that of another."""
    config = job.config
    return config.net, config.pool, config.padding, job.weights.sha256, precision


def array_bytes(array):
    """Of an array, a tensor or a variable; none of ours has larger numbers."""
    return VALUE_BYTES * math.prod(array.shape)


def model_bytes(model):
    """Of a model's picture, gradient, targets and optimiser's state."""
    held = [model.image, model.gradient, *model.targets.values()]
    return sum(map(array_bytes, (*held, *model.optimizer.variables)))


def picture_digest(picture):
    """What tells one array of pixels from another: its shape and its bytes' hash."""
    picture = np.ascontiguousarray(picture, np.float32)
    return picture.shape, hashlib.sha256(picture).hexdigest()
