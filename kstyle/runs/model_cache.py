"""Build the models of runs, and keep what several runs of a process share.

Tracing a model's graphs takes longer than some steps of a small picture, so a process
of many runs keeps extractors, targets and models.
"""

import contextlib
import functools
import hashlib
import json
import math
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from kstyle.errors import OutOfMemoryError
from kstyle.hardware.devices import use_device
from kstyle.losses.base import LossTerm, TermLoss
from kstyle.losses.names import IMAGE
from kstyle.lru_cache import LRUCache
from kstyle.networks.extractor import build_extractor
from kstyle.optimizers.factory import make_optimizer
from kstyle.planning.memory_fit import out_of_memory_advice
from kstyle.planning.scales import ScalePlan
from kstyle.runs.job import Job
from kstyle.runs.model_options import (
    NetworkOptions,
    network_options,
    optimizer_options,
)
from kstyle.transfer.style_transfer import StyleTransfer
from kstyle.transfer.targets import (
    TargetPicture,
    TargetSource,
    compute_targets,
    target_pictures,
)

# In an `AbortedError` of oneDNN: it got no memory for a primitive or its descriptor.
ONEDNN_MEMORY_ERROR = "could not create"
MAX_EXTRACTORS = 4  # a VGG19 down to conv5_1 is 50 MB
MAX_TARGET_BYTES = 2**28  # the Grams of 35 styles at three scales, or a few contents
# Where models are kept: a run at 1024 px with L-BFGS has as many bytes. At larger sizes
# a step takes so long that tracing does not count.
MAX_MODEL_BYTES = 2**28
VALUE_BYTES = 4


@contextlib.contextmanager
def memory_errors(size: int, tile: str | int | None) -> Iterator[None]:
    """Turn an out-of-memory error in the block into `OutOfMemoryError`.

    size, tile: long edge of the result and option of the run, for the message.
    """
    try:
        yield
    except (MemoryError, tf.errors.ResourceExhaustedError, tf.errors.AbortedError) as e:
        if isinstance(e, tf.errors.AbortedError) and ONEDNN_MEMORY_ERROR not in str(e):
            raise
        raise OutOfMemoryError(out_of_memory_advice(size, tile)) from None


def on_device(function: Callable) -> Callable:
    """Decorate `function(job, ...)` to run on the job's device and to raise
    `OutOfMemoryError` when there is no memory left."""

    @functools.wraps(function)
    def placed(job: Job, *args: Any, **kwargs: Any) -> Any:
        config = job.config
        size = job.scales[-1].edge
        with use_device(config.device), memory_errors(size, config.possible_tile()):
            return function(job, *args, **kwargs)

    return placed


def build_model(
    job: Job,
    scale: ScalePlan,
    models: "ModelCache",
    terms: Sequence,
    start: np.ndarray,
    *,
    start_step: int = 0,
    optimise: bool = False,
) -> StyleTransfer:
    """Build the model of the job's pictures at `scale`.

    start: the picture to start from, `(height, width, 3)` in [0, 1].
    optimise: whether to compile it with the config's optimizer, so that it can `fit`.
        A model that `models` keeps of an earlier run is reset and used again then.
    """
    network = network_options(job, scale.precision)
    extractor, targets = job_targets(job, scale, models, terms)
    tags = {term.tag for term in terms}
    position_weights = {
        tag: weights
        for each in job.regions_at(scale)
        for layer, weights in each.weights.items()
        if (tag := f"style/{layer}/{each.region.name}") in tags
    }
    limits = job.pixel_limits(scale.content_size)
    # Only their sizes are used, and a large one's pixels take memory.
    content, style = (
        np.broadcast_to(np.float32(0), (*size, 3))
        for size in (scale.content_size, scale.style_size)
    )
    optimizer = optimizer_options(job.config)

    def build() -> StyleTransfer:
        model = StyleTransfer(
            extractor,
            terms,
            content,
            style,
            start,
            targets=targets,
            start_step=start_step,
            tile=scale.tile,
            position_weights=position_weights,
            pixel_limits=limits,
        )
        if optimise:
            model.compile(make_optimizer(**optimizer))
        return model

    def reset(model: StyleTransfer) -> None:
        model.reset(
            start,
            targets=targets,
            start_step=start_step,
            terms=terms,
            pixel_limits=limits,
        )

    if not optimise:
        return build()
    key = (
        network.key,
        job.config.device,
        scale.tile,
        start.shape,
        terms_key(terms, targets),
        tuple(array_digest(weights) for weights in position_weights.values()),
        limits is not None,
        *optimizer.items(),
    )
    return models.get_model(key, build, reset)


