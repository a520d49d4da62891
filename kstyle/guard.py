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

from kstyle.health import check_start, loss_of_nothing, pull, saturation, thinned

log = logging.getLogger("kstyle")

TRIES = 3  # new starts in a row that lead to nothing better; then the run ends
PATIENCE = 12  # steps in a row that L-BFGS takes back: twice what makes it start anew
UNSEEN = 0.01  # mean change of a pixel in grey levels of 0..255
STUCK = f"none of {PATIENCE} ever smaller steps made the loss less"
STILL = 10  # steps in a row in which no pixel changes at all
RUINED = 2.0  # times the loss of black and white noise
FLAT = 1e-10  # times the loss of no features: what rounding makes of a loss of 0
SATURATED = 0.99  # share of a picture's values that are 0 or 1
USUAL = 0.5  # the share in the content and the style up to which that is no wonder
MEMORY = (  # what is kept in a checkpoint, beside the picture and the events
    *("best_loss", "best_step", "start_loss", "limit", "loss"),
    *("factor", "tries", "unchanged", "failure"),
)


class Guard(keras.callbacks.Callback):
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
        ends = [saturation(thinned(p)) for p in (job.content.pixels, job.style)]
        self.judges_range = max(ends) < USUAL
        self.failure, self.best = None, None
        self.factor, self.limit, self.events = 1.0, math.inf, []
        self.loss = self.start_loss = 0.0
        if state is not None:
            self.best = ops.convert_to_tensor(state.best)
            for name in (*MEMORY, "events"):
                setattr(self, name, state.guard[name])
        self.resumed = state is not None

    def memory(self):
        """All that a checkpoint has to keep beside `best`, as JSON has it."""
        return {n: getattr(self, n) for n in MEMORY} | {"events": list(self.events)}

    def on_train_begin(self, logs=None):
        if self.resumed:  # the scale has begun, and its rate comes with its optimiser
            self.resumed = False
            return
        model, rate = self.model, self.model.optimizer.learning_rate
        rate.assign(rate * self.factor)
        losses = {name: float(value) for name, value in model.first_look.items()}
        check_start(losses, model.gradient, self.source)
        self._keep_best(losses["loss"])
        self.start_loss = self.loss = losses["loss"]
        self.tries = self.unchanged = 0
        if not takes_back(model.optimizer):
            self.limit = RUINED * max(self._noise_loss(), self.start_loss)
        if self.start_loss <= FLAT * loss_of_nothing(model) < math.inf:
            self._end_scale(
                "Nothing is left to change: next to what other pictures have, the loss "
                "is 0 to rounding"
            )

    def on_train_batch_end(self, batch, logs=None):
        reason = self._fault(logs)
        if reason is None:
            self._go_on(logs)
        elif reason == STUCK and logs["change"] < UNSEEN:
            self._restart(1.0, logs)
            self._end_scale("No step makes the loss less any more")
        elif self.tries < TRIES:
            self._go_back(reason, logs)
        else:
            self._fail(
                f"{reason}, also after {TRIES} new starts with smaller steps",
                "Use a smaller --learning-rate or smaller weights.",
                logs,
            )

    def _go_on(self, logs):
        self.loss = logs["loss"]
        if self.loss < self.best_loss:
            self._keep_best(self.loss)
            self.tries = 0
        self.unchanged = 0 if logs["change"] else self.unchanged + 1
        if self.unchanged < STILL:
            return
        if not pull(self.model.image, self.model.gradient):
            self._end_scale("The gradient is 0, and nothing changes any more")
        elif self.best_loss < self.start_loss:
            self._end_scale("The steps are too small to change the picture any more")
        else:
            self._fail(
                f"no pixel has changed in {STILL} steps, though the gradient is not 0",
                "Use a larger --learning-rate or larger weights.",
                logs,
            )

    def settle(self):
        """After a scale: if it made the picture worse, go back to its best."""
        # L-BFGS does so itself, and its last loss may be of a step it has taken back.
        if self.loss > self.start_loss and not takes_back(self.model.optimizer):
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
        if takes_back(model.optimizer):
            waited = model.global_step - self.best_step  # a best step is never halved
            stuck = waited >= PATIENCE and int(model.optimizer.halvings) >= PATIENCE
            return STUCK if stuck else None
        if self.judges_range and saturation(model.image) > SATURATED:
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
            f"{1 / shrink:g} times smaller (try {self.tries} of {TRIES})",
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
        forget(self.model.optimizer, self.best, shrink)
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


def takes_back(optimizer):
    """Whether the optimiser takes back by itself what made the loss worse: L-BFGS."""
    return hasattr(optimizer, "halvings")


def forget(optimizer, picture, shrink):
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
