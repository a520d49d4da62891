"""Trials given to several workers: who gets what, and what a death costs."""

import dataclasses
import io
import zipfile
from pathlib import Path

import pytest
from click.testing import CliRunner

import kstyle
from kstyle.cli.main import cli
from kstyle.errors import ConfigError, ExperimentError
from kstyle.experiments.execution import ray_worker, resources
from kstyle.experiments.execution.executors import MAX_RETRIES, Pool, Task, WorkerLost
from kstyle.experiments.execution.ray_worker import pack_folder, unpack_folder
from kstyle.experiments.plans import plan


class Fake(Pool):
    """Two workers; `deaths`: how often each trial's worker dies, by name."""

    def __init__(self, deaths=None):
        self.deaths, self.held, self.started = dict(deaths or {}), [], []
        self.stopped = False

    def has_room(self):
        return len(self.held) < 2

    def start(self, task):
        self.held.append(task)
        self.started.append(task.name)

    def wait(self, report_step):
        task = self.held.pop(0)
        if self.deaths.get(task.name, 0):
            self.deaths[task.name] -= 1
            return [(task.name, WorkerLost("It is gone"))]
        return [(task.name, {"trial": task.name, "status": "finished"})]

    def stop(self):
        self.stopped = True


@pytest.fixture
def planned(pools, tmp_path):
    """A function from the keys of an experiment to its `Plan`."""
    return lambda **keys: plan(pools(**keys), logdir=tmp_path / "logs")[0]


def tasks_of(each):
    return [Task(each.experiment.name, trial, each.folder) for trial in each.todo]


def test_a_trial_whose_worker_dies_is_run_again_first(planned):
    tasks = tasks_of(planned(axes={"steps": [1, 2, 3]}))
    pool = Fake({"steps=1": 2})
    ended = [record["trial"] for record in pool.run(tasks, None)]
    assert pool.started[:2] == ["steps=1", "steps=2"]
    assert pool.started.count("steps=1") == 3
    assert sorted(ended) == ["steps=1", "steps=2", "steps=3"]


def test_a_trial_that_kills_every_worker_fails_alone(planned):
    each = planned()
    records = list(Fake({"pool=avg": 99}).run(tasks_of(each), None))
    found = {record["trial"]: record for record in records}
    assert found["pool=max"]["status"] == "finished"
    assert found["pool=avg"]["status"] == "failed"
    assert found["pool=avg"]["error"] == f"It is gone, {MAX_RETRIES + 1} times in a row"
    assert (each.folder / "pool=avg" / "record.json").exists()


def test_of_two_trials_that_are_the_same_the_second_waits(planned):
    axes = {"name": {"a": {"pool": "avg"}, "b": {"pool": "avg"}, "c": {"pool": "max"}}}
    pool = Fake()
    list(pool.run(tasks_of(planned(axes=axes)), None))
    assert pool.started == ["name=a", "name=c", "name=b"]


def test_what_runs_is_stopped_where_the_caller_ends(planned):
    pool = Fake()
    ended = pool.run(tasks_of(planned()), None)
    next(ended)
    ended.close()
    assert pool.stopped


@pytest.fixture
def environments(planned, monkeypatch):
    """A function that returns the environment of each worker of ten trials."""
    for name in ("CUDA_VISIBLE_DEVICES", *resources.THREAD_VARIABLES):
        monkeypatch.delenv(name, raising=False)

    def make(workers=None, gpus=0, cores=8, free_bytes=100e9, **base):
        each = planned(axes={"steps": list(range(10))}, base=base)
        machine = {"gpus": gpus, "cores": cores, "free_bytes": free_bytes}
        return resources.worker_environments([each], workers, **machine)

    return make


def test_each_worker_gets_a_gpu_and_its_share_of_the_cores(environments):
    found = environments(gpus=4)
    assert [env["CUDA_VISIBLE_DEVICES"] for env in found] == ["0", "1", "2", "3"]
    assert {env["TF_NUM_INTRAOP_THREADS"] for env in found} == {"2"}
    assert len(environments(gpus=4, workers=3)) == 3
    with pytest.raises(ConfigError, match="sees 4. Use --workers 4"):
        environments(gpus=4, workers=5)


