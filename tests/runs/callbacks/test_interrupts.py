"""Ctrl-C in a run, also where library code swallows it."""

import signal
import threading

import keras
import pytest

from kstyle import StyleConfig, stylize
from kstyle.runs.callbacks.stopping import InterruptRelay
from kstyle.runs.checkpoint_file import read_checkpoint


class Interrupts(keras.callbacks.Callback):
    """Sends Ctrl-C while a step runs, before its end is reported to the others."""

    def __init__(self, step):
        super().__init__()
        self.step = step

    def on_train_batch_end(self, batch, logs=None):
        if self.model.global_step == self.step:
            signal.raise_signal(signal.SIGINT)


@pytest.mark.usefixtures("enabled_interrupts")
def test_ctrl_c_in_a_step_ends_the_run_with_its_checkpoint(small_run):
    result = stylize(StyleConfig(**small_run | {"steps": 50}), [Interrupts(3)])
    assert (result.interrupted, result.steps) == (True, 3)
    assert read_checkpoint(result.folder).step == 3
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


@pytest.mark.usefixtures("enabled_interrupts")
def test_a_second_ctrl_c_does_not_wait_for_the_step():
    relay = InterruptRelay()
    relay.step_seconds = 0.1
    with relay.listening():
        relay.on_train_batch_begin(0)
        signal.raise_signal(signal.SIGINT)
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)


@pytest.mark.usefixtures("enabled_interrupts")
def test_long_steps_and_pauses_between_steps_are_not_waited_for():
    times = iter((0.0, 5.0, 6.0))
    relay = InterruptRelay(longest=4.0, clock=lambda: next(times))
    with relay.listening():
        relay.on_train_batch_begin(0)
        relay.on_train_batch_end(0)  # a step of 5 seconds
        relay.on_train_batch_begin(1)
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
    relay = InterruptRelay()
    with relay.listening(), pytest.raises(KeyboardInterrupt):
        signal.raise_signal(signal.SIGINT)


@pytest.mark.usefixtures("enabled_interrupts")
def test_a_swallowed_ctrl_c_is_raised_after_the_next_step():
    relay = InterruptRelay()
    with relay.listening():
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
        relay.on_train_batch_begin(0)
        with pytest.raises(KeyboardInterrupt):
            relay.on_train_batch_end(0)


@pytest.mark.usefixtures("enabled_interrupts")
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
