"""`StyleTransfer`: a picture as the only trainable weight of a Keras model."""

import functools
from collections.abc import Iterable, Mapping
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from keras import ops

from kstyle.hardware.keras_setup import check_float_type
from kstyle.losses.base import IMAGE, LossTerm
from kstyle.networks.extractor import extractor_precision
from kstyle.ops.tf_utils import (
    model_function,
    no_retracing_warning,
    variable_values,
    zeros_in_tf_memory,
)
from kstyle.optimizers.state import OptimizerSnapshot
from kstyle.transfer.targets import as_batch, compute_targets
from kstyle.transfer.tiled_evaluator import TiledEvaluator
from kstyle.transfer.whole_evaluator import WholeEvaluator


@keras.saving.register_keras_serializable("kstyle")
class PixelRange(keras.constraints.Constraint):
    """Clamp to [0, 1], so that what is optimised is what can be saved."""

    def __call__(self, image):
        return ops.clip(image, 0.0, 1.0)


class StyleTransfer(keras.Model):
    """Optimises a picture for the losses of `terms` by `fit()`, without data.

    extractor: from `build_extractor`, with every layer that `terms` name.
    terms: from `loss_terms` (or `build_terms` of a config).
    content, style: `(height, width, 3)` float RGB in [0, 1]; they may differ in size.
    init: start picture of the content's size; the content if `None`.
    targets: from `compute_targets` for these terms, if they are known already.
    start_step: value of `global_step` at the start.
    tile: largest edge in pixels of the tiles that the picture is cut into, which takes
        less memory and a third more time; `None`: no tiles.

    `train_step` moves the picture once and then evaluates it: the losses of step n are
    those of the picture after n moves, and the gradient found on the way serves the
    next move. So a log and a snapshot describe the same picture. The one exception: if
    the last move of a `fit` made the loss worse, L-BFGS undoes it after the last row.
    """

    def __init__(
        self,
        extractor: keras.Model,
        terms: Iterable[LossTerm],
        content: np.ndarray,
        style: np.ndarray,
        init: np.ndarray | None = None,
        *,
        targets: Mapping[str, np.ndarray] | None = None,
        start_step: int = 0,
        tile: int | None = None,
    ) -> None:
        super().__init__(name="style_transfer", dtype="float32")
        self.extractor = extractor
        self.extractor.trainable = False
        self.terms = tuple(terms)
        shape = as_batch(content).shape
        start = as_batch(content if init is None else init)
        if start.shape != shape:
            raise ValueError(
                f"`init` must be of the content's shape {shape[1:]}: {start.shape[1:]}."
            )
        self.image = self._add_array("image", start, constraint=PixelRange())
        self.gradient = None  # made by `compile`: measuring alone needs none
        self.global_step = int(start_step)
        if targets is None:
            pictures = {"content": content, "style": style}
            targets = compute_targets(extractor, self.terms, pictures, tile)
        self.evaluator = (
            TiledEvaluator(extractor, self.terms, targets, shape[1:3], tile)
            if tile
            else WholeEvaluator(extractor, self.terms, targets)
        )
        self.initial_losses: dict[str, Any] = {}  # at the start of the last `fit`
        self.built = True

    def _add_array(self, name, value, trainable=True, constraint=None):
        """Add a variable that holds `value`."""
        return self.add_weight(
            shape=value.shape,
            initializer=lambda shape, dtype=None: ops.convert_to_tensor(value, dtype),
            dtype=str(value.dtype),
            trainable=trainable,
            constraint=constraint,
            name=name,
        )

    @property
    def metrics(self) -> list:
        """No Keras metrics: `train_step` returns the numbers themselves."""
        return []

    @property
    def precision(self) -> str:
        """What the network is computed in: "float32" or "bfloat16"."""
        return extractor_precision(self.extractor)

    @property
    def tile(self) -> int | None:
        """Largest edge of a tile in pixels; `None` without tiles."""
        return getattr(self.evaluator, "tile", None)

    @property
    def targets(self) -> Mapping[str, Any]:
        """`{tag: what the term compares with}`."""
        return self.evaluator.targets

    def compile(
        self,
        optimizer: str | keras.optimizers.Optimizer = "adam",
        *,
        jit_compile: bool = False,
        run_eagerly: bool = False,
        **kwargs: Any,
    ) -> None:
        """As `keras.Model.compile`, but XLA only when asked: docs/performance.md."""
        check_float_type()
        super().compile(
            optimizer=optimizer,
            jit_compile=jit_compile,
            run_eagerly=run_eagerly or not self.evaluator.runs_in_graph,
            **kwargs,
        )
        if self.gradient is None:
            zeros = np.zeros(self.image.shape, "float32")
            self.gradient = self._add_array("gradient", zeros, trainable=False)
        self.optimizer.build([self.image])
        self._optimizer_snapshot = OptimizerSnapshot(self.optimizer)
        self._move_graph = self._move if run_eagerly else model_function(self._move)
        # One graph for `evaluate_losses` and `train_step`, bound to this optimizer.
        self._evaluate_graph = (
            self._evaluate if self.run_eagerly else model_function(self._evaluate)
        )

    def reset(
        self,
        init: np.ndarray,
        *,
        targets: Mapping[str, np.ndarray],
        start_step: int = 0,
    ) -> None:
        """Start again, in place, with another picture and other targets.

        The graphs stay, so nothing is traced again; on a CPU the result is bit for bit
        that of a new model. `init` has the size of this model's picture.
        """
        self.evaluator.set_targets(targets)
        self.image.assign(as_batch(init))
        self.gradient.assign(np.zeros(self.gradient.shape, "float32"))
        self.global_step = int(start_step)
        self._optimizer_snapshot.restore()
        self.initial_losses = {}

    def fit(
        self,
        *,
        epochs: int = 1,
        steps_per_epoch: int = 1,
        verbose: int = 0,
        **kwargs: Any,
    ) -> keras.callbacks.History:
        """Take `epochs * steps_per_epoch` steps; callbacks report at an epoch's end.

        Other arguments (`callbacks`, `initial_epoch`, …) are `keras.Model.fit`'s.
        """
        self.initial_losses = self.evaluate_losses()
        with no_retracing_warning():
            return super().fit(
                tf.data.Dataset.from_tensors(0).repeat(),
                epochs=epochs,
                steps_per_epoch=steps_per_epoch,
                verbose=verbose,
                shuffle=False,
                **kwargs,
            )

    def make_train_function(self, force: bool = False) -> None:
        """Make `train_step` a graph for `fit`.

        Keras's own reads a dataset, and what is traced of it stays for the life of the
        process: some megabytes a model.
        """
        if self.train_function is None or force:
            step = functools.partial(self.train_step, None)
            if not self.run_eagerly:
                step = model_function(step, jit_compile=self.jit_compile)
            self.train_function = functools.partial(self._run_steps, step)

    def _run_steps(self, step, iterator):
        for _ in range(self.steps_per_execution):
            # First: Ctrl-C during a step is raised when the step has ended.
            self.global_step += 1
            logs = step()
        return logs

    def call(self, inputs: Any = None) -> dict[str, tf.Tensor]:
        """The features of the picture as it is, the picture among them."""
        return {**self.extractor(self.image), IMAGE: self.image.value}

    def measure_losses(self) -> dict[str, tf.Tensor]:
        """The losses of the picture as it is, without their gradient."""
        return self.evaluator.losses(self.image_tensor())

    def evaluate_losses(self) -> dict[str, tf.Tensor]:
        """The losses of the picture as it is; their gradient is kept for a move."""
        if not self.compiled:
            raise ValueError("Call compile() before evaluate_losses() or fit().")
        return self._evaluate_graph()

    def _evaluate(self):
        losses, gradient = self.evaluator.losses_and_gradient(
            self.image_tensor(), self.optimizer.scale_loss, self.jit_compile
        )
        self.gradient.assign(gradient)
        return losses

    def train_step(self, data: Any) -> dict[str, tf.Tensor]:
        """Move once, then evaluate. Returns the losses and the picture's `change`.

        `change` is the mean absolute one of the pixels in 0..255; `data` is not used.
        """
        change = self._move_graph()
        return {**self._evaluate_graph(), "change": change}

    def _move(self):
        before = tf.identity(self.image.value)
        self.optimizer.apply([self.gradient.value], [self.image])
        return 255 * ops.mean(ops.abs(self.image.value - before))

    def gradient_norms(self) -> dict[str, Any]:
        """`{tag: 2-norm of the weighted term's gradient at the picture}`.

        The picture is in [0, 1]. One backward pass a term.
        """
        return self.evaluator.gradient_norms(self.image_tensor())

    def image_tensor(self) -> tf.Tensor:
        """The picture as a tensor that no move changes; nothing is copied for it."""
        return tf.convert_to_tensor(self.image.value)

    def pixels(self) -> np.ndarray:
        """The picture: float32 `(height, width, 3)` in [0, 1]."""
        pixels = zeros_in_tf_memory(self.image.shape[1:], "float32")
        return np.clip(variable_values(self.image)[0], 0.0, 1.0, out=pixels)
