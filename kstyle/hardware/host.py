"""The machine without TensorFlow: processor, cores, memory, package versions."""

import contextlib
import functools
import importlib.util
import os
import platform
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from kstyle.errors import ConfigError

# With which the system asks a process to end; not all systems have both.
ENDING_SIGNALS = [
    getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name)
]
# Our name and that of Linux; matrix products of VGG are fast with these.
CPU_FLAGS = {
    "AVX2": "avx2",
    "AVX-512F": "avx512f",
    "AVX-512 BF16": "avx512_bf16",
    "AMX": "amx_tile",
}
REPORTED_PACKAGES = ("kstyle", "tensorflow", "keras", "numpy", "pillow", "tensorboard")


class CgroupFiles(NamedTuple):
    """The files of a control group: its folder, limit, use, and the key in memory.stat
    of cached files, which the system drops when memory is needed."""

    folder: str
    limit: str
    use: str
    cache: str


# By the controller in /proc/self/cgroup: version 2 has none there, version 1 has.
CGROUP_FILES = {
    "": CgroupFiles("", "memory.max", "memory.current", "inactive_file"),
    "memory": CgroupFiles(
        folder="memory",
        limit="memory.limit_in_bytes",
        use="memory.usage_in_bytes",
        cache="total_inactive_file",
    ),
}
# Bytes of addresses without memory: the mapped libraries of TensorFlow 2.21, stacks of
# threads, and malloc's arenas. They count only where `ulimit -v` is set.
LIBRARY_ADDRESSES = 10**9


def read_system_file(path: str | Path) -> str:
    """Read a file of the system; an empty text if there is none."""
    try:
        return Path(path).read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


def field_value(text: str, key: str) -> str | None:
    """Find the first value of `key` in lines of `key: value`."""
    for line in text.splitlines():
        name, _, value = line.partition(":")
        if name.strip() == key:
            return value.strip()
    return None


def cpu_name(text: str | None = None) -> str:
    """Return the processor's name. text: of /proc/cpuinfo, which is read if `None`."""
    text = read_system_file("/proc/cpuinfo") if text is None else text
    name = field_value(text, "model name")
    return name or platform.processor() or platform.machine() or "unknown"


def cpu_flags(text: str | None = None) -> dict[str, bool | None]:
    """Return `{name: whether the processor has it}` of `CPU_FLAGS`; `None`: unknown.

    text: as for `cpu_name`.
    """
    text = read_system_file("/proc/cpuinfo") if text is None else text
    value = field_value(text, "flags")
    if value is None:
        return dict.fromkeys(CPU_FLAGS, None)
    return {name: flag in value.split() for name, flag in CPU_FLAGS.items()}


def cpu_cores() -> int:
    """Count the cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def package_versions() -> dict[str, str | None]:
    """Return `{package: version}` with Python's; `None`: it is not installed."""
    import importlib.metadata  # half of the time of `import kstyle`

    found: dict[str, str | None] = {"Python": platform.python_version()}
    for package in REPORTED_PACKAGES:
        found[package] = None
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            found[package] = importlib.metadata.version(package)
    return found


def has_bfloat16(text: str | None = None) -> bool:
    """Return whether TensorFlow multiplies in bfloat16 on this processor.

    The processor has to have such products, and oneDNN, which uses them, to be on.
    text: as for `cpu_name`.
    """
    flags = cpu_flags(text)
    has = flags["AVX-512 BF16"] or flags["AMX"]  # AMX has them as well
    return bool(has) and onednn_enabled()


def onednn_enabled() -> bool:
    """Return whether the environment leaves oneDNN's kernels on."""
    return os.environ.get("TF_ENABLE_ONEDNN_OPTS") != "0"


def has_nvidia() -> bool:
    """Return whether NVIDIA's driver is installed; TensorFlow may see no GPU yet."""
    return shutil.which("nvidia-smi") is not None


def may_use_gpu(device: str) -> bool:
    """Return whether the option `device` can mean a GPU; only TensorFlow can tell."""
    return device.startswith("gpu") or (device == "auto" and has_nvidia())


@functools.cache
def gpu_memory(number: int) -> int | None:
    """Return the free bytes of GPU `number` as CUDA counts; `None`: unknown.

    The driver is asked once, before this process uses the GPU. Its order of the GPUs is
    that of CUDA where all are alike.
    """
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    names = visible.split(",") if visible else []
    name = names[number].strip() if number < len(names) else str(number)
    query = ("--query-gpu=memory.free", "--format=csv,noheader,nounits")
    command = ["nvidia-smi", "-i", name, *query]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=10)
        return 2**20 * int(done.stdout)
    except (OSError, ValueError, subprocess.SubprocessError):
        return None


def free_memory(root: str | Path = "/") -> int | None:
    """Return the free bytes of memory, within the limit of the control group; `None`:
    unknown.

    root: the folder of `proc` and `sys`.
    """
    root = Path(root)
    available = field_value(read_system_file(root / "proc/meminfo"), "MemAvailable")
    left = [1024 * int(available.split()[0])] if available else []
    for line in read_system_file(root / "proc/self/cgroup").splitlines():
        _, kind, group = line.split(":", 2)
        if kind in CGROUP_FILES:
            left += cgroup_memory(root / "sys/fs/cgroup", group, CGROUP_FILES[kind])
    left += address_space_left(root / "proc/self", "tensorflow" in sys.modules)
    return min(left, default=None)


def address_space_left(process: Path, tensorflow_loaded: bool) -> list[int]:
    """Return the bytes below the limit of the address space; empty: no limit.

    process: its folder in /proc. tensorflow_loaded: whether its libraries are among
        the used addresses already.
    """
    limits = read_system_file(process / "limits")
    limit = re.search(r"^Max address space +(\d+)", limits, re.MULTILINE)
    used = field_value(read_system_file(process / "status"), "VmSize")
    if limit is None or used is None:
        return []
    libraries = 0 if tensorflow_loaded else LIBRARY_ADDRESSES
    return [max(0, int(limit[1]) - 1024 * int(used.split()[0]) - libraries)]


def cgroup_memory(base: Path, group: str, files: CgroupFiles) -> list[int]:
    """Return the bytes left in a control group and in those above it with a limit."""
    # In a container the group's path can be the host's; its own files are at the top.
    path = PurePosixPath(group.lstrip("/"))
    left = []
    top = base / files.folder
    for place in {top, *(top / parent for parent in (path, *path.parents))}:
        limit = read_system_file(place / files.limit).strip()
        used = read_system_file(place / files.use).strip()
        if limit.isdecimal() and used.isdecimal():  # "max" is no limit
            lines = read_system_file(place / "memory.stat").splitlines()
            stat = dict(line.split() for line in lines)
            free = int(limit) - int(used) + int(stat.get(files.cache, 0))
            left.append(max(0, free))
    return left


def resident_memory(root: str | Path = "/") -> int:
    """Return the bytes of memory that this process holds; 0: unknown."""
    value = field_value(read_system_file(Path(root) / "proc/self/status"), "VmRSS")
    return 1024 * int(value.split()[0]) if value else 0


def require_package(name: str, extra: str, purpose: str) -> None:
    """Raise `ConfigError` if the package `name` of an extra is not installed.

    purpose: what needs it, as the message begins.
    """
    if importlib.util.find_spec(name) is None:
        raise ConfigError(
            f"{purpose} needs {name}, which is not installed: pip install "
            f'"kstyle[{extra}]".'
        )