def job_targets(
    job: Job, scale: ScalePlan, models: "ModelCache", terms: Sequence
) -> tuple[keras.Model, dict]:
    """Return the extractor for `terms` at `scale`, and `{tag: target}` of the terms."""
    network = network_options(job, scale.precision)
    pictures: dict[str, TargetSource] = {
        "content": job.content_at(scale.content_size),
        "style": [
            TargetPicture(pixels, share)
            for pixels, share in zip(
                job.styles_at(scale), job.config.style_shares(), strict=True
            )
        ],
    }
    for each in job.regions_at(scale):
        name = each.region.name
        pictures[f"style/{name}"] = [
            TargetPicture(
                job.style_at(scale.style_sizes[number], number),
                share,
                {f"style/{layer}/{name}": x for layer, x in weights.items()},
            )
            for number, share, weights in zip(
                each.region.styles,
                each.region.shares,
                each.style_weights,
                strict=True,
            )
        ]
    layers = tuple(dict.fromkeys(t.layer for t in terms if t.layer != IMAGE))
    extractor = models.get_extractor(network, layers)
    return extractor, models.get_targets(
        network, extractor, terms, pictures, scale.tile
    )


class ModelCache:
    """Extractors, targets and compiled models, by the options that they depend on.

    max_model_bytes: of models to keep; none by default, as one run needs each once.
    max_target_bytes: of targets to keep.
    The least recently used are dropped, so that a process can run any number of
    configurations.
    """

    def __init__(
        self, max_model_bytes: int = 0, max_target_bytes: int = MAX_TARGET_BYTES
    ) -> None:
        self.extractors: LRUCache = LRUCache(MAX_EXTRACTORS)
        self.targets: LRUCache = LRUCache(max_target_bytes, array_bytes)
        self.models: LRUCache = LRUCache(max_model_bytes, model_bytes)

    def get_extractor(
        self, network: NetworkOptions, layers: Sequence[str]
    ) -> keras.Model:
        """Return the frozen extractor of `network` for `layers`."""
        key = network.key, tuple(sorted(layers))

        def build() -> keras.Model:
            return build_extractor(
                network.net,
                layers,
                pool=network.pool,
                padding=network.padding,
                weights=network.weights,
                precision=network.precision,
                preprocess=network.preprocess,
            )

        return self.extractors.get(key, build)

    def get_targets(
        self,
        network: NetworkOptions,
        extractor: keras.Model,
        terms: Sequence,
        pictures: Mapping[str, TargetSource],
        tile: int | None = None,
    ) -> dict:
        """Return `{tag: target}` of the terms; known targets are not computed again.

        network: the options of `extractor`. tile: the edge in pixels of the tiles that
        they are computed in, if any.
        """
        start = network.key, tile
        used = {term.source for term in terms if term.source}
        digests = {name: source_digest(pictures[name]) for name in used}
        keys = {
            term.tag: (*start, loss_key(term.loss), term.layer, digests[term.source])
            for term in terms
            if term.source
        }
        # Held here as well: the cache may drop one that is still needed for a new one.
        known = {
            tag: self.targets.values[key]
            for tag, key in keys.items()
            if key in self.targets
        }
        missing = [t for t in terms if t.tag in keys and t.tag not in known]
        found = known | compute_targets(extractor, missing, pictures, tile)
        for tag, key in keys.items():
            self.targets.get(key, functools.partial(found.get, tag))
        return found

    def get_model(
        self,
        key: Hashable,
        build: Callable[[], StyleTransfer],
        reset: Callable[[StyleTransfer], None],
    ) -> StyleTransfer:
        """Return the compiled model of `key`: made by `build()`, or a kept one, on
        which `reset` was called.

        key: all that the model's graphs depend on.
        """
        kept = key in self.models
        model = self.models.get(key, build)
        if kept:
            reset(model)
        return model


def terms_key(terms: Sequence[LossTerm], targets: Mapping[str, Any]) -> Hashable:
    """Return what of the terms and their targets is part of a model's graphs."""
    parts = tuple(
        (t.tag, t.layer, loss_key(t.loss), bool(t.weight), t.source) for t in terms
    )
    # Samples of a style may be fewer than those of another, as a small layer has fewer.
    # Sorted: the targets that are known already come first in `targets`.
    return parts, tuple(sorted((tag, tuple(x.shape)) for tag, x in targets.items()))


def loss_key(loss: TermLoss) -> tuple[str, str]:
    """Return a hashable value that differs between losses that compare otherwise."""
    return type(loss).__name__, json.dumps(loss.get_config(), sort_keys=True)


def array_bytes(array: Any) -> int:
    """Return the bytes of an array, tensor or variable of 32-bit numbers."""
    return VALUE_BYTES * math.prod(array.shape)


def model_bytes(model: StyleTransfer) -> int:
    """Return the bytes of a model's picture, gradient, targets and optimizer."""
    held = [model.image, model.gradient, *model.targets.values()]
    return sum(map(array_bytes, (*held, *model.optimizer.variables)))


def source_digest(source: TargetSource) -> Hashable:
    """Return a value that differs between sources of different targets."""
    return tuple(
        (
            array_digest(part.pixels),
            part.share,
            *((tag, array_digest(x)) for tag, x in sorted(part.weights.items())),
        )
        for part in target_pictures(source)
    )


def array_digest(array: np.ndarray) -> tuple[tuple[int, ...], str]:
    """Return the shape of `array` and the SHA-256 of its values in float32."""
    array = np.ascontiguousarray(array, np.float32)
    return array.shape, hashlib.sha256(array.data).hexdigest()
