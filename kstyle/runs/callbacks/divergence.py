"""The divergence guard: back to the best picture, with smaller steps.

Adam takes a step whatever it does to the loss, so each step is judged. L-BFGS rejects
and halves steps that increase the loss; there the guard acts only when that does not
help. With both, a NaN or an infinity is undone at once.
"""

import logging
import math
from collections.abc import Iterable, Mapping
from typing import Any

import keras
import numpy as np
from keras import ops

from kstyle.errors import DivergedError
from kstyle.optimizers.lbfgs import LBFGS
from kstyle.optimizers.scipy_lbfgsb import SciPyLBFGSB
from kstyle.transfer.style_transfer import StyleTransfer

log = logging.getLogger("kstyle")

MAX_RESTARTS = 3  # restarts in a row without a better picture; then the run ends
MAX_REJECTED_STEPS = 12  # in a row, by L-BFGS, which drops its pairs after half of it
INVISIBLE_CHANGE = 0.01  # mean change of a pixel in grey levels of 0..255
STUCK_REASON = f"none of {MAX_REJECTED_STEPS} ever smaller steps made the loss less"
MAX_UNCHANGED_STEPS = 10  # steps in a row in which no pixel changes at all
NOISE_FACTOR = 2.0  # times the loss of black and white noise
ROUNDING_SHARE = 1e-10  # of the loss of zero features: a loss of 0 after rounding
SATURATED_SHARE = 0.99  # share of a picture's values that are 0 or 1
USUAL_SATURATION = 0.5  # share in content or style from which saturation is expected


