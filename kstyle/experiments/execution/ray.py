"""Trials on a Ray cluster: the one module that names ray. See docs/cluster.md."""

import contextlib
import os
import secrets
import socket
import sys
from pathlib import Path

from kstyle.errors import ConfigError, KStyleError
from kstyle.experiments.execution import ray_worker
from kstyle.experiments.execution.pool import Pool, WorkerLost, write_failure
from kstyle.experiments.execution.ray_worker import pack_folder, unpack_folder
from kstyle.hardware.host import cpu_cores
from kstyle.runs.checkpoint import CHECKPOINT_FILE as STATE

POLL_SECONDS = 0.5  # seconds between two looks at what the workers say
# What keeps a Ray of our own on this machine: its ports are open on loopback alone, as
# on systems where it knows no clusters; who talks to it needs a token; and it reports
# to nobody.
PRIVATE_RAY = {
    "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",
    "RAY_AUTH_MODE": "token",
    "RAY_USAGE_STATS_ENABLED": "0",
}


class RayPool(Pool):
    """Each trial is a task that asks for its cores, its memory, and a GPU if there are.

    plans: those whose trials will run. workers: how many at once at the most.
    address: the cluster's; `None` for $RAY_ADDRESS, or else for one on this machine.
    Raises: ConfigError: ray is not there, or no cluster, or not what the trials need.
    """

    def __init__(self, plans, workers, address):
        self.ray, self.own = connect_ray(address)
        self.most, self.running, self.marker = workers, {}, None
        try:
            machines = [m for m in self.ray.nodes() if m["Alive"]]
            resources = [machine["Resources"] for machine in machines]
            self.wishes = ray_worker.resource_requests(plans, resources, workers)
            self.site = self.mark(plans)
            self.files = self.ray.put(self.check(plans, machines))
            self.task = self.ray.remote(max_retries=0)(ray_worker.run_on_worker)
            post = self.ray.remote(num_cpus=0, max_restarts=-1)(Mailbox)
            self.mailbox = post.remote()
        except BaseException:
            self.close()
            raise

    def mark(self, plans):
        """The `cluster.Site` of this process, its marker written."""
        logdir = plans[0].folder.parent
        logdir.mkdir(parents=True, exist_ok=True)
        self.marker = Path(logdir.resolve() / f".site-{secrets.token_hex(8)}")
        self.marker.touch()
        return ray_worker.DriverSite(Path.cwd(), self.marker)

    def check(self, plans, machines):
        """Ask every machine if it can do the work. Returns the files to send it."""
        hashes = ray_worker.hash_input_files(plans)
        place = self.ray.util.scheduling_strategies.NodeAffinitySchedulingStrategy
        look = self.ray.remote(num_cpus=0, max_retries=1)(ray_worker.report_machine)
        asked = {
            machine["NodeManagerAddress"]: look.options(
                scheduling_strategy=place(machine["NodeID"], soft=False)
            ).remote(self.site, hashes)
            for machine in machines
        }
        reports = {name: self.answer(name, ref) for name, ref in asked.items()}
        ray_worker.check_machines(reports)
        self.all_here = all(here for _, here, _ in reports.values())
        return {} if self.all_here else ray_worker.read_relative_files(hashes)

    def answer(self, name, ref):
        try:
            return self.ray.get(ref, timeout=120)
        except self.ray.exceptions.RayError as error:
            raise ConfigError(
                f"The machine {name} of the cluster cannot run kstyle: "
                f"{last_error_line(error)}. Install the same kstyle there."
            ) from None

    def has_room(self):
        return self.most is None or len(self.running) < self.most

    def start(self, task):
        """Give the task to the cluster, with its checkpoint where it may need that."""
        unfinished = not self.all_here and (task.trial_folder / STATE).exists()
        kept = pack_folder(task.trial_folder) if unfinished else None
        call = self.task.options(**self.wishes[task.experiment, task.name])
        ref = call.remote(task, self.site, kept, self.files, self.mailbox)
        self.running[ref] = task

    def wait(self, step):
        """News of the cluster: `[(trial name, record or Died)]`."""
        ended, _ = self.ray.wait(list(self.running), timeout=POLL_SECONDS)
        self.read_mail(step)
        return [self.outcome(ref, self.running.pop(ref)) for ref in ended]

    def read_mail(self, step):
        """Tell `step` what the workers say, and keep the checkpoints that they send."""
        steps, kept = {}, {}
        with contextlib.suppress(self.ray.exceptions.RayError):  # its machine is gone
            steps, kept = self.ray.get(self.mailbox.take.remote(), timeout=60)
        for task in self.running.values():
            if task.name in kept:
                unpack_folder(kept[task.name], task.trial_folder)
            if task.name in steps:
                step(task.name, *steps[task.name])

    def outcome(self, ref, task):
        """What became of a task, its folder put in its place."""
        try:
            record, archive = self.ray.get(ref)
        except self.ray.exceptions.RayError as error:
            # Of a lost machine ray tells much more, and how to look into it.
            reason, *_ = last_error_line(error).split(". ")
            return task.name, WorkerLost(f"Its worker was lost ({reason})")
        if archive is not None:
            try:
                unpack_folder(archive, task.trial_folder)
            except (KStyleError, OSError) as error:
                record = write_failure(task, record, str(error))
        return task.name, record

    def stop(self):
        """As `Pool` says; what is cancelled has its last checkpoint."""
        for ref in self.running:
            self.ray.cancel(ref, force=True)
        self.running.clear()

    def close(self):
        if self.marker is not None:
            self.marker.unlink(missing_ok=True)
        if self.own:
            self.ray.shutdown()


class Mailbox:
    """What workers have said since somebody looked: an actor of the cluster."""

    def __init__(self):
        self.steps, self.kept = {}, {}

    def step(self, trial, *progress):
        self.steps[trial] = progress

    def keep(self, trial, archive):
        self.kept[trial] = archive

    def take(self):
        """`({trial: its last progress}, {trial: its last packed folder})`."""
        found = self.steps, self.kept
        self.steps, self.kept = {}, {}
        return found


def connect_ray(address):
    """The module `ray`, connected, and whether it is for us to disconnect it."""
    where = address or os.environ.get("RAY_ADDRESS") or "local"
    options = {"address": where, "log_to_driver": False, "logging_level": "ERROR"}
    if where == "local":
        options |= {"include_dashboard": False, "num_cpus": cpu_cores()}
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
        ray.init(**options)
    except Exception as error:  # it raises plain ones too
        what, advice = "Ray did not start on this machine", ""
        if where != "local":
            what = f"--address {where}: no Ray cluster that can be used answers there"
            advice = " Its Ray, its Python and its token must be those of this machine."
        raise ConfigError(f"{what} ({last_error_line(error)}).{advice}") from None
    return ray, True


def set_private_ray():
    """Set what keeps a Ray of our own to us, unless somebody has started one.

    Raises: ConfigError: ray was imported before that. It reads the first two settings
        only then, and without them its ports would be open to the network.
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


def check_reachable(where):
    """Raise `OSError` if nobody answers at HOST:PORT: ray itself tries for minutes."""
    host, _, port = where.removeprefix("ray://").rpartition(":")
    if host and port.isdigit():
        socket.create_connection((host, int(port)), timeout=10).close()


def last_error_line(error):
    """What an error of ray comes to, in one line."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1].rstrip(".") if lines else type(error).__name__
