"""What a cluster's machine does with a trial, and what a trial asks of it: no ray here.

A machine that sees the experiment's folder works in it, as a process beside the others.
One that does not works in a temporary folder, and sends that back: at each checkpoint,
so that another machine can go on, and at the end.
"""

import contextlib
import dataclasses
import functools
import io
import os
import shutil
import tempfile
import zipfile
import zlib
from pathlib import Path, PurePosixPath

from kstyle._version import __version__
from kstyle.errors import ConfigError, ExperimentError
from kstyle.experiments.execution.pool import throttled
from kstyle.experiments.execution.resources import (
    check_trial_devices,
    thread_variables,
    trial_peaks,
)
from kstyle.files import LOCK_FILE
from kstyle.hardware.tensorflow_setup import KERNEL_VARIABLES, load_tensorflow
from kstyle.runs.checkpoint import CHECKPOINT_FILE as STATE
from kstyle.runs.provenance import file_hash


def pack_folder(folder):
    """Every regular file in `folder` as the bytes of one archive; no links."""
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for path in sorted(Path(folder).rglob("*")):
            name = path.relative_to(folder).as_posix()
            if path.is_file() and not path.is_symlink() and name != LOCK_FILE:
                archive.write(path, name)
    return data.getvalue()


def unpack_folder(data, folder):
    """Make `folder` what `pack` has packed, in place of what is there.

    Raises: ExperimentError: a name in the archive leads out of the folder, or the
        archive is damaged. Nothing is written then.
    """
    folder = Path(folder)
    whole = folder.with_name(f".{folder.name}.part")
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
    shutil.rmtree(whole, ignore_errors=True)
    try:
        # Each becomes a plain file, whatever the archive says that it is.
        for name, content in files.items():
            path = whole / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        shutil.rmtree(folder, ignore_errors=True)
        whole.rename(folder)
    finally:
        shutil.rmtree(whole, ignore_errors=True)


def check_archive_name(name):
    """The name of a file; refused unless it lies below the folder."""
    path = PurePosixPath(name)
    strange = set(name) & set("\\:\0") or name.endswith("/") or not name
    if strange or path.is_absolute() or ".." in path.parts:
        raise ExperimentError(
            f"A worker has sent a file called {name!r}, which would lie outside its "
            "trial's folder. Nothing of it was written."
        )
    return name


RAY_PROGRESS_SECONDS = 1.0  # seconds between two words on a trial's progress


@dataclasses.dataclass(frozen=True)
class DriverSite:
    """Where the trials were given out: the current folder there, and a file in its
    log folder that has a name of its own."""

    folder: Path
    marker: Path

    def is_here(self):
        """Whether this machine sees the same folders."""
        return self.folder.is_dir() and (self.folder / self.marker).is_file()


def report_machine(site, hashes):
    """What a machine says of itself: kstyle's version, whether it sees the site, and
    which files of `hashes`, {path: SHA-256}, it lacks or has otherwise."""
    here = site.is_here()
    asked = [path for path in hashes if here or is_absolute_path(path)]
    base = site.folder if here else Path()
    others = [p for p in asked if file_hash(base / Path(p).expanduser()) != hashes[p]]
    return __version__, here, others


def run_on_worker(task, site, kept, files, mailbox):
    """Run a task on this machine. Returns its record, and its folder if that is not
    in the site: packed, or else `None`.

    kept: the packed folder of a trial that goes on, or `None`. files: those with
    relative paths, `{path: bytes}`. mailbox: takes `step` and `keep`.
    """
    load_tensorflow()
    from kstyle.experiments.execution.trial import run_trial

    with contextlib.ExitStack() as stack:
        here, folder = site.is_here(), site.folder
        if not here:
            folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="kstyle-"))
            task = dataclasses.replace(task, folder=Path("logs") / task.experiment)
        stack.enter_context(contextlib.chdir(folder))
        if not here:
            write_inputs(files)
        if not here and kept is not None:
            task.folder.mkdir(parents=True)
            unpack_folder(kept, task.trial_folder)
        record = run_trial(
            task, worker_context(), MailboxReporter(task, mailbox, not here)
        )
        return record, None if here else pack_folder(task.trial_folder)


@functools.cache
def worker_context():
    """The `trials.Workplace` of this process, which runs one task after the other."""
    from kstyle.experiments.execution.trial import WorkerContext

    return WorkerContext()


def write_inputs(files):
    """Write `{relative path: bytes}` into the current folder."""
    for path, content in files.items():
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        Path(path).write_bytes(content)