class DivergenceGuard(keras.callbacks.Callback):
    """Restores the best picture of a scale when the run diverges.

    Signs of divergence: the loss or the picture is not finite; the picture has become
    black or saturated though content and style are not; the loss is far above that of
    noise; or L-BFGS has halved its step many times without success. The optimiser is
    then reset at the best picture, with a learning rate 10 times smaller (100 and 1000
    times at the second and third restart in a row), which the next scales keep. The
    step counts as one that led to that picture: its `logs` are changed for the
    callbacks after this one, so the guard has to be the first.

    weights_source: of the network, for messages.
    pictures: content and style, `(height, width, 3)` in [0, 1].
    noise_factor: a loss above so many times that of noise is a sign of divergence.
    events: what was done: dicts of `step`, `reason` and `action`.
    failure: why the run has to end after this scale, in a sentence, or `None`.
    """

    state_name = "divergence_guard"

    def __init__(
        self,
        weights_source: str,
        pictures: Iterable[np.ndarray],
        *,
        noise_factor: float = NOISE_FACTOR,
    ) -> None:
        super().__init__()
        self.weights_source, self.noise_factor = weights_source, noise_factor
        shares = [saturation(subsample(picture)) for picture in pictures]
        self.checks_saturation = max(shares) < USUAL_SATURATION
        self.events: list[dict[str, Any]] = []
        self.failure: str | None = None
        self.best = None  # the scale's best picture: a tensor like the model's image
        self.best_loss, self.best_step = math.inf, 0
        self.loss = self.start_loss = 0.0  # of the last step; of the scale's start
        self.limit = math.inf  # the loss above which the run has diverged
        self.factor = 1.0  # product of all reductions of the learning rate
        self.restarts = self.unchanged = 0  # in a row
        self.resumed = False

    def get_state(self) -> dict[str, Any]:
        """Return what a checkpoint keeps of the guard, `best` as an array."""
        return {
            "best": np.asarray(self.best),
            "best_loss": self.best_loss,
            "best_step": self.best_step,
            "start_loss": self.start_loss,
            "limit": self.limit,
            "loss": self.loss,
            "factor": self.factor,
            "tries": self.restarts,
            "unchanged": self.unchanged,
            "failure": self.failure,
            "events": list(self.events),
        }

    def set_state(self, state: Mapping[str, Any]) -> None:
        """Continue within the scale of a state of `get_state`."""
        self.best = ops.convert_to_tensor(state["best"])
        self.best_loss = state["best_loss"]
        self.best_step = state["best_step"]
        self.start_loss = state["start_loss"]
        self.limit = state["limit"]
        self.loss = state["loss"]
        self.factor = state["factor"]
        self.restarts = state["tries"]
        self.unchanged = state["unchanged"]
        self.failure = state["failure"]
        self.events[:] = state["events"]  # in place: the run's record has the list
        self.resumed = True

    def on_train_begin(self, logs: Any = None) -> None:
        if self.resumed:  # in a scale that has begun; the optimiser has its rate
            self.resumed = False
            return
        rate = self.model.optimizer.learning_rate
        rate.assign(rate * self.factor)
        losses = {
            name: float(value) for name, value in self.model.initial_losses.items()
        }
        check_initial_losses(losses, self.model.gradient, self.weights_source)
        self._keep_best(losses["loss"])
        self.start_loss = self.loss = losses["loss"]
        self.restarts = self.unchanged = 0
        if not rejects_worse_steps(self.model.optimizer):
            noise = max(self._noise_loss(), self.start_loss)
            self.limit = self.noise_factor * noise
        zero = zero_feature_loss(self.model)
        if self.start_loss <= ROUNDING_SHARE * zero < math.inf:
            self._stop_scale(
                "Nothing is left to change: next to what other pictures have, the loss "
                "is 0 to rounding"
            )

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        reason = self._find_fault(logs)
        if reason is None:
            self._accept_step(logs)
        elif reason == STUCK_REASON and logs["change"] < INVISIBLE_CHANGE:
            self._restore_best(1.0, logs)
            self._stop_scale("No step makes the loss less any more")
        elif self.restarts < MAX_RESTARTS:
            self._restart(reason, logs)
        else:
            self._fail(
                f"{reason}, also after {MAX_RESTARTS} new starts with smaller steps",
                "Use a smaller --learning-rate or smaller weights.",
                logs,
            )

    def end_scale(self) -> None:
        """Restore the best picture of a scale that increased the loss.

        To be called after its `fit`.
        """
        # L-BFGS does so itself, and its last loss may be that of a rejected step.
        worse = self.loss > self.start_loss
        if worse and not rejects_worse_steps(self.model.optimizer):
            self.model.image.assign(self.best)
            self._record_event(
                "the scale ended with a larger loss than it began with",
                f"its best picture, of step {self.best_step}, is kept",
            )
        self.loss = self.start_loss  # so that a second call after Ctrl-C does nothing

    def _find_fault(self, logs: Mapping[str, float]) -> str | None:
        """Return why the run has diverged; `None` if it has not."""
        model, loss = self.model, logs["loss"]
        # While the change is finite, so is a picture that was finite before.
        if not (math.isfinite(loss) and math.isfinite(logs["change"])):
            return "the loss or the picture is not a finite number"
        if isinstance(model.optimizer, SciPyLBFGSB):  # its line search judges steps
            return None
        if rejects_worse_steps(model.optimizer):
            # The first condition is the cheap one; a best step is never halved.
            since_best = model.global_step - self.best_step
            if since_best < MAX_REJECTED_STEPS:
                return None
            stuck = int(model.optimizer.halvings) >= MAX_REJECTED_STEPS
            return STUCK_REASON if stuck else None
        if self.checks_saturation and saturation(model.image) > SATURATED_SHARE:
            return "the picture has become black or saturated"
        if loss > self.limit:
            return f"the loss of {loss:.3g} is larger than that of mere noise"
        return None

    def _accept_step(self, logs: dict[str, float]) -> None:
        self.loss = logs["loss"]
        if self.loss < self.best_loss:
            self._keep_best(self.loss)
            self.restarts = 0
        self.unchanged = 0 if logs["change"] else self.unchanged + 1
        if self.unchanged < MAX_UNCHANGED_STEPS:
            return
        if not max_free_gradient(self.model.image, self.model.gradient):
            self._stop_scale("The gradient is 0, and nothing changes any more")
        elif self.best_loss < self.start_loss:
            self._stop_scale("The steps are too small to change the picture any more")
        else:
            self._fail(
                f"no pixel has changed in {MAX_UNCHANGED_STEPS} steps, though the "
                "gradient is not 0",
                "Use a larger --learning-rate or larger weights.",
                logs,
            )

    def _keep_best(self, loss: float) -> None:
        self.best = self.model.image_tensor()
        self.best_loss, self.best_step = loss, self.model.global_step

    def _restart(self, reason: str, logs: dict[str, float]) -> None:
        """Continue from the best picture with a smaller learning rate."""
        self.restarts += 1
        shrink = 10.0**-self.restarts
        self.factor *= shrink
        self._restore_best(shrink, logs)
        self._record_event(
            reason,
            f"back to the best picture, of step {self.best_step}, with a learning rate "
            f"{1 / shrink:g} times smaller (try {self.restarts} of {MAX_RESTARTS})",
        )

    def _fail(self, reason: str, remedy: str, logs: dict[str, float]) -> None:
        """End the run with its best picture."""
        self._restore_best(1.0, logs)
        step, best = self.model.global_step, self.best_step
        self._record_event(reason, f"ended with the best picture, of step {best}")
        self.failure = (
            f"The run is lost at step {step}: {reason}. The best picture so far, of "
            f"step {best}, is kept. {remedy}"
        )
        self.model.stop_training = True

    def _stop_scale(self, reason: str) -> None:
        step = self.model.global_step
        log.warning("step %d: %s. This scale ends here.", step, reason)
        self.model.stop_training = True

    def _restore_best(self, shrink: float, logs: dict[str, float]) -> None:
        """Reset model and optimiser to the best picture, and `logs` to its losses."""
        self.model.image.assign(self.best)
        reset_optimizer(self.model.optimizer, self.best, shrink)
        for name, value in self.model.evaluate_losses().items():
            logs[name] = float(value)
        logs["change"] = 0.0
        self.loss, self.unchanged = logs["loss"], 0

    def _record_event(self, reason: str, action: str) -> None:
        step = self.model.global_step
        self.events.append({"step": step, "reason": reason, "action": action})
        log.warning("step %d: %s; %s", step, reason, action)

    def _noise_loss(self) -> float:
        """Return the loss of a picture in which each value is 0 or 1 at random."""
        image = self.model.image
        noise = np.random.default_rng(0).integers(0, 2, image.shape, "uint8")
        image.assign(ops.cast(noise, "float32"))
        loss = float(self.model.measure_losses()["loss"])
        image.assign(self.best)
        return loss


