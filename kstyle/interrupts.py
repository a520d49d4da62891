"""Ctrl-C that is heard of even where the code that it came into has lost it."""

import contextlib
import signal
import threading

import keras


class Again(keras.callbacks.Callback):
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
