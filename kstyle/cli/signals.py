"""SIGTERM and SIGHUP end a command as Ctrl-C does: the picture so far is kept."""

import contextlib
import os
import signal
import threading
from collections.abc import Iterator
from types import FrameType

from kstyle.hardware.host import ENDING_SIGNALS


class EndingSignal:
    """The signal that has ended the current command; SIGINT unless another came."""

    number: int = signal.SIGINT

    def exit_code(self) -> int:
        """Return the exit code of an interrupted command, as shells report it."""
        return 128 + self.number


ending_signal = EndingSignal()


@contextlib.contextmanager
def handle_ending_signals() -> Iterator[None]:
    """Raise `KeyboardInterrupt` at SIGTERM and SIGHUP, as Python does at SIGINT.

    A signal that is ignored, as SIGHUP under nohup, stays so. After the first one,
    others do not disturb what it has begun.
    """
    ending_signal.number = signal.SIGINT
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    previous = {number: signal.getsignal(number) for number in ENDING_SIGNALS}
    handled = [n for n, handler in previous.items() if handler is signal.SIG_DFL]

    def interrupt(number: int, frame: FrameType | None) -> None:
        for each in handled:
            signal.signal(each, signal.SIG_IGN)
        ending_signal.number = number
        if number != signal.SIGTERM:
            leave_terminal()
        handler = signal.getsignal(signal.SIGINT)
        if not callable(handler):  # ignored, as in the background of a shell script
            raise KeyboardInterrupt
        handler(signal.SIGINT, frame)

    for number in handled:
        signal.signal(number, interrupt)
    try:
        yield
    finally:
        for number in handled:
            signal.signal(number, previous[number])


def leave_terminal() -> None:
    """Send the output for a closed terminal to the null device."""
    null = os.open(os.devnull, os.O_RDWR)
    for number in (0, 1, 2):
        if os.isatty(number):
            os.dup2(null, number)
    os.close(null)
