"""The GPUs that TensorFlow sees: which is taken, what it can do, what it has free."""

import contextlib

import tensorflow as tf

from kstyle.errors import ConfigError


def seen():
    """TensorFlow's handles of all GPUs that it sees and has libraries for."""
    return tf.config.list_physical_devices("GPU")


def name_of(device):
    """TensorFlow's number of a device, and its maker's name where that is told:
    "GPU:0 (NVIDIA H200)"."""
    number = device.name.removeprefix("/physical_device:")
    name = tf.config.experimental.get_device_details(device).get("device_name")
    return f"{number} ({name})" if name else number


def choose(wanted, gpus):
    """TensorFlow's name of the device for `StyleConfig.device`; `None`: its own choice.

    gpus: how many GPUs TensorFlow sees.
    Raises: ConfigError: a GPU is wanted that is not there.
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


def number_of(wanted):
    """The number of the GPU that `StyleConfig.device` comes to; `None` where that is
    the processor.

    Raises: ConfigError: a GPU is wanted that is not there.
    """
    gpus = seen()
    name = choose(wanted, len(gpus))
    if not gpus or name == "/CPU:0":
        return None
    return int(name.rpartition(":")[2]) if name else 0


def capability(wanted):
    """The compute capability, as (8, 0), of the GPU that `wanted` comes to; `None`
    where it is the processor, or a GPU that tells none."""
    number = number_of(wanted)
    if number is None:
        return None
    details = tf.config.experimental.get_device_details(seen()[number])
    return details.get("compute_capability")


def leave_gpus():
    """Keep this process off the GPUs: its workers need them. Returns how many."""
    gpus = seen()
    with contextlib.suppress(RuntimeError):  # it uses them already
        tf.config.set_visible_devices([], "GPU")
    return len(gpus)
