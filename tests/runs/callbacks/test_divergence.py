"""Runs that run away or stand still: they come back, or end with their best picture."""

import csv
import functools
import json
import logging
import math
from pathlib import Path

import keras
import numpy as np
import pytest
import shared_models
from click.testing import CliRunner
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from kstyle import StyleConfig, load_picture, save_picture
from kstyle.cli.main import cli
from kstyle.errors import DivergedError
from kstyle.runs import checkpoint_file, pipeline
from kstyle.runs.callbacks.divergence import (
    DivergenceGuard,
    max_free_gradient,
    saturation,
    subsample,
)
from kstyle.runs.job import prepare, reopen_run
from kstyle.runs.model_cache import ModelCache

KNOWN = StyleConfig.model_fields
PRECISIONS = [{}] + [{"precision": "bfloat16"}] * ("precision" in KNOWN)


@pytest.fixture
def options(small_run):
    """A run of 8 steps, all of them in its logs."""
    more = {"steps": 8, "report_every": 1, "snapshot_every": 0, "checkpoint_every": "0"}
    return small_run | more


@pytest.fixture(params=PRECISIONS, ids=lambda option: option.get("precision", "plain"))
def every(request, options):
    """The same run, at every precision there is."""
    return options | request.param


@pytest.fixture
def plain(tmp_path):
    """A function from a name and a colour to a picture of that colour; its path."""

    def make(name, colour, size=(16, 24)):
        save_picture(tmp_path / name, np.full((*size, 3), colour, "float32"))
        return str(tmp_path / name)

    return make


class Poison(keras.callbacks.Callback):
    """Makes one value of the picture just before the moves that follow some steps."""

    def __init__(self, *steps, value=np.nan):
        super().__init__()
        self.steps, self.value = steps, value

    def on_train_batch_begin(self, batch, logs=None):
        if int(self.model.global_step) in self.steps:
            self.model.image.assign(0 * self.model.image + self.value)


class KillAt(keras.callbacks.Callback):
    """Ends the run at a global step, before its checkpoint."""

    def __init__(self, step):
        super().__init__()
        self.step = step

    def on_train_batch_end(self, batch, logs=None):
        if int(self.model.global_step) == self.step:
            raise ZeroDivisionError


class Rates(keras.callbacks.Callback):
    """The learning rate of each step, once the step is over."""

    def __init__(self):
        super().__init__()
        self.seen = []

    def on_train_batch_end(self, batch, logs=None):
        self.seen.append(float(self.model.optimizer.learning_rate))


def run(options, *callbacks, **more):
    return shared_models.stylize(StyleConfig(**options | more), callbacks)


def lost(options, *callbacks, **more):
    """The error of a run that has to diverge."""
    with pytest.raises(DivergedError) as caught:
        run(options, *callbacks, **more)
    assert caught.value.exit_code == 3
    return caught.value


def record_of(folder):
    return json.loads((folder / "run.json").read_text())


def rows_of(folder):
    with open(folder / "losses.csv", newline="") as file:
        return list(csv.DictReader(file))


def start_loss(folder):
    return float(rows_of(folder)[0]["loss"])


@pytest.mark.parametrize("optimizer", ["adam", "lbfgs"])
def test_a_picture_that_is_not_finite_is_taken_back(every, optimizer, caplog):
    result = run(every, Poison(2), optimizer=optimizer)
    assert result.steps == 8 and np.isfinite(result.picture.pixels).all()
    rows = rows_of(result.folder)
    assert [int(row["step"]) for row in rows] == list(range(9))
    # The third step led back to the picture of the second; the next ones are better.
    assert float(rows[3]["loss"]) == pytest.approx(float(rows[2]["loss"]), rel=1e-5)
    assert result.losses["loss"] < float(rows[3]["loss"])
    events = EventAccumulator(str(result.folder)).Reload()
    assert [event.step for event in events.Tensors("loss")] == list(range(9))
    record = record_of(result.folder)
    assert (record["exit"], len(record["guard"])) == ("finished", 1)
    assert record["guard"][0] | {"action": ""} == {
        "step": 3,
        "reason": "the loss or the picture is not a finite number",
        "action": "",
    }
    said = "step 3: the loss or the picture is not a finite number; back to the best "
    said += "picture, of step 2, with a learning rate 10 times smaller (try 1 of 3)"
    # Where bfloat16 is slow, that is said as well.
    (record,) = [each for each in caplog.records if each.module == "divergence"]
    assert (record.getMessage(), record.levelno) == (said, logging.WARNING)


