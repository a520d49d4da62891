"""`StyleTransfer`: a picture as the only trainable weight of a Keras model."""

import functools
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from keras import ops

from kstyle.errors import ConfigError
from kstyle.hardware.keras_setup import check_float_type
from kstyle.images.arrays import as_picture
from kstyle.losses.base import LossTerm
from kstyle.losses.names import IMAGE
from kstyle.networks.extractor import extractor_precision
from kstyle.ops.tf_utils import (
    model_function,
    no_retracing_warning,
    variable_values,
)
from kstyle.optimizers.adam import BasisAdam
from kstyle.optimizers.lbfgs import LBFGS
from kstyle.optimizers.scipy_lbfgsb import SciPyLBFGSB
from kstyle.optimizers.state import OptimizerSnapshot
from kstyle.transfer.checks import (
    check_no_data,
    check_no_losses,
    check_no_strategy,
    check_pixel_limits,
    check_same_terms,
    check_terms,
    check_weighted_tags,
)
from kstyle.transfer.pixel_range import PixelLimits, PixelRange
from kstyle.transfer.progress_line import ProgressLine
from kstyle.transfer.saving import (
    describe_array,
    deserialize_term,
    empty_array,
    serialize_term,
)
from kstyle.transfer.selections import (
    STEPS_PER_DRAW,
    Selections,
    draws_positions,
    make_selections,
)
from kstyle.transfer.targets import (
    TargetPicture,
    as_batch,
    as_target_source,
    compute_targets,
)
from kstyle.transfer.tiled_evaluator import TiledEvaluator
from kstyle.transfer.whole_evaluator import WholeEvaluator


