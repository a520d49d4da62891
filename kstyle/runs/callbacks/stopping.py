"""What ends a run, or one of its scales, before its last step.

Each sets `stop_training`, which ends the `fit` of one scale.
"""

import collections
import contextlib
import itertools
import signal
import threading
import time

import keras

STILL_WINDOW = 50  # steps over which the picture's change is averaged


class StopWhenStill(keras.callbacks.Callback):
    """Ends a scale when the picture has all but stopped to change.

    limit: grey levels of 0..255 a step. The mean absolute change of a pixel, averaged
        over the scale's last `window` steps, has to be below it.
    """

    def __init__(self, limit, window=STILL_WINDOW):
        super().__init__()
        self.limit = limit
        self.changes = collections.deque(maxlen=window)

    def on_train_begin(self, logs=None):
        self.changes.clear()

    def on_train_batch_end(self, batch, logs=None):
        self.changes.append(float(logs["change"]))
        full = len(self.changes) == self.changes.maxlen
        if full and sum(self.changes) / len(self.changes) < self.limit:
            self.model.stop_training = True


class TimeLimit(keras.callbacks.Callback):
    """Ends each scale when its share of the time is over, so that none is left out.

    seconds: of the whole run from now on.
    scales: all its `schedule.Scale`s. They share the time as the planned steps would,
        by their `work`. Every scale takes one step at least.
    first: number of the scale that comes next. spent: seconds that are over already.
    """

    def __init__(self, seconds, scales, first=0, spent=0.0):
        super().__init__()
        work = list(itertools.accumulate(scale.work() for scale in scales))
        whole = max(work[-1], 1)  # a run without steps has no shares
        begun = time.perf_counter() - spent
        self.ends = [begun + seconds * done / whole for done in work]
        self.scale = first - 1

    def on_train_begin(self, logs=None):
        self.scale += 1

    def on_train_batch_end(self, batch, logs=None):
        if time.perf_counter() >= self.ends[self.scale]:
            self.model.stop_training = True


def make_stoppers(config, scales, state=None):
    """The callbacks that may end a run of `config` through `scales`, from now on.

    state: the `checkpoints.State` that the run goes on from, or `None`.
    """
    found = []
    if config.stop_when_still is not None:
        found.append(StopWhenStill(config.stop_when_still))
    if config.time_limit is not None:
        done = (state.scale, state.seconds) if state else ()
        found.append(TimeLimit(config.time_limit, scales, *done))
    return found


class InterruptRelay(keras.callbacks.Callback):
    """Raises `KeyboardInterrupt` after a step in or before which Ctrl-C was lost.

    Of ten interrupts of steps of 8 ms one had no effect and no trace. Which code clears
    what is raised in it was not found; TensorFlow's C++ runs Python now and then.
    """

    def __init__(self):
        super().__init__()
        self.heard = False

    def on_train_batch_end(self, batch, logs=None):
        if self.heard:  # and the run goes on nevertheless
            self.heard = False
            raise KeyboardInterrupt

    @contextlib.contextmanager
    def listening(self):
        """Note every Ctrl-C meanwhile, which is raised as ever; unless somebody else
        handles it, or this is not the thread that hears of it."""
        before = signal.getsignal(signal.SIGINT)
        main = threading.current_thread() is threading.main_thread()
        if not main or before is not signal.default_int_handler:
            yield self
            return

        def note(number, frame):
            self.heard = True
            before(number, frame)

        signal.signal(signal.SIGINT, note)
        try:
            yield self
        finally:
            signal.signal(signal.SIGINT, before)
