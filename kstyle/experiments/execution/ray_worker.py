"""Trials on a cluster's machines, and the resources they need. Does not import ray.

A machine that sees the experiment's folder works there. Another one works in a
temporary folder and sends that back: at each checkpoint, so that a third machine can
resume the trial, and at the end.
"""

import contextlib
import dataclasses
import functools
import io
import os
import shutil
import signal
import tempfile
import threading
import zipfile
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from kstyle._version import __version__
from kstyle.errors import ConfigError, ExperimentError
from kstyle.experiments.definition.experiment_file import Trial
from kstyle.experiments.execution.executors import Task, throttled
from kstyle.experiments.execution.processes import raise_interrupt
from kstyle.experiments.execution.resources import (
    check_trial_devices,
    thread_variables,
    trial_peaks,
)
from kstyle.experiments.plans import ExperimentPlan
from kstyle.experiments.records import TrialRecord
from kstyle.files import LOCK_FILE, file_hash
from kstyle.hardware.host import ENDING_SIGNALS
from kstyle.hardware.tensorflow_setup import KERNEL_VARIABLES, load_tensorflow
from kstyle.runs.checkpoint_file import CHECKPOINT_FILE

if TYPE_CHECKING:  # it imports TensorFlow
    from kstyle.experiments.execution.trial import WorkerContext

RAY_PROGRESS_SECONDS = 1.0  # between two reports of a trial's progress


def pack_folder(folder: Path) -> bytes:
    """Return an archive of every regular file in `folder`, without links and locks."""
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for path in sorted(Path(folder).rglob("*")):
            name = path.relative_to(folder).as_posix()
            if path.is_file() and not path.is_symlink() and name != LOCK_FILE:
                archive.write(path, name)
    return data.getvalue()


def unpack_folder(data: bytes, folder: Path) -> None:
    """Replace `folder` by the content of an archive from `pack_folder`.

    Raises: ExperimentError: a name in the archive leads out of the folder, or the
        archive is damaged. Nothing is written then.
    """
    unpacked = folder.with_name(f".{folder.name}.part")
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            files = {
                check_archive_name(name): archive.read(name)
                for name in archive.namelist()
            }
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError) as error:
        raise ExperimentError(
            f"The files of {folder.name} came damaged: {error}."
        ) from None
    shutil.rmtree(unpacked, ignore_errors=True)
    try:
        # All become plain files, whatever the archive says.
        for name, content in files.items():
            path = unpacked / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        shutil.rmtree(folder, ignore_errors=True)
        unpacked.rename(folder)
    finally:
        shutil.rmtree(unpacked, ignore_errors=True)


def check_archive_name(name: str) -> str:
    """Return the name of a file, refused unless it lies below the folder."""
    path = PurePosixPath(name)
    strange = set(name) & set("\\:\0") or name.endswith("/") or not name
    if strange or path.is_absolute() or ".." in path.parts:
        raise ExperimentError(
            f"A worker has sent a file called {name!r}, which would lie outside its "
            "trial's folder. Nothing of it was written."
        )
    return name


@dataclasses.dataclass(frozen=True)
class DriverSite:
    """Where the driver runs: its current folder; a unique file in its log folder."""

    folder: Path
    marker: Path

    def is_here(self) -> bool:
        """Return whether this machine sees the same folders."""
        return self.folder.is_dir() and (self.folder / self.marker).is_file()


@dataclasses.dataclass(frozen=True)
class MachineReport:
    """A machine of the cluster: its version of kstyle, whether it sees the driver's
    folders, and the input files that it lacks or that differ there."""

    version: str
    sees_site: bool
    wrong_files: list[str]


def report_machine(site: DriverSite, hashes: Mapping[str, str]) -> MachineReport:
    """Examine this machine. hashes: `{path: SHA-256}` of the input files."""
    sees_site = site.is_here()
    base = site.folder if sees_site else Path()
    wrong_files = [
        path
        for path, digest in hashes.items()
        if (sees_site or is_absolute_path(path))
        and file_hash(base / Path(path).expanduser()) != digest
    ]
    return MachineReport(__version__, sees_site, wrong_files)


