"""Callbacks that end a run, or one of its scales, before its last step.

Each sets `stop_training`, which ends the `fit` of one scale.
"""

import collections
import contextlib
import itertools
import logging
import math
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from types import FrameType
from typing import Any, Self

import keras

from kstyle.hardware.host import ENDING_SIGNALS
from kstyle.planning.scales import Scale, ScalePlan
from kstyle.runs.callbacks.periodic import Clock

log = logging.getLogger("kstyle")

STILL_WINDOW = 50  # steps over which the picture's change is averaged
LONGEST_WAIT = 3.0  # seconds of a step whose end an interrupt waits for


class StopWhenStill(keras.callbacks.Callback):
    """Ends a scale when the picture has almost stopped changing.

    limit: grey levels of 0..255 per step. The scale ends when the mean absolute change
        of a pixel, averaged over its last `window` steps, is below it.
    """

    state_name = "stop_when_still"

    def __init__(self, limit: float, window: int = STILL_WINDOW) -> None:
        super().__init__()
        self.limit = limit
        self.changes: collections.deque[float] = collections.deque(maxlen=window)
        self.resumed = False

    def get_state(self) -> dict[str, Any]:
        """Return the changes of the scale's last steps."""
        return {"changes": list(self.changes)}

    def set_state(self, state: dict[str, Any]) -> None:
        """Continue within the scale of a state of `get_state`."""
        self.changes.extend(state["changes"])
        self.resumed = True

    def on_train_begin(self, logs: Any = None) -> None:
        if not self.resumed:
            self.changes.clear()
        self.resumed = False

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        self.changes.append(float(logs["change"]))
        full = len(self.changes) == self.changes.maxlen
        if full and sum(self.changes) / len(self.changes) < self.limit:
            self.model.stop_training = True


class TimeLimit(keras.callbacks.Callback):
    """Ends each scale when its share of the run's time is over.

    seconds: of the whole run, which begins now.
    scales: of the run. They share the time in proportion to their `work`. Every scale
        takes at least one step.
    """

    state_name = "time_limit"

    def __init__(
        self,
        seconds: float,
        scales: Sequence[Scale | ScalePlan],
        clock: Clock = time.perf_counter,
    ) -> None:
        super().__init__()
        work = list(itertools.accumulate(scale.work() for scale in scales))
        whole = max(work[-1], 1)  # a run without steps has no shares
        self.ends = [seconds * done / whole for done in work]
        self.clock, self.begun = clock, clock()
        self.scale = -1

    def get_state(self) -> dict[str, Any]:
        """Return the index of the scale and the seconds of the run so far."""
        return {"scale": self.scale, "seconds": self.clock() - self.begun}

    def set_state(self, state: dict[str, Any]) -> None:
        """Continue within the scale of a state of `get_state`."""
        self.scale = state["scale"] - 1  # the next `fit` is of the same scale
        self.begun = self.clock() - state["seconds"]

    def on_train_begin(self, logs: Any = None) -> None:
        self.scale += 1

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        if self.clock() - self.begun >= self.ends[self.scale]:
            self.model.stop_training = True


class SciPyEnd(keras.callbacks.Callback):
    """Ends a scale when SciPy's L-BFGS-B has finished; logs its iterations."""

    def __init__(self) -> None:
        super().__init__()
        self.counts: tuple[int, int, str] | None = None

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        minimization = self.model.optimizer.minimization
        evaluations, message = minimization.evaluations, minimization.message
        self.counts = int(self.model.optimizer.done), evaluations, message
        if minimization.finished:
            self.model.stop_training = True

    def on_train_end(self, logs: Any = None) -> None:
        if self.counts is not None:
            log.info(
                "SciPy's L-BFGS-B: %d iterations, %d evaluations. %s",
                self.counts[0],
                self.counts[1],
                self.counts[2] or "Ended by the number of steps.",
            )
        self.counts = None


def make_stoppers(
    stop_when_still: float | None,
    time_limit: float | None,
    scales: Sequence[Scale | ScalePlan],
) -> list[keras.callbacks.Callback]:
    """Return the callbacks that may end a run through `scales` early.

    stop_when_still: grey levels, as of `StopWhenStill`. time_limit: seconds. `None`:
        the run does not end for that reason.
    """
    found: list[keras.callbacks.Callback] = []
    if stop_when_still is not None:
        found.append(StopWhenStill(stop_when_still))
    if time_limit is not None:
        found.append(TimeLimit(time_limit, scales))
    return found


class InterruptRelay(keras.callbacks.Callback):
    """Raises Ctrl-C at the end of the step in which it comes.

    Then the checkpoint has the whole step, and so has every log. A step that takes
    longer than `longest` seconds is not waited for, and neither is any step after a
    second Ctrl-C. It also raises again a `KeyboardInterrupt` that library code has
    swallowed: TensorFlow's C++ runs Python at times, and of ten interrupts of steps of
    8 ms one left no trace.

    The relay has to be the last callback.
    """

    def __init__(
        self, longest: float = LONGEST_WAIT, clock: Clock = time.monotonic
    ) -> None:
        super().__init__()
        self.longest, self.clock = longest, clock
        self.interrupted = False
        self.started: float | None = None  # when the present step began
        self.step_seconds = math.inf  # of the last step

    def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
        self.started = self.clock()

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        if self.started is not None:
            self.step_seconds = self.clock() - self.started
        self.started = None
        if self.interrupted:
            self.interrupted = False
            raise KeyboardInterrupt

    def waits(self) -> bool:
        """Return whether an interrupt now is raised at the end of the step."""
        in_step = self.started is not None and not self.interrupted
        return in_step and self.step_seconds <= self.longest

    @contextlib.contextmanager
    def listening(self) -> Iterator[Self]:
        """Handle every Ctrl-C in the block.

        Where SIGINT is ignored, as in the background of a shell script, handle the
        `KeyboardInterrupt` that a handler of SIGTERM or SIGHUP raises. Nothing changes
        if other code handles SIGINT, or outside the main thread.
        """
        main = threading.current_thread() is threading.main_thread()
        handlers = interrupting_handlers() if main else {}

        def record(number: int, frame: FrameType | None) -> None:
            waits = self.waits()
            self.interrupted = True
            if not waits:
                self.started = None
            try:
                handlers[number](number, frame)
            except KeyboardInterrupt:
                if not waits:
                    raise

        for number in handlers:
            signal.signal(number, record)
        try:
            yield self
        finally:
            for number, handler in handlers.items():
                if signal.getsignal(number) is record:  # else it is ignored since
                    signal.signal(number, handler)


def interrupting_handlers() -> dict[int, Callable[[int, FrameType | None], Any]]:
    """Return the handlers that raise `KeyboardInterrupt`, by signal.

    Python's own of SIGINT; where that is ignored, those of SIGTERM and SIGHUP.
    """
    handler = signal.getsignal(signal.SIGINT)
    if handler is signal.default_int_handler:
        return {signal.SIGINT: handler}
    if handler is not signal.SIG_IGN:
        return {}
    others = {number: signal.getsignal(number) for number in ENDING_SIGNALS}
    return {number: handler for number, handler in others.items() if callable(handler)}
