"""The end of a run: the picture's file, its last losses, what `run.json` says."""

import dataclasses
import gc
import json
from pathlib import Path

from kstyle.errors import ConfigError
from kstyle.images import picture as picture_module
from kstyle.images import writing
from kstyle.images.picture import fit_long_edge, resize
from kstyle.images.reading import load_picture
from kstyle.losses.terms import build_terms
from kstyle.runs.callbacks.divergence import DivergenceGuard
from kstyle.runs.callbacks.periodic import EverySteps
from kstyle.runs.inputs import load_config_weights, read_pictures
from kstyle.runs.job import Job, result_path
from kstyle.runs.models import ModelCache, build_model
from kstyle.runs.provenance import shareable_options


@dataclasses.dataclass(frozen=True, repr=False)
class StyleResult:
    """What a run leaves: the picture and where it is, its folder, the last losses."""

    picture: picture_module.Picture
    path: Path
    folder: Path
    steps: int
    seconds: float
    losses: dict
    interrupted: bool

    def __repr__(self) -> str:
        height, width = self.picture.size
        ending = ", interrupted" if self.interrupted else ""
        return (
            f"<StyleResult: {self.path}, {width} x {height}, {self.steps} steps, loss "
            f"{self.losses['loss']:.6g}{ending}>"
        )

    def _repr_png_(self) -> bytes:
        """Return the picture, which a notebook shows in place of the text."""
        return self.picture._repr_png_()


def run_outcome(result, guard):
    """What `run.json` says of the end of a run."""
    said = {name: getattr(result, name) for name in ("steps", "seconds", "losses")}
    said["exit"] = exit_word(result.interrupted, guard)
    return said if guard.failure is None else said | {"error": guard.failure}


def exit_word(interrupted, guard):
    """How a run ended: "finished", "interrupted" or "diverged"."""
    if guard.failure is not None:
        return "diverged"
    return "interrupted" if interrupted else "finished"


def write_result(job, pixels, word):
    """Write the result with its record inside. Returns the `Picture`.

    pixels: of the last scale. word: how the run ended, as from `exit_word`.
    """
    size = fit_long_edge(job.content.size, job.config.size)
    alpha = job.content.alpha
    if alpha is not None:
        alpha = resize(alpha, size)
    picture = picture_module.Picture(resize(pixels, size), alpha)
    weights = Path(job.weights.source).name
    record = {
        "config": json.dumps(shareable_options(job.config)),
        "weights": f"{job.config.net} {weights} sha256:{job.weights.sha256}",
    }
    if word != "finished":  # so that a batch does not take it for done
        record["exit"] = word
    writing.save_picture(
        job.output,
        picture,
        bits=job.config.bits,
        quality=job.config.quality,
        metadata=record,
    )
    return picture


def release_model(guard, callbacks):
    """Make our callbacks forget the model: what comes next may need its memory."""
    guard.best = None
    for callback in (guard, *callbacks):
        if isinstance(callback, (DivergenceGuard, EverySteps)):
            callback.set_model(None)


def final_losses(job, pixels, model, shared):
    """The losses of the picture that is kept, in float32 whatever it was made in.

    model: of the last scale, if it is in float32; else `None`.
    """
    if model is None:
        if job.config.tile != "off":
            gc.collect()  # a Keras model holds itself
        terms = build_terms(job.config)
        found = build_model(
            job, job.config.size, shared, terms, pixels
        ).measure_losses()
    else:
        found = model.evaluate_losses()
    return {name: float(value) for name, value in found.items()}


VERIFY_TOLERANCE = 0.01  # of the total loss: what rounding to 8 bits may change


def losses_of_result(record):
    """`{"loss", tag, "raw/" + tag: float}` of the picture file of a run's record.

    Raises: ConfigError: it is not of the run's size; ImageError, WeightsError.
    """
    config, folder = record["config"], record["folder"]
    content, style, start, scales = read_pictures(config)
    weights, path = load_config_weights(config), result_path(config, folder)
    job = Job(config, content, style, start, weights, scales, folder, path, config)
    picture, wanted = load_picture(path), job.content_at(config.size).shape[:2]
    if picture.size != wanted:
        raise ConfigError(
            f"{path} is {picture.size}, and the run's result was {wanted} (height, "
            "width). It is not the picture of this run."
        )
    terms = build_terms(config)
    model = build_model(job, config.size, ModelCache(), terms, picture.pixels)
    return {name: float(value) for name, value in model.measure_losses().items()}
