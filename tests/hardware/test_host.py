"""Facts about the machine, read from files as Linux has them."""

import os

import pytest

from kstyle.hardware import host

CPUINFO = """\
processor\t: 0
model name\t: Some Processor 9000
flags\t\t: fpu sse2 avx2 avx512f
"""


@pytest.fixture
def system(tmp_path):
    """A function that writes a system's files below a root and returns that."""

    def make(files):
        for name, text in files.items():
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).write_text(text)
        return tmp_path

    return make


def test_a_processor_is_identified_by_name_and_flags():
    assert host.cpu_name(CPUINFO) == "Some Processor 9000"
    flags = host.cpu_flags(CPUINFO)
    assert flags == {
        "AVX2": True,
        "AVX-512F": True,
        "AVX-512 BF16": False,  # avx512f is no part of it
        "AMX": False,
    }


def test_where_there_is_no_cpuinfo_the_flags_are_unknown():
    assert set(host.cpu_flags("").values()) == {None}
    assert host.cpu_name("")


def test_free_memory_is_what_the_system_says_is_available(system):
    root = system({"proc/meminfo": "MemFree: 1 kB\nMemAvailable:  3000 kB\n"})
    assert host.free_memory(root) == 3000 * 1024


def test_free_memory_is_unknown_where_nothing_tells(tmp_path):
    assert host.free_memory(tmp_path) is None
    assert host.resident_memory(tmp_path) == 0


def test_cached_files_of_a_control_group_count_as_free(system):
    group = "sys/fs/cgroup/a"
    files = {
        "proc/meminfo": "MemAvailable: 3000 kB\n",
        "proc/self/cgroup": "0::/a/b\n",
        f"{group}/b/memory.max": "max\n",
        f"{group}/b/memory.current": "5\n",
        f"{group}/memory.max": "1000\n",
        f"{group}/memory.current": "700\n",
        f"{group}/memory.stat": "anon 400\ninactive_file 200\n",
    }
    assert host.free_memory(system(files)) == 1000 - 700 + 200


def test_the_older_control_groups_count_as_well_also_at_the_top(system):
    files = {
        "proc/meminfo": "MemAvailable: 3000 kB\n",
        "proc/self/cgroup": "5:cpu:/x\n4:memory:/of/the/host\n",
        "sys/fs/cgroup/memory/memory.limit_in_bytes": "1000\n",
        "sys/fs/cgroup/memory/memory.usage_in_bytes": "400\n",
        "sys/fs/cgroup/memory/memory.stat": "total_inactive_file 0\n",
    }
    assert host.free_memory(system(files)) == 600


def test_a_limit_of_the_address_space_counts(system):
    limits = "Max cpu time  unlimited\nMax address space         5000000000 unlimited\n"
    root = system(
        {"proc/self/limits": limits, "proc/self/status": "VmSize: 1000000 kB"}
    )
    process = root / "proc/self"
    assert host.address_space_left(process, True) == [5_000_000_000 - 1_024_000_000]
    assert host.address_space_left(process, False) == [2_976_000_000]
    assert host.free_memory(root) <= 5_000_000_000 - 1_024_000_000


def test_no_limit_of_the_address_space_is_no_number(system):
    root = system({"proc/self/limits": "Max address space   unlimited  unlimited\n"})
    assert host.free_memory(root) is None


def test_memory_of_the_process_is_read_in_bytes(system):
    root = system({"proc/self/status": "Name: python\nVmRSS:\t  2 kB\n"})
    assert host.resident_memory(root) == 2048


def test_versions_name_every_package_and_python():
    found = host.package_versions()
    assert set(found) == {"Python", *host.REPORTED_PACKAGES}
    assert found["numpy"]


@pytest.fixture
def nvidia_smi(tmp_path, monkeypatch):
    """A function that puts a driver's command of those lines on the path."""

    def put(*lines):
        command = tmp_path / "nvidia-smi"
        command.write_text("\n".join(["#!/bin/sh", *lines]))
        command.chmod(0o755)

    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES")
    host.gpu_memory.cache_clear()
    yield put
    host.gpu_memory.cache_clear()


@pytest.mark.skipif(os.name != "posix", reason="the driver's command is a script")
def test_gpu_memory_is_queried_once_by_its_visible_name(nvidia_smi, monkeypatch):
    nvidia_smi('[ "$2" = 0 ] && echo 1024 || echo 512')
    assert host.gpu_memory(0) == 2**30
    nvidia_smi("echo 1")  # this process has taken the rest
    assert host.gpu_memory(0) == 2**30
    host.gpu_memory.cache_clear()
    nvidia_smi('[ "$2" = GPU-b ] && echo 512')
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "GPU-a, GPU-b")
    assert host.gpu_memory(1) == 2**29


@pytest.mark.skipif(os.name != "posix", reason="the driver's command is a script")
@pytest.mark.parametrize("line", ["echo '[N/A]'", "exit 9", "echo 1; echo 2"])
def test_where_the_driver_does_not_tell_the_memory_is_unknown(line, nvidia_smi):
    nvidia_smi(line)
    assert host.gpu_memory(0) is None
