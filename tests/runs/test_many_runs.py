"""What batches and experiments share: failures and the time that is left."""

import math

import pytest

from kstyle.errors import ImageError
from kstyle.runs.many_runs import Attempt, WorkClock


def test_an_error_becomes_a_sentence(caplog):
    with Attempt("a.png") as attempt:
        raise ImageError("a.png is not a picture.")
    assert attempt.error == "a.png is not a picture."
    assert caplog.text == ""


def test_a_bug_leaves_its_traceback_in_the_log(caplog):
    with Attempt("a.png") as attempt:
        raise ZeroDivisionError("division by zero")
    assert attempt.error == "ZeroDivisionError: division by zero"
    assert "a.png failed:" in caplog.text and "Traceback" in caplog.text


def test_an_attempt_without_an_error_has_none():
    with Attempt("a.png") as attempt:
        pass
    assert attempt.error is None


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit])
def test_what_ends_the_process_is_not_caught(error):
    with pytest.raises(error), Attempt("a.png"):
        raise error


def test_the_remaining_time_follows_from_the_finished_work():
    times = iter((100.0, 130.0, 130.0, 160.0, 190.0))
    clock = WorkClock({"small": 1.0, "large": 3.0}, clock=lambda: next(times))
    assert math.isnan(clock.seconds_left())
    clock.parts["small"] = 0.5
    assert clock.seconds_left() == pytest.approx(30 * 3.5 / 0.5)
    clock.finish("small")
    assert clock.seconds_left() == pytest.approx(60 * 3)
    clock.finish("large")
    assert clock.seconds_left() == 0
