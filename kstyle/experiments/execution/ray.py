"""Trials on a Ray cluster: the only module that imports ray. See docs/cluster.md."""

import contextlib
import os
import secrets
import signal
import socket
import sys
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from kstyle.errors import ConfigError, KStyleError
from kstyle.experiments.execution import ray_worker
from kstyle.experiments.execution.executors import (
    Outcome,
    Pool,
    ReportStep,
    Task,
    WorkerLost,
    write_failure,
)
from kstyle.experiments.execution.processes import GRACE_SECONDS
from kstyle.experiments.execution.ray_worker import pack_folder, unpack_folder
from kstyle.experiments.plans import ExperimentPlan
from kstyle.hardware.host import ENDING_SIGNALS, cpu_cores
from kstyle.runs.checkpoint_file import CHECKPOINT_FILE

POLL_SECONDS = 0.5  # between two readings of the workers' progress
# Keeps a Ray that we start private to this machine: its ports are open on loopback
# only, as on systems without clusters; connections need a token; no usage is reported.
PRIVATE_RAY = {
    "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",
    "RAY_AUTH_MODE": "token",
    "RAY_USAGE_STATS_ENABLED": "0",
}


class RayPool(Pool):
    """Each trial is a task that requests cores, memory, and a GPU if there is one.

    plans: those whose trials will run. workers: most trials at the same time.
    address: of the cluster; `None`: $RAY_ADDRESS, or else a new one on this machine.
    Raises: ConfigError: ray is not installed, no cluster answers, or it lacks the
        resources that the trials need.
    """

    def __init__(
        self,
        plans: Sequence[ExperimentPlan],
        workers: int | None,
        address: str | None,
    ) -> None:
        self.ray, self.owned = connect_ray(address, cores=cpu_cores())
        self.most_tasks = workers
        self.running: dict[Any, Task] = {}
        self.marker: Path | None = None
        try:
            machines = [m for m in self.ray.nodes() if m["Alive"]]
            resources = [machine["Resources"] for machine in machines]
            self.requests = ray_worker.resource_requests(plans, resources, workers)
            self.site = self.mark_site(plans[0].folder.parent)
            self.files = self.ray.put(self.check_inputs(plans, machines))
            self.remote = self.ray.remote(max_retries=0)(ray_worker.run_on_worker)
            actor = self.ray.remote(num_cpus=0, max_restarts=-1)(Mailbox)
            self.mailbox = actor.remote()
        except BaseException:
            self.close()
            raise

    def mark_site(self, logdir: Path) -> ray_worker.DriverSite:
        """Write a marker into `logdir`; return the `DriverSite` of this process."""
        logdir.mkdir(parents=True, exist_ok=True)
        self.marker = logdir.resolve() / f".site-{secrets.token_hex(8)}"
        self.marker.touch()
        return ray_worker.DriverSite(Path.cwd(), self.marker)

    def check_inputs(
        self, plans: Sequence[ExperimentPlan], machines: Iterable[Mapping[str, Any]]
    ) -> dict[str, bytes]:
        """Check kstyle and the input files on every machine; return files to send.

        Raises: ConfigError: a machine cannot run the trials.
        """
        hashes = ray_worker.hash_input_files(plans)
        on_node = self.ray.util.scheduling_strategies.NodeAffinitySchedulingStrategy
        report = self.ray.remote(num_cpus=0, max_retries=1)(ray_worker.report_machine)
        pending = {}
        for machine in machines:
            strategy = on_node(machine["NodeID"], soft=False)
            call = report.options(scheduling_strategy=strategy)
            name = machine["NodeManagerAddress"]
            pending[name] = call.remote(self.site, hashes)
        reports = {name: self.get_report(name, ref) for name, ref in pending.items()}
        ray_worker.check_machines(reports)
        self.all_see_site = all(report.sees_site for report in reports.values())
        return {} if self.all_see_site else ray_worker.read_relative_files(hashes)

    def get_report(self, name: str, ref: Any) -> ray_worker.MachineReport:
        """Wait for a machine's report. Raises: ConfigError: it fails there."""
        try:
            return self.ray.get(ref, timeout=120)
        except self.ray.exceptions.RayError as error:
            raise ConfigError(
                f"The machine {name} of the cluster cannot run kstyle: "
                f"{last_error_line(error)}. Install the same kstyle there."
            ) from None

    def has_room(self) -> bool:
        return self.most_tasks is None or len(self.running) < self.most_tasks

    def start(self, task: Task) -> None:
        """Give the task to the cluster, with its checkpoint if it may need that."""
        unfinished = (
            not self.all_see_site and (task.trial_folder / CHECKPOINT_FILE).exists()
        )
        archive = pack_folder(task.trial_folder) if unfinished else None
        call = self.remote.options(**self.requests[task.experiment, task.name])
        ref = call.remote(task, self.site, archive, self.files, self.mailbox)
        self.running[ref] = task

    def wait(self, report_step: ReportStep) -> list[tuple[str, Outcome]]:
        ended, _ = self.ray.wait(list(self.running), timeout=POLL_SECONDS)
        self.read_mailbox(report_step)
        return [self.get_outcome(ref, self.running.pop(ref)) for ref in ended]

    def read_mailbox(self, report_step: ReportStep) -> None:
        """Report the workers' progress, and store the checkpoints that they send."""
        steps, archives = {}, {}
        with contextlib.suppress(self.ray.exceptions.RayError):  # its machine is gone
            steps, archives = self.ray.get(self.mailbox.take.remote(), timeout=60)
        for task in self.running.values():
            if task.name in archives:
                unpack_folder(archives[task.name], task.trial_folder)
            if task.name in steps:
                report_step(task.name, *steps[task.name])

    def get_outcome(self, ref: Any, task: Task) -> tuple[str, Outcome]:
        """Return a task's name and outcome; store the folder that it has sent."""
        try:
            record, archive = self.ray.get(ref)
        except self.ray.exceptions.RayError as error:
            # Of a lost machine ray says much more after the first sentence.
            reason, *_ = last_error_line(error).split(". ")
            return task.name, WorkerLost(f"Its worker was lost ({reason})")
        if archive is not None:
            try:
                unpack_folder(archive, task.trial_folder)
            except (KStyleError, OSError) as error:
                record = write_failure(task, record, str(error))
        return task.name, record

    def stop(self) -> None:
        """End the running tasks as Ctrl-C does, and those that take longer at once."""
        refs = list(self.running)
        for ref in refs:
            self.ray.cancel(ref)
        with contextlib.suppress(self.ray.exceptions.RayError):
            _, late = self.ray.wait(refs, num_returns=len(refs), timeout=GRACE_SECONDS)
            for ref in late:
                self.ray.cancel(ref, force=True)
        self.read_mailbox(lambda *progress: None)  # the last checkpoints
        self.running.clear()

    def close(self) -> None:
        if self.marker is not None:
            self.marker.unlink(missing_ok=True)
        if self.owned:
            self.ray.shutdown()


