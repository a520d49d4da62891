"""A run that was ended at any moment continues, with the result of one that was not."""

import contextlib
import csv
import dataclasses
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import keras
import numpy as np
import pytest
from click.testing import CliRunner
from shared_models import run_job, stylize
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from kstyle import StyleConfig, load_picture, save_picture
from kstyle.cli.main import cli
from kstyle.errors import ConfigError
from kstyle.files import lock_folder
from kstyle.runs import checkpoint_file, pipeline
from kstyle.runs.callbacks.checkpoint import Checkpoint
from kstyle.runs.callbacks.periodic import LossCurve
from kstyle.runs.job import prepare, reopen_run
from kstyle.runs.model_cache import ModelCache


class Killed(Exception):
    """Stands for the end of the process."""


class KillAt(keras.callbacks.Callback):
    """Ends the run at a global step, before its checkpoint."""

    def __init__(self, step, error=Killed):
        super().__init__()
        self.step, self.error = step, error

    def on_train_batch_end(self, batch, logs=None):
        if int(self.model.global_step) == self.step:
            raise self.error


@pytest.fixture
def options(small_run):
    """Two scales of 5 and 6 steps, a checkpoint every 2."""
    more = {"scales": "12,18", "scale_steps": 5, "steps": 6, "checkpoint_every": "2"}
    return small_run | more | {"report_every": 1}


def killed(options, step, error=Killed):
    """The folder of a run that ended at `step`."""
    before = set(folders(options))
    with pytest.raises(error):
        stylize(StyleConfig(**options), [KillAt(step, error)])
    (folder,) = set(folders(options)) - before
    return folder


def folders(options):
    logs = StyleConfig(**options).logdir
    return [entry.path for entry in os.scandir(logs)] if os.path.isdir(logs) else []


def go_on(folder, **choices):
    job, state = reopen_run(folder, **choices)
    return run_job(job, state=state)


def rows_of(folder):
    with open(os.path.join(folder, "losses.csv"), newline="") as file:
        return list(csv.reader(file))


def steps_of(folder, tag):
    """The steps of a tag in all of a run's event files, sorted.

    TensorBoard reads the files by their names: a second, then a counter as text. Of two
    that one process makes within a second, number 10 is read before number 9.
    """
    accumulator = EventAccumulator(str(folder), size_guidance={"tensors": 0}).Reload()
    return sorted(event.step for event in accumulator.Tensors(tag))


def interrupted(options, step):
    """The result of a run in which Ctrl-C came at `step`."""
    config = StyleConfig(**options)
    result = stylize(config, [KillAt(step, KeyboardInterrupt)])
    assert result.interrupted
    return result


def test_a_resumed_run_replaces_the_file_that_it_has_written(options, tmp_path):
    output = tmp_path / "out.png"
    whole = stylize(StyleConfig(**options))
    result = interrupted(options | {"output": str(output)}, 7)
    again = go_on(result.folder)
    assert again.path == output and not again.interrupted
    np.testing.assert_array_equal(again.picture.pixels, whole.picture.pixels)


def test_a_run_resumed_twice_knows_its_file(options, tmp_path):
    output = tmp_path / "out.png"
    result = interrupted(options | {"output": str(output)}, 3)
    job, state = reopen_run(result.folder)
    with pytest.raises(Killed):  # before it has written anything
        run_job(job, [KillAt(7)], state)
    assert go_on(result.folder).path == output


def test_a_resumed_run_does_not_replace_another_file(options, tmp_path, random_picture):
    output = tmp_path / "out.png"
    result = interrupted(options | {"output": str(output)}, 7)
    save_picture(output, random_picture(4, 4))
    with pytest.raises(ConfigError, match="give --overwrite"):
        reopen_run(result.folder)
    assert go_on(result.folder, overwrite=True).path == output