def run_on_worker(
    task: Task,
    site: DriverSite,
    archive: bytes | None,
    files: Mapping[str, bytes],
    mailbox: Any,
) -> tuple[TrialRecord, bytes | None]:
    """Run a task on this machine.

    archive: of the folder of a trial to resume, or `None`.
    files: the inputs with relative paths, `{path: bytes}`.
    mailbox: the handle of a `Mailbox` actor.
    Returns: its record, and an archive of its folder unless the driver sees that.
    """
    load_tensorflow()
    from kstyle.experiments.execution.trial import run_trial

    with contextlib.ExitStack() as stack:
        stack.enter_context(interrupt_on_signals())
        sees_site, folder = site.is_here(), site.folder
        if not sees_site:
            temporary = tempfile.TemporaryDirectory(prefix="kstyle-")
            folder = Path(stack.enter_context(temporary))
            task = dataclasses.replace(task, folder=Path("logs") / task.experiment)
        stack.enter_context(contextlib.chdir(folder))
        if not sees_site:
            write_inputs(files)
        if not sees_site and archive is not None:
            task.folder.mkdir(parents=True)
            unpack_folder(archive, task.trial_folder)
        reporter = MailboxReporter(task, mailbox, sends_checkpoints=not sees_site)
        try:
            record = run_trial(task, worker_context(), reporter)
        except KeyboardInterrupt:
            reporter.send_folder()
            raise
        return record, None if sees_site else pack_folder(task.trial_folder)


@contextlib.contextmanager
def interrupt_on_signals() -> Iterator[None]:
    """Let SIGTERM and SIGHUP end the block as Ctrl-C does, and Ray's own cancellation;
    then Ray handles them."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {n: signal.signal(n, raise_interrupt) for n in ENDING_SIGNALS}
    # Ray cancels a task by a SIGINT to the process itself, which a driver in the
    # background of a script has taught its workers to ignore.
    before[signal.SIGINT] = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        yield
    finally:
        came = signal.getsignal(signal.SIGTERM) is signal.SIG_IGN
        for number, handler in before.items():
            signal.signal(number, handler)
        if came:  # Ray's own handler ends the process
            signal.raise_signal(signal.SIGTERM)


@functools.cache
def worker_context() -> "WorkerContext":
    """Return the `WorkerContext` of this process, which runs several tasks in turn."""
    from kstyle.experiments.execution.trial import WorkerContext

    return WorkerContext()


def write_inputs(files: Mapping[str, bytes]) -> None:
    """Write `{relative path: bytes}` into the current folder."""
    for path, content in files.items():
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        Path(path).write_bytes(content)


class MailboxReporter:
    """A `report_step` that sends progress, and new checkpoints, to a `Mailbox`."""

    def __init__(self, task: Task, mailbox: Any, *, sends_checkpoints: bool) -> None:
        self.task, self.mailbox = task, mailbox
        self.sends_checkpoints = sends_checkpoints
        self.report = throttled(mailbox.step.remote, RAY_PROGRESS_SECONDS)
        self.sent = self.checkpoint_time()

    def checkpoint_time(self) -> int | None:
        """Return when the checkpoint was written; `None` if there is none."""
        with contextlib.suppress(OSError):
            return (self.task.trial_folder / CHECKPOINT_FILE).stat().st_mtime_ns
        return None

    def __call__(
        self, name: str, done: int, total: int, loss: float, seconds_left: float
    ) -> None:
        self.report(name, done, total, loss, seconds_left)
        self.send_folder()

    def send_folder(self) -> None:
        """Send the trial's folder if it has a new checkpoint, where that is needed."""
        if not self.sends_checkpoints:
            return
        written = self.checkpoint_time()
        if written != self.sent:
            self.sent = written
            archive = pack_folder(self.task.trial_folder)
            self.mailbox.keep.remote(self.task.name, archive)


def hash_input_files(plans: Iterable[ExperimentPlan]) -> dict[str, str]:
    """Return `{path: SHA-256}` of the input files of the trials to run."""
    configs = [trial.config for plan in plans for trial in plan.todo]
    return {path: file_hash(path) for c in configs for path in c.input_files()}


def is_absolute_path(path: str) -> bool:
    """Return whether a path is the same in every folder; `~` is expanded."""
    return Path(path).expanduser().is_absolute()