@pytest.mark.parametrize("optimizer", ["adam", "lbfgs"])
def test_a_run_that_never_recovers_ends_with_its_best_picture(options, optimizer):
    error = lost(options, Poison(*range(2, 99)), optimizer=optimizer, snapshot_every=1)
    assert "not a finite number, also after 3 new starts" in str(error)
    assert "of step 2, is kept. Use a smaller --learning-rate" in str(error)
    result = error.result
    assert (result.steps, result.interrupted) == (6, False)  # 2, 3 tries, and the end
    rows = rows_of(result.folder)
    assert [int(row["step"]) for row in rows] == list(range(7))
    assert result.losses["loss"] == pytest.approx(float(rows[2]["loss"]), rel=1e-5)
    best = load_picture(result.folder / "snapshots" / "step_000002.png").pixels
    np.testing.assert_array_equal(load_picture(result.path).pixels, best)
    record = record_of(result.folder)
    assert (record["exit"], record["error"]) == ("diverged", str(error))
    assert [event["step"] for event in record["guard"]] == [3, 4, 5, 6]


def test_each_restart_shrinks_more_until_a_better_picture(options):
    rates = Rates()
    options |= {"optimizer": "adam", "learning_rate": 25.5, "steps": 6}
    run(options, Poison(1, 2, 4), rates)
    expected = [0.1, 0.1 / 10, 0.1 / 10 / 100, 0.1 / 1000, 0.1 / 1e4, 0.1 / 1e4]
    np.testing.assert_allclose(rates.seen, expected, rtol=1e-5)


@pytest.fixture
def wide(options, tmp_path, random_picture):
    """The same run of a picture of 20 x 140 pixels, which takes two tiles."""
    save_picture(tmp_path / "wide.png", random_picture(20, 140))
    return options | {"content": str(tmp_path / "wide.png"), "size": 140, "scales": 1}


# What goes wrong under which optimiser, and how often the run goes back.
@pytest.mark.parametrize(
    ("optimizer", "hostile", "count"),
    [
        ("adam", {"learning_rate": 1e6}, 3),
        ("adam", {"poison": (2,)}, 1),
        ("lbfgs", {"poison": (2, 3)}, 2),
        ("lbfgs", {"poison": range(2, 99)}, 4),
    ],
)
def test_a_tiled_run_restarts_as_a_whole_one(wide, optimizer, hostile, count):
    wide |= {"optimizer": optimizer} | hostile
    poison, found = wide.pop("poison", ()), []
    for tile in ("off", 128):
        try:
            result = run(wide, Poison(*poison), tile=tile)
        except DivergedError as error:
            result = error.result
        found.append((result, record_of(result.folder), rows_of(result.folder)))
    (whole, record, rows), (tiled, other, others) = found
    assert len(record["guard"]) == count
    assert (other["guard"], other["exit"]) == (record["guard"], record["exit"])
    for row, same in zip(rows, others, strict=True):
        assert float(same["loss"]) == pytest.approx(float(row["loss"]), rel=1e-3)
    assert tiled.losses["loss"] == pytest.approx(whole.losses["loss"], rel=1e-3)
    assert np.isfinite(tiled.picture.pixels).all()


def test_a_tiled_run_killed_after_a_restart_has_the_same_bits(wide):
    wide |= {"tile": 128, "checkpoint_every": "2", "steps": 6}
    whole, logs = run(wide, Poison(2)), Path(wide["logdir"])
    with pytest.raises(ZeroDivisionError):
        run(wide, Poison(2), KillAt(5))
    (folder,) = set(logs.iterdir()) - {whole.folder}
    job, state = reopen_run(folder)
    assert state.step == 4 and len(state.callbacks["divergence_guard"]["events"]) == 1
    result = shared_models.run_job(job, [Poison(2)], state)
    np.testing.assert_array_equal(result.picture.pixels, whole.picture.pixels)
    assert record_of(folder)["guard"] == record_of(whole.folder)["guard"]


