"""What the plan of a run asks of the machine."""

import dataclasses
from collections.abc import Callable

from kstyle.hardware import host

MIN_CAPABILITY = (8, 0)  # the first with bfloat16 in its matrix units (Ampere)


def available_bytes(device: str) -> int | None:
    """Return the bytes of memory that the process may use; `None` if unknown.

    device: the option; where it means a GPU, that GPU's memory counts. For the
        processor, what the process holds already is included.
    """
    if host.may_use_gpu(device):
        from kstyle.hardware import devices

        number = devices.gpu_number(device)
        if number is not None:
            return host.gpu_memory(number)
    free = host.free_memory()
    return None if free is None else free + host.resident_memory()


def why_bfloat16_is_slow(device: str) -> str | None:
    """Say why bfloat16 is no faster than float32 on `device`; `None` if it is faster.

    device: the option. Where it may mean a GPU, TensorFlow is loaded to ask for it.
    """
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


@dataclasses.dataclass(frozen=True)
class Machine:
    """The facts about a machine that decide how a run is done; asked when needed.

    available_bytes, why_bfloat16_is_slow: functions from the option `device`, as the
        functions of this module, which ask the machine that this process runs on.
    """

    available_bytes: Callable[[str], int | None] = available_bytes
    why_bfloat16_is_slow: Callable[[str], str | None] = why_bfloat16_is_slow


THIS_MACHINE = Machine()
