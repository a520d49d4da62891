"""The state of a run on disk, from which `kstyle resume` continues."""

import contextlib
import dataclasses
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from kstyle.config.style_config import StyleConfig
from kstyle.errors import ConfigError
from kstyle.files import atomic_path
from kstyle.networks.weight_files import DAMAGE_ERRORS
from kstyle.npz import open_npz
from kstyle.planning.scales import ScalePlan
from kstyle.runs.provenance import Fingerprint, changed_files, run_fingerprint

CHECKPOINT_FILE = "state.npz"
CHECKPOINT_FORMAT = 4
READABLE_FORMATS = (3, 4)

CallbackState = dict[str, Any]  # values that JSON can hold, or arrays


@dataclasses.dataclass(frozen=True)
class RunState:
    """The state of a run after `step` steps.

    image: float32 `(1, height, width, 3)`, values in [0, 1].
    gradient: of the loss at `image`, same shape; the next step needs it.
    optimizer: the values of the optimiser's `variables`, in order.
    scale: index of the current scale in the run's plan. left: its remaining steps.
    seconds: duration of the run so far.
    fingerprint: of the run, from `run_fingerprint`.
    requested_options: the options before weights were solved and the memory was
        fitted, as JSON has them.
    callbacks: `{state_name: get_state()}` of the run's callbacks. Arrays in it have
        the shape of `image`.
    """

    image: np.ndarray
    gradient: np.ndarray
    optimizer: tuple[np.ndarray, ...]
    scale: int
    step: int
    left: int
    seconds: float
    fingerprint: Fingerprint
    requested_options: dict[str, Any]
    callbacks: dict[str, CallbackState]


def write_checkpoint(folder: Path, state: RunState) -> None:
    """Write `state` into a run's folder; it replaces the previous one.

    Raises: OSError: the disk is full or cannot be written to.
    """
    arrays = {"image": state.image, "gradient": state.gradient}
    for index, value in enumerate(state.optimizer):
        arrays[f"optimizer_{index:03}"] = value
    callbacks: dict[str, CallbackState] = {}
    for name, values in state.callbacks.items():
        callbacks[name] = {}
        for key, value in values.items():
            if isinstance(value, np.ndarray):
                arrays[f"callbacks/{name}/{key}"] = value
            else:
                callbacks[name][key] = value
    about = {
        "format": CHECKPOINT_FORMAT,
        "scale": state.scale,
        "step": state.step,
        "left": state.left,
        "seconds": state.seconds,
        "origin": state.fingerprint,
        "asked": state.requested_options,
        "optimizer": len(state.optimizer),
        "callbacks": callbacks,
    }
    arrays["about"] = np.array(json.dumps(about))
    with atomic_path(Path(folder) / CHECKPOINT_FILE) as temporary:
        np.savez(temporary, **arrays)  # type: ignore[arg-type]  # as allow_pickle


def read_checkpoint(folder: str | Path) -> RunState | None:
    """Read the state in a run's folder; `None` if there is no checkpoint.

    Raises: ConfigError: the file is damaged, or is no checkpoint.
    """
    path = Path(folder) / CHECKPOINT_FILE
    if not path.exists():
        return None
    try:
        with open(path, "rb") as raw, open_npz(raw) as file:
            about = json.loads(str(file["about"]))
            found = about["format"]
            if found not in READABLE_FORMATS:
                raise ValueError(f"its format is {found!r}, not {CHECKPOINT_FORMAT}")
            count, origin = int(about["optimizer"]), about["origin"]
            return RunState(
                image=file["image"],
                gradient=file["gradient"],
                optimizer=tuple(file[f"optimizer_{i:03}"] for i in range(count)),
                scale=int(about["scale"]),
                step=int(about["step"]),
                left=int(about["left"]),
                seconds=float(about["seconds"]),
                fingerprint=Fingerprint(
                    config=dict(origin["config"]),
                    pictures=dict(origin["pictures"]),
                    weights=str(origin["weights"]),
                ),
                requested_options=dict(about["asked"]),
                callbacks=(
                    convert_format_3(about, file["best"])
                    if found == 3
                    else read_callback_states(about["callbacks"], file)
                ),
            )
    except DAMAGE_ERRORS as error:
        raise ConfigError(
            f"{path} is not a checkpoint that can be resumed ({error}). Remove it to "
            "start the run again from its config.yaml."
        ) from None


def read_callback_states(
    values: Mapping[str, CallbackState], file: Mapping[str, np.ndarray]
) -> dict[str, CallbackState]:
    """Join the callbacks' JSON `values` with their arrays in `file`."""
    states = {name: dict(state) for name, state in values.items()}
    for key in file:
        if key.startswith("callbacks/"):
            _, name, field = key.split("/")
            states[name][field] = file[key]
    return states


