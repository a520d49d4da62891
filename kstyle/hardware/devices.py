"""The devices that TensorFlow sees: their choice, names and capability."""

import contextlib
from collections.abc import Iterator
from typing import Any

import tensorflow as tf

from kstyle.errors import ConfigError
from kstyle.hardware.tensorflow_setup import has_onednn


def visible_gpus() -> list[tf.config.PhysicalDevice]:
    """List the GPUs that TensorFlow sees and has libraries for."""
    return tf.config.list_physical_devices("GPU")


def device_name(device: tf.config.PhysicalDevice) -> str:
    """Return TensorFlow's number of a device, with the maker's name if it is known:
    "GPU:0 (NVIDIA H200)"."""
    number = device.name.removeprefix("/physical_device:")
    name = tf.config.experimental.get_device_details(device).get("device_name")
    return f"{number} ({name})" if name else number


def choose_device(wanted: str, gpus: int) -> str | None:
    """Return TensorFlow's name of the device for the option `device`; `None` leaves the
    choice to TensorFlow.

    gpus: how many GPUs TensorFlow sees.
    Raises: ConfigError: there is no such GPU.
    """
    if wanted == "auto":
        return None
    if wanted == "cpu":
        return "/CPU:0"
    number = int(wanted.partition(":")[2] or 0)
    if number < gpus:
        return f"/GPU:{number}"
    if gpus:
        raise ConfigError(
            f"--device {wanted}: TensorFlow sees {gpus} GPU(s), numbered from 0. "
            f"Use gpu:{gpus - 1} or less."
        )
    raise ConfigError(
        f"--device {wanted}: TensorFlow sees no GPU. Use --device cpu, or see what "
        "`kstyle doctor` says of this machine's."
    )


def gpu_number(wanted: str) -> int | None:
    """Return the number of the GPU for the option `device`; `None`: the processor.

    Raises: ConfigError: there is no such GPU.
    """
    gpus = visible_gpus()
    name = choose_device(wanted, len(gpus))
    if not gpus or name == "/CPU:0":
        return None
    return int(name.rpartition(":")[2]) if name else 0


def gpu_capability(wanted: str) -> tuple[int, int] | None:
    """Return the compute capability, such as (8, 0), of the GPU for the option
    `device`; `None`: it is the processor, or the capability is unknown."""
    number = gpu_number(wanted)
    if number is None:
        return None
    details = tf.config.experimental.get_device_details(visible_gpus()[number])
    return details.get("compute_capability")


def hide_gpus() -> int:
    """Hide the GPUs from this process, for its workers. Returns their number."""
    gpus = visible_gpus()
    with contextlib.suppress(RuntimeError):  # they are in use already
        tf.config.set_visible_devices([], "GPU")
    return len(gpus)


def check_device_option(wanted: str) -> None:
    """Raise `ConfigError` if there is no device for the option `device`."""
    gpu_number(wanted)


@contextlib.contextmanager
def use_device(wanted: str) -> Iterator[None]:
    """Place what is made and run in the block on the device for the option `device`.

    A GPU's memory is allocated as needed, so that other processes can use the rest.
    """
    found = visible_gpus()
    name = choose_device(wanted, len(found))
    for gpu in found:
        with contextlib.suppress(RuntimeError):  # in use already: as its user set it
            tf.config.experimental.set_memory_growth(gpu, True)
    with tf.device(name) if name else contextlib.nullcontext():
        yield


def tensorflow_facts() -> dict[str, Any]:
    """Return the names of TensorFlow's `devices`, the number of `gpus`, and whether
    `cuda` is built in and `onednn` is on (`None`: unknown)."""
    devices = tf.config.list_physical_devices()
    return {
        "devices": [device_name(device) for device in devices],
        "gpus": sum(device.device_type == "GPU" for device in devices),
        "cuda": tf.test.is_built_with_cuda(),
        "onednn": has_onednn(),
    }
