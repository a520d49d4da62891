"""What a run's plan asks of the machine."""

import os

import pytest
import tensorflow as tf

from kstyle.hardware import host
from kstyle.hardware.machine import available_bytes


def test_the_processor_offers_free_and_resident_memory():
    free, resident = host.free_memory(), host.resident_memory()
    if free is None:
        pytest.skip("the system does not tell its free memory")
    assert available_bytes("cpu") == pytest.approx(free + resident, rel=0.2)


@pytest.mark.skipif(os.name != "posix", reason="the driver's command is a script")
def test_a_gpu_offers_its_own_memory(tmp_path, monkeypatch):
    command = tmp_path / "nvidia-smi"
    command.write_text("#!/bin/sh\necho 81920\n")
    command.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0")
    monkeypatch.setattr(tf.config, "list_physical_devices", lambda kind: ["a GPU"])
    host.gpu_memory.cache_clear()
    assert available_bytes("gpu") == available_bytes("auto") == 80 * 2**30
    host.gpu_memory.cache_clear()
    monkeypatch.setattr(tf.config, "list_physical_devices", lambda kind: [])
    assert available_bytes("auto") != 80 * 2**30  # a driver, but not for TensorFlow