def convert_format_3(
    about: Mapping[str, Any], best: np.ndarray
) -> dict[str, CallbackState]:
    """Return the callbacks' states of a checkpoint in format 3.

    It has the values of three callbacks under separate keys. The reports had been
    written up to the checkpoint's step.
    """
    reported = {"reported": int(about["step"])}
    states = {
        "divergence_guard": {**about["guard"], "best": best},
        "stop_when_still": {"changes": list(about["changes"])},
        "time_limit": {
            "scale": int(about["scale"]),
            "seconds": float(about["seconds"]),
        },
        "loss_csv": reported,
        "scalar_events": reported,
        "snapshots": reported,
    }
    if about["curve"]:
        states["loss_curve"] = reported | {"values": dict(about["curve"])}
    return states


def check_fingerprint(
    state: RunState,
    config: StyleConfig,
    folder: str | Path,
    *,
    requested: bool = False,
) -> None:
    """Refuse a state of another run than the one that `config` describes.

    requested: compare `config` with the requested options, not with the final ones.
    Raises: ConfigError: an option, a picture's bytes or the weights differ.
    """
    then, now = state.fingerprint, run_fingerprint(config)
    options = state.requested_options if requested else then["config"]
    with contextlib.suppress(ConfigError):  # of a later version: its options differ
        # A checkpoint of an earlier version lacks the options that came later. They are
        # what its own options imply: without `style_growth` for weights that are given.
        options = StyleConfig(**options).model_dump(mode="json")
    changed = [key for key, value in now["config"].items() if options.get(key) != value]
    changed += changed_files(then, now)
    if not changed and options.keys() == now["config"].keys():
        return
    raise ConfigError(
        f"{Path(folder) / CHECKPOINT_FILE} belongs to a run with something else for "
        f"{', '.join(changed) or 'its options'}. Put that back, or remove the file to "
        "start again."
    )


def with_tile_option(state: RunState, tile: int | str) -> RunState:
    """Return `state` as that of a run with the option `tile`.

    A resumed run may have switched to tiles, in its config.yaml, and been killed before
    its next checkpoint. Tiles change nothing but the rounding.
    """
    fingerprint = state.fingerprint.copy()
    fingerprint["config"] = fingerprint["config"] | {"tile": tile}
    return dataclasses.replace(state, fingerprint=fingerprint)


def check_checkpoint_fits(
    state: RunState, scales: Sequence[ScalePlan], folder: Path
) -> None:
    """Refuse a state that is impossible in a run of `scales`.

    Raises: ConfigError: the steps or the arrays' shapes do not fit.
    """
    if not is_consistent(state, scales):
        raise ConfigError(
            f"{folder / CHECKPOINT_FILE} is of other sizes or steps than the "
            "run. Remove it to start again."
        )


def is_consistent(state: RunState, scales: Sequence[ScalePlan]) -> bool:
    """Return whether the state's steps and arrays fit a run of `scales`."""
    if not 0 <= state.scale < len(scales):
        return False
    steps = sum(scale.steps for scale in scales[: state.scale + 1])
    if not 0 <= state.step <= steps - state.left <= steps:
        return False
    shape = (1, *scales[state.scale].content_size, 3)
    arrays = [state.image, state.gradient]
    for values in state.callbacks.values():
        arrays += [v for v in values.values() if isinstance(v, np.ndarray)]
    return all(a.shape == shape and a.dtype == np.float32 for a in arrays)


def remaining_scales(
    scales: Sequence[ScalePlan], state: RunState | None
) -> list[tuple[ScalePlan, int]]:
    """Return `[(scale, steps to take)]` of what is left of a run."""
    if state is None:
        return [(scale, scale.steps) for scale in scales]
    first, *rest = scales[state.scale :]
    return [(first, state.left), *remaining_scales(rest, None)]


def truncate_loss_csv(path: Path, step: int) -> list[str]:
    """Remove the rows of `losses.csv` after `step`, and an incomplete last row.

    Returns: the column names; none if the file does not exist or is empty.
    """
    if not path.exists():
        return []
    lines = path.read_bytes().split(b"\r\n")[:-1]  # what follows the last is no row
    kept = lines[:1]
    for line in lines[1:]:
        number = line.split(b",")[0]
        complete = number.isdigit() and line.count(b",") == lines[0].count(b",")
        if complete and int(number) <= step:
            kept.append(line)
    with atomic_path(path) as temporary:
        temporary.write_bytes(b"".join(line + b"\r\n" for line in kept))
    return kept[0].decode().split(",") if kept else []
