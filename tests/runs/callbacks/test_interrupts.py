"""Ctrl-C in a run, also where it is lost on the way."""

import signal
import threading

import keras
import pytest

from kstyle import StyleConfig, stylize
from kstyle.runs.callbacks.stopping import InterruptRelay


class Lost(keras.callbacks.Callback):
    """Gets Ctrl-C in the third step, and loses it, as C code may."""

    def on_train_batch_end(self, batch, logs=None):
        if self.model.global_step == 3:
            with pytest.raises(KeyboardInterrupt):
                signal.raise_signal(signal.SIGINT)


@pytest.mark.usefixtures("heard_interrupts")
def test_a_lost_ctrl_c_ends_the_run_after_that_step(small_run):
    result = stylize(StyleConfig(**small_run | {"steps": 50}), [Lost()])
    assert (result.interrupted, result.steps) == (True, 3)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


@pytest.mark.usefixtures("heard_interrupts")
def test_what_others_do_with_ctrl_c_stays():
    def others(number, frame):
        raise AssertionError

    signal.signal(signal.SIGINT, others)
    with InterruptRelay().listening():
        assert signal.getsignal(signal.SIGINT) is others


def test_a_run_in_another_thread_leaves_signals_alone(small_run):
    found = []
    config = StyleConfig(**small_run)
    thread = threading.Thread(target=lambda: found.append(stylize(config)))
    thread.start()
    thread.join()
    assert found[0].steps == 4
