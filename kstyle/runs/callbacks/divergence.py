"""The guard of a run: back to the best picture, and smaller steps, when it runs away.

Adam's steps are taken whatever they do to the loss, so each is judged. L-BFGS takes
back and halves what made the loss worse; there the guard steps in where that is of no
avail. Either way a numeric accident (a number that is none) is undone at once.
"""

import logging
import math

import keras
import numpy as np
from keras import ops

from kstyle.errors import DivergedError


def check_initial_losses(losses, gradient, source):
    """Refuse a start from which no step can help.

    losses: `{tag: float}` of the first picture. gradient: there. source: where the
        network's weights come from.
    Raises: DivergedError: a loss, or the gradient's square, is not a finite number.
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


def zero_feature_loss(model):
    """The weighted loss of features that are all 0; total variation is left out."""
    known = [term for term in model.terms if term.tag in model.targets]
    losses = [term.loss.of_nothing(model.targets[term.tag]) for term in known]
    return sum(t.weight * float(x[0]) for t, x in zip(known, losses, strict=True))


def saturation(picture):
    """The share of values of a picture in [0, 1] that are at one end of it."""
    picture = ops.convert_to_tensor(picture)
    return 1 - float(ops.mean(ops.cast((picture > 0) & (picture < 1), "float32")))


def subsample(picture, most=512):
    """About `most` rows and columns of `(height, width, 3)`, evenly spread."""
    height, width = picture.shape[:2]
    return picture[:: max(1, height // most), :: max(1, width // most)]


def max_free_gradient(image, gradient):
    """The largest part of the gradient that can move a pixel within [0, 1]."""
    free = ((image > 0) | (gradient < 0)) & ((image < 1) | (gradient > 0))
    return float(ops.max(ops.where(free, ops.abs(gradient), 0.0)))


log = logging.getLogger("kstyle")

MAX_RESTARTS = 3  # new starts in a row that lead to nothing better; then the run ends
MAX_REJECTED_STEPS = (
    12  # steps in a row that L-BFGS takes back: twice what makes it start anew
)
INVISIBLE_CHANGE = 0.01  # mean change of a pixel in grey levels of 0..255
STUCK_REASON = f"none of {MAX_REJECTED_STEPS} ever smaller steps made the loss less"
MAX_UNCHANGED_STEPS = 10  # steps in a row in which no pixel changes at all
NOISE_FACTOR = 2.0  # times the loss of black and white noise
ROUNDING_SHARE = (
    1e-10  # times the loss of no features: what rounding makes of a loss of 0
)
SATURATED_SHARE = 0.99  # share of a picture's values that are 0 or 1
USUAL_SATURATION = (
    0.5  # the share in the content and the style up to which that is no wonder
)
STATE_KEYS = (  # what is kept in a checkpoint, beside the picture and the events
    *("best_loss", "best_step", "start_loss", "limit", "loss"),
    *("factor", "tries", "unchanged", "failure"),
)


class DivergenceGuard(keras.callbacks.Callback):
    """Goes back to the best picture of a scale when the run is lost, and tells.

    Lost: the loss or the picture is no finite number; the picture has become black or
    saturated though content and style are not; the loss is far above that of noise; or
    L-BFGS has halved its step again and again in vain. Then the optimiser forgets all
    it knows and starts at the best picture, with a learning rate 10 times smaller (100
    and 1000 times in the second and third try in a row). The step counts as one that
    led to that picture: `logs` tell the callbacks so that come after this one, which
    has to be the first. The next scales keep the smaller rate.

    job: the run. state: the `checkpoints.State` it goes on from, or `None`.
    events: what was done: dicts of `step`, `reason` and `action`.
    failure: why the run has to end after this scale, in a sentence, or `None`.
    """

    def __init__(self, job, state=None):
        super().__init__()
        self.source = job.weights.source
        ends = [saturation(subsample(p)) for p in (job.content.pixels, job.style)]
        self.judges_range = max(ends) < USUAL_SATURATION
        self.failure, self.best = None, None
        self.factor, self.limit, self.events = 1.0, math.inf, []
        self.loss = self.start_loss = 0.0
        if state is not None:
            self.best = ops.convert_to_tensor(state.best)
            for name in (*STATE_KEYS, "events"):
                setattr(self, name, state.guard[name])
        self.resumed = state is not None

    def memory(self):
        """All that a checkpoint has to keep beside `best`, as JSON has it."""
        return {n: getattr(self, n) for n in STATE_KEYS} | {"events": list(self.events)}

    def on_train_begin(self, logs=None):
        if self.resumed:  # the scale has begun, and its rate comes with its optimiser
            self.resumed = False
            return
        model, rate = self.model, self.model.optimizer.learning_rate
        rate.assign(rate * self.factor)
        losses = {name: float(value) for name, value in model.first_look.items()}
        check_initial_losses(losses, model.gradient, self.source)
        self._keep_best(losses["loss"])
        self.start_loss = self.loss = losses["loss"]
        self.tries = self.unchanged = 0
        if not rejects_worse_steps(model.optimizer):
            self.limit = NOISE_FACTOR * max(self._noise_loss(), self.start_loss)
        if self.start_loss <= ROUNDING_SHARE * zero_feature_loss(model) < math.inf:
            self._end_scale(
                "Nothing is left to change: next to what other pictures have, the loss "
                "is 0 to rounding"
            )

    def on_train_batch_end(self, batch, logs=None):
        reason = self._fault(logs)
        if reason is None:
            self._go_on(logs)
        elif reason == STUCK_REASON and logs["change"] < INVISIBLE_CHANGE:
            self._restart(1.0, logs)
            self._end_scale("No step makes the loss less any more")
        elif self.tries < MAX_RESTARTS:
            self._go_back(reason, logs)
        else:
            self._fail(
                f"{reason}, also after {MAX_RESTARTS} new starts with smaller steps",
                "Use a smaller --learning-rate or smaller weights.",
                logs,
            )

    def _go_on(self, logs):
        self.loss = logs["loss"]
        if self.loss < self.best_loss:
            self._keep_best(self.loss)
            self.tries = 0
        self.unchanged = 0 if logs["change"] else self.unchanged + 1
        if self.unchanged < MAX_UNCHANGED_STEPS:
            return
        if not max_free_gradient(self.model.image, self.model.gradient):
            self._end_scale("The gradient is 0, and nothing changes any more")
        elif self.best_loss < self.start_loss:
            self._end_scale("The steps are too small to change the picture any more")
        else:
            self._fail(
                f"no pixel has changed in {MAX_UNCHANGED_STEPS} steps, though the "
                "gradient is not 0",
                "Use a larger --learning-rate or larger weights.",
                logs,
            )

    def settle(self):
        """After a scale: if it made the picture worse, go back to its best."""
        # L-BFGS does so itself, and its last loss may be of a step it has taken back.
        if self.loss > self.start_loss and not rejects_worse_steps(
            self.model.optimizer
        ):
            self.model.image.assign(self.best)
            reason = "the scale ended with a larger loss than it began with"
            self._note(reason, f"its best picture, of step {self.best_step}, is kept")
        self.loss = self.start_loss  # done: Ctrl-C may make it be called again

    def _fault(self, logs):
        """Why the run is lost, in words; `None` if it is not."""
        model, loss = self.model, logs["loss"]
        # The change of a picture that was finite is so if the picture still is.
        if not (math.isfinite(loss) and math.isfinite(logs["change"])):
            return "the loss or the picture is not a finite number"
        if rejects_worse_steps(model.optimizer):
            waited = model.global_step - self.best_step  # a best step is never halved
            stuck = (
                waited >= MAX_REJECTED_STEPS
                and int(model.optimizer.halvings) >= MAX_REJECTED_STEPS
            )
            return STUCK_REASON if stuck else None
        if self.judges_range and saturation(model.image) > SATURATED_SHARE:
            return "the picture has become black or saturated"
        if loss > self.limit:
            return f"the loss of {loss:.3g} is larger than that of mere noise"
        return None

    def _go_back(self, reason, logs):
        self.tries += 1
        shrink = 10.0**-self.tries
        self.factor *= shrink
        self._restart(shrink, logs)
        self._note(
            reason,
            f"back to the best picture, of step {self.best_step}, with a learning rate "
            f"{1 / shrink:g} times smaller (try {self.tries} of {MAX_RESTARTS})",
        )

    def _fail(self, reason, remedy, logs):
        self._restart(1.0, logs)
        step, best = self.model.global_step, self.best_step
        self._note(reason, f"ended with the best picture, of step {best}")
        self.failure = (
            f"The run is lost at step {step}: {reason}. The best picture so far, of "
            f"step {best}, is kept. {remedy}"
        )
        self.model.stop_training = True

    def _end_scale(self, words):
        step = self.model.global_step
        log.warning("step %d: %s. This scale ends here.", step, words)
        self.model.stop_training = True

    def _keep_best(self, loss):
        self.best = self.model.picture_now()
        self.best_loss, self.best_step = loss, self.model.global_step

    def _restart(self, shrink, logs):
        self.model.image.assign(self.best)
        reset_optimizer(self.model.optimizer, self.best, shrink)
        found = self.model.look()
        logs |= {name: float(value) for name, value in found.items()}
        logs["change"] = 0.0
        self.loss, self.unchanged = logs["loss"], 0

    def _note(self, reason, action):
        step = self.model.global_step
        self.events.append({"step": step, "reason": reason, "action": action})
        log.warning("step %d: %s; %s", step, reason, action)

    def _noise_loss(self):
        """The loss of a picture in which each value is 0 or 1 by chance."""
        image = self.model.image
        noise = np.random.default_rng(0).integers(0, 2, image.shape, "uint8")
        image.assign(ops.cast(noise, "float32"))
        loss = float(self.model.measure()["loss"])
        image.assign(self.best)
        return loss


def rejects_worse_steps(optimizer):
    """Whether the optimiser takes back by itself what made the loss worse: L-BFGS."""
    return hasattr(optimizer, "halvings")


def reset_optimizer(optimizer, picture, shrink):
    """Leave of the optimiser only its learning rate, times `shrink`.

    picture: where it starts anew; a moving average of pictures does so there too.
    """
    rate = optimizer.learning_rate
    for variable in optimizer.variables:
        if variable is rate:
            variable.assign(rate * shrink)
        elif variable.name.endswith("average"):
            variable.assign(picture)
        else:
            variable.assign(ops.zeros_like(variable))
