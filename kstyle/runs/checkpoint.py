"""A run's state on disk, whole or absent: what `kstyle resume` goes on from."""

import dataclasses
import json
from pathlib import Path

import numpy as np

from kstyle.errors import ConfigError
from kstyle.files import atomic_path
from kstyle.networks.weight_files import DAMAGE_ERRORS
from kstyle.runs.provenance import (
    changed_files,
    run_fingerprint,
)

CHECKPOINT_FILE = "state.npz"
CHECKPOINT_FORMAT = 3
PICTURE_ARRAYS = ("image", "gradient", "best")


@dataclasses.dataclass(frozen=True)
class RunState:
    """A run after `step` steps, in scale number `scale` (0 first), which has `left`.

    image, gradient: float32 `(1, height, width, 3)`, the picture in [0, 1] and the
        gradient there, which the next move needs. optimizer: the values of the
        optimiser's `variables`, in order. origin: from `origin`. asked: the options
        before the run's start solved weights and fitted it to the memory, as JSON has
        them. seconds: spent so far. curve: a `callbacks.Curve`'s values, if there was
        one. changes: those of a `stopping.StopWhenStill`. best: the scale's best
        picture, as `image`, and guard: what a `guard.Guard` remembers beside it.
    """

    image: np.ndarray
    gradient: np.ndarray
    optimizer: tuple
    scale: int
    step: int
    left: int
    seconds: float
    origin: dict
    asked: dict
    curve: dict
    changes: tuple
    best: np.ndarray
    guard: dict


def write_checkpoint(folder, state):
    """Put `state` into a run's folder in place of the one before. Raises: OSError."""
    about = {
        **{"format": CHECKPOINT_FORMAT, "scale": state.scale, "step": state.step},
        **{"left": state.left, "seconds": state.seconds, "origin": state.origin},
        **{"curve": state.curve, "changes": state.changes, "guard": state.guard},
        "asked": state.asked,
        "optimizer": len(state.optimizer),
    }
    arrays = {f"optimizer_{i:03}": v for i, v in enumerate(state.optimizer)}
    arrays |= {name: getattr(state, name) for name in PICTURE_ARRAYS}
    with atomic_path(Path(folder) / CHECKPOINT_FILE) as temporary:
        np.savez(temporary, about=np.array(json.dumps(about)), **arrays)


def read_checkpoint(folder):
    """The `State` in a run's folder; `None` where there is none.

    Raises: ConfigError: the file is damaged, or something else than a state.
    """
    path = Path(folder) / CHECKPOINT_FILE
    if not path.exists():
        return None
    try:
        with open(path, "rb") as raw, np.load(raw, allow_pickle=False) as file:
            about = json.loads(str(file["about"]))
            if about["format"] != CHECKPOINT_FORMAT:
                raise ValueError(
                    f"its format is {about['format']!r}, not {CHECKPOINT_FORMAT}"
                )
            count = int(about["optimizer"])
            optimizer = tuple(file[f"optimizer_{i:03}"] for i in range(count))
            numbers = [int(about[key]) for key in ("scale", "step", "left")]
            numbers.append(float(about["seconds"]))
            rest = [dict(about[key]) for key in ("origin", "asked", "curve")]
            rest.append(tuple(about["changes"]))
            image, gradient, best = (file[name] for name in PICTURE_ARRAYS)
            rest += [best, dict(about["guard"])]
            return RunState(image, gradient, optimizer, *numbers, *rest)
    except DAMAGE_ERRORS as error:
        raise ConfigError(
            f"{path} is not a state that kstyle can go on from ({error}). Remove it to "
            "start the run again from its config.yaml."
        ) from None


def check_fingerprint(state, config, folder, *, asked=False):
    """Refuse a state of another run than the one that `config` now describes.

    asked: whether it describes what was asked for, and not what was made of that.
    Raises: ConfigError: an option, a picture's bytes or the weights are others.
    """
    then, now = state.origin, run_fingerprint(config)
    then = then | {"config": state.asked} if asked else then
    if then == now:
        return
    before = then.get("config", {})
    changed = [k for k, v in now["config"].items() if before.get(k) != v]
    changed += changed_files(then, now)
    raise ConfigError(
        f"{Path(folder) / CHECKPOINT_FILE} belongs to a run with something else for "
        f"{', '.join(changed) or 'its options'}. Put that back, or remove the file to "
        "start again."
    )


def with_tile_option(state, tile):
    """The `state` of a run whose options say `tile` now.

    One that goes on may have taken tiles, in its config.yaml, and been killed before it
    kept a state with them. They change nothing but the rounding.
    """
    options = state.origin.get("config", {}) | {"tile": tile}
    return dataclasses.replace(state, origin=state.origin | {"config": options})


def check_checkpoint_fits(state, job):
    """Refuse a state that does not fit the job's scales and sizes.

    Raises: ConfigError: it does not.
    """
    plan = job.scales
    fits = 0 <= state.scale < len(plan)
    most = sum(scale.steps for scale in plan[: state.scale + 1])
    fits = fits and 0 <= state.step <= most - state.left <= most
    if fits:
        shape = (1, *job.content_at(plan[state.scale].edge).shape)
        planes = (state.image, state.gradient, state.best)
        fits = all(p.shape == shape and p.dtype == np.float32 for p in planes)
    if not fits:
        raise ConfigError(
            f"{job.folder / CHECKPOINT_FILE} is of other sizes or steps than the "
            "run. Remove it to start again."
        )


def remaining_scales(scales, state):
    """`[(scale, its steps)]` of what is left of a run, all of it without a `state`."""
    if state is None:
        return [(scale, scale.steps) for scale in scales]
    first, *rest = scales[state.scale :]
    return [(first, state.left), *remaining_scales(rest, None)]


def truncate_loss_csv(path, step):
    """Drop the rows of `losses.csv` that come after `step`, and a half-written one.

    Returns: the columns' names; none where the file is not there or has no headings.
    """
    if not path.exists():
        return []
    lines = path.read_bytes().split(b"\r\n")[:-1]  # what follows the last is no row
    kept = lines[:1]
    for line in lines[1:]:
        number = line.split(b",")[0]
        whole = number.isdigit() and line.count(b",") == lines[0].count(b",")
        if whole and int(number) <= step:
            kept.append(line)
    with atomic_path(path) as temporary:
        temporary.write_bytes(b"".join(line + b"\r\n" for line in kept))
    return kept[0].decode().split(",") if kept else []
