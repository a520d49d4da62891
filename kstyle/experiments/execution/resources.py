"""How many trials run at the same time on this machine: memory, cores and GPUs."""

import os
from collections.abc import Iterable, Sequence

from kstyle.errors import ConfigError
from kstyle.experiments.plans import ExperimentPlan
from kstyle.planning.estimates import cost_model
from kstyle.planning.scales import plan_scales_of_run

DRIVER_BYTES = 0.9e9  # of the process that starts the trials and scores at the end
THREAD_VARIABLES = (
    "TF_NUM_INTRAOP_THREADS",
    "TF_NUM_INTEROP_THREADS",
    "OMP_NUM_THREADS",
)


def worker_environments(
    plans: Sequence[ExperimentPlan],
    workers: int | None,
    *,
    gpus: int,
    cores: int,
    free_bytes: float | None,
) -> list[dict[str, str]]:
    """Return the environment variables of each worker process.

    workers: how many are requested; `None`: one per GPU, or else as many as the cores
        and the free memory allow.
    gpus, cores: of this machine. free_bytes: of memory; `None` if unknown.
    Raises: ConfigError: there are too few GPUs or too little memory for `workers`.
    """
    configs = [trial.config for plan in plans for trial in plan.todo]
    check_trial_devices(config.device for config in configs)
    if gpus and any(config.device != "cpu" for config in configs):
        count, names = gpu_workers(workers, gpus), gpu_names(gpus)
        devices = [{"CUDA_VISIBLE_DEVICES": name} for name in names]
    else:
        count = cpu_workers(trial_peaks(plans), workers, cores, free_bytes)
        only_cpu = all(config.device == "cpu" for config in configs)
        devices = [{"CUDA_VISIBLE_DEVICES": "-1"} if only_cpu else {}]
    count = max(1, min(count, len(configs)))
    threads = thread_variables(max(1, cores // count))
    return [threads | devices[i % len(devices)] for i in range(count)]


def thread_variables(threads: int) -> dict[str, str]:
    """Return what limits TensorFlow to so many threads; values of the user stay."""
    return {name: os.environ.get(name, str(threads)) for name in THREAD_VARIABLES}


def check_trial_devices(devices: Iterable[str]) -> None:
    """Refuse a GPU by number, as a worker has only one. Raises: ConfigError."""
    for device in devices:
        if device.startswith("gpu:") and device != "gpu:0":
            raise ConfigError(
                f"device {device}: workers get their GPUs by themselves. Use "
                "--set device=gpu, or leave it out."
            )


def gpu_names(count: int) -> list[str]:
    """Return the GPUs that TensorFlow sees, each as CUDA_VISIBLE_DEVICES names it."""
    names = os.environ.get("CUDA_VISIBLE_DEVICES")
    return names.split(",")[:count] if names else [str(i) for i in range(count)]


def gpu_workers(workers: int | None, gpus: int) -> int:
    """Return the number of workers with a GPU each. Raises: ConfigError."""
    if workers is not None and workers > gpus:
        raise ConfigError(
            f"--workers {workers}: each takes a GPU, and TensorFlow sees {gpus}. Use "
            f"--workers {gpus}, or --set device=cpu."
        )
    return workers or gpus


def cpu_workers(
    peaks: dict[tuple[str, str], int],
    workers: int | None,
    cores: int,
    free_bytes: float | None,
) -> int:
    """Return the number of workers that fit into the memory, at least one.

    peaks: from `trial_peaks`. Raises: ConfigError: more are requested than fit.
    """
    if not peaks or free_bytes is None:
        return workers or cores
    (_, name), peak = max(peaks.items(), key=lambda pair: pair[1])
    fit = max(1, int((free_bytes - DRIVER_BYTES) // peak))
    if workers is not None and workers > fit:
        free = (free_bytes - DRIVER_BYTES) / 1e9
        raise ConfigError(
            f"--workers {workers} need {workers} x {peak / 1e9:.1f} GB of memory "
            f"(for {name}), but {free:.1f} GB are free: {fit} fit. Use --workers "
            f"{fit}, a smaller --set size=, or end other programs."
        )
    return workers or min(cores, fit)


def trial_peaks(plans: Iterable[ExperimentPlan]) -> dict[tuple[str, str], int]:
    """Return `{(experiment, trial): peak memory in bytes}` of the trials to run."""
    peaks = {}
    for plan in plans:
        for trial in plan.todo:
            scales = plan_scales_of_run(trial.config, *plan.sizes[trial.name])
            peak = cost_model(trial.config).peak_bytes(scales)
            peaks[plan.experiment.name, trial.name] = peak
    return peaks