# In the first scale; before the second one's first checkpoint; in the second.
@pytest.mark.parametrize(
    ("optimizer", "moments"),
    [("lbfgs", [(4, 2), (6, 5), (10, 8)]), ("adam", [(10, 8)])],
)
def test_a_resumed_run_equals_the_unbroken_one_bit_for_bit(options, optimizer, moments):
    options |= {"optimizer": optimizer}
    whole = stylize(StyleConfig(**options))
    assert not (whole.folder / "state.npz").exists()
    for step, kept in moments:
        folder = killed(options, step)
        assert checkpoint_file.read_checkpoint(folder).step == kept
        job, state = reopen_run(folder)
        result = pipeline.run_job(job, state=state)  # as a new process does
        np.testing.assert_array_equal(result.picture.pixels, whole.picture.pixels)
        assert result.losses == whole.losses
        assert (result.steps, str(result.folder)) == (11, folder)
        assert rows_of(folder) == rows_of(whole.folder)
        assert steps_of(folder, "loss") == list(range(12))
        assert steps_of(folder, "snapshot") == steps_of(whole.folder, "snapshot")


def test_a_run_is_resumed_in_its_finish(options):
    options |= {"finish": "nearest:4"}
    whole = stylize(StyleConfig(**options))
    folder = killed(options, 14)
    state = checkpoint_file.read_checkpoint(folder)
    assert (state.scale, state.step, state.left) == (2, 12, 3)
    result = go_on(folder)
    np.testing.assert_array_equal(result.picture.pixels, whole.picture.pixels)
    assert (result.steps, rows_of(folder)) == (15, rows_of(whole.folder))


def test_a_checkpoint_from_before_an_option_existed_is_resumed(options):
    folder = killed(options, 10)
    state = checkpoint_file.read_checkpoint(folder)
    config = dict(state.fingerprint["config"])
    requested = dict(state.requested_options)
    for name in ("content_size", "style_growth", "look", "convention"):
        del config[name], requested[name]
    fingerprint = {**state.fingerprint, "config": config}
    state = dataclasses.replace(
        state, fingerprint=fingerprint, requested_options=requested
    )
    checkpoint_file.write_checkpoint(folder, state)
    assert go_on(folder).steps == 11


def test_scipy_begins_again_from_a_checkpoint(options, caplog):
    options |= {"optimizer": "scipy", "parameterization": "pixels"}
    result = go_on(killed(options, 10))
    assert result.steps == 11
    assert "L-BFGS-B begins again from the picture of step 8" in caplog.text


def test_a_scale_that_ended_early_stays_ended(options):
    options |= {"scale_steps": 60, "steps": 60, "checkpoint_every": "4"}
    options |= {"stop_when_still": 255}  # always: each scale ends when 50 can be told
    whole = stylize(StyleConfig(**options))
    result = go_on(killed(options, 52))
    assert result.steps == whole.steps == 100
    np.testing.assert_array_equal(result.picture.pixels, whole.picture.pixels)


def test_a_resumed_run_that_took_tiles_can_be_killed_again(options, machine_for):
    folder = killed(options, 4)
    tight = machine_for(StyleConfig(**options | {"tile": "whole"}))
    job, _ = reopen_run(folder, machine=tight)
    assert job.config.tile == "whole"  # and the process ends before it is kept
    job, state = reopen_run(folder)
    assert (job.config.tile, job.requested_config.tile) == ("whole", "off")
    assert run_job(job, state=state).steps == 11


def test_a_run_without_a_checkpoint_starts_again_in_its_folder(options):
    options |= {"checkpoint_every": "0", "scales": 1}
    whole = stylize(StyleConfig(**options))
    folder = killed(options, 4)
    result = go_on(folder)
    np.testing.assert_array_equal(result.picture.pixels, whole.picture.pixels)
    assert rows_of(folder) == rows_of(whole.folder)
    assert steps_of(folder, "loss") == list(range(7))


def test_ctrl_c_leaves_a_state_of_its_last_step(options):
    whole = stylize(StyleConfig(**options))
    options |= {"checkpoint_every": "3600s"}

    class Press(keras.callbacks.Callback):
        def on_train_batch_begin(self, batch, logs=None):
            if int(self.model.global_step) == 7:
                raise KeyboardInterrupt

    result = stylize(StyleConfig(**options), [Press()])
    assert (
        result.interrupted and checkpoint_file.read_checkpoint(result.folder).step == 7
    )
    again = go_on(result.folder)
    np.testing.assert_array_equal(again.picture.pixels, whole.picture.pixels)


