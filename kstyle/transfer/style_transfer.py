"""`StyleTransfer`: a picture as the only trainable weight of a Keras model."""

import functools

import keras
import numpy as np
import tensorflow as tf
from keras import ops

from kstyle.losses.base import IMAGE
from kstyle.lru_cache import LRUCache
from kstyle.ops.convolution import value_and_gradient
from kstyle.ops.tf_utils import (
    model_function,
    no_retracing_warning,
    pixel_spec,
    variable_values,
    zeros_in_tf_memory,
)
from kstyle.optimizers.state import OptimizerSnapshot


@keras.saving.register_keras_serializable("kstyle")
class PixelRange(keras.constraints.Constraint):
    """Clamp to [0, 1], so that what is optimised is what can be saved."""

    def __call__(self, image):
        return ops.clip(image, 0.0, 1.0)


MAX_FEATURE_GRAPHS = 8  # that an extractor keeps, one for each set of layers


def compute_targets(extractor, terms, pictures):
    """What each term compares with, computed once a run: `{tag: tensor}`.

    pictures: `{"content": …, "style": …}`, each `(height, width, 3)` in [0, 1].
    """
    found = {}
    for source in dict.fromkeys(term.source for term in terms if term.source):
        mine = [term for term in terms if term.source == source]
        layers = {term.layer for term in mine}
        features = layer_features(extractor, as_batch(pictures[source]), layers)
        found |= {term.tag: term.loss.represent(features[term.layer]) for term in mine}
    return found


def layer_features(extractor, picture, layers):
    """`{layer: features}` of a `(1, height, width, 3)` picture, and no layer above.

    In a graph, as a step's are: a convolution, its bias and its ReLU are one kernel
    there, which is faster, and rounds once. Targets in bfloat16 that are rounded
    otherwise lead the picture astray: the gradient near the end was 37 % off, and is
    9 % so. One graph serves pictures of all sizes.
    """
    if not hasattr(extractor, "graphs"):
        extractor.graphs = LRUCache(MAX_FEATURE_GRAPHS)
    names = tuple(sorted(layers))

    def features(picture):
        found = extractor.call(picture)
        return {name: found[name] for name in names}

    any_size = (pixel_spec(3, shape=(1, None, None)),)
    graph = extractor.graphs.get(names, lambda: model_function(features, any_size))
    return graph(picture)


def extractor_precision(extractor):
    """What its convolutions are computed in: "float32" or "bfloat16"."""
    return extractor.layers[-1].compute_dtype


def as_batch(picture):
    """`(height, width, 3)`, or a batch of one already, as `(1, height, width, 3)`."""
    picture = np.asarray(picture, "float32")
    return picture if picture.ndim == 4 else picture[None]


