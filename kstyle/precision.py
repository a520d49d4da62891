"""In which precision the network is best run on this machine."""

import logging

from kstyle import machine

AMPERE = (8, 0)  # the first compute capability with bfloat16 in its matrix units


def resolved(config):
    """The config with "auto" decided: "bfloat16" where it is fast, or "float32".

    "mixed" ended no better than "bfloat16" (docs/performance.md), and takes longer.

    Where there may be an NVIDIA GPU, TensorFlow is loaded to ask what it will use.
    """
    if config.precision == "float32":
        return config
    fast = is_fast(config.device)
    if config.precision == "auto":
        return config.replace(precision="bfloat16" if fast else "float32")
    if not fast:
        logging.getLogger("kstyle").warning(
            "This machine has no units for bfloat16: --precision %s is slower than "
            "float32 here.",
            config.precision,
        )
    return config


def is_fast(device):
    """Whether bfloat16 is faster than float32 on `StyleConfig.device`."""
    if machine.may_use_gpu(device):
        from kstyle import devices

        capability = devices.capability(device)
        if capability is not None:
            return capability >= AMPERE
    return machine.has_bfloat16()
