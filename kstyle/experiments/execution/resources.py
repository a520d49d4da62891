"""How many trials go at once on this machine: its memory, its cores, its GPUs."""

import os

from kstyle.errors import ConfigError
from kstyle.experiments.plans import estimate_trials
from kstyle.hardware.host import cpu_cores, free_memory
from kstyle.planning.estimates import zero_time

DRIVER_BYTES = (
    0.9e9  # bytes for the process that hands out the trials and judges at the end
)
THREAD_VARIABLES = (
    "TF_NUM_INTRAOP_THREADS",
    "TF_NUM_INTEROP_THREADS",
    "OMP_NUM_THREADS",
)


def worker_environments(plans, wanted, gpus=0):
    """The environment variables of each worker process, one dict a worker.

    wanted: how many workers; `None`: one a GPU, or else as many as the cores and the
        free memory allow. gpus: how many TensorFlow sees.
    Raises: ConfigError: more are wanted than there are GPUs or than the memory allows.
    """
    configs = [trial.config for each in plans for trial in each.todo]
    check_trial_devices(configs)
    if all(config.device == "cpu" for config in configs):
        count, ids = cpu_workers(plans, wanted), ["-1"]
    elif gpus:
        count, ids = gpu_workers(wanted, gpus), gpu_names(gpus)
    else:
        count, ids = cpu_workers(plans, wanted), None
    count = max(1, min(count, len(configs)))
    threads = thread_variables(max(1, cpu_cores() // count))
    gpus = [{"CUDA_VISIBLE_DEVICES": name} for name in ids or ()] or [{}]
    return [threads | gpus[i % len(gpus)] for i in range(count)]


def thread_variables(threads):
    """What makes TensorFlow use so many; what the user has set stays."""
    return {name: os.environ.get(name, str(threads)) for name in THREAD_VARIABLES}


def check_trial_devices(configs):
    """Refuse a trial that wants a GPU by number: its worker sees one alone."""
    for config in configs:
        if config.device.startswith("gpu:") and config.device != "gpu:0":
            raise ConfigError(
                f"device {config.device}: workers get their GPUs by themselves. Use "
                "--set device=gpu, or leave it out."
            )


def gpu_names(count):
    """The GPUs that TensorFlow sees, as CUDA_VISIBLE_DEVICES spells each of them."""
    names = os.environ.get("CUDA_VISIBLE_DEVICES")
    return names.split(",")[:count] if names else [str(i) for i in range(count)]


def gpu_workers(wanted, gpus):
    if wanted is not None and wanted > gpus:
        raise ConfigError(
            f"--workers {wanted}: each takes a GPU, and TensorFlow sees {gpus}. Use "
            f"--workers {gpus}, or --set device=cpu."
        )
    return wanted or gpus


def cpu_workers(plans, wanted):
    """As many as are wanted, if the memory allows it; one is always tried."""
    peaks, free = trial_peaks(plans), free_memory()
    if not peaks or free is None:
        return wanted or cpu_cores()
    (_, name), peak = max(peaks.items(), key=lambda pair: pair[1])
    fit = max(1, int((free - DRIVER_BYTES) // peak))
    if wanted is not None and wanted > fit:
        raise ConfigError(
            f"--workers {wanted} need {wanted} x {peak / 1e9:.1f} GB of memory "
            f"(for {name}), but {(free - DRIVER_BYTES) / 1e9:.1f} GB are free: {fit} "
            f"fit. Use --workers {fit}, a smaller --set size=, or end other programs."
        )
    return wanted or min(cpu_cores(), fit)


def trial_peaks(plans):
    """`{(experiment, trial): bytes at the most}` of every trial that is to run."""
    found = estimate_trials(plans, zero_time)
    keys = [(each.experiment.name, trial.name) for each in plans for trial in each.todo]
    return {key: found[key].bytes for key in keys}