class StyleTransfer(keras.Model):
    """Optimises a picture for the losses of `terms` by `fit()`, without data.

    extractor: from `build_extractor`, with every layer that `terms` name.
    terms: from `loss_terms` (or `build_terms` of a config).
    content, style: `(height, width, 3)` float RGB in [0, 1]; they may differ in size.
    init: start picture of the content's size; the content if `None`.
    targets: what `represent` returned for these terms, if that is known already.
    start_step: the value of `global_step` to go on from.

    `train_step` moves the picture once and then looks at it: the losses of step n
    are those of the picture after n moves, and the gradient found on the way serves
    the next move. So a log and a snapshot speak of one picture. The one exception: if
    the last move of a `fit` made the loss worse, L-BFGS undoes it after the last row.
    """

    metrics = property(lambda self: [])  # `train_step` returns the numbers themselves

    def __init__(
        self, extractor, terms, content, style, init=None, *, targets=None, start_step=0
    ):
        super().__init__(name="style_transfer")
        self.extractor = extractor
        self.extractor.trainable = False
        self.terms = tuple(terms)
        shape = as_batch(content).shape
        start = as_batch(content if init is None else init)
        if start.shape != shape:
            raise ValueError(
                f"`init` must be of the content's shape {shape[1:]}: {start.shape[1:]}."
            )
        self.image = self._variable("image", start, constraint=PixelRange())
        self.gradient = None  # until it is compiled: what only measures needs none
        self.global_step = int(start_step)
        if targets is None:
            pictures = {"content": content, "style": style}
            targets = compute_targets(extractor, self.terms, pictures)
        self.targets = {}
        self._hold(targets)
        self.first_look = {}  # the losses at the start of the last `fit`
        self._norms_graph = model_function(self._norms)
        self.built = True

    def _variable(self, name, value, **kwargs):
        value = np.asarray(value)
        return self.add_weight(
            shape=value.shape,
            initializer=lambda shape, dtype=None: ops.convert_to_tensor(value, dtype),
            dtype=str(value.dtype),
            trainable=name == "image",
            name=name,
            **kwargs,
        )

    def _hold(self, targets):
        """Keep the targets as variables: another picture's need no other graph."""
        for tag, value in targets.items():
            if tag in self.targets:
                self.targets[tag].assign(value)
            else:
                name = f"target_{tag.replace('/', '_')}"
                self.targets[tag] = self._variable(name, value)

    def compile(self, optimizer="adam", *, jit_compile=False, **kwargs):
        """As `keras.Model.compile`, but XLA only when asked: docs/performance.md."""
        super().compile(optimizer=optimizer, jit_compile=jit_compile, **kwargs)
        if self.gradient is None:
            self.gradient = self._variable("gradient", np.zeros(self.image.shape, "f"))
        self.optimizer.build([self.image])
        self._beginning = OptimizerSnapshot(self.optimizer)
        # One graph for `look` and `train_step`; it tells this optimizer the loss.
        self._look_graph = (
            self._look if self.run_eagerly else model_function(self._look)
        )

    def restart(self, init, *, targets, start_step=0):
        """Become, in place, what was made with these and compiled as this model was.

        The graphs stay, so nothing is traced again; on a CPU the result is bit for bit
        that of a new model. `init` has the size of this model's picture.
        """
        self._hold(targets)
        self.image.assign(as_batch(init))
        self.gradient.assign(np.zeros(self.gradient.shape, "float32"))
        self.global_step = int(start_step)
        self._beginning.restore()
        self.first_look = {}

    def fit(self, *, epochs=1, steps_per_epoch=1, verbose=0, **kwargs):
        """`epochs * steps_per_epoch` moves; an epoch is what callbacks report on.

        Other arguments (`callbacks`, `initial_epoch`, …) are `keras.Model.fit`'s.
        """
        self.first_look = self.look()
        with no_retracing_warning():
            return super().fit(
                tf.data.Dataset.from_tensors(0).repeat(),
                epochs=epochs,
                steps_per_epoch=steps_per_epoch,
                verbose=verbose,
                shuffle=False,
                **kwargs,
            )

    def make_train_function(self, force=False):
        """`train_step` as a graph for `fit`. Keras's own reads a dataset, and what is
        traced of it stays for the life of the process: some megabytes a model."""
        if self.train_function is None or force:
            step = functools.partial(self.train_step, None)
            if not self.run_eagerly:
                step = model_function(step, jit_compile=self.jit_compile)
            self.train_function = functools.partial(self._take, step)

    def _take(self, step, iterator):
        for _ in range(self.steps_per_execution):
            self.global_step += 1  # first: a step ends before Ctrl-C in it is heard of
            logs = step()
        return logs

    def call(self, inputs=None):
        """The features of the picture as it is, the picture among them."""
        return {**self.extractor(self.image), IMAGE: self.image.value}

    def compute_losses(self, features):
        """`{"loss", tag: weighted, "raw/" + tag: unweighted}` as float32 scalars."""
        raw = {}
        for term in self.terms:
            value = features[term.layer]
            if not term.weight:  # measured only: no backward pass for it
                value = ops.stop_gradient(value)
            raw[term.tag] = term.loss(self.targets.get(term.tag, value), value)
        return self.weighted(raw)

    def weighted(self, raw):
        """What `compute_losses` returns, from `{tag: unweighted}` of every term."""
        parts = {term.tag: term.weight * raw[term.tag] for term in self.terms}
        unweighted = {f"raw/{term.tag}": raw[term.tag] for term in self.terms}
        return {"loss": sum(parts.values()), **parts, **unweighted}

    def measure(self):
        """The losses of the picture as it is, without their gradient."""
        x, layers = self.image.value, {term.layer for term in self.terms} - {IMAGE}
        return self.compute_losses(
            {**layer_features(self.extractor, x, layers), IMAGE: x}
        )

    def look(self):
        """The losses of the picture as it is; their gradient is kept for a move."""
        if not self.compiled:
            raise ValueError("Call compile() before look() or fit().")
        return self._look_graph()

    def _look(self):
        def losses(image):
            found = self.compute_losses({**self.extractor(image), IMAGE: image})
            return self.optimizer.scale_loss(found["loss"]), found

        found, slope = value_and_gradient(
            losses, self.picture_now(), jit=self.jit_compile
        )
        self.gradient.assign(slope)
        return found

    def train_step(self, data):
        """Move once, then look. Returns the losses and the `change` of the picture.

        `change` is the mean absolute one of the pixels in 0..255; `data` is not used.
        """
        change = self._move()
        return {**self._look_graph(), "change": change}

    def _move(self):
        before = tf.identity(self.image.value)
        self.optimizer.apply([self.gradient.value], [self.image])
        return 255 * ops.mean(ops.abs(self.image.value - before))

    def gradient_norms(self):
        """`{tag: 2-norm of the weighted term's gradient at the picture}`, the picture
        in [0, 1]. One backward pass a term."""
        return self._norms_graph()

    def _norms(self):
        with tf.GradientTape(persistent=True, watch_accessed_variables=False) as tape:
            tape.watch(self.image.value)
            losses = self.compute_losses(self())
        slopes = {
            term.tag: tape.gradient(losses[term.tag], self.image.value)
            for term in self.terms
        }
        return {k: 0.0 if g is None else tf.norm(g) for k, g in slopes.items()}

    @property
    def precision(self):
        """What the network is computed in: "float32" or "bfloat16"."""
        return extractor_precision(self.extractor)

    def picture_now(self):
        """The picture as a tensor that no move changes; nothing is copied for it."""
        return tf.convert_to_tensor(self.image.value)

    def pixels(self):
        """The picture: float32 `(height, width, 3)` in [0, 1]."""
        pixels = zeros_in_tf_memory(self.image.shape[1:], "float32")
        return np.clip(variable_values(self.image)[0], 0.0, 1.0, out=pixels)
