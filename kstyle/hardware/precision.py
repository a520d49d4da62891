"""In which precision the network is best run on this machine."""

import functools
import logging

from kstyle.hardware import host

MIN_CAPABILITY = (
    8,
    0,
)  # the first compute capability with bfloat16 in its matrix units


def resolve_precision(config):
    """The config with "auto" decided: "bfloat16" where it is fast, or "float32".

    "mixed" ended no better than "bfloat16" (docs/performance.md), and takes longer.

    Where there may be an NVIDIA GPU, TensorFlow is loaded to ask what it will use.
    """
    if config.precision != "auto":
        return config
    slow = why_bfloat16_is_slow(config.device)
    return config.replace(precision="float32" if slow else "bfloat16")


def explain_precision(*configs):
    """Log why float32 is used for "auto", or bfloat16 though it is slow.

    configs: not yet `resolved`. To be called when all is checked: where a run cannot
        begin, the reason for that is the one thing to say.
    """
    for config in configs:
        slow = config.precision != "float32" and why_bfloat16_is_slow(config.device)
        if slow and config.precision == "auto":
            text = f"--precision auto is float32 here, as bfloat16 is slow: {slow}."
            log_once(logging.INFO, text)
        elif slow:
            text = (
                f"--precision {config.precision} is slower than float32 here: {slow}."
            )
            log_once(logging.WARNING, text)


def why_bfloat16_is_slow(device):
    """Why bfloat16 is no faster than float32 on `StyleConfig.device`, as a clause;
    `None` where it is."""
    if host.may_use_gpu(device):
        from kstyle.hardware import devices

        capability = devices.gpu_capability(device)
        if capability is not None:
            old = "the GPU is older than NVIDIA's Ampere"
            return None if capability >= MIN_CAPABILITY else old
    if host.has_bfloat16():
        return None
    if not host.onednn_enabled():
        return "oneDNN is off (TF_ENABLE_ONEDNN_OPTS=0)"
    return "no AVX-512 BF16 or AMX was found in the processor"


@functools.cache
def log_once(level, text):
    """Log `text` the first time in this process: it holds for every run in it."""
    logging.getLogger("kstyle").log(level, text)
