"""`stylize`: from two small pictures to a third, and what the run leaves behind."""

import csv
import hashlib
import json
import os
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from shared_models import stylize
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

import kstyle
from kstyle import StyleConfig, load_picture, save_picture
from kstyle.config.style_config import PATH_OPTIONS
from kstyle.images.picture import Picture, resize
from kstyle.images.writing import read_metadata
from kstyle.runs.job import prepare
from kstyle.runs.model_cache import ModelCache
from kstyle.runs.pipeline import run_job
from kstyle.tensorboard_plugin.names import HYPERPARAMETER_FILE


def rows_of(folder):
    """The rows of a run's losses.csv, as dicts of text."""
    with open(folder / "losses.csv", newline="") as file:
        return list(csv.DictReader(file))


def scalar_steps(folder):
    """Steps of the total loss in a run's event file."""
    accumulator = EventAccumulator(str(folder)).Reload()
    return [event.step for event in accumulator.Tensors("loss")]


class StopAt(keras.callbacks.Callback):
    """Presses Ctrl-C at a global step."""

    def __init__(self, step):
        super().__init__()
        self.step = step

    def on_train_batch_end(self, batch, logs=None):
        if int(self.model.global_step) == self.step:
            raise KeyboardInterrupt


def test_a_run_leaves_a_better_picture_and_its_whole_record(small_run):
    config = StyleConfig(**small_run)
    result = stylize(config)
    assert result.picture.size == (12, 18)  # 16 x 24, long edge 18
    assert result.path == result.folder / "result.png"
    assert (result.steps, result.interrupted) == (4, False)
    names = sorted(path.name for path in result.folder.iterdir())
    assert names[1] == HYPERPARAMETER_FILE
    assert names[2].startswith("events.out.tfevents.")
    names[1:3] = []
    expected = ["config.yaml", "losses.csv", "result.png", "run.json", "snapshots"]
    assert names == expected

    rows = rows_of(result.folder)
    assert [row["step"] for row in rows] == ["0", "2", "4"]
    assert float(rows[-1]["loss"]) < 0.9 * float(rows[0]["loss"])
    assert result.losses["loss"] == pytest.approx(float(rows[-1]["loss"]), rel=1e-5)
    assert scalar_steps(result.folder) == [0, 2, 4]
    shots = sorted(path.name for path in (result.folder / "snapshots").iterdir())
    assert shots == [f"step_{step:06d}.png" for step in (0, 2, 4)]

    written = load_picture(result.path).pixels
    np.testing.assert_allclose(written, result.picture.pixels, atol=0.51 / 255)
    last = load_picture(result.folder / "snapshots" / shots[-1]).pixels
    np.testing.assert_array_equal(last, written)