@keras.saving.register_keras_serializable("kstyle")
class StyleTransfer(keras.Model):
    """Optimises a picture for the losses of `terms` by `fit()`, without data.

    extractor: from `build_extractor`, with every layer that `terms` name.
    terms: from `loss_terms` (or `build_terms` of a config).
    content, style: `(height, width, 3)` as uint8, uint16 or floats in [0, 1], a Pillow
        image, a `Picture` or a path; they may differ in size. Several styles that are
        blended: a list of `TargetPicture`s.
    init: start picture of the content's size; the content if `None`.
    targets: from `compute_targets` for these terms, if they are known already.
    start_step: value of `global_step` at the start.
    tile: largest edge in pixels of the tiles that the picture is cut into, which takes
        less memory and a third more time; `None`: no tiles.
    position_weights: `{tag: (height, width)}`, at least 0, of the positions of a
        statistic's layer, for terms that concern a region of the picture.
    pixel_limits: (lowest, highest) values of the pixels, `(height, width, 3)` within
        [0, 1] each, such as those of a photograph where it is to be kept. `None`: 0
        and 1.

    `train_step` moves the picture once and then evaluates it: the losses of step n are
    those of the picture after n moves, and the gradient found on the way serves the
    next move. So a log and a snapshot describe the same picture. If a move made the
    loss worse and L-BFGS is going to take it back, that is done at once: the step
    reports the picture that is kept, and its losses.

    Raises: ImageError, ConfigError: a picture or the terms cannot be used.
    """

    train_function: Callable | None

    def __init__(
        self,
        extractor: keras.Model,
        terms: Iterable[LossTerm],
        content: np.ndarray,
        style: np.ndarray | Sequence[TargetPicture],
        init: np.ndarray | None = None,
        *,
        targets: Mapping[str, np.ndarray] | None = None,
        start_step: int = 0,
        tile: int | None = None,
        position_weights: Mapping[str, np.ndarray] | None = None,
        pixel_limits: tuple[np.ndarray, np.ndarray] | None = None,
    ) -> None:
        check_no_strategy()
        super().__init__(name="style_transfer", dtype="float32")
        self.extractor = extractor
        self.extractor.trainable = False
        self.terms = check_terms(terms, extractor, tiled=bool(tile))
        content = as_picture(content, "content").pixels
        start = as_batch(content if init is None else as_picture(init, "init").pixels)
        shape = as_batch(content).shape
        if start.shape != shape:
            raise ConfigError(
                f"`init` must be of the content's shape {shape[1:]}: {start.shape[1:]}."
            )
        self._range = PixelRange()
        if pixel_limits is not None:
            self._range = PixelLimits(*check_pixel_limits(pixel_limits, shape[1:]))
            start = np.asarray(self._range(start))
        self.image = self._add_array("image", start, constraint=self._range)
        # A `keras.Variable` from `compile` on: measuring alone needs no gradient.
        self.gradient: Any = None
        self.global_step = int(start_step)
        self._targets_are_known = True
        if targets is None:
            pictures = {"content": content, "style": as_target_source(style)}
            targets = compute_targets(extractor, self.terms, pictures, tile)
        self.position_weights = check_weighted_tags(position_weights, self.terms)
        self.draw = 0  # number of the drawing of random positions
        given = (extractor, self.terms, targets, self._select_positions())
        self.evaluator = (
            TiledEvaluator(*given, shape[1:3], tile) if tile else WholeEvaluator(*given)
        )
        self.initial_losses: dict[str, Any] = {}  # at the start of the last `fit`
        self.built = True

    def _add_array(
        self,
        name: str,
        value: np.ndarray,
        trainable: bool = True,
        constraint: keras.constraints.Constraint | None = None,
    ) -> keras.Variable:
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
        """As `keras.Model.compile`, but with XLA off by default: docs/performance.md.

        Raises: ConfigError: a loss or metrics are given; the terms are the loss.
        """
        check_float_type()
        check_no_losses(kwargs)
        super().compile(
            optimizer=optimizer,
            jit_compile=jit_compile,
            run_eagerly=run_eagerly or not self.evaluator.runs_in_graph,
            **kwargs,
        )
        if self.gradient is None:
            zeros = np.zeros(self.image.shape, "float32")
            self.gradient = self._add_array("gradient", zeros, trainable=False)
            # Those of the picture that is held, in the order of `_loss_names`.
            zeros = np.zeros(len(self._loss_names()), "float32")
            self._held_losses = self._add_array("losses", zeros, trainable=False)
        self.optimizer.build([self.image])
        self._optimizer_snapshot = OptimizerSnapshot(self.optimizer)
        # No graphs with `run_eagerly`, so that a debugger can stop in a step.
        self._hold_graph = self._hold if run_eagerly else model_function(self._hold)
        self._move_graph = self._move if run_eagerly else model_function(self._move)
        # One graph for `evaluate_losses` and `train_step`, bound to this optimizer.
        self._evaluate_graph = (
            self._evaluate if self.run_eagerly else model_function(self._evaluate)
        )

    def reset(
        self,
        init: np.ndarray,
        *,
        content: np.ndarray | None = None,
        style: np.ndarray | None = None,
        targets: Mapping[str, np.ndarray] | None = None,
        start_step: int = 0,
        terms: Iterable[LossTerm] | None = None,
        pixel_limits: tuple[np.ndarray, np.ndarray] | None = None,
    ) -> None:
        """Start again, in place, with another picture and other targets.

        The graphs stay, so nothing is traced again; on a CPU the result is bit for bit
        that of a new model. `init` has the size of this model's picture.
        content, style: pictures whose targets replace those of this model, of the sizes
            that it was made with; a picture that is not given keeps its own.
        targets: from `compute_targets`, in place of both.
        terms: those of this model with other weights; the same ones are 0.
        pixel_limits: in place of those of this model, if it has any.
        Raises: ImageError, ConfigError: a picture cannot be used.
        """
        if not self.compiled:
            raise ConfigError("Call compile() before reset().")
        start = as_batch(as_picture(init, "init").pixels)
        if start.shape != tuple(self.image.shape):
            raise ConfigError(
                f"`init` must be of this model's size {tuple(self.image.shape[1:])}: "
                f"{start.shape[1:]}."
            )
        if targets is None:
            targets = self._targets_of({"content": content, "style": style})
        if pixel_limits is not None:
            pixel_limits = check_pixel_limits(pixel_limits, start.shape[1:])
        if terms is not None:
            self.terms = check_same_terms(terms, self.terms)
            self.evaluator.set_terms(self.terms)
        self.evaluator.set_targets(targets)
        self._draw_positions(0)
        if pixel_limits is not None and isinstance(self._range, PixelLimits):
            self._range.assign(*pixel_limits)
        self.image.assign(self._range(start))
        self.gradient.assign(np.zeros(self.gradient.shape, "float32"))
        self.global_step = int(start_step)
        self._optimizer_snapshot.restore()
        self.initial_losses = {}

    def _targets_of(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """Compute the targets of the pictures that are not `None`, by their source."""
        pictures = {
            source: as_picture(picture, source).pixels
            for source, picture in given.items()
            if picture is not None
        }
        sources = {term.source for term in self.terms}
        for source in pictures.keys() - sources:
            raise ConfigError(
                f"No term of this model is compared with `{source}`. Its sources are "
                f"{', '.join(sorted(filter(None, sources)))}: give `targets` from "
                "compute_targets."
            )
        terms = [term for term in self.terms if term.source in pictures]
        targets = compute_targets(self.extractor, terms, pictures, self.tile)
        for tag, target in targets.items():
            if target.shape != self.targets[tag].shape:
                raise ConfigError(
                    f"The target of {tag!r} has the shape {tuple(target.shape)}, and "
                    f"this model has one of {tuple(self.targets[tag].shape)}: give a "
                    "picture of the size that the model was made with."
                )
        return targets

    def fit(
        self,
        x: None = None,
        y: None = None,
        *,
        epochs: int = 1,
        steps_per_epoch: int = 1,
        verbose: str | int = "auto",
        callbacks: Iterable[keras.callbacks.Callback] | None = None,
        **kwargs: Any,
    ) -> keras.callbacks.History:
        """Take `epochs * steps_per_epoch` steps; callbacks report at an epoch's end.

        x, y: no data is needed, and none is taken.
        verbose: "auto" or 1: a progress bar; 2: one line an epoch; 0: nothing. Other
            arguments (`initial_epoch`, …) are those of `keras.Model.fit`.
        Raises: ConfigError: data are given, or the model is not compiled.
        """
        check_no_data({"x": x, "y": y, **kwargs})
        callbacks = list(keras.tree.flatten(callbacks or ()))
        if verbose and not any(
            isinstance(c, keras.callbacks.ProgbarLogger) for c in callbacks
        ):
            callbacks.append(ProgressLine())
        self._draw_positions_of_last_step()
        self.initial_losses = self.evaluate_losses()
        with no_retracing_warning():
            return super().fit(
                tf.data.Dataset.from_tensors(0).repeat(),
                epochs=epochs,
                steps_per_epoch=steps_per_epoch,
                verbose=verbose,
                callbacks=callbacks,
                shuffle=False,
                **kwargs,
            )

    def evaluate(
        self, x: None = None, *, return_dict: bool = False, **kwargs: Any
    ) -> float | dict[str, float]:
        """Return the total loss of the current picture, or all with `return_dict`.

        x: no data is needed, and none is taken; other arguments are ignored.
        Raises: ConfigError: data are given.
        """
        if x is not None:
            raise ConfigError(
                "evaluate() of a StyleTransfer takes no data: it returns the loss of "
                "its own picture. Call evaluate(), or evaluate(return_dict=True)."
            )
        losses = {name: float(value) for name, value in self.measure_losses().items()}
        return losses if return_dict else losses["loss"]

    def test_on_batch(self, *args: Any, **kwargs: Any) -> Any:
        """Raise: there are no batches. Raises: ConfigError."""
        raise ConfigError(
            "A StyleTransfer has no batches to test: evaluate() returns the loss of "
            "its own picture."
        )

    def export(self, *args: Any, **kwargs: Any) -> None:
        """Raise: there is no function from an input to export. Raises: ConfigError."""
        raise ConfigError(
            "A StyleTransfer has no input, so there is nothing to export. Keep it with "
            "save(), its picture with pixels(); its network is `extractor`."
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

    def _run_steps(
        self, step: Callable[[], dict[str, tf.Tensor]], iterator: Any
    ) -> dict[str, tf.Tensor]:
        for _ in range(self.steps_per_execution):
            if self._draw_positions(self.global_step // STEPS_PER_DRAW):
                self.evaluate_losses()
                if isinstance(self.optimizer, LBFGS):
                    self.optimizer.change_loss([self.gradient.value], [self.image])
            # First: Ctrl-C during a step is raised when the step has ended.
            self.global_step += 1
            logs = step()
        return logs

    def _select_positions(self) -> Selections:
        size = tuple(self.image.shape[1:3])
        return make_selections(
            self.extractor, self.terms, size, self.position_weights, draw=self.draw
        )

    def _draw_positions(self, number: int) -> bool:
        """Draw the random positions of drawing `number`.

        Returns: whether others than before count now, so that the losses have changed.
        """
        if number == self.draw or not draws_positions(self.terms):
            return False
        if self.compiled and isinstance(self.optimizer, SciPyLBFGSB):
            return False  # its line search compares losses of different steps
        self.draw = number
        self.evaluator.set_selections(self._select_positions())
        return True

    def _draw_positions_of_last_step(self) -> None:
        """Draw those that the losses of the picture were measured at."""
        self._draw_positions(max(0, self.global_step - 1) // STEPS_PER_DRAW)

    def call(self, inputs: Any = None) -> dict[str, tf.Tensor]:
        """Compute the features of the current picture, with the picture among them."""
        return {**self.extractor(self.image), IMAGE: self.image.value}

    def measure_losses(self) -> dict[str, tf.Tensor]:
        """Compute the losses of the current picture, without their gradient."""
        self._check_targets()
        return self.evaluator.losses(self.image_tensor())

    def evaluate_losses(self) -> dict[str, tf.Tensor]:
        """Compute the losses of the current picture; keep their gradient for a move."""
        if not self.compiled:
            raise ConfigError("Call compile() before evaluate_losses() or fit().")
        self._check_targets()
        losses = self._evaluate_graph()
        self._held_losses.assign(self._stack_losses(losses))
        return losses

    def _evaluate(self) -> dict[str, tf.Tensor]:
        losses, gradient = self.evaluator.losses_and_gradient(
            self.image_tensor(), self.optimizer.scale_loss
        )
        if isinstance(self._range, PixelLimits):
            gradient = self._range.mask_gradient(gradient)
        self.gradient.assign(gradient)
        return losses

    def train_step(self, data: Any) -> dict[str, tf.Tensor]:
        """Move once, then evaluate. Returns the losses and the picture's `change`.

        `change` is the mean absolute one of the pixels in 0..255 by the move, whether
        or not L-BFGS takes it back; `data` is not used.
        """
        change = self._move_graph()
        losses = self._evaluate_graph()
        if isinstance(self.optimizer, LBFGS):
            losses = self._hold_graph(losses)
        return {**losses, "change": change}

    def _hold(self, losses: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        """Take back a move that L-BFGS rejects; return the losses of what is kept."""
        rejected = self.optimizer.rejects_last_step()
        tf.cond(rejected, self._restore_accepted, lambda: None)
        held = tf.where(rejected, self._held_losses, self._stack_losses(losses))
        self._held_losses.assign(held)
        return dict(zip(self._loss_names(), tf.unstack(held), strict=True))

    def _restore_accepted(self) -> None:
        point, gradient = self.optimizer.accepted_point()
        self.image.assign(tf.reshape(point, self.image.shape))
        self.gradient.assign(tf.reshape(gradient, self.image.shape))

    def _loss_names(self) -> list[str]:
        tags = [term.tag for term in self.terms]
        return ["loss", *tags, *(f"raw/{tag}" for tag in tags)]

    def _stack_losses(self, losses: Mapping[str, tf.Tensor]) -> tf.Tensor:
        return tf.stack([losses[name] for name in self._loss_names()])

    def _move(self) -> tf.Tensor:
        before = tf.identity(self.image.value)
        self.optimizer.apply([self.gradient.value], [self.image])
        return 255 * ops.mean(ops.abs(self.image.value - before))

    def gradient_norms(self) -> dict[str, Any]:
        """Compute `{tag: 2-norm of the weighted term's gradient at the picture}`.

        The picture is in [0, 1]. One backward pass a term.
        """
        return self.evaluator.gradient_norms(self.image_tensor())

    def image_tensor(self) -> tf.Tensor:
        """Return the picture, without a copy, as a tensor that steps do not change."""
        return tf.convert_to_tensor(self.image.value)

    def pixels(self) -> np.ndarray:
        """Return the picture: float32 `(height, width, 3)` in [0, 1]."""
        return np.clip(variable_values(self.image)[0], 0.0, 1.0)

    def get_config(self) -> dict[str, Any]:
        """Return what a model of this shape is made from; arrays are its weights."""
        return {
            "extractor": keras.saving.serialize_keras_object(self.extractor),
            "terms": [serialize_term(term) for term in self.terms],
            "size": list(self.image.shape[1:3]),
            "targets": {tag: describe_array(x) for tag, x in self.targets.items()},
            "tile": self.tile,
            "position_weights": {
                tag: describe_array(x) for tag, x in self.position_weights.items()
            },
            "pixel_limits": isinstance(self._range, PixelLimits),
        }

    @classmethod
    def from_config(
        cls, config: dict[str, Any], custom_objects: dict[str, Any] | None = None
    ) -> "StyleTransfer":
        """Make a model of the same shape, without its picture and its targets."""
        empty = np.zeros((*config["size"], 3), "float32")
        model = cls(
            keras.saving.deserialize_keras_object(config["extractor"], custom_objects),
            [deserialize_term(term, custom_objects) for term in config["terms"]],
            *(empty, empty),
            targets={tag: empty_array(x) for tag, x in config["targets"].items()},
            tile=config["tile"],
            # Files of earlier versions have neither. The arrays come with the weights.
            position_weights={
                tag: empty_array(x) + 1
                for tag, x in config.get("position_weights", {}).items()
            },
            pixel_limits=(empty, empty) if config.get("pixel_limits") else None,
        )
        model._targets_are_known = False
        return model

    def get_compile_config(self) -> dict[str, Any]:
        """Return the arguments of `compile`, as JSON has them."""
        if not self.compiled:
            return {}
        optimizer = keras.saving.serialize_keras_object(self.optimizer)
        return {"optimizer": optimizer, "jit_compile": bool(self.jit_compile)}

    def compile_from_config(self, config: dict[str, Any]) -> None:
        """Compile as `get_compile_config` says."""
        # Named here, so that it is known in a program that has only loaded the model.
        classes = {"BasisAdam": BasisAdam}
        self.compile(**keras.saving.deserialize_keras_object(config, classes))

    def save_own_variables(self, store: Any) -> None:
        """Put the picture, the targets and the step into a file of weights."""
        store["image"] = self.image.numpy()
        store["global_step"] = np.array(self.global_step)
        for tag, target in self.targets.items():
            store[f"target/{tag}".replace("/", ":")] = ops.convert_to_numpy(target)
        for tag, weights in self.position_weights.items():
            store[f"positions/{tag}".replace("/", ":")] = weights
        if isinstance(self._range, PixelLimits):
            store["lowest"] = self._range.low.numpy()
            store["highest"] = self._range.high.numpy()

    def load_own_variables(self, store: Any) -> None:
        """Take the picture, the targets and the step from a file of weights.

        Raises: ConfigError: it is the file of a model of other sizes or terms.
        """
        names = {tag: f"target/{tag}".replace("/", ":") for tag in self.targets}
        positions = {
            tag: f"positions/{tag}".replace("/", ":") for tag in self.position_weights
        }
        wanted = {"image", "global_step", *names.values(), *positions.values()}
        if isinstance(self._range, PixelLimits):
            wanted |= {"lowest", "highest"}
        if set(store.keys()) != wanted or store["image"].shape != self.image.shape:
            raise ConfigError(
                "The file is of a StyleTransfer of another size or with other terms "
                f"than this one: {tuple(self.image.shape)}, {', '.join(names)}."
            )
        self.image.assign(store["image"])
        if isinstance(self._range, PixelLimits):
            self._range.assign(
                np.asarray(store["lowest"]), np.asarray(store["highest"])
            )
        if positions:
            self.position_weights = {
                tag: np.asarray(store[name]) for tag, name in positions.items()
            }
            if not self._targets_are_known:
                # A model by `from_config` has drawn as if all positions counted.
                self.evaluator.forget_selections()
            self.evaluator.set_selections(self._select_positions())
        self.global_step = int(np.asarray(store["global_step"]))
        self.evaluator.set_targets(
            {
                tag: np.asarray(store[name], self.targets[tag].dtype)
                for tag, name in names.items()
            }
        )
        self._targets_are_known = True
        self._draw_positions_of_last_step()

    def _check_targets(self) -> None:
        """Refuse to compute losses of a model that `from_config` has made."""
        if not self._targets_are_known:
            raise ConfigError(
                "This copy of a StyleTransfer has no picture and no targets, as "
                "clone_model copies no weights. Use copy.deepcopy(model), or "
                "model.save and keras.models.load_model."
            )
