"""A run's state on disk, whole or absent: what `kstyle resume` goes on from."""

import dataclasses
import json
from pathlib import Path

import numpy as np

from kstyle.errors import ConfigError
from kstyle.files import atomic_path
from kstyle.fingerprints import picture_hashes, weights_hash
from kstyle.weight_files import DAMAGE

FILE = "state.npz"
FORMAT = 3
PLANES = ("image", "gradient", "best")


@dataclasses.dataclass(frozen=True)
class State:
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


def origin(config):
    """All that decides a run's result, as JSON has it: options and hashes of files."""
    return {
        "config": config.model_dump(mode="json"),
        "pictures": picture_hashes(config),
        "weights": weights_hash(config),
    }


def write_state(folder, state):
    """Put `state` into a run's folder in place of the one before. Raises: OSError."""
    about = {
        **{"format": FORMAT, "scale": state.scale, "step": state.step},
        **{"left": state.left, "seconds": state.seconds, "origin": state.origin},
        **{"curve": state.curve, "changes": state.changes, "guard": state.guard},
        "asked": state.asked,
        "optimizer": len(state.optimizer),
    }
    arrays = {f"optimizer_{i:03}": v for i, v in enumerate(state.optimizer)}
    arrays |= {name: getattr(state, name) for name in PLANES}
    with atomic_path(Path(folder) / FILE) as temporary:
        np.savez(temporary, about=np.array(json.dumps(about)), **arrays)


def read_state(folder):
    """The `State` in a run's folder; `None` where there is none.

    Raises: ConfigError: the file is damaged, or something else than a state.
    """
    path = Path(folder) / FILE
    if not path.exists():
        return None
    try:
        with open(path, "rb") as raw, np.load(raw, allow_pickle=False) as file:
            about = json.loads(str(file["about"]))
            if about["format"] != FORMAT:
                raise ValueError(f"its format is {about['format']!r}, not {FORMAT}")
            count = int(about["optimizer"])
            optimizer = tuple(file[f"optimizer_{i:03}"] for i in range(count))
            numbers = [int(about[key]) for key in ("scale", "step", "left")]
            numbers.append(float(about["seconds"]))
            rest = [dict(about[key]) for key in ("origin", "asked", "curve")]
            rest.append(tuple(about["changes"]))
            image, gradient, best = (file[name] for name in PLANES)
            rest += [best, dict(about["guard"])]
            return State(image, gradient, optimizer, *numbers, *rest)
    except DAMAGE as error:
        raise ConfigError(
            f"{path} is not a state that kstyle can go on from ({error}). Remove it to "
            "start the run again from its config.yaml."
        ) from None


def check_origin(state, config, folder, *, asked=False):
    """Refuse a state of another run than the one that `config` now describes.

    asked: whether it describes what was asked for, and not what was made of that.
    Raises: ConfigError: an option, a picture's bytes or the weights are others.
    """
    then, now = state.origin, origin(config)
    then = then | {"config": state.asked} if asked else then
    if then == now:
        return
    before = then.get("config", {})
    changed = [k for k, v in now["config"].items() if before.get(k) != v]
    changed += changed_files(then, now)
    raise ConfigError(
        f"{Path(folder) / FILE} belongs to a run with something else for "
        f"{', '.join(changed) or 'its options'}. Put that back, or remove the file to "
        "start again."
    )


def in_tiles_of(state, tile):
    """The `state` of a run whose options say `tile` now.

    One that goes on may have taken tiles, in its config.yaml, and been killed before it
    kept a state with them. They change nothing but the rounding.
    """
    options = state.origin.get("config", {}) | {"tile": tile}
    return dataclasses.replace(state, origin=state.origin | {"config": options})


def changed_files(then, now):
    """The files that differ between two of `origin`, each in a few words."""
    before = then.get("pictures", {})
    changed = [
        f"the {name} picture's file"
        for name, digest in now["pictures"].items()
        if before.get(name) != digest
    ]
    return changed + ["the weights' file"] * (then.get("weights") != now["weights"])


def check_fit(state, job):
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
            f"{job.folder / FILE} is of other sizes or steps than the run. Remove it "
            "to start again."
        )


def left(scales, state):
    """`[(scale, its steps)]` of what is left of a run, all of it without a `state`."""
    if state is None:
        return [(scale, scale.steps) for scale in scales]
    first, *rest = scales[state.scale :]
    return [(first, state.left), *left(rest, None)]


def cut_losses(path, step):
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
