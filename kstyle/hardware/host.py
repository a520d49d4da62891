"""What a run has to work with: the processor, the cores, the memory that is free."""

import contextlib
import functools
import importlib.metadata
import os
import platform
import re
import shutil
import subprocess
import sys
from pathlib import Path, PurePosixPath

# What we call it, and how Linux does; matrix products of VGG are fast with these.
CPU_FLAGS = {
    "AVX2": "avx2",
    "AVX-512F": "avx512f",
    "AVX-512 BF16": "avx512_bf16",
    "AMX": "amx_tile",
}
REPORTED_PACKAGES = ("kstyle", "tensorflow", "keras", "numpy", "pillow", "tensorboard")
# Both versions of cgroups: folder, limit, use, and the line of `memory.stat` that says
# how much of the use is a cache of files, which is given up when it is needed.
CGROUP_FILES = {
    "": ("", "memory.max", "memory.current", "inactive_file"),
    "memory": (
        *("memory", "memory.limit_in_bytes", "memory.usage_in_bytes"),
        "total_inactive_file",
    ),
}
# Bytes of addresses without memory: the mapped libraries of TensorFlow 2.21, stacks of
# threads, and malloc's arenas. They count only where `ulimit -v` is set.
LIBRARY_ADDRESSES = 10**9


def read_system_file(path):
    """The text of a system's file; nothing where there is none."""
    try:
        return Path(path).read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


def field_value(text, key):
    """The first value of `key` among lines of `key: value`, or `None`."""
    for line in text.splitlines():
        name, _, value = line.partition(":")
        if name.strip() == key:
            return value.strip()
    return None


def cpu_name(text=None):
    """The processor's name. `text`: of /proc/cpuinfo, which is read if `None`."""
    text = read_system_file("/proc/cpuinfo") if text is None else text
    name = field_value(text, "model name")
    return name or platform.processor() or platform.machine() or "unknown"


def cpu_flags(text=None):
    """`{name: True, False, or None where it is unknown}` for each of `FLAGS`."""
    value = field_value(
        read_system_file("/proc/cpuinfo") if text is None else text, "flags"
    )
    if value is None:
        return dict.fromkeys(CPU_FLAGS)
    return {name: flag in value.split() for name, flag in CPU_FLAGS.items()}


def cpu_cores():
    """How many cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def package_versions():
    """`{package: version, or None where it is not installed}`, and Python's own."""
    found = {"Python": platform.python_version()}
    for package in REPORTED_PACKAGES:
        found[package] = None
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            found[package] = importlib.metadata.version(package)
    return found


def has_bfloat16(text=None):
    """Whether the processor multiplies in bfloat16, and oneDNN, which lets it, is on.

    text: of /proc/cpuinfo, which is read if `None`.
    """
    flags = cpu_flags(text)
    has = flags["AVX-512 BF16"] or flags["AMX"]  # AMX has them as well
    return bool(has) and onednn_enabled()


@functools.cache
def has_avx2_alone():
    """Whether the processor has AVX2, but not AVX-512; and there is no GPU."""
    flags = cpu_flags()
    return bool(flags["AVX2"]) and not flags["AVX-512F"] and not has_nvidia()


def onednn_enabled():
    """Whether nobody has turned oneDNN's kernels off."""
    return os.environ.get("TF_ENABLE_ONEDNN_OPTS") != "0"


def has_nvidia():
    """Whether there is an NVIDIA GPU's driver, whatever TensorFlow sees of it."""
    return shutil.which("nvidia-smi") is not None


def may_use_gpu(device):
    """Whether `StyleConfig.device` may come to be a GPU; only TensorFlow knows."""
    return device.startswith("gpu") or (device == "auto" and has_nvidia())


@functools.cache
def gpu_memory(number):
    """Bytes free on the NVIDIA GPU that CUDA numbers so when first asked, before this
    process had any; `None`: unknown. The driver's order is CUDA's where all are alike.
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


def free_memory(root="/"):
    """Bytes that can still be had, within the control group's limit; `None`: unknown.

    root: where `proc` and `sys` are, for the tests.
    """
    root = Path(root)
    available = field_value(read_system_file(root / "proc/meminfo"), "MemAvailable")
    left = [1024 * int(available.split()[0])] if available else []
    for line in read_system_file(root / "proc/self/cgroup").splitlines():
        _, kind, group = line.split(":", 2)
        if kind in CGROUP_FILES:
            left += cgroup_memory(root / "sys/fs/cgroup", group, *CGROUP_FILES[kind])
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


def cgroup_memory(base, group, folder, limit, use, cache):
    """What a control group and all above it have left, in bytes, where they say."""
    # In a container the group's path can be the host's; its own files are at the top.
    path = PurePosixPath(group.lstrip("/"))
    left = []
    for place in {base / folder, *(base / folder / p for p in (path, *path.parents))}:
        most, used = (
            read_system_file(place / limit).strip(),
            read_system_file(place / use).strip(),
        )
        if most.isdecimal() and used.isdecimal():  # "max" is no limit
            stat = dict(
                x.split() for x in read_system_file(place / "memory.stat").splitlines()
            )
            left.append(max(0, int(most) - int(used) + int(stat.get(cache, 0))))
    return left


def resident_memory(root="/"):
    """Bytes of memory that this process has already; 0 where that is unknown."""
    value = field_value(read_system_file(Path(root) / "proc/self/status"), "VmRSS")
    return 1024 * int(value.split()[0]) if value else 0