def read_relative_files(paths: Iterable[str]) -> dict[str, bytes]:
    """Return `{path: bytes}` of the files with relative paths.

    Raises: ConfigError: one lies outside the current folder, so it cannot be sent.
    """
    found = {}
    for path in paths:
        if is_absolute_path(path):
            continue
        if ".." in Path(path).parts:
            raise ConfigError(
                f"{path}: some machines of the cluster do not see this folder, and can "
                "only be sent what lies in it. Copy the file here."
            )
        found[path] = Path(path).read_bytes()
    return found


def check_machines(reports: Mapping[str, MachineReport]) -> None:
    """Refuse machines with another kstyle or other input files.

    reports: `{name: report}`. Raises: ConfigError.
    """
    for name, report in reports.items():
        if report.version != __version__:
            raise ConfigError(
                f"The machine {name} has kstyle {report.version}, and this one "
                f"{__version__}. Install the same on all."
            )
        if report.wrong_files:
            raise ConfigError(
                f"The machine {name} has no {report.wrong_files[0]}, or another file "
                "of that name. Put it there, or name a file in the current folder."
            )


Resources = Mapping[str, float]  # "CPU", "GPU", "memory" in bytes, as Ray names them


def resource_requests(
    plans: Sequence[ExperimentPlan], machines: Sequence[Resources], workers: int | None
) -> dict[tuple[str, str], dict[str, Any]]:
    """Return `{(experiment, trial): options of its Ray task}`.

    machines: their resources. workers: trials at the same time; `None`: all.
    Raises: ConfigError: no machine has the resources that a trial needs.
    """
    todo = [(plan, trial) for plan in plans for trial in plan.todo]
    check_trial_devices(trial.config.device for _, trial in todo)
    peaks, requests = trial_peaks(plans), {}
    at_once = min(len(todo), workers or len(todo))
    has_gpus = any(machine.get("GPU", 0) >= 1 for machine in machines)
    for plan, trial in todo:
        uses_gpu = has_gpus and trial.config.device != "cpu"
        key = plan.experiment.name, trial.name
        request = {
            "num_cpus": cores_per_trial(machines, uses_gpu, at_once),
            "num_gpus": int(uses_gpu),
            "memory": peaks[key],
        }
        check_trial_fits(trial, request, machines)
        variables = worker_variables(request["num_cpus"], uses_gpu)
        requests[key] = {**request, "runtime_env": {"env_vars": variables}}
    return requests


def cores_per_trial(machines: Sequence[Resources], uses_gpu: bool, at_once: int) -> int:
    """Return the cores for each of `at_once` trials.

    With a GPU its share of the machine's cores; else a share of all cores that one
    machine has.
    """
    if uses_gpu:
        shares = [m.get("CPU", 1) // m["GPU"] for m in machines if m.get("GPU", 0) >= 1]
        return max(1, int(min(shares)))
    cores = [int(machine.get("CPU", 0)) for machine in machines if machine.get("CPU")]
    return max(1, min([sum(cores) // max(1, at_once), *cores]))


def check_trial_fits(
    trial: Trial, request: Resources, machines: Sequence[Resources]
) -> None:
    """Refuse a trial that no machine can run: it would wait for ever.

    request: "num_cpus", "num_gpus" and "memory". Raises: ConfigError.
    """
    names = {"num_cpus": "CPU", "num_gpus": "GPU", "memory": "memory"}
    for machine in machines:
        if all(machine.get(names[key], 0) >= amount for key, amount in request.items()):
            return
    most = max((machine.get("memory", 0) for machine in machines), default=0)
    raise ConfigError(
        f"No machine of the cluster has what {trial.name} needs: "
        f"{request['num_cpus']} cores, {request['num_gpus']} GPUs and "
        f"{request['memory'] / 1e9:.1f} GB of memory. "
        f"The largest has {most / 1e9:.1f} GB. Use a smaller --set size=."
    )


def worker_variables(cores: int, uses_gpu: bool) -> dict[str, str]:
    """Return the environment variables of a task.

    The kernels are those of this process: others would round differently.
    """
    variables = thread_variables(cores)
    variables["TF_CPP_MIN_LOG_LEVEL"] = "3"
    for name in KERNEL_VARIABLES:
        if name in os.environ:
            variables[name] = os.environ[name]
    if not uses_gpu:
        variables["CUDA_VISIBLE_DEVICES"] = "-1"
    return variables