def test_gpus_chosen_by_the_user_are_shared_by_name(monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3,GPU-ab12,5")
    assert resources.gpu_names(2) == ["3", "GPU-ab12"]


def test_trials_on_the_cpu_leave_the_gpus_alone(environments):
    found = environments(gpus=4, device="cpu")
    assert len(found) == 8
    assert {env["CUDA_VISIBLE_DEVICES"] for env in found} == {"-1"}


def test_a_worker_cannot_have_a_gpu_by_number(environments):
    with pytest.raises(ConfigError, match="gpu:1: workers get their GPUs"):
        environments(gpus=4, device="gpu:1")


def test_the_free_memory_limits_the_workers(planned, environments):
    each = planned(axes={"steps": list(range(10))})
    peak = max(resources.trial_peaks([each]).values())
    free_bytes = resources.DRIVER_BYTES + 2.5 * peak
    found = environments(free_bytes=free_bytes)
    assert len(found) == 2
    assert {env["TF_NUM_INTRAOP_THREADS"] for env in found} == {"4"}
    with pytest.raises(ConfigError, match="2 fit. Use --workers 2"):
        environments(workers=3, free_bytes=free_bytes)
    assert len(environments(free_bytes=0)) == 1  # its own check will refuse it
    assert len(environments(free_bytes=None)) == 8


def test_there_are_no_more_workers_than_trials(environments):
    assert len(environments(cores=64)) == 10


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("--workers", "2"), "Add --executor processes."),
        (("--executor", "processes", "--workers", "0"), "a number from 1 up"),
        (("--address", "10.0.0.1:6379"), "add --executor ray"),
    ],
)
def test_a_choice_that_says_nothing_is_refused(pools, words, sentence, tmp_path):
    words = ["experiment", "run", str(pools()), "--logdir", str(tmp_path), *words]
    result = CliRunner().invoke(cli, words)
    assert result.exit_code == 2 and sentence in result.stderr


def archive(*names):
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as file:
        for name in names:
            file.writestr(name, "x")
    return data.getvalue()


def test_a_packed_folder_has_all_but_links_and_locks(tmp_path):
    (tmp_path / "a" / "snapshots").mkdir(parents=True)
    (tmp_path / "a" / "snapshots" / "step.png").write_bytes(b"\0\1")
    (tmp_path / "a" / ".lock").touch()
    (tmp_path / "a" / "link").symlink_to("/etc/passwd")
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "old").touch()
    unpack_folder(pack_folder(tmp_path / "a"), tmp_path / "b")
    files = [p for p in (tmp_path / "b").rglob("*") if p.is_file()]
    assert [p.relative_to(tmp_path / "b") for p in files] == [
        Path("snapshots/step.png")
    ]
    assert files[0].read_bytes() == b"\0\1"
    assert {path.name for path in tmp_path.iterdir()} == {"a", "b"}


@pytest.mark.parametrize(
    "name", ["../out", "/out", "a/../../out", "..\\out", "C:out", "a/", "a//../../out"]
)
def test_an_archive_cannot_write_outside_its_folder(tmp_path, name):
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "old").touch()
    with pytest.raises(ExperimentError, match="outside its trial's folder"):
        unpack_folder(archive("good", name), tmp_path / "b")
    assert [path.name for path in tmp_path.rglob("*")] == ["b", "old"]


def test_a_damaged_archive_leaves_what_was_there(tmp_path):
    (tmp_path / "b").mkdir()
    for data in (b"", b"nothing", archive("a")[:-5]):
        with pytest.raises(ExperimentError, match="damaged"):
            unpack_folder(data, tmp_path / "b")
    assert list(tmp_path.iterdir()) == [tmp_path / "b"]


CPU = {"CPU": 8, "memory": 16e9}
GPU = {"CPU": 32, "GPU": 8, "memory": 256e9}


def wishes(planned, machines, workers=None, **base):
    each = planned(axes={"steps": list(range(10))}, base=base)
    found = ray_worker.resource_requests([each], machines, workers)
    (wish,) = {
        (w["num_cpus"], w["num_gpus"], w["runtime_env"]["env_vars"].get(CUDA))
        for w in found.values()
    }
    return wish


CUDA = "CUDA_VISIBLE_DEVICES"


def test_a_task_asks_for_its_gpu_and_its_part_of_the_cores(planned):
    assert wishes(planned, [GPU, GPU, CPU]) == (4, 1, None)
    assert wishes(planned, [GPU], device="cpu") == (3, 0, "-1")
    assert wishes(planned, [CPU, CPU]) == (1, 0, "-1")
    assert wishes(planned, [CPU, CPU], 2) == (8, 0, "-1")
    assert wishes(planned, [CPU, CPU], 1) == (8, 0, "-1")  # of one machine


def test_a_task_that_no_machine_can_take_is_refused(planned):
    with pytest.raises(ConfigError, match="The largest has 0.1 GB"):
        wishes(planned, [{"CPU": 2, "memory": 1e8}])


def test_machines_that_differ_are_refused_by_name():
    report = ray_worker.MachineReport(kstyle.__version__, True, [])
    ray_worker.check_machines({"10.0.0.1": report})
    older = dataclasses.replace(report, version="0.0.1")
    with pytest.raises(ConfigError, match=r"10.0.0.2 has kstyle 0.0.1"):
        ray_worker.check_machines({"10.0.0.1": report, "10.0.0.2": older})
    incomplete = dataclasses.replace(report, wrong_files=["a.png"])
    with pytest.raises(ConfigError, match=r"10.0.0.2 has no a.png"):
        ray_worker.check_machines({"10.0.0.2": incomplete})


def test_only_files_of_the_current_folder_are_sent(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("a.png").write_bytes(b"a")
    assert ray_worker.read_relative_files({"a.png": "", "/etc/hosts": ""}) == {
        "a.png": b"a"
    }
    with pytest.raises(ConfigError, match="Copy the file here"):
        ray_worker.read_relative_files({"../b.png": ""})
