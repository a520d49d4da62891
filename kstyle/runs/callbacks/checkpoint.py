"""The callback that writes checkpoints of a run, and restores the one it resumes."""

import logging
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, Protocol

import keras

from kstyle.config.option_types import parse_interval
from kstyle.errors import ConfigError
from kstyle.ops.tf_utils import variable_values
from kstyle.optimizers.scipy_lbfgsb import SciPyLBFGSB
from kstyle.runs.callbacks.periodic import Clock
from kstyle.runs.checkpoint_file import RunState, write_checkpoint
from kstyle.runs.job import Job
from kstyle.runs.provenance import run_fingerprint
from kstyle.transfer.style_transfer import StyleTransfer

log = logging.getLogger("kstyle")

NO_STEP = -1


class StatefulCallback(Protocol):
    """A callback whose state is part of the checkpoint, under its `state_name`."""

    state_name: str

    def get_state(self) -> dict[str, Any]:
        """Return values that JSON can hold, or arrays of the picture's shape."""

    def set_state(self, state: dict[str, Any]) -> None:
        """Continue from a state of `get_state`, before the first `fit`."""


def stateful_callbacks(
    callbacks: Iterable[keras.callbacks.Callback],
) -> list[StatefulCallback]:
    """Return those of `callbacks` that have a `state_name`."""
    return [c for c in callbacks if getattr(c, "state_name", None) is not None]


class Checkpoint(keras.callbacks.Callback):
    """Writes `state.npz` as often as `checkpoint_every` says, and after each scale.

    It also does so when Ctrl-C ends the run. A checkpoint is of a completed step that
    all other callbacks of the run have handled, so this one has to be the last.

    job: the run, its weights solved.
    callbacks: the run's other callbacks; the states of those that are a
        `StatefulCallback` are kept as well.
    state: where the run is resumed, or `None`. The callbacks get theirs at once, the
        model when its `fit` begins.
    """

    def __init__(
        self,
        job: Job,
        callbacks: Iterable[keras.callbacks.Callback],
        state: RunState | None = None,
        *,
        clock: Clock = time.monotonic,
        write: Callable[[Path, RunState], None] = write_checkpoint,
    ) -> None:
        super().__init__()
        self.job, self.state, self.clock, self.write = job, state, clock, write
        self.callbacks = stateful_callbacks(callbacks)
        self.unit, self.every = parse_interval(job.config.checkpoint_every)
        self.fingerprint = run_fingerprint(job.config)
        self.begun = clock()
        self.written_at = clock()
        self.done = self.kept = NO_STEP  # last completed step; that of the last file
        self.scale, self.last_step = -1, 0  # index of the scale; its last step
        if state is not None:
            self.begun -= state.seconds
            self.scale = state.scale - 1
            for callback in self.callbacks:
                if callback.state_name in state.callbacks:
                    callback.set_state(state.callbacks[callback.state_name])

    def on_train_begin(self, logs: Any = None) -> None:
        self.scale += 1
        steps = self.job.scales[self.scale].steps
        if self.state is not None:
            steps = self.state.left
            restore_model(self.model, self.state)
            self.state = None
        self.last_step = self.model.global_step + steps

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        self.done = self.model.global_step
        if self.every and self._is_due():
            self.save()

    def on_train_end(self, logs: Any = None) -> None:
        if self.every and self.done not in (NO_STEP, self.kept):
            if self.done == self.model.global_step:  # Ctrl-C may come within a step
                self.save()

    def _is_due(self) -> bool:
        if self.unit == "steps":
            return self.done % self.every == 0
        return self.clock() - self.written_at >= self.every

    def save(self) -> None:
        """Write a checkpoint; if that fails, log a warning and let the run continue."""
        self.written_at, self.kept = self.clock(), self.done
        try:
            self.write(self.job.folder, self.snapshot())
        except OSError as error:
            log.warning("no checkpoint at step %d: %s", self.done, error)

    def snapshot(self) -> RunState:
        """Return the present state of the model and the callbacks."""
        model = self.model
        return RunState(
            image=variable_values(model.image),
            gradient=variable_values(model.gradient),
            optimizer=tuple(map(variable_values, model.optimizer.variables)),
            scale=self.scale,
            step=self.done,
            left=0 if model.stop_training else self.last_step - self.done,
            seconds=self.clock() - self.begun,
            fingerprint=self.fingerprint,
            requested_options=self.job.requested_config.model_dump(mode="json"),
            callbacks={c.state_name: c.get_state() for c in self.callbacks},
        )


def restore_model(model: StyleTransfer, state: RunState) -> None:
    """Assign `state` to the variables of a model before its first step.

    Raises: ConfigError: the optimiser has other variables.
    """
    variables = model.optimizer.variables
    shapes = [tuple(variable.shape) for variable in variables]
    if shapes != [value.shape for value in state.optimizer]:
        raise ConfigError(
            "The checkpoint was written by another version of the optimiser. Remove "
            "state.npz to start the run again."
        )
    if isinstance(model.optimizer, SciPyLBFGSB):
        log.warning(
            "SciPy's corrections are not in a checkpoint: L-BFGS-B begins again from "
            "the picture of step %d.",
            state.step,
        )
    # `fit` has just evaluated the losses, which has changed both.
    model.image.assign(state.image)
    model.gradient.assign(state.gradient)
    for variable, value in zip(variables, state.optimizer, strict=True):
        variable.assign(value)
    if not state.left and int(model.optimizer.iterations):
        # No step is left of this scale, so `fit` will not do this.
        model.optimizer.finalize_variable_values([model.image])
