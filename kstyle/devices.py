"""Where TensorFlow computes: what devices it sees, which one is taken, how fast."""

import contextlib
import functools
import time

import tensorflow as tf

from kstyle import gpus
from kstyle.convolution import has_onednn
from kstyle.errors import OutOfMemoryError
from kstyle.memory import after_failure

ONEDNN = "could not create"  # a primitive, its descriptor, memory: where memory ends


def check(wanted):
    """Raise `ConfigError` if the device `wanted` is not there."""
    gpus.number_of(wanted)


@contextlib.contextmanager
def use(wanted):
    """Place what is made and run inside on the device `wanted`.

    A GPU's memory is taken as it is needed, so that others can use the rest.
    """
    found = gpus.seen()
    name = gpus.choose(wanted, len(found))
    for gpu in found:
        with contextlib.suppress(RuntimeError):  # in use already: as its user set it
            tf.config.experimental.set_memory_growth(gpu, True)
    with tf.device(name) if name else contextlib.nullcontext():
        yield


@contextlib.contextmanager
def memory_errors(job):
    """Turn what is raised inside where memory ends into one sentence."""
    try:
        yield
    except (MemoryError, tf.errors.ResourceExhaustedError, tf.errors.AbortedError) as e:
        if isinstance(e, tf.errors.AbortedError) and ONEDNN not in str(e):
            raise
        sizes = job.content.size, job.style.shape[:2]
        raise OutOfMemoryError(after_failure(job.config, *sizes)) from None


def on_device(function):
    """Decorate `function(job, ...)`: it runs on the device of the job's config, and
    raises `OutOfMemoryError` where memory ends."""

    @functools.wraps(function)
    def placed(job, *args, **kwargs):
        with use(job.config.device), memory_errors(job):
            return function(job, *args, **kwargs)

    return placed


def tensorflow_facts():
    """What TensorFlow says of itself: `devices`, `cuda` and `onednn`, each a bool or
    `None` where it does not tell, and `gpus`, how many it sees."""
    devices = tf.config.list_physical_devices()
    return {
        "devices": [gpus.name_of(device) for device in devices],
        "gpus": sum(device.device_type == "GPU" for device in devices),
        "cuda": tf.test.is_built_with_cuda(),
        "onednn": has_onednn(),
    }


def matmul_peak(dtype="float32", size=2048, rounds=5):
    """GFLOP/s of the best of `rounds` products of two `size` x `size` matrices."""
    a = tf.cast(tf.random.stateless_normal((size, size), seed=(0, 0)), dtype)
    product = tf.function(lambda: tf.reduce_sum(a @ a))
    product().numpy()
    times = []
    for _ in range(rounds):
        begun = time.perf_counter()
        product().numpy()
        times.append(time.perf_counter() - begun)
    return 2 * size**3 / min(times) / 1e9
