"""The choice of the device, and the errors of a device that is missing or full."""

import os
import subprocess
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf

from kstyle import StyleConfig, stylize
from kstyle.errors import ConfigError, OutOfMemoryError
from kstyle.hardware import devices


@pytest.mark.parametrize(
    ("wanted", "seen", "name"),
    [
        ("auto", 0, None),
        ("auto", 2, None),
        ("cpu", 2, "/CPU:0"),
        ("gpu", 2, "/GPU:0"),
        ("gpu:1", 2, "/GPU:1"),
    ],
)
def test_a_device_is_chosen_by_its_name(wanted, seen, name):
    assert devices.choose_device(wanted, seen) == name


def test_a_gpu_that_is_not_there_is_refused_with_what_to_do():
    with pytest.raises(ConfigError, match="sees no GPU. Use --device cpu"):
        devices.choose_device("gpu", 0)
    with pytest.raises(ConfigError, match="sees 2 GPU.* Use gpu:1 or less"):
        devices.choose_device("gpu:2", 2)


def test_a_run_on_a_missing_gpu_leaves_no_folder(small_run, tmp_path):
    with pytest.raises(ConfigError, match="--device gpu"):
        stylize(StyleConfig(**small_run, device="gpu"))
    assert not (tmp_path / "logs").exists()


def test_every_gpu_grows_its_memory_before_anything_is_placed(monkeypatch):
    grown = []
    monkeypatch.setattr(tf.config, "list_physical_devices", lambda kind: ["a", "b"])
    monkeypatch.setattr(
        *(tf.config.experimental, "set_memory_growth"),
        lambda gpu, on: grown.append((gpu, on)),
    )
    with devices.use_device("cpu"):
        assert grown == [("a", True), ("b", True)]


def test_the_processor_gives_the_same_picture_when_chosen(small_run):
    placed = []
    witness = keras.callbacks.LambdaCallback(
        on_train_begin=lambda logs: placed.append(tf.zeros(()).device)
    )
    one, other = (
        stylize(StyleConfig(**small_run | {"steps": 1}, device=name), [witness])
        for name in ("auto", "cpu")
    )
    np.testing.assert_array_equal(one.picture.pixels, other.picture.pixels)
    assert len(placed) == 2
    assert all(name.endswith("CPU:0") for name in placed)


ONEDNN = "Operation received an exception: could not create a primitive"


class Raise(keras.callbacks.Callback):
    """Raises an error after the first step, as a step would where memory ends."""

    def __init__(self, error):
        super().__init__()
        self.error = error

    def on_train_batch_end(self, batch, logs=None):
        raise self.error


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        tf.errors.ResourceExhaustedError(None, None, "OOM"),
        tf.errors.AbortedError(None, None, ONEDNN),
    ],
)
def test_an_out_of_memory_error_is_a_sentence(error, small_run):
    with pytest.raises(OutOfMemoryError, match="18 px.*--tile 512") as caught:
        stylize(StyleConfig(**small_run), [Raise(error)])
    assert caught.value.exit_code == 1


def test_another_aborted_error_is_not_taken_for_memory(small_run):
    error = tf.errors.AbortedError(None, None, "the server went away")
    with pytest.raises(tf.errors.AbortedError):
        stylize(StyleConfig(**small_run), [Raise(error)])


def test_a_gpu_has_its_number_and_its_makers_name(monkeypatch):
    gpu = tf.config.PhysicalDevice("/physical_device:GPU:0", "GPU")
    details = {gpu: {"device_name": "NVIDIA H200"}}
    monkeypatch.setattr(tf.config.experimental, "get_device_details", details.get)
    assert devices.device_name(gpu) == "GPU:0 (NVIDIA H200)"
    details[gpu] = {}
    assert devices.device_name(gpu) == "GPU:0"


@pytest.mark.parametrize(
    ("wanted", "found"),
    [("auto", (7, 5)), ("gpu", (7, 5)), ("gpu:1", (9, 0)), ("cpu", None)],
)
def test_the_capability_is_that_of_the_gpu_that_is_chosen(wanted, found, monkeypatch):
    about = {"a": {"compute_capability": (7, 5)}, "b": {"compute_capability": (9, 0)}}
    monkeypatch.setattr(tf.config, "list_physical_devices", lambda kind: ["a", "b"])
    monkeypatch.setattr(tf.config.experimental, "get_device_details", about.get)
    assert devices.gpu_capability(wanted) == found


def test_a_machine_without_a_gpu_has_no_capability():
    assert devices.gpu_capability("auto") is None


def test_the_speed_is_measured_with_deterministic_kernels(tmp_path):
    code = "from kstyle.planning.calibration import *; print(matmul_peak(size=8))"
    assert float(said(code, False, "1", tmp_path)) > 0


def said(code, driver, given, folder):
    """The last line of a process with the variable `given`, and a GPU's driver or none
    that can be found."""
    if driver:
        (folder / "nvidia-smi").write_text("#!/bin/sh\n")
        (folder / "nvidia-smi").chmod(0o755)
    environment = os.environ | {"PATH": str(folder)}
    environment.pop("TF_DETERMINISTIC_OPS", None)
    environment |= {} if given is None else {"TF_DETERMINISTIC_OPS": given}
    words = [sys.executable, "-c", code]
    done = subprocess.run(words, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()[-1]