def test_the_next_scale_begins_with_the_smaller_steps(options):
    rates = Rates()
    options |= {"optimizer": "adam", "learning_rate": 2.55, "scales": "12,18"}
    run(options, Poison(1), rates, scale_steps=2, steps=2)
    np.testing.assert_allclose(rates.seen, [0.01, 0.001, 0.001, 0.001], rtol=1e-5)


# Whose rate, its value, how many new starts, and at which step the first came.
@pytest.mark.parametrize(
    ("optimizer", "rate", "count", "first", "steps"),
    [("adam", 1e6, 3, 1, 12), ("adam", 1e3, 1, 1, 12), ("lbfgs", 1e6, 2, 13, 45)],
)
def test_an_extreme_learning_rate_is_shrunk(
    every, optimizer, rate, count, first, steps
):
    every |= {"optimizer": optimizer, "learning_rate": rate, "steps": steps}
    result = run(every, parameterization="pixels")
    events = record_of(result.folder)["guard"]
    assert len(events) == count and events[0]["step"] == first
    assert result.losses["loss"] < 0.9 * start_loss(result.folder)
    assert saturation(result.picture.pixels) < 0.1


@pytest.mark.parametrize("optimizer", ["adam", "lbfgs"])
def test_steps_too_small_to_move_a_pixel_end_the_run_at_once(options, optimizer):
    options |= {"optimizer": optimizer, "learning_rate": 1e-9, "steps": 40}
    error = lost(options)
    assert error.result.steps == 10
    assert "no pixel has changed in 10 steps, though the gradient is not 0" in str(
        error
    )
    assert "larger --learning-rate" in str(error)


def test_a_loss_above_that_of_noise_is_taken_back(options, plain):
    # All but white, where content and style are all but black. With a network of random
    # weights that is no worse than noise: the limit is a tenth of the usual.
    options |= {"content": plain("a.png", 0.1), "style": plain("b.png", 0.0)}
    options |= {"optimizer": "adam", "scales": 1}
    job = prepare(StyleConfig(**options))
    guard = DivergenceGuard("", (job.content.pixels, job.styles[0]), noise_factor=0.2)
    model = pipeline.build_scale_model(job, job.scales[0], ModelCache(), None)
    model.fit(steps_per_epoch=4, callbacks=[guard, Poison(2, value=0.9)])
    (event,) = guard.events
    assert event["step"] == 3 and "larger than that of mere noise" in event["reason"]
    assert float(model.evaluate_losses()["loss"]) <= guard.start_loss


@pytest.mark.parametrize("option", ["style_weight", "tv_weight"])
def test_too_large_weights_are_refused_at_the_start(options, option):
    error = lost(options, **{option: 1e30})
    assert error.result is None
    assert "at the start, before any step: the weights are too large" in str(error)
    (folder,) = Path(options["logdir"]).iterdir()
    assert not (folder / "result.png").exists()
    record = record_of(folder)
    assert (record["exit"], record["guard"]) == ("diverged", [])


def test_a_network_whose_features_are_no_numbers_is_named(options, tmp_path):
    with np.load(options["weights"]) as file:
        arrays = {name: value * 1e30 for name, value in file.items()}
    np.savez(tmp_path / "huge.npz", **arrays)
    error = lost(options, weights=str(tmp_path / "huge.npz"))
    assert "content/conv1_2 is nan at the start" in str(error)
    assert "huge.npz) are damaged or not its own" in str(error)


def test_a_huge_content_weight_leaves_the_content_as_it_is(options, caplog):
    result = run(options, content_weight=1e30)
    assert "Nothing is left to change" in caplog.text
    content = load_picture(options["content"]).resized((12, 18)).pixels
    np.testing.assert_allclose(result.picture.pixels, content, atol=1e-6)


@pytest.mark.parametrize("optimizer", ["adam", "lbfgs"])
@pytest.mark.parametrize("colour", [0.0, 0.5])
def test_one_colour_in_the_manner_of_itself_stays_as_it_is(
    every, plain, optimizer, colour
):
    path = plain("one.png", colour)
    result = run(every, content=path, style=path, optimizer=optimizer)
    expected = load_picture(path).pixels[0, 0, 0]
    np.testing.assert_allclose(result.picture.pixels, expected, atol=1e-3)
    assert record_of(result.folder)["exit"] == "finished"