def test_a_finished_run_is_left_alone(options):
    folder = stylize(StyleConfig(**options | {"steps": 1})).folder
    before = {path: path.read_bytes() for path in folder.glob("*.*")}
    result = CliRunner().invoke(cli, ["resume", str(folder)])
    assert (result.exit_code, "finished" in result.output) == (0, True)
    assert {path: path.read_bytes() for path in folder.glob("*.*")} == before


def refused(folder, words):
    """Resuming is refused in one line that has `words`, and nothing is changed."""
    losses = rows_of(folder)
    result = CliRunner().invoke(cli, ["resume", str(folder)])
    assert result.exit_code == 2
    assert words in result.output and len(result.output.splitlines()) == 1
    assert rows_of(folder) == losses


def test_what_has_changed_since_is_refused_by_name(options, random_picture):
    folder = killed(options, 10)
    path, config = os.path.join(folder, "config.yaml"), StyleConfig(**options)
    with open(path, "w") as file:
        file.write(config.replace(style_weight=7, steps=9).to_yaml())
    refused(folder, "something else for style_weight, steps")
    with open(path, "w") as file:
        file.write(config.to_yaml())
    save_picture(options["style"], random_picture(14, 18, seed=3))
    refused(folder, "something else for the style picture's file")
    save_picture(options["style"], random_picture(14, 18, seed=1))
    arrays = dict(np.load(options["weights"]))
    np.savez(options["weights"], **arrays, more=np.zeros(1))
    refused(folder, "something else for the weights' file")
    np.savez(options["weights"], **arrays)
    assert go_on(folder).steps == 11


