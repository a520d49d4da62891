"""Choose the precision of the network for a machine."""

import functools
import logging

from kstyle.hardware.machine import THIS_MACHINE, Machine


def resolve_precision(wanted: str, device: str, machine: Machine = THIS_MACHINE) -> str:
    """Return the precision that the option `precision` means on `device`.

    "auto" is "bfloat16" where that is fast, else "float32"; "mixed" ended with no lower
    loss than "bfloat16" (docs/performance.md) and takes longer.
    """
    if wanted != "auto":
        return wanted
    return "float32" if machine.why_bfloat16_is_slow(device) else "bfloat16"


def explain_precision(
    wanted: str, device: str, machine: Machine = THIS_MACHINE
) -> None:
    """Log why "auto" is float32 here, or that bfloat16 is slow though it is wanted.

    wanted: the option before `resolve_precision`. To be called when all is checked:
    where a run cannot start, the reason for that is the only message.
    """
    slow = wanted != "float32" and machine.why_bfloat16_is_slow(device)
    if slow and wanted == "auto":
        text = f"--precision auto is float32 here, as bfloat16 is slow: {slow}."
        log_once(logging.INFO, text)
    elif slow:
        text = f"--precision {wanted} is slower than float32 here: {slow}."
        log_once(logging.WARNING, text)


@functools.cache
def log_once(level: int, text: str) -> None:
    """Log `text` the first time in this process: it holds for every run in it."""
    logging.getLogger("kstyle").log(level, text)
