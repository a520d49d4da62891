"""A run whose memory ends continues in tiles."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from kstyle import StyleConfig, stylize
from kstyle.errors import OutOfMemoryError
from kstyle.runs.callbacks.periodic import LossCurve
from kstyle.runs.provenance import read_run


class NoMemory(keras.callbacks.Callback):
    """Raises TensorFlow's error in step `step` of a model without tiles."""

    def __init__(self, step, tiles_too=False):
        super().__init__()
        self.step, self.tiles_too = step, tiles_too

    def on_train_batch_begin(self, batch, logs=None):
        whole = self.model.tile is None or self.tiles_too
        if whole and self.model.global_step + 1 == self.step:
            raise tf.errors.ResourceExhaustedError(None, None, "OOM")


@pytest.fixture
def options(small_run):
    """Options of a run of 3 steps at 264 pixels, large enough for tiles."""
    large = {"size": 264, "scales": 1, "steps": 3, "style_size": 20}
    return small_run | large | {"checkpoint_every": "0", "report_every": 1}


def test_a_run_without_a_checkpoint_starts_again_in_tiles(options, caplog):
    tiled = stylize(StyleConfig(**options | {"tile": 132}))
    curve = LossCurve()
    result = stylize(StyleConfig(**options), [curve, NoMemory(3)])
    np.testing.assert_array_equal(result.picture.pixels, tiled.picture.pixels)
    assert result.losses == tiled.losses
    assert curve.values["step"] == [0, 1, 2, 3]
    (record,) = caplog.records
    assert record.getMessage() == (
        "The memory did not suffice: continuing with --tile 132 from step 0."
    )


def test_a_run_continues_in_tiles_from_its_checkpoint(options, caplog):
    options |= {"checkpoint_every": "1"}
    whole = stylize(StyleConfig(**options))
    result = stylize(StyleConfig(**options), [NoMemory(3)])
    assert "continuing with --tile 132 from step 2." in caplog.text
    assert np.abs(result.picture.pixels - whole.picture.pixels).max() <= 1 / 255
    rows = (result.folder / "losses.csv").read_text().splitlines()
    assert [row.split(",")[0] for row in rows] == ["step", "0", "1", "2", "3"]


def test_the_tiles_are_on_record_with_the_solved_weights(options):
    options |= {"style_weights": "equal-loss"}
    result = stylize(StyleConfig(**options), [NoMemory(1)])
    record = read_run(result.folder)
    assert (record["exit"], record["config"].tile) == ("finished", 132)
    text = (result.folder / "config.yaml").read_text()
    assert StyleConfig.from_yaml(text) == record["config"]


def test_with_fit_off_the_run_ends(options):
    config = StyleConfig(**options | {"fit": "off"})
    with pytest.raises(OutOfMemoryError, match="264 px.*--tile 512"):
        stylize(config, [NoMemory(1)])


def test_where_tiles_need_too_much_as_well_the_run_ends(options):
    with pytest.raises(OutOfMemoryError, match="264 px. Use a smaller --size"):
        stylize(StyleConfig(**options), [NoMemory(2, tiles_too=True)])