class Mailbox:
    """An actor that keeps the last news of each trial until the driver takes them."""

    def __init__(self) -> None:
        self.steps: dict[str, tuple[float, ...]] = {}
        self.archives: dict[str, bytes] = {}

    def step(self, trial: str, *progress: float) -> None:
        """Keep the progress of a trial: steps done and in all, loss, seconds left."""
        self.steps[trial] = progress

    def keep(self, trial: str, archive: bytes) -> None:
        """Keep an archive of a trial's folder."""
        self.archives[trial] = archive

    def take(self) -> tuple[dict[str, tuple[float, ...]], dict[str, bytes]]:
        """Return and forget `{trial: progress}` and `{trial: archive}`."""
        news = self.steps, self.archives
        self.steps, self.archives = {}, {}
        return news


def connect_ray(address: str | None, *, cores: int) -> tuple[Any, bool]:
    """Return the module `ray`, connected, and whether we have to disconnect it.

    cores: those of a Ray that is started on this machine.
    Raises: ConfigError: ray is not installed, or no cluster can be used.
    """
    where = address or os.environ.get("RAY_ADDRESS") or "local"
    options: dict[str, Any] = {
        "address": where,
        "log_to_driver": False,
        "logging_level": "ERROR",
    }
    if where == "local":
        options |= {"include_dashboard": False, "num_cpus": cores}
        set_private_ray()
    try:
        import ray
        import ray.util.scheduling_strategies
    except ImportError:
        raise ConfigError(
            "--executor ray: ray is not installed here. Install it with: "
            'pip install "kstyle[cluster]"'
        ) from None
    if ray.is_initialized():
        return ray, False
    try:
        check_reachable(where)
        with keep_signal_handlers():
            ray.init(**options)
    except Exception as error:  # it raises plain ones too
        what, advice = "Ray did not start on this machine", ""
        if where != "local":
            what = f"--address {where}: no Ray cluster that can be used answers there"
            advice = " Its Ray, its Python and its token must be those of this machine."
        raise ConfigError(f"{what} ({last_error_line(error)}).{advice}") from None
    return ray, True


@contextlib.contextmanager
def keep_signal_handlers() -> Iterator[None]:
    """Install the handlers of SIGTERM and SIGHUP again that Ray replaces in the block.

    With Ray's, a command exits with code 1, or aborts after three seconds.
    """
    before = {number: signal.getsignal(number) for number in ENDING_SIGNALS}
    yield
    if threading.current_thread() is threading.main_thread():
        for number, handler in before.items():
            if callable(handler):
                signal.signal(number, handler)


def set_private_ray() -> None:
    """Set the variables of `PRIVATE_RAY`, unless ray has been started already.

    Raises: ConfigError: ray has been imported already. It reads the first two when it
        is imported, and without them its ports would be open to the network.
    """
    ray = sys.modules.get("ray")
    if ray is not None and ray.is_initialized():
        return
    if ray is not None and not PRIVATE_RAY.keys() <= os.environ.keys():
        settings = " ".join(f"{name}={value}" for name, value in PRIVATE_RAY.items())
        raise ConfigError(
            "--executor ray: ray was imported before kstyle could keep it to this "
            f"machine. Set {settings} before that, or call ray.init() yourself."
        )
    for name, value in PRIVATE_RAY.items():
        os.environ.setdefault(name, value)
    os.environ.setdefault("RAY_AUTH_TOKEN", secrets.token_hex(32))


def check_reachable(address: str) -> None:
    """Raise `OSError` if nothing answers at HOST:PORT: ray would try for minutes."""
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if host and port.isdigit():
        socket.create_connection((host, int(port)), timeout=10).close()


def last_error_line(error: Exception) -> str:
    """Return the last line of an error's message, where ray puts the cause."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1].rstrip(".") if lines else type(error).__name__