def test_a_file_that_is_no_state_is_refused(options):
    folder = killed(options, 4)
    path = os.path.join(folder, "state.npz")
    with open(path, "rb") as file:
        whole = file.read()
    pickled = np.array([{}], dtype=object)
    state = checkpoint_file.read_checkpoint(folder)
    for size in (0, 10, len(whole) // 2, len(whole) - 1):
        with open(path, "wb") as file:
            file.write(whole[:size])
        refused(folder, "is not a checkpoint that can be resumed")
    for arrays in ({"image": np.zeros(3)}, {"about": pickled}, {"about": np.zeros(2)}):
        np.savez(path, **arrays)
        refused(folder, "is not a checkpoint that can be resumed")
    np.savez_compressed(path, about=np.arange(999))
    with open(path, "r+b") as file:  # what zlib refuses, not the archive
        file.seek(60)
        file.write(b"\xff" * 40)
    refused(folder, "is not a checkpoint that can be resumed")
    for other in (
        {"step": 9},
        {"scale": 1},
        {"scale": 7},
        {"image": state.image[:, 1:]},
    ):
        checkpoint_file.write_checkpoint(folder, dataclasses.replace(state, **other))
        refused(folder, "is of other sizes or steps than the run")


def test_a_folder_that_is_no_run_is_refused(tmp_path):
    result = CliRunner().invoke(cli, ["resume", str(tmp_path)])
    assert result.exit_code == 2 and "it has no config.yaml" in result.output


def test_two_processes_do_not_write_into_one_folder(options):
    folder = killed(options, 4)
    job, state = reopen_run(folder)
    with lock_folder(folder):
        refused(folder, "is in use by another kstyle")
        with pytest.raises(ConfigError, match="in use"):
            pipeline.run_job(job, state=state)
    assert not os.path.exists(os.path.join(folder, ".lock"))


def fit_with_checkpoints(options, **choices):
    """Run one scale with a `Checkpoint` alone; return the job."""
    job = prepare(StyleConfig(**options | {"scales": 1}))
    model = pipeline.build_scale_model(job, job.scales[0], ModelCache(), None)
    callback = Checkpoint(job, (), **choices)
    pipeline.fit_scale(model, job.scales[0].steps, 1, [callback])
    return job


def test_a_full_disk_costs_the_checkpoint_but_not_the_run(options, caplog):
    def full(folder, state):
        raise OSError(28, "No space left on device")

    job = fit_with_checkpoints(options, write=full)
    assert "no checkpoint at step 2: [Errno 28] No space left" in caplog.text
    assert "no checkpoint at step 6" in caplog.text
    assert checkpoint_file.read_checkpoint(job.folder) is None


def test_an_interval_in_seconds_follows_the_clock(options):
    written, times = [], iter(range(0, 10_000, 10))
    options |= {"checkpoint_every": "25s", "steps": 9}
    fit_with_checkpoints(
        options,
        clock=lambda: next(times),
        write=lambda folder, state: written.append(state.step),
    )
    # Each reading of the clock is 10 s later; a checkpoint reads it twice.
    assert written == [3, 5, 7, 9]


@pytest.mark.parametrize("text", ["often", "-1", "1.5", "5m", "", "s", True])
def test_an_interval_is_steps_or_seconds(text):
    with pytest.raises(ConfigError, match="checkpoint_every"):
        StyleConfig(checkpoint_every=text)


def cut_and_bytes(tmp_path, text):
    (tmp_path / "losses.csv").write_bytes(text)
    checkpoint_file.truncate_loss_csv(tmp_path / "losses.csv", 20)
    return (tmp_path / "losses.csv").read_bytes()


def test_rows_that_are_half_written_go(tmp_path):
    head = b"step,loss\r\n10,3.0\r\n"
    for tail in (b"", b"20", b"20,", b"20,1.", b"30,1.0\r\n", b"\0\0\r\n", b"20\r\n"):
        assert cut_and_bytes(tmp_path, head + tail) == head
    assert cut_and_bytes(tmp_path, head + b"20,1.0\r\n") == head + b"20,1.0\r\n"
    assert cut_and_bytes(tmp_path, b"step,lo") == b""


@pytest.fixture
def start():
    """A function that starts `kstyle WORDS` as a process, ended with the test."""
    with contextlib.ExitStack() as stack:

        def call(*words):
            command = [sys.executable, "-m", "kstyle", *map(str, words)]
            pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
            process = stack.enter_context(subprocess.Popen(command, **pipes))
            stack.callback(process.kill)
            return process

        yield call


def long_run(options, logdir):
    """A config of a run long enough to be met in its second scale, however late."""
    more = {"scale_steps": 20, "steps": 120, "checkpoint_every": "1"}
    more |= {"report_every": 10, "logdir": str(logdir)}
    return StyleConfig(**options | more)


def stylize_words(options, logdir):
    """The arguments of the command that runs `long_run`."""
    path = Path(f"{logdir}.yaml")
    path.write_text(long_run(options, logdir).to_yaml())
    return ["stylize", "--config", path]


def kill_when(process, ready):
    """SIGKILL as soon as `ready()`."""
    end = time.monotonic() + 240
    while not ready():
        assert process.poll() is None and time.monotonic() < end
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert process.returncode == -signal.SIGKILL


def test_a_process_killed_twice_ends_with_the_same_pixels(options, start, tmp_path):
    logs = tmp_path / "killed"
    whole = pipeline.stylize(long_run(options, tmp_path / "whole")).folder

    def step():
        found = [checkpoint_file.read_checkpoint(folder) for folder in logs.glob("*")]
        return found[0].step if found and found[0] else 0

    kill_when(start(*stylize_words(options, logs)), lambda: step() >= 5)
    (folder,) = logs.iterdir()
    first = step()
    (folder / ".12345678.part.npz").write_bytes(b"half a state")
    kill_when(start("resume", folder), lambda: step() >= max(first, 19) + 3)
    assert not (folder / ".12345678.part.npz").exists()
    process = start("resume", folder)
    _, errors = process.communicate(timeout=240)
    assert process.returncode == 0, errors
    assert not (folder / "state.npz").exists()
    np.testing.assert_array_equal(
        load_picture(folder / "result.png").pixels,
        load_picture(whole / "result.png").pixels,
    )
    assert rows_of(folder) == rows_of(whole)
    assert steps_of(folder, "loss") == steps_of(whole, "loss")


class KillAtScale(keras.callbacks.Callback):
    """Ends the run when its second scale begins."""

    def on_train_begin(self, logs=None):
        if int(self.model.global_step):
            raise Killed


def test_a_run_killed_between_two_scales_loses_nothing(options):
    whole = stylize(StyleConfig(**options))
    with pytest.raises(Killed):
        stylize(StyleConfig(**options), [KillAtScale()])
    (folder,) = set(folders(options)) - {str(whole.folder)}
    assert checkpoint_file.read_checkpoint(folder).step == 5
    result = go_on(folder)
    np.testing.assert_array_equal(result.picture.pixels, whole.picture.pixels)
    assert rows_of(folder) == rows_of(whole.folder)


def test_a_checkpoint_that_was_not_renamed_is_removed(options):
    # What a process leaves that is killed while it writes a checkpoint, or after that.
    folder = Path(killed(options, 4))
    (folder / ".12345678.part.npz").write_bytes(b"PK half a state")
    shutil.copy(folder / "state.npz", folder / ".87654321.part.npz")
    assert go_on(folder).steps == 11
    assert not list(folder.glob(".*.part*"))


def write_format_3(folder):
    """Rewrite the checkpoint in `folder` as kstyle wrote it before format 4."""
    state = checkpoint_file.read_checkpoint(folder)
    guard = dict(state.callbacks["divergence_guard"])
    best = guard.pop("best")
    still = state.callbacks.get("stop_when_still", {"changes": []})
    about = {
        "format": 3,
        "scale": state.scale,
        "step": state.step,
        "left": state.left,
        "seconds": state.seconds,
        "origin": state.fingerprint,
        "curve": state.callbacks["loss_curve"]["values"],
        "changes": still["changes"],
        "guard": guard,
        "asked": state.requested_options,
        "optimizer": len(state.optimizer),
    }
    arrays = {f"optimizer_{i:03}": value for i, value in enumerate(state.optimizer)}
    np.savez(
        Path(folder) / "state.npz",
        about=np.array(json.dumps(about)),
        image=state.image,
        gradient=state.gradient,
        best=best,
        **arrays,
    )


def test_a_checkpoint_of_the_old_format_is_resumed(options):
    options |= {"stop_when_still": 1e-3, "time_limit": 1000, "steps": 6}
    whole, curve = stylize(StyleConfig(**options)), LossCurve()
    with pytest.raises(Killed):
        stylize(StyleConfig(**options), [LossCurve(), KillAt(10)])
    (folder,) = set(folders(options)) - {str(whole.folder)}
    new = checkpoint_file.read_checkpoint(folder)
    write_format_3(folder)
    old = checkpoint_file.read_checkpoint(folder)
    assert old.callbacks.keys() == new.callbacks.keys()
    for name in ("divergence_guard", "stop_when_still", "loss_curve"):
        np.testing.assert_equal(old.callbacks[name], new.callbacks[name])
    job, state = reopen_run(folder)
    result = pipeline.run_job(job, [curve], state=state)
    np.testing.assert_array_equal(result.picture.pixels, whole.picture.pixels)
    assert rows_of(folder) == rows_of(whole.folder)
    assert curve.values["step"] == list(range(12))


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_that_ends_a_run_keeps_picture_and_checkpoint(
    options, start, tmp_path, number
):
    output, logs = tmp_path / "out.png", tmp_path / "logs-of-process"
    before = signal.signal(number, signal.SIG_DFL)  # nohup has it ignored, also below
    process = start(*stylize_words(options, logs), "-o", output)
    signal.signal(number, before)
    deadline = time.monotonic() + 240
    while not list(logs.glob("*/state.npz")):
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.01)
    process.send_signal(number)
    printed, errors = process.communicate(timeout=60)
    assert process.returncode == 128 + number, errors
    (folder,) = logs.iterdir()
    kept, command, _ = printed.decode().splitlines()
    assert kept.startswith("interrupted, kept ")
    assert command == f"kstyle resume {folder}"
    state = checkpoint_file.read_checkpoint(folder)
    last = steps_of(folder, "loss")[-1]
    assert int(rows_of(folder)[-1][0]) == last
    assert last - state.step in (0, 1)  # it may come within a step
    assert json.loads((folder / "run.json").read_text())["exit"] == "interrupted"
    assert load_picture(output).size == (12, 18)
    assert reopen_run(folder)[1].step == state.step