@pytest.mark.parametrize(
    ("optimizer", "colour"), [("adam", (0, 0, 0)), ("lbfgs", (0.9, 0.2, 0.1))]
)
def test_a_style_of_one_colour_is_a_style(every, plain, optimizer, colour):
    result = run(every, style=plain("one.png", colour), optimizer=optimizer)
    assert (result.steps, record_of(result.folder)["guard"]) == (8, [])
    assert result.losses["loss"] < start_loss(result.folder)


def test_a_picture_may_turn_black_where_the_style_is_black(options, plain, caplog):
    alone = {"content_weight": 0, "tv_weight": 0, "style": plain("black.png", 0.0)}
    result = run(options, **alone, optimizer="adam", learning_rate=300, steps=40)
    assert saturation(result.picture.pixels) > 0.99
    assert record_of(result.folder)["guard"] == []
    assert "This scale ends here" in caplog.text
    assert result.steps < 40


@pytest.mark.parametrize("optimizer", ["adam", "lbfgs"])
def test_a_picture_of_two_pixels_has_a_run(every, random_picture, optimizer):
    for name in ("content", "style"):
        save_picture(every[name], random_picture(2, 2, seed=len(name)))
    every |= {"optimizer": optimizer, "learning_rate": 1e4, "size": 2}
    result = run(every)
    # The row of the start is in the run's own precision, the result's in float32.
    assert result.losses["loss"] <= 1.001 * start_loss(result.folder)


def test_a_scale_that_made_the_picture_worse_ends_with_its_best(options, caplog):
    result = run(options, optimizer="adam", learning_rate=100, steps=2)
    rows = rows_of(result.folder)
    assert float(rows[-1]["loss"]) > start_loss(result.folder)
    assert result.losses["loss"] == pytest.approx(start_loss(result.folder), rel=1e-5)
    assert "the scale ended with a larger loss than it began with" in caplog.text


def test_a_moving_average_begins_anew_at_the_best_picture(options):
    options |= {"optimizer": "adam", "average": 0.9, "steps": 3}
    result = run(options, Poison(2))  # the last step is the one that is taken back
    rows = rows_of(result.folder)
    assert result.losses["loss"] == pytest.approx(float(rows[2]["loss"]), rel=1e-5)


def test_an_ordinary_run_is_not_touched(options, caplog):
    for optimizer in ("adam", "lbfgs"):
        result = run(options, optimizer=optimizer, scales="12,18", scale_steps=3)
        assert (result.steps, record_of(result.folder)["guard"]) == (11, [])
    assert caplog.records == []


# Before it is set back, just after that, and in the next scale.
@pytest.mark.parametrize(
    ("optimizer", "moments"), [("lbfgs", [(3, 2), (9, 8)]), ("adam", [(5, 4)])]
)
def test_a_run_killed_after_a_restart_has_the_same_bits(options, optimizer, moments):
    options |= {"optimizer": optimizer, "checkpoint_every": "2"}
    options |= {"scales": "12,18", "scale_steps": 6, "steps": 5}
    whole, logs = run(options, Poison(2, 3)), Path(options["logdir"])
    for step, kept in moments:
        before = set(logs.iterdir())
        with pytest.raises(ZeroDivisionError):
            run(options, Poison(2, 3), KillAt(step))
        (folder,) = set(logs.iterdir()) - before
        assert checkpoint_file.read_checkpoint(folder).step == kept
        job, state = reopen_run(folder)
        result = pipeline.run_job(job, [Poison(2, 3)], state=state)
        np.testing.assert_array_equal(result.picture.pixels, whole.picture.pixels)
        assert rows_of(folder) == rows_of(whole.folder)
        assert record_of(folder)["guard"] == record_of(whole.folder)["guard"] != []


class ReadCheckpoints(keras.callbacks.Callback):
    """Reads the checkpoint of the step before, at the start of each step."""

    def __init__(self, logdir):
        super().__init__()
        self.logdir, self.states = Path(logdir), {}

    def on_train_batch_begin(self, batch, logs=None):
        (folder,) = self.logdir.iterdir()
        state = checkpoint_file.read_checkpoint(folder)
        if state is not None:
            self.states[state.step] = state

    on_train_end = functools.partialmethod(on_train_batch_begin, None)


