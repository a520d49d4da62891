"""How much memory is free, and whether a run needs tiles to fit into it."""

import dataclasses
import logging
from pathlib import Path

from kstyle.estimates import peak_bytes

TILES = (1024, 512, 256)  # px, tried in this order: larger ones cost less


def free_bytes(root="/"):
    """Bytes that this process can still have; `None` where the system does not say.

    The least of Linux's MemAvailable and what the control group (v2, v1) has left.
    """
    root, found = Path(root), []
    for line in text(root / "proc/meminfo").splitlines():
        if line.startswith("MemAvailable:"):
            found.append(1024 * int(line.split()[1]))
    group = root / "sys/fs/cgroup"
    for limit, used in (
        (group / "memory.max", group / "memory.current"),
        (
            group / "memory/memory.limit_in_bytes",
            group / "memory/memory.usage_in_bytes",
        ),
    ):
        numbers = text(limit).strip(), text(used).strip()
        if all(number.isdecimal() for number in numbers):
            found.append(max(0, int(numbers[0]) - int(numbers[1])))
    return min(found, default=None)


def text(path):
    """The text of a file of the system, empty where there is none."""
    try:
        return path.read_text(encoding="utf-8")
    except OSError:
        return ""


def with_tiles(job):
    """The job, with an edge of tiles in its config if "auto" has to choose one.

    Says so in the log. As it was if the run fits, or where nobody knows.
    """
    free = free_bytes() if job.config.tile == "auto" else None
    sizes = job.content.size, job.style.shape[:2]
    need = peak_bytes(job.config, *sizes)
    if free is None or need <= free:
        return job
    configs = [job.config.replace(tile=edge) for edge in TILES]
    fits = [config for config in configs if peak_bytes(config, *sizes) <= free]
    config = (fits or configs[-1:])[0]
    logging.getLogger("kstyle").warning(
        "Working in tiles of %d px: the whole picture would take about %.1f GB of "
        "memory, and %.1f GB are free.",
        *(config.tile, need / 1e9, free / 1e9),
    )
    return dataclasses.replace(job, config=config)