class MailboxReporter:
    """Tells a mailbox of a trial's steps, and sends it each new checkpoint."""

    def __init__(self, task, mailbox, sends):
        self.task, self.mailbox, self.sends = task, mailbox, sends
        self.say = throttled(mailbox.step.remote, RAY_PROGRESS_SECONDS)
        self.sent = self.written()

    def written(self):
        """When the checkpoint was written; `None` if there is none."""
        with contextlib.suppress(OSError):
            return (self.task.trial_folder / STATE).stat().st_mtime_ns

    def __call__(self, name, *progress):
        self.say(name, *progress)
        now = self.written() if self.sends else self.sent
        if now != self.sent:
            self.sent = now
            self.mailbox.keep.remote(name, pack_folder(self.task.trial_folder))


def hash_input_files(plans):
    """`{path: SHA-256}` of the files that the trials to run name."""
    configs = [trial.config for each in plans for trial in each.todo]
    return {path: file_hash(path) for c in configs for path in c.input_files()}


def is_absolute_path(path):
    return Path(path).expanduser().is_absolute()


def read_relative_files(hashes):
    """`{path: bytes}` of the files with relative paths. Raises: ConfigError: one lies
    outside the current folder, so that no machine could be given it."""
    found = {}
    for path in hashes:
        if is_absolute_path(path):
            continue
        if ".." in Path(path).parts:
            raise ConfigError(
                f"{path}: some machines of the cluster do not see this folder, and can "
                "only be sent what lies in it. Copy the file here."
            )
        found[path] = Path(path).read_bytes()
    return found


def check_machines(reports):
    """Refuse machines that would do something else. reports: `{name: look(...)}`."""
    for name, (version, _, others) in reports.items():
        if version != __version__:
            raise ConfigError(
                f"The machine {name} has kstyle {version}, and this one {__version__}. "
                "Install the same on all."
            )
        if others:
            raise ConfigError(
                f"The machine {name} has no {others[0]}, or another file of that name. "
                "Put it there, or name a file in the current folder."
            )


def resource_requests(plans, machines, workers):
    """`{(experiment, trial): options of its Ray task}`.

    machines: the resources of each, `{"CPU": ..., "GPU": ..., "memory": ...}`.
    workers: how many trials at once are wanted, or `None`.
    Raises: ConfigError: no machine has what a trial needs.
    """
    todo = [(each, trial) for each in plans for trial in each.todo]
    check_trial_devices([trial.config for _, trial in todo])
    needed, found = trial_peaks(plans), {}
    at_once = min(len(todo), workers or len(todo))
    for each, trial in todo:
        has_gpus = any(machine.get("GPU", 0) >= 1 for machine in machines)
        gpus = int(has_gpus and trial.config.device != "cpu")
        key = each.experiment.name, trial.name
        found[key] = {
            "num_cpus": cores_per_trial(machines, gpus, at_once),
            "num_gpus": gpus,
            "memory": needed[key],
        }
        check_trial_fits(trial, found[key], machines)
        found[key]["runtime_env"] = {"env_vars": worker_variables(found[key])}
    return found


def cores_per_trial(machines, gpus, at_once):
    """Cores for a trial, `at_once` of them: its GPU's part of its machine, or its part
    of all, so that one machine has them."""
    if gpus:
        shares = [m.get("CPU", 1) // m["GPU"] for m in machines if m.get("GPU", 0) >= 1]
        return max(1, int(min(shares)))
    cores = [int(machine.get("CPU", 0)) for machine in machines if machine.get("CPU")]
    return max(1, min([sum(cores) // max(1, at_once), *cores]))


def check_trial_fits(trial, wish, machines):
    """Refuse a trial that no machine can take: it would wait for ever."""
    names = {"num_cpus": "CPU", "num_gpus": "GPU", "memory": "memory"}
    for machine in machines:
        if all(machine.get(names[key], 0) >= amount for key, amount in wish.items()):
            return
    most = max((machine.get("memory", 0) for machine in machines), default=0)
    raise ConfigError(
        f"No machine of the cluster has what {trial.name} needs: {wish['num_cpus']} "
        f"cores, {wish['num_gpus']} GPUs and {wish['memory'] / 1e9:.1f} GB of memory. "
        f"The largest has {most / 1e9:.1f} GB. Use a smaller --set size=."
    )


def worker_variables(wish):
    """The environment of a task that has those resources."""
    found = thread_variables(wish["num_cpus"]) | {"TF_CPP_MIN_LOG_LEVEL": "3"}
    found |= {name: os.environ[name] for name in KERNEL_VARIABLES if name in os.environ}
    return found | ({} if wish["num_gpus"] else {"CUDA_VISIBLE_DEVICES": "-1"})
