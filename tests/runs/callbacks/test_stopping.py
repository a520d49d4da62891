"""What ends a run early: a still picture, the time."""

import types

import keras
import numpy as np
import pytest
from shared_models import stylize

from kstyle.config.style_config import StyleConfig
from kstyle.errors import ConfigError
from kstyle.planning.scales import Scale
from kstyle.runs.callbacks.stopping import StopWhenStill, TimeLimit, make_stoppers


def fake_model():
    return types.SimpleNamespace(stop_training=False, global_step=0)


def changes(callback, values):
    """Which of the steps with those changes ends the scale; `None` if none does."""
    callback.set_model(fake_model())
    callback.on_train_begin()
    for step, value in enumerate(values, 1):
        callback.on_train_batch_end(step, {"change": value})
        if callback.model.stop_training:
            return step
    return None


def test_a_scale_ends_when_its_mean_change_is_below_the_limit():
    # Means of three: 2, 4/3, 2/3, 1/3: the fifth step is the first below 1.
    assert changes(StopWhenStill(1.0, window=3), [3, 2, 1, 1, 0, 0]) == 5
    assert changes(StopWhenStill(1.0, window=3), [1, 1, 1, 1]) is None  # not below
    assert changes(StopWhenStill(1.0, window=3), [0, 0]) is None  # too few to tell
    assert changes(StopWhenStill(0.5), [0] * 60) == 50


def test_stillness_at_one_scale_says_nothing_of_the_next():
    callback = StopWhenStill(1.0, window=3)
    assert changes(callback, [0, 0]) is None
    assert changes(callback, [0, 0]) is None
    assert changes(callback, [0, 0, 0]) == 3


class Clock:
    """Shows the time that it is set to."""

    now = 0.0

    def __call__(self):
        return self.now


def ends_at(callback, clock, times):
    """Return whether the scale is ended at each of `times`."""
    callback.set_model(fake_model())
    callback.on_train_begin()
    found = []
    for clock.now in times:
        callback.on_train_batch_end(0)
        found.append(callback.model.stop_training)
    return found


# 10 steps of 100 pixels and 5 of 400: a third and two thirds of 30 s.
SCALES = (Scale(edge=10, steps=10), Scale(edge=20, steps=5))


def test_the_scales_share_the_time_by_steps_and_pixels():
    clock = Clock()
    clock.now = 7.0
    callback = TimeLimit(30, SCALES, clock)
    assert ends_at(callback, clock, (16.9, 17.0)) == [False, True]
    assert ends_at(callback, clock, (36.9, 37.0)) == [False, True]


def test_a_resumed_run_has_the_time_that_was_left():
    clock = Clock()
    first = TimeLimit(30, SCALES, clock)
    assert ends_at(first, clock, (10.0,)) == [True]
    assert ends_at(first, clock, (25.0,)) == [False]
    state = first.get_state()  # in the second scale, after 25 s
    clock.now = 100.0
    second = TimeLimit(30, SCALES, clock)
    second.set_state(state)
    assert ends_at(second, clock, (104.9, 105.0)) == [False, True]


def test_a_resumed_scale_remembers_its_last_changes():
    first = StopWhenStill(1.0, window=3)
    assert changes(first, [0, 0]) is None
    second = StopWhenStill(1.0, window=3)
    second.set_state(first.get_state())
    assert changes(second, [0]) == 1
    assert changes(second, [0, 0]) is None  # the next scale


def test_a_run_out_of_time_takes_one_step_per_scale(small_run):
    small_run |= {"size": 24, "scales": 2, "steps": 9, "scale_steps": 9}
    result = stylize(StyleConfig(time_limit=1e-3, **small_run))
    assert result.steps == 2
    assert result.picture.size == (16, 24)


def test_a_still_run_continues_at_the_next_scale(small_run):
    small_run |= {"scales": 2, "steps": 60, "scale_steps": 60}
    # A change of 255 grey levels a step is more than there can be.
    result = stylize(StyleConfig(stop_when_still=255, **small_run))
    assert result.steps == 100
    assert stylize(StyleConfig(**small_run | {"steps": 3})).steps == 63


def test_without_the_options_nothing_stops_a_run():
    assert make_stoppers(None, None, ()) == []


def test_adam_keeps_the_moving_average_of_its_iterates(small_run):
    seen, small_run = [], small_run | {"optimizer": "adam", "steps": 3}
    keep = keras.callbacks.LambdaCallback(
        on_train_batch_end=lambda batch, logs: seen.append(keep.model.pixels())
    )
    kept = stylize(StyleConfig(average=0.5, **small_run), [keep]).picture.pixels
    first, second, third = seen
    np.testing.assert_allclose(kept, first / 4 + second / 4 + third / 2, atol=1e-6)
    last = stylize(StyleConfig(average=0, **small_run), [keep]).picture.pixels
    np.testing.assert_array_equal(last, seen[-1])


def test_an_average_of_lbfgs_is_refused():
    with pytest.raises(ConfigError, match="average is Adam's"):
        StyleConfig(average=0.5)


class Interrupt(keras.callbacks.Callback):
    """Presses Ctrl-C before the first move of the second scale."""

    def on_train_begin(self, logs=None):
        if int(self.model.global_step):
            raise KeyboardInterrupt


def test_an_average_of_nothing_is_never_kept(small_run):
    small_run |= {"optimizer": "adam", "scales": 2, "steps": 3, "scale_steps": 3}
    result = stylize(StyleConfig(average=0.9, **small_run), [Interrupt()])
    assert result.interrupted
    assert result.picture.pixels.mean() > 0.2  # not black
