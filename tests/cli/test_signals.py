"""SIGTERM and SIGHUP: as Ctrl-C, unless somebody else handles or ignores them."""

import signal

import pytest

from kstyle.cli.signals import ending_signal, handle_ending_signals
from kstyle.hardware.host import ENDING_SIGNALS
from kstyle.runs.callbacks.stopping import InterruptRelay


@pytest.fixture
def handlers():
    """The usual handlers during the test, whatever the process has started with."""
    usual = {number: signal.SIG_DFL for number in ENDING_SIGNALS}
    usual[signal.SIGINT] = signal.default_int_handler
    before = {n: signal.signal(n, handler) for n, handler in usual.items()}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.usefixtures("handlers")
@pytest.mark.parametrize("number", ENDING_SIGNALS)
def test_a_signal_interrupts_once_and_decides_the_exit_code(number):
    with handle_ending_signals():
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(number)
        signal.raise_signal(number)  # while the command ends
    assert ending_signal.exit_code() == 128 + number
    assert signal.getsignal(number) is signal.SIG_DFL


@pytest.mark.usefixtures("handlers")
def test_ctrl_c_has_its_usual_exit_code():
    with pytest.raises(KeyboardInterrupt), handle_ending_signals():
        signal.raise_signal(signal.SIGINT)
    assert ending_signal.exit_code() == 130


@pytest.mark.usefixtures("handlers")
def test_an_ignored_signal_stays_ignored():
    signal.signal(signal.SIGHUP, signal.SIG_IGN)  # as under nohup
    with handle_ending_signals():
        signal.raise_signal(signal.SIGHUP)
    assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN


@pytest.mark.usefixtures("handlers")
def test_sigterm_interrupts_where_ctrl_c_is_ignored():
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # in the background of a script
    with pytest.raises(KeyboardInterrupt), handle_ending_signals():
        signal.raise_signal(signal.SIGTERM)


@pytest.mark.usefixtures("handlers")
@pytest.mark.parametrize("number", ENDING_SIGNALS)
def test_a_signal_waits_for_the_step_where_ctrl_c_is_ignored(number):
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # in the background of a script
    relay = InterruptRelay()
    relay.step_seconds = 0.1
    with handle_ending_signals():
        with relay.listening():
            relay.on_train_batch_begin(0)
            signal.raise_signal(number)
            with pytest.raises(KeyboardInterrupt):
                relay.on_train_batch_end(0)
        signal.raise_signal(number)  # while the picture is written
    assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    assert signal.getsignal(number) is signal.SIG_DFL


@pytest.mark.usefixtures("handlers")
def test_a_run_without_a_signal_restores_the_handlers():
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with handle_ending_signals():
        before = [signal.getsignal(number) for number in ENDING_SIGNALS]
        with InterruptRelay().listening():
            pass
        assert [signal.getsignal(number) for number in ENDING_SIGNALS] == before
