"""Trials in processes and on a Ray cluster that are killed, and what is left then."""

import csv
import dataclasses
import importlib.util
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import types
from pathlib import Path

import numpy as np
import pytest
import yaml

from kstyle import experiments, load_picture
from kstyle.errors import ConfigError
from kstyle.experiments.execution import ray as ray_module
from kstyle.experiments.execution.trial import WorkerContext
from kstyle.experiments.runner import run_plans
from kstyle.runs import checkpoint_file

pytestmark = [
    pytest.mark.skipif(sys.platform != "linux", reason="reads /proc/locks"),
    # Ray 2.53 leaves its processes and files to the garbage collector.
    pytest.mark.filterwarnings(
        r"ignore:(?s).*ResourceWarning:pytest.PytestUnraisableExceptionWarning"
    ),
]
TIMED = {"seconds", "seconds_to_near"}
LONGEST = 240  # seconds that a process is waited for
STEPS = 120


@pytest.fixture
def experiment(pools):
    """Two trials of 120 small steps, with a checkpoint every 5."""
    return pools(base={"steps": STEPS, "checkpoint_every": "5", "report_every": 20})


def holder(folder):
    """The id of the process that has a run's folder locked, or `None`."""
    try:
        inode = os.stat(folder / ".lock").st_ino
    except FileNotFoundError:
        return None
    for line in Path("/proc/locks").read_text().splitlines():
        words = line.split()
        if words[1] == "FLOCK" and words[5].endswith(f":{inode}"):
            return int(words[4])
    return None


def when(ready):
    """What `ready()` returns once that is true."""
    end = time.monotonic() + LONGEST
    while not (found := ready()):
        assert time.monotonic() < end
        time.sleep(0.02)
    return found


def at_work(folder, past=0):
    """The process at work in a trial's folder, once its checkpoint is past a step."""
    worker = holder(folder)  # first: it is quicker than to read a checkpoint
    state = worker and checkpoint_file.read_checkpoint(folder)
    return worker if state and state.step > past else None


def is_gone(process):
    try:
        status = Path(f"/proc/{process}/stat").read_text()
    except FileNotFoundError:
        return True
    return status.rpartition(")")[2].split()[0] == "Z"


def end_worker(folder, end, left):
    """Send `end` to the process at work in `folder`; keep the state that is left."""
    worker = when(lambda: at_work(folder))
    os.kill(worker, end)
    when(lambda: is_gone(worker))
    left[folder.name] = checkpoint_file.read_checkpoint(folder)


def run_and_end_workers(experiment, logdir, ends, **choices):
    """Run it, the workers of some trials being sent signals, `{trial: signal}`.

    Returns (rows, `{trial: the state that its worker left}`).
    """
    left = {}
    threads = [
        threading.Thread(
            target=end_worker, args=(logdir / "pools" / trial, end, left), daemon=True
        )
        for trial, end in ends.items()
    ]
    for thread in threads:
        thread.start()
    rows = experiments.run(experiment, logdir=logdir, workers=2, **choices)
    for thread in threads:
        thread.join()
    return rows, left