def check_initial_losses(
    losses: Mapping[str, float], gradient: Any, source: str
) -> None:
    """Refuse a start from which no step can help.

    losses: `{tag: float}` of the first picture. gradient: of the loss there.
    source: of the network's weights, for the message.
    Raises: DivergedError: a loss, or the gradient's square, is not finite.
    """
    bad = [tag for tag, value in losses.items() if not math.isfinite(value)]
    raw = [tag for tag in bad if tag.startswith("raw/")]
    if raw:
        raise DivergedError(
            f"{raw[0].removeprefix('raw/')} is {losses[raw[0]]} at the start, before "
            f"any step: the network's weights ({source}) are damaged or not its own."
        )
    bad = [tag for tag in bad if tag != "loss"] or bad
    what = f"{bad[0]} is {losses[bad[0]]}" if bad else "The gradient is too large"
    if bad or not math.isfinite(float(ops.sum(ops.square(gradient)))):
        raise DivergedError(
            f"{what} at the start, before any step: the weights are too large for "
            "32-bit numbers. Only their ratio counts: divide all by the same number."
        )


def zero_feature_loss(model: StyleTransfer) -> float:
    """Return the weighted loss of features that are all 0, without total variation."""
    total = 0.0
    for term in model.terms:
        if term.tag in model.targets:
            loss = term.loss.loss_of_zeros(model.targets[term.tag])
            total += term.weight * float(loss[0])
    return total


def saturation(picture: Any) -> float:
    """Return the share of values of a picture in [0, 1] that are exactly 0 or 1."""
    picture = ops.convert_to_tensor(picture)
    return 1 - float(ops.mean(ops.cast((picture > 0) & (picture < 1), "float32")))


def subsample(picture: np.ndarray, most: int = 512) -> np.ndarray:
    """Return about `most` rows and columns of `(height, width, 3)`, evenly spread."""
    height, width = picture.shape[:2]
    return picture[:: max(1, height // most), :: max(1, width // most)]


def max_free_gradient(image: Any, gradient: Any) -> float:
    """Return the largest gradient that can move a pixel within [0, 1]."""
    free = ((image > 0) | (gradient < 0)) & ((image < 1) | (gradient > 0))
    return float(ops.max(ops.where(free, ops.abs(gradient), 0.0)))


def rejects_worse_steps(optimizer: keras.optimizers.Optimizer) -> bool:
    """Return whether the optimiser undoes steps that increase the loss."""
    return isinstance(optimizer, (LBFGS, SciPyLBFGSB))


def reset_optimizer(
    optimizer: keras.optimizers.Optimizer, picture: Any, shrink: float
) -> None:
    """Set the optimiser's variables to zero, the learning rate to `shrink` times it.

    picture: the value from which a moving average of pictures begins again.
    """
    rate = optimizer.learning_rate
    for variable in optimizer.variables:
        if variable is rate:
            variable.assign(rate * shrink)
        elif variable.name.endswith("average"):
            variable.assign(picture)
        else:
            variable.assign(ops.zeros_like(variable))
