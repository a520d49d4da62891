"""The callback that keeps a run's state, and puts back the one it goes on from."""

import logging
import time

import keras
import numpy as np

from kstyle.config.option_types import parse_interval
from kstyle.errors import ConfigError
from kstyle.ops.tf_utils import variable_values
from kstyle.runs.callbacks.divergence import DivergenceGuard
from kstyle.runs.callbacks.periodic import LossCurve
from kstyle.runs.callbacks.stopping import StopWhenStill
from kstyle.runs.checkpoint import RunState, write_checkpoint
from kstyle.runs.provenance import run_fingerprint

log = logging.getLogger("kstyle")


class Checkpoint(keras.callbacks.Callback):
    """Writes `state.npz` as often as `checkpoint_every` says, after each scale, and
    when Ctrl-C ends the run.

    job: the run, its weights solved. state: the `State` to go on from, or `None`.
    watchers: the run's other callbacks, a `Guard` among them. What that, a `Curve` and
        a `StopWhenStill` remember is kept as well.

    A state is that of a whole step which all other callbacks of the run have seen.
    """

    def __init__(self, job, state, watchers):
        super().__init__()
        self.job, self.state = job, state
        self.curves = [w for w in watchers if isinstance(w, LossCurve)]
        self.still = [w for w in watchers if isinstance(w, StopWhenStill)]
        (self.guard,) = [w for w in watchers if isinstance(w, DivergenceGuard)]
        self.unit, self.every = parse_interval(job.config.checkpoint_every)
        self.origin = run_fingerprint(job.config) if self.every else None
        self.begun = time.monotonic() - (state.seconds if state else 0)
        self.written = time.monotonic()
        self.seen = self.kept = None  # the last step there was, the last one on disk
        # The number of the scale, and its last step.
        self.scale, self.end = (state.scale if state else 0) - 1, 0
        if state is not None and state.curve:
            for curve in self.curves:
                restore_curve(curve, state)

    def on_train_begin(self, logs=None):
        self.scale += 1
        steps = self.job.scales[self.scale].steps
        if self.state is not None:
            steps = self.state.left
            restore_model(self.model, self.state)
            for watcher in self.still:
                watcher.changes.extend(self.state.changes)
            self.state = None
        self.end = self.model.global_step + steps

    def on_train_batch_end(self, batch, logs=None):
        self.seen = self.model.global_step
        if self.every and self._due():
            self.write()

    def on_train_end(self, logs=None):
        if self.every and self.seen not in (None, self.kept):
            if self.seen == self.model.global_step:  # Ctrl-C may come in between
                self.write()

    def _due(self):
        if self.unit == "steps":
            return self.seen % self.every == 0
        return time.monotonic() - self.written >= self.every

    def write(self):
        """Write the state; a full disk costs the checkpoint, and not the run."""
        self.written, self.kept = time.monotonic(), self.seen
        try:
            write_checkpoint(self.job.folder, self.snapshot())
        except OSError as error:
            log.warning("no checkpoint at step %d: %s", self.seen, error)

    def snapshot(self):
        """The model's `State` as it is."""
        model = self.model
        return RunState(
            variable_values(model.image),
            variable_values(model.gradient),
            tuple(variable_values(variable) for variable in model.optimizer.variables),
            self.scale,
            self.seen,
            0 if model.stop_training else self.end - self.seen,
            time.monotonic() - self.begun,
            self.origin,
            self.job.asked.model_dump(mode="json"),
            self.curves[0].values if self.curves else {},
            tuple(self.still[0].changes) if self.still else (),
            np.asarray(self.guard.best),
            self.guard.memory(),
        )


def restore_model(model, state):
    """Put `state` into a model that is about to take its first step.

    Raises: ConfigError: it is the state of another optimiser.
    """
    variables = model.optimizer.variables
    shapes = [tuple(variable.shape) for variable in variables]
    if shapes != [value.shape for value in state.optimizer]:
        raise ConfigError(
            "The checkpoint was written by another version of the optimiser. Remove "
            "state.npz to start the run again."
        )
    # `fit` has just looked at the picture: that is taken back as well.
    pairs = [(model.image, state.image), (model.gradient, state.gradient)]
    for variable, value in (*pairs, *zip(variables, state.optimizer, strict=True)):
        variable.assign(value)
    if not state.left and int(model.optimizer.iterations):
        # No step is left of this scale: what the end of its `fit` does is done here.
        model.optimizer.finalize_variable_values([model.image])


def restore_curve(curve, state):
    """Let `curve` go on from the values that are in `state`."""
    curve.values = {key: list(values) for key, values in state.curve.items()}
    curve.reported = state.step
    curve.begun = time.perf_counter() - curve.values["seconds"][-1]
