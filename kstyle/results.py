"""The end of a run: the picture's file, its last losses, what `run.json` says."""

import dataclasses
import gc
import json
from pathlib import Path

from kstyle import images, saving
from kstyle.callbacks import EverySteps
from kstyle.guard import Guard
from kstyle.losses import build_terms
from kstyle.provenance import shareable
from kstyle.resize import fit_long_edge, resize
from kstyle.start import transfer


@dataclasses.dataclass(frozen=True)
class StyleResult:
    """What a run leaves: the picture and where it is, its folder, the last losses."""

    picture: images.Picture
    path: Path
    folder: Path
    steps: int
    seconds: float
    losses: dict
    interrupted: bool


def outcome(result, guard):
    """What `run.json` says of the end of a run."""
    said = {name: getattr(result, name) for name in ("steps", "seconds", "losses")}
    said["exit"] = exit_word(result.interrupted, guard)
    return said if guard.failure is None else said | {"error": guard.failure}


def exit_word(interrupted, guard):
    """How a run ended: "finished", "interrupted" or "diverged"."""
    if guard.failure is not None:
        return "diverged"
    return "interrupted" if interrupted else "finished"


def finish(job, pixels, word):
    """Write the result with its record inside. Returns the `Picture`.

    pixels: of the last scale. word: how the run ended, as from `exit_word`.
    """
    size = fit_long_edge(job.content.size, job.config.size)
    alpha = job.content.alpha
    if alpha is not None:
        alpha = resize(alpha, size)
    picture = images.Picture(resize(pixels, size), alpha)
    weights = Path(job.weights.source).name
    record = {
        "config": json.dumps(shareable(job.config)),
        "weights": f"{job.config.net} {weights} sha256:{job.weights.sha256}",
    }
    if word != "finished":  # so that a batch does not take it for done
        record["exit"] = word
    saving.save_picture(
        job.output,
        picture,
        bits=job.config.bits,
        quality=job.config.quality,
        metadata=record,
    )
    return picture


def let_go(guard, callbacks):
    """Make our callbacks forget the model: what comes next may need its memory."""
    guard.best = None
    for callback in (guard, *callbacks):
        if isinstance(callback, (Guard, EverySteps)):
            callback.set_model(None)


def final_losses(job, pixels, model, shared):
    """The losses of the picture that is kept, in float32 whatever it was made in.

    model: of the last scale, if it is in float32; else `None`.
    """
    if model is None:
        if job.config.tile != "off":
            gc.collect()  # a Keras model holds itself
        terms = build_terms(job.config)
        found = transfer(job, job.config.size, shared, terms, pixels).measure()
    else:
        found = model.look()
    return {name: float(value) for name, value in found.items()}