def test_the_picture_contains_config_and_hash_of_the_weights(small_run):
    config = StyleConfig(seed=12, quality=90, **small_run)
    config = config.replace(output=small_run["logdir"] + ".jpg", steps=1)
    record = read_metadata(stylize(config).path)
    # Where its maker keeps files is not in it: of an absolute path the name alone.
    given = [key for key in PATH_OPTIONS if getattr(config, key)]
    named = {key: Path(getattr(config, key)).name for key in given}
    assert StyleConfig(**json.loads(record["config"])) == config.replace(**named)
    with open(config.weights, "rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    assert record["weights"] == f"vgg19 tiny.npz sha256:{digest}"


def test_result_and_events_contain_no_folder_of_the_user(small_run):
    folder = stylize(StyleConfig(**small_run)).folder
    home = str(Path(small_run["logdir"]).parent).encode()
    for path in (folder / "result.png", *folder.glob("events*")):
        assert home not in path.read_bytes()
    assert home in (folder / "config.yaml").read_bytes()  # which repeats the run


def test_the_config_in_the_folder_repeats_the_run_bit_for_bit(small_run):
    first = stylize(StyleConfig(init="noise", seed=4, **small_run))
    text = (first.folder / "config.yaml").read_text(encoding="utf-8")
    again = stylize(StyleConfig.from_yaml(text))
    assert again.folder != first.folder
    np.testing.assert_array_equal(again.picture.pixels, first.picture.pixels)
    assert again.losses == first.losses
    assert rows_of(again.folder) == rows_of(first.folder)
    assert again.path.read_bytes() == first.path.read_bytes()
    other = stylize(StyleConfig(init="noise", seed=5, **small_run))
    assert np.abs(other.picture.pixels - first.picture.pixels).max() > 1e-4


def test_no_steps_give_the_init_back(small_run, tmp_path, random_picture):
    save_picture(tmp_path / "init.png", random_picture(12, 18, seed=8))
    init = {"init": str(tmp_path / "init.png")}
    result = stylize(StyleConfig(**small_run | init | {"steps": 0}))
    start = load_picture(init["init"]).pixels
    np.testing.assert_array_equal(load_picture(result.path).pixels, start)
    assert (result.steps, result.interrupted) == (0, False)
    (row,) = rows_of(result.folder)  # the initial picture has its row all the same
    assert float(row["loss"]) == pytest.approx(result.losses["loss"], rel=1e-6)


def test_several_scales_count_on_and_end_at_the_full_size(small_run):
    options = {"scales": "9,13,18", "scale_steps": 3}
    result = stylize(StyleConfig(**small_run | options))
    assert result.picture.size == (12, 18)
    assert result.steps == 3 + 3 + 4
    steps = [0, 2, 3, 4, 6, 8, 10]  # 3 and 6 end a scale
    assert [int(row["step"]) for row in rows_of(result.folder)] == steps
    assert scalar_steps(result.folder) == steps
    shots = sorted((result.folder / "snapshots").iterdir())
    assert [load_picture(s).size for s in shots] == [
        *[(6, 9)] * 3,
        *[(9, 13)] * 2,
        *[(12, 18)] * 2,
    ]


def test_a_scale_starts_from_the_picture_of_the_one_before(small_run):
    options = {"scales": "9,18", "scale_steps": 2, "steps": 0}
    result = stylize(StyleConfig(**small_run | options))
    before = load_picture(result.folder / "snapshots" / "step_000002.png").pixels
    assert before.shape == (6, 9, 3)
    enlarged = resize(before, (12, 18))
    np.testing.assert_allclose(result.picture.pixels, enlarged, atol=1.5 / 255)


def test_the_alpha_of_the_content_is_put_back(small_run, tmp_path, random_picture):
    alpha = np.zeros((16, 24), "float32")
    alpha[:, 12:] = 1
    save_picture(tmp_path / "cut.png", Picture(random_picture(16, 24), alpha))
    options = {"content": str(tmp_path / "cut.png"), "size": 24, "steps": 1}
    result = stylize(StyleConfig(**small_run | options))
    np.testing.assert_array_equal(load_picture(result.path).alpha, alpha)


def test_16_bits_keep_more_than_8_do(small_run, tmp_path):
    output = tmp_path / "deep.png"
    options = {"bits": 16, "output": str(output), "steps": 2}
    result = stylize(StyleConfig(**small_run | options))
    assert output.read_bytes()[24] == 16  # the bit depth in a PNG's header
    error = np.abs(load_picture(output).pixels - result.picture.pixels).max()
    assert error <= 0.51 / 65535
    assert np.abs(result.picture.pixels * 255 % 1 - 0.5).min() < 0.4  # not just levels


def test_an_own_output_is_replaced_only_on_request(small_run, tmp_path):
    output = tmp_path / "made" / "for" / "out.png"
    config = StyleConfig(output=str(output), **small_run | {"steps": 0})
    assert stylize(config).path == output
    assert load_picture(output).size == (12, 18)
    with pytest.raises(kstyle.errors.ConfigError, match="--overwrite"):
        stylize(config)
    before = output.stat().st_mtime_ns
    assert stylize(config, overwrite=True).path.stat().st_mtime_ns > before


def test_ctrl_c_between_two_reports_logs_the_last_step(small_run):
    options = {"scales": 1, "report_every": 4, "steps": 9}
    result = stylize(StyleConfig(**small_run | options), callbacks=[StopAt(6)])
    assert [int(row["step"]) for row in rows_of(result.folder)] == [0, 4, 6]
    assert scalar_steps(result.folder) == [0, 4, 6]


def test_a_scale_that_is_stopped_early_does_not_skip_steps(small_run):
    options = {"scales": "9,18", "scale_steps": 5, "steps": 2, "report_every": 1}
    stop = keras.callbacks.EarlyStopping("loss", min_delta=1e30, patience=1)
    result = stylize(StyleConfig(**small_run | options), callbacks=[stop])
    steps = [int(row["step"]) for row in rows_of(result.folder)]
    assert steps == list(range(result.steps + 1))
    assert result.steps < 7


@pytest.mark.parametrize("step", [1, 5])
def test_ctrl_c_in_any_scale_keeps_a_bfloat16_picture(small_run, step):
    options = {"scales": "9,18", "scale_steps": 3, "precision": "bfloat16"}
    result = stylize(StyleConfig(**small_run | options), callbacks=[StopAt(step)])
    assert (result.interrupted, result.steps) == (True, step)
    assert result.picture.size == (12, 18)
    assert result.losses["loss"] > 0


@pytest.mark.parametrize("step", [1, 5])
def test_ctrl_c_keeps_the_picture_and_closes_the_event_file(
    small_run, step, monkeypatch
):
    writers, create = [], tf.summary.create_file_writer

    def keep(path):  # or the garbage collector would close the file anyway
        writers.append(create(path))
        return writers[-1]

    monkeypatch.setattr(tf.summary, "create_file_writer", keep)
    options = {"scales": "9,18", "scale_steps": 3, "report_every": 1}
    result = stylize(StyleConfig(**small_run | options), callbacks=[StopAt(step)])
    assert (result.interrupted, result.steps) == (True, step)
    assert load_picture(result.path).size == result.picture.size == (12, 18)
    assert scalar_steps(result.folder) == list(range(step + 1))
    assert [int(row["step"]) for row in rows_of(result.folder)] == [*range(step + 1)]
    open_files = {os.path.realpath(f"/proc/self/fd/{n}") for n in open_descriptors()}
    assert not [name for name in open_files if str(result.folder) in name]
    assert len(writers) == 1
    shots = sorted((result.folder / "snapshots").glob("*.png"))
    assert shots[0].name == "step_000000.png"


def open_descriptors():
    """Numbers of this process's open files, where the system lists them."""
    return os.listdir("/proc/self/fd") if os.path.isdir("/proc/self/fd") else []


class InterruptedModels(ModelCache):
    """Presses Ctrl-C before there is a model."""

    def get_extractor(self, *args):
        raise KeyboardInterrupt


def test_ctrl_c_before_there_is_a_picture_is_not_swallowed(small_run):
    job = prepare(StyleConfig(**small_run))
    with pytest.raises(KeyboardInterrupt):
        run_job(job, models=InterruptedModels())


def test_a_standard_keras_callback_can_stop_the_run(small_run):
    # The loss never falls by a million, so it stops after one epoch of two steps.
    stopper = keras.callbacks.EarlyStopping("loss", min_delta=1e6, patience=1)
    result = stylize(StyleConfig(**small_run | {"steps": 20}), callbacks=[stopper])
    assert 2 <= result.steps < 20
    assert not result.interrupted
    assert rows_of(result.folder)[-1]["step"] == str(result.steps)


def test_every_step_is_taken_when_reports_do_not_divide_them(small_run):
    options = {"steps": 5, "report_every": 2, "optimizer": "adam"}
    result = stylize(StyleConfig(**small_run | options))
    assert result.steps == 5
    assert rows_of(result.folder)[-1]["step"] == "5"


def test_gradients_are_logged_on_request(small_run):
    options = {"log_gradients": True, "steps": 1}
    result = stylize(StyleConfig(**small_run | options))
    tags = EventAccumulator(str(result.folder)).Reload().Tags()["tensors"]
    assert "gradient/tv" in tags


def test_a_cropped_content_at_its_own_size(small_run):
    # Of the content's 24 x 16 pixels the middle square.
    options = {"content_crop": "center", "content_size": "original", "steps": 1}
    result = stylize(StyleConfig(**small_run | options))
    assert result.picture.size == (16, 16)
    crop = load_picture(small_run["content"]).pixels[:, 4:20]
    start = load_picture(result.folder / "snapshots" / "step_000000.png").pixels
    np.testing.assert_allclose(start, crop, atol=0.5 / 255 + 1e-6)


def test_scipy_runs_through_scales_and_tiles(small_run, caplog):
    options = {"optimizer": "scipy", "parameterization": "pixels", "scales": "9,18"}
    options |= {"scale_steps": 20, "iterations": 3, "steps": 30, "report_every": 1}
    caplog.set_level("INFO", "kstyle")
    result = stylize(StyleConfig(**small_run | options))
    # At each scale the first evaluation is that of its start; each iteration has one or
    # more, and the move to the last point is a step as well.
    assert caplog.text.count("SciPy's L-BFGS-B: 3 iterations, ") == 2
    assert 8 <= result.steps < 50
    losses = [float(row["loss"]) for row in rows_of(result.folder)]
    assert len(losses) == result.steps + 1
    assert result.losses["loss"] == pytest.approx(losses[-1], rel=1e-5)
    assert losses[-1] < losses[0]
    steps = scalar_steps(result.folder)
    accumulator = EventAccumulator(str(result.folder)).Reload()
    counted = accumulator.Tensors("step/iterations")
    assert len(counted) == len(steps)
    tiled = stylize(StyleConfig(**small_run | options | {"tile": "whole"}))
    assert tiled.losses["loss"] == pytest.approx(result.losses["loss"], rel=1e-3)
