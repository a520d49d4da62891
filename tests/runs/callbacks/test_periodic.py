"""What watches a run: rows of losses, snapshot files, progress."""

import csv
import io
import itertools
import math

import keras
import numpy as np
import pytest

from kstyle import load_picture
from kstyle.planning.scales import Scale
from kstyle.runs.callbacks.periodic import (
    EverySteps,
    LossCSV,
    ProgressReport,
    SnapshotFiles,
)

TAGS = ["content/conv1_2", "style/conv1_1", "style/conv1_2", "tv"]


class Recorder(EverySteps):
    """Keeps the step and the total loss of each report."""

    def __init__(self, every):
        super().__init__(every)
        self.rows = []

    def report(self, step, logs):
        assert all(type(value) is float for value in logs.values())
        self.rows.append((step, logs["loss"]))


def two_scales(make_model, callback, first=5, second=3):
    """Run `first` steps of one model and `second` of another that continues from it."""
    for model, steps in ((make_model(), first), (make_model(first), second)):
        model.fit(steps_per_epoch=steps, callbacks=[callback])


def test_reports_at_the_start_at_intervals_and_at_the_end(make_model):
    callback = Recorder(2)
    make_model().fit(steps_per_epoch=5, callbacks=[callback])
    assert [step for step, _ in callback.rows] == [0, 2, 4, 5]


@pytest.mark.parametrize("epochs", [1, 2, 4])
def test_reports_count_steps_and_not_epochs(make_model, epochs):
    callback = Recorder(3)
    steps = 4 // epochs
    make_model().fit(epochs=epochs, steps_per_epoch=steps, callbacks=[callback])
    assert [step for step, _ in callback.rows] == [0, 3, 4]


def test_no_step_is_reported_twice_over_two_scales(make_model):
    callback = Recorder(2)
    two_scales(make_model, callback)
    # 5 ends the first scale; the start of the second, also 5, is another picture.
    assert [step for step, _ in callback.rows] == [0, 2, 4, 5, 6, 8]


def test_every_0_reports_never(make_model):
    callback = Recorder(0)
    make_model().fit(steps_per_epoch=3, callbacks=[callback])
    assert callback.rows == []


def test_the_first_report_is_of_the_initial_picture(make_model):
    callback, model = Recorder(2), make_model()
    start = float(model.evaluate_losses()["loss"])
    model.fit(steps_per_epoch=3, callbacks=[callback])
    assert callback.rows[0] == (0, pytest.approx(start, rel=1e-6))
    assert callback.rows[-1] == (
        3,
        pytest.approx(float(model.evaluate_losses()["loss"]), rel=1e-5),
    )


def csv_rows(make_model, every=2):
    """The rows of `LossCSV` over two scales, the headings first."""
    file = io.StringIO()
    two_scales(make_model, LossCSV(file, every))
    return list(csv.reader(io.StringIO(file.getvalue())))


def test_the_columns_and_rows_of_the_losses(make_model):
    headings, *rows = csv_rows(make_model)
    assert headings == ["step", "loss", *TAGS, *(f"raw/{tag}" for tag in TAGS)]
    assert [int(row[0]) for row in rows] == [0, 2, 4, 5, 6, 8]
    for row in rows:
        values = dict(zip(headings, map(float, row), strict=True))
        parts = [values[tag] for tag in TAGS]
        assert values["loss"] == pytest.approx(sum(parts), rel=1e-6)
        assert values["style/conv1_2"] == pytest.approx(
            100 * values["raw/style/conv1_2"], rel=1e-6
        )
    first = dict(zip(headings, map(float, rows[0]), strict=True))
    assert first["content/conv1_2"] == 0  # it starts from the content
    assert first["style/conv1_1"] > 0


def test_rows_can_be_read_during_the_run(make_model, tmp_path):
    path, seen = tmp_path / "losses.csv", []

    class Reader(keras.callbacks.Callback):
        """Reads the file in the middle of the run, as a user would."""

        def on_train_batch_end(self, batch, logs=None):
            seen.append(len(path.read_text().splitlines()))

    with open(path, "w", newline="") as file:
        make_model().fit(steps_per_epoch=3, callbacks=[LossCSV(file, 1), Reader()])
    assert seen == [3, 4, 5]  # headings, row 0, row 1; and so on


def test_snapshots_are_the_pictures_under_their_steps(make_model, tmp_path):
    model = make_model()
    model.fit(steps_per_epoch=5, callbacks=[SnapshotFiles(tmp_path / "s", 2)])
    names = ["step_000000.png", "step_000002.png", "step_000004.png", "step_000005.png"]
    assert sorted(path.name for path in (tmp_path / "s").iterdir()) == names
    last = load_picture(tmp_path / "s" / names[-1]).pixels
    np.testing.assert_allclose(last, model.pixels(), atol=0.51 / 255)
    assert np.abs(load_picture(tmp_path / "s" / names[0]).pixels - last).max() > 0.02


def test_snapshot_every_0_makes_no_folder(make_model, tmp_path):
    make_model().fit(steps_per_epoch=2, callbacks=[SnapshotFiles(tmp_path / "s", 0)])
    assert list(tmp_path.iterdir()) == []


class FullFile(io.StringIO):
    """A file on a full disk."""

    def flush(self):
        raise OSError(28, "No space left on device")


def test_a_full_disk_ends_the_reports_and_not_the_run(make_model, caplog):
    others = Recorder(1)
    make_model().fit(steps_per_epoch=3, callbacks=[LossCSV(FullFile(), 1), others])
    assert [step for step, _ in others.rows] == [0, 1, 2, 3]
    (record,) = caplog.records
    assert "no loss csv from step 0 on: [Errno 28] No space left" in record.getMessage()


def test_progress_estimates_the_time_left_by_pixels(make_model):
    times = itertools.count(step=2)  # seconds; every report is 2 s after the last
    told, scales = [], (Scale(edge=10, steps=5), Scale(edge=20, steps=3))
    callback = ProgressReport(
        lambda *values: told.append(values), 2, scales, clock=lambda: next(times)
    )
    two_scales(make_model, callback)
    # A step costs 100, later 400: 1700 in all. After 2 steps 200 are done in 2 s, so
    # the other 1500 take 15 s; after step 5 the last 2 s did 100, and 1200 are left.
    assert [step for step, *_ in told] == [0, 2, 4, 5, 6, 8]
    assert [speed for _, _, speed, _ in told] == [0, 1, 1, 0.5, 0.5, 1]
    left = [left for *_, left in told]
    assert math.isnan(left[0])  # no step yet, so nobody knows
    assert left[1:] == pytest.approx([15, 13, 24, 4, 0])
    assert all(loss > 0 for _, loss, *_ in told)
