"""The devices that TensorFlow sees: which one is used, and its name."""

import contextlib

import tensorflow as tf

from kstyle.errors import ConfigError
from kstyle.hardware.tensorflow_setup import has_onednn


def visible_gpus():
    """TensorFlow's handles of all GPUs that it sees and has libraries for."""
    return tf.config.list_physical_devices("GPU")


def device_name(device):
    """TensorFlow's number of a device, and its maker's name where that is told:
    "GPU:0 (NVIDIA H200)"."""
    number = device.name.removeprefix("/physical_device:")
    name = tf.config.experimental.get_device_details(device).get("device_name")
    return f"{number} ({name})" if name else number


def choose_device(wanted, gpus):
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


def gpu_number(wanted):
    """The number of the GPU that `StyleConfig.device` comes to; `None` where that is
    the processor.

    Raises: ConfigError: a GPU is wanted that is not there.
    """
    gpus = visible_gpus()
    name = choose_device(wanted, len(gpus))
    if not gpus or name == "/CPU:0":
        return None
    return int(name.rpartition(":")[2]) if name else 0


def gpu_capability(wanted):
    """The compute capability, as (8, 0), of the GPU that `wanted` comes to; `None`
    where it is the processor, or a GPU that tells none."""
    number = gpu_number(wanted)
    if number is None:
        return None
    details = tf.config.experimental.get_device_details(visible_gpus()[number])
    return details.get("compute_capability")


def hide_gpus():
    """Keep this process off the GPUs: its workers need them. Returns how many."""
    gpus = visible_gpus()
    with contextlib.suppress(RuntimeError):  # it uses them already
        tf.config.set_visible_devices([], "GPU")
    return len(gpus)


def check_device_option(wanted):
    """Raise `ConfigError` if the device `wanted` is not there."""
    gpu_number(wanted)


@contextlib.contextmanager
def use_device(wanted):
    """Place what is made and run inside on the device `wanted`.

    A GPU's memory is taken as it is needed, so that others can use the rest.
    """
    found = visible_gpus()
    name = choose_device(wanted, len(found))
    for gpu in found:
        with contextlib.suppress(RuntimeError):  # in use already: as its user set it
            tf.config.experimental.set_memory_growth(gpu, True)
    with tf.device(name) if name else contextlib.nullcontext():
        yield


def tensorflow_facts():
    """What TensorFlow says of itself: `devices`, `cuda` and `onednn`, each a bool or
    `None` where it does not tell, and `gpus`, how many it sees."""
    devices = tf.config.list_physical_devices()
    return {
        "devices": [device_name(device) for device in devices],
        "gpus": sum(device.device_type == "GPU" for device in devices),
        "cuda": tf.test.is_built_with_cuda(),
        "onednn": has_onednn(),
    }