def table(folder):
    """What is in `trials.csv` but for what a clock says.

    Five digits of the Fréchet distance: how many threads the linear algebra has
    changes the last ones.
    """
    with open(folder / "trials.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    shown = [{k: v for k, v in row.items() if k not in TIMED} for row in rows]
    return [row | {"sifid": f"{float(row['sifid']):.5g}"} for row in shown]


def same_as(whole, folder, state, reported_more=()):
    """Everything in the experiment's `folder` is as in `whole`; and its first trial
    has gone on from `state`, as the times of the steps before it show.

    reported_more: trials that were interrupted, and may have reported one step more.
    """
    assert table(folder) == table(whole)
    for trial in ("pool=avg", "pool=max"):
        pictures = [load_picture(f / trial / "result.png") for f in (whole, folder)]
        np.testing.assert_array_equal(*(picture.pixels for picture in pictures))
        expected, found = (
            (f / trial / "losses.csv").read_bytes().splitlines(keepends=True)
            for f in (whole, folder)
        )
        if trial in reported_more and len(found) == len(expected) + 1:
            found = [row for row in found if row in expected]
        assert found == expected
    record = json.loads((folder / "pool=avg" / "record.json").read_text())
    seconds, before = (
        record["curve"]["seconds"],
        state.callbacks["loss_curve"]["values"]["seconds"],
    )
    assert 5 <= len(before) - 1 < STEPS
    assert seconds[: len(before)] == before


@pytest.fixture(scope="module")
def whole_folders():
    """Of the first test that asks for `whole`; the others have the same."""
    return []


@pytest.fixture
def whole(experiment, whole_folders, tmp_path):
    """The folder of the experiment as the local executor leaves it."""
    if not whole_folders:
        experiments.run(experiment, logdir=tmp_path / "whole")
        whole_folders.append(tmp_path / "whole" / "pools")
    return whole_folders[0]


def test_a_worker_process_that_is_killed_costs_nothing(
    experiment, whole, tmp_path, caplog
):
    rows, left = run_and_end_workers(
        experiment,
        tmp_path / "logs",
        {"pool=avg": signal.SIGKILL},
        executor="processes",
    )
    assert [row["status"] for row in rows] == ["finished"] * 2
    assert "pool=avg: Its process was ended by SIGKILL" in caplog.text
    same_as(whole, tmp_path / "logs" / "pools", left["pool=avg"])


def test_workers_end_with_their_parent_and_leave_checkpoints(
    experiment, tmp_path, enabled_interrupts
):
    words = ["experiment", "run", experiment, "--logdir", tmp_path / "logs"]
    words += ["--executor", "processes", "--workers", "1", "--set", "steps=100000"]
    words += ["--set", "optimizer=adam"]  # L-BFGS would find no better one soon
    command = [sys.executable, "-m", "kstyle", *map(str, words)]
    folder = tmp_path / "logs" / "pools" / "pool=avg"
    step = 0
    for end, code in ((signal.SIGKILL, -9), (signal.SIGINT, 130)):
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        with subprocess.Popen(command, **pipes, start_new_session=True) as parent:
            try:
                worker = when(lambda past=step: at_work(folder, past))
                assert worker != parent.pid
                parent.send_signal(end)
                _, errors = parent.communicate(timeout=60)
            finally:
                parent.kill()
        assert parent.returncode == code, errors
        assert b"Traceback" not in errors
        when(lambda gone=worker: is_gone(gone))
        before, step = step, checkpoint_file.read_checkpoint(folder).step
        assert step > before


needs_ray = pytest.mark.skipif(
    importlib.util.find_spec("ray") is None, reason="ray is not installed"
)


@pytest.fixture(scope="module")
def own_ray():
    """A Ray of this machine for two trials at once, as the executor starts it."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("RAY_ADDRESS", *ray_module.PRIVATE_RAY):
            patch.delenv(name, raising=False)
        patch.setenv("RAY_AUTH_TOKEN", "0" * 64)  # removed again afterwards
        # Ray's workers yield to all other processes (15): next to two test processes
        # on two cores a trial of seconds took minutes.
        patch.setenv("RAY_worker_niceness", "0")
        ray, owned = ray_module.connect_ray(None, cores=2)
        assert owned
        yield ray
        ray.shutdown()
        for name in ray_module.PRIVATE_RAY:
            os.environ.pop(name, None)


@pytest.mark.cluster
@needs_ray
def test_ray_workers_that_are_ended_cost_nothing(
    experiment, whole, own_ray, tmp_path, caplog
):
    ends = {"pool=avg": signal.SIGKILL, "pool=max": signal.SIGTERM}
    rows, left = run_and_end_workers(
        experiment, tmp_path / "logs", ends, executor="ray"
    )
    assert [row["status"] for row in rows] == ["finished"] * 2
    for trial in ends:
        assert f"{trial}: Its worker was lost" in caplog.text
        assert left[trial] is not None
    folder = tmp_path / "logs" / "pools"
    same_as(whole, folder, left["pool=avg"], reported_more=["pool=max"])


@pytest.mark.cluster
@needs_ray
@pytest.mark.usefixtures("enabled_interrupts")
def test_a_ray_trial_that_is_interrupted_keeps_its_picture(
    experiment, own_ray, tmp_path
):
    folder = tmp_path / "logs" / "pools" / "pool=avg"
    changes = {"steps": 100000, "optimizer": "adam", "checkpoint_every": "3600s"}
    plans = experiments.plan(experiment, logdir=tmp_path / "logs", changes=changes)

    class Interrupted(experiments.Silent):
        def step(self, trial, done, *others):
            if done:
                raise KeyboardInterrupt  # as SIGTERM does in a command

    with ray_module.RayPool(plans, 1, None) as pool:
        with pytest.raises(KeyboardInterrupt):
            run_plans(plans, Interrupted(), WorkerContext(), pool)
    step = checkpoint_file.read_checkpoint(folder).step
    assert step > 0
    assert json.loads((folder / "run.json").read_text())["steps"] == step
    assert (folder / "result.png").is_file()


def test_a_start_of_ray_leaves_the_handler_of_sigterm():
    def handle(number, frame):
        raise AssertionError

    before = signal.signal(signal.SIGTERM, handle)
    try:
        with ray_module.keep_signal_handlers():
            signal.signal(signal.SIGTERM, signal.SIG_DFL)  # as ray.init sets its own
        assert signal.getsignal(signal.SIGTERM) is handle
    finally:
        signal.signal(signal.SIGTERM, before)


class UnseenPool(ray_module.RayPool):
    """A pool whose workers do not find the driver's folders."""

    def mark_site(self, logdir):
        site = super().mark_site(logdir)
        return dataclasses.replace(site, marker=Path("elsewhere"))


@pytest.mark.cluster
@needs_ray
def test_a_ray_worker_without_our_folder_sends_its_files(
    pools, experiment, whole, own_ray, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)  # whose files are sent
    base = yaml.safe_load(experiment.read_text())["base"]
    pools(base=base | {"content": "content.png", "style": "style.png"})
    folder, left = Path("logs/pools/pool=avg"), []

    def kill():
        kept = when(lambda: checkpoint_file.read_checkpoint(folder))
        places = Path(tempfile.gettempdir()).glob(f"kstyle-*/{folder}")
        (place,) = [place for place in places if holder(place)]
        os.kill(holder(place), signal.SIGKILL)
        shutil.rmtree(place.parents[2])
        left.append(kept)

    killer = threading.Thread(target=kill, daemon=True)
    killer.start()
    plans = experiments.plan(experiment, logdir="logs")
    with UnseenPool(plans, None, None) as pool:
        run_plans(plans, experiments.Silent(), WorkerContext(), pool)
    killer.join()
    same_as(whole, Path("logs/pools"), left[0])
    assert not list(Path("logs").glob(".site*"))


@pytest.mark.cluster
@needs_ray
def test_a_ray_of_our_own_listens_on_loopback_alone(own_ray):
    (machine,) = own_ray.nodes()
    assert machine["NodeManagerAddress"] == "127.0.0.1"
    tables = [Path(f"/proc/net/{name}").read_text() for name in ("tcp", "tcp6")]
    rows = [line.split() for text in tables for line in text.splitlines()[1:]]
    local = [row[1].split(":") for row in rows if row[3] == "0A"]  # listening
    ports = {int(port, 16): address for address, port in local}
    loopback = ("0100007F", "0000000000000000FFFF00000100007F")
    for name in ("NodeManagerPort", "ObjectManagerPort"):
        assert ports[machine[name]] in loopback
    assert os.environ["RAY_AUTH_MODE"] == "token"


@needs_ray
def test_an_address_without_an_answer_is_refused_at_once(monkeypatch):
    # Ray itself may be at work for another test, and is not to be loaded before that.
    ray = types.SimpleNamespace(is_initialized=lambda: False)
    for name in ("ray", "ray.util", "ray.util.scheduling_strategies"):
        monkeypatch.setitem(sys.modules, name, ray)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # and does not listen
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        with pytest.raises(ConfigError, match=f"--address {address}: no Ray cluster"):
            ray_module.connect_ray(address, cores=1)


LATE = """
import ray
from kstyle.errors import ConfigError
from kstyle.experiments.execution.ray import connect_ray
for _ in range(2):  # the first call must not make the second one succeed
    try:
        connect_ray(None, cores=1)
    except ConfigError as error:
        print(error)
assert not ray.is_initialized()
"""


@needs_ray
def test_a_ray_imported_too_early_is_refused():
    private = {"RAY_ADDRESS", *ray_module.PRIVATE_RAY}
    own = {name: value for name, value in os.environ.items() if name not in private}
    done = subprocess.run(
        [sys.executable, "-c", LATE], env=own, capture_output=True, text=True
    )
    lines = done.stdout.splitlines()
    assert done.returncode == 0, done.stderr
    assert len(lines) == 2
    assert all("ray was imported before kstyle could keep it" in x for x in lines)
    assert "RAY_AUTH_MODE=token" in lines[0]


def test_without_ray_one_sentence_says_what_to_install(
    experiment, tmp_path, monkeypatch
):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(ConfigError, match=r'pip install "kstyle\[cluster\]"'):
        experiments.run(experiment, logdir=tmp_path / "logs", executor="ray")
    assert not (tmp_path / "logs").exists()