def test_no_checkpoint_contains_a_lost_picture(options):
    read = ReadCheckpoints(options["logdir"])
    poison = Poison(*range(3, 99))
    lost(options, poison, read, optimizer="adam", checkpoint_every="1")
    assert sorted(read.states) == list(range(1, 8))
    for state in read.states.values():
        guard = state.callbacks["divergence_guard"]
        arrays = state.image, state.gradient, guard["best"], *state.optimizer
        assert all(np.isfinite(array).all() for array in arrays)
    assert guard["failure"] is not None


def test_a_run_killed_after_it_gave_up_gives_up_again(options):
    options |= {"optimizer": "adam", "learning_rate": 1e-9, "checkpoint_every": "1"}
    options |= {"scales": "12,18", "scale_steps": 20}
    with pytest.raises(ZeroDivisionError):

        class Kill(keras.callbacks.Callback):
            def on_epoch_end(self, epoch, logs=None):
                if self.model.stop_training:
                    raise ZeroDivisionError

        run(options, Kill())
    (folder,) = Path(options["logdir"]).iterdir()
    job, state = reopen_run(folder)
    assert (state.step, state.left) == (10, 0)
    with pytest.raises(DivergedError, match="no pixel has changed"):
        pipeline.run_job(job, state=state)


def words_of(options, **more):
    flags = [(f"--{k.replace('_', '-')}", str(v)) for k, v in (options | more).items()]
    pairs = [pair for pair in flags if pair[0] not in ("--content", "--style")]
    return [options["content"], options["style"], *sum(pairs, ())]


def test_the_command_exits_with_3_and_resume_refuses(options):
    words = words_of(options, learning_rate=1e-9, steps=40, checkpoint_every="1")
    result = CliRunner().invoke(cli, ["stylize", *words, "--quiet"])
    assert result.exit_code == 3
    path = Path(result.stdout.strip())
    assert path.name == "result.png" and path.exists()
    last = result.stderr.splitlines()[-1]
    assert last.startswith("Error: The run is lost at step 10: no pixel has changed")
    assert not (path.parent / "state.npz").exists()
    again = CliRunner().invoke(cli, ["resume", str(path.parent)])
    assert again.exit_code == 2 and "has diverged, as it would again" in again.stderr
    assert record_of(path.parent)["exit"] == "diverged"


def test_a_run_lost_at_its_start_says_one_sentence(options):
    words = words_of(options, style_weight=1e38)
    result = CliRunner().invoke(cli, ["stylize", *words])
    assert (result.exit_code, result.stdout) == (3, "")
    (line,) = [x for x in result.stderr.splitlines() if x.startswith("Error")]
    assert "Only their ratio counts" in line and "Traceback" not in result.output


def test_a_large_picture_is_thinned_and_a_small_one_is_not():
    assert subsample(np.zeros((1600, 512, 3))).shape == (534, 512, 3)
    assert subsample(np.zeros((2, 700, 3))).shape == (2, 700, 3)


class InterruptAtStart(keras.callbacks.Callback):
    """Presses Ctrl-C when the first `fit` begins."""

    def on_train_begin(self, logs=None):
        raise KeyboardInterrupt


def test_ctrl_c_before_the_first_step_keeps_the_start(options):
    result = run(options, InterruptAtStart())
    assert (result.interrupted, result.steps) == (True, 0)


def test_saturation_counts_the_values_at_both_ends():
    assert saturation(np.array([0.0, 1.0, 0.5, 0.25])) == 0.5
    assert saturation(np.zeros((2, 2, 3))) == 1
    assert saturation(np.full((2, 2, 3), math.nan)) == 1


def test_only_what_can_move_within_the_range_is_pulled():
    image = np.array([0.0, 0.0, 1.0, 1.0, 0.5], "float32")
    # A pixel moves against its gradient: the first cannot go down, the fourth not up.
    assert max_free_gradient(image, np.array([9, 0, 0, -9, 0], "float32")) == 0
    assert max_free_gradient(image, np.array([9, -2, 3, -9, 1], "float32")) == 3
    assert max_free_gradient(image, np.array([9, -2, 0, -9, -4], "float32")) == 4
