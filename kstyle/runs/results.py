"""The end of a run: the file of the picture, its losses, the outcome in run.json."""

import dataclasses
import gc
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TypedDict

import keras
import numpy as np

from kstyle.config.option_types import counted
from kstyle.config.style_config import StyleConfig
from kstyle.errors import ConfigError, ImageError
from kstyle.images import writing
from kstyle.images.picture import Picture, resize
from kstyle.images.reading import load_picture
from kstyle.planning.scales import plan_scales_of_run
from kstyle.runs.callbacks.divergence import DivergenceGuard
from kstyle.runs.callbacks.periodic import EverySteps
from kstyle.runs.inputs import load_config_weights, read_pictures
from kstyle.runs.job import Job, result_path
from kstyle.runs.model_cache import ModelCache, build_model
from kstyle.runs.model_options import job_terms
from kstyle.runs.provenance import RunRecord, shareable_options
from kstyle.transfer.style_transfer import StyleTransfer

# The picture of the last step, in the run's folder, if the result has other colours.
BEFORE_RECOLORING = "before_recoloring.png"
RECOLORED = ("keep", "exact")  # values of the option `color`
VERIFY_TOLERANCE = 0.01  # of the total loss: the change by rounding to 8 bits


@dataclasses.dataclass(frozen=True, repr=False)
class StyleResult:
    """The result of a run: the picture and its path, the run's folder, the losses.

    losses: `{"loss", tag, "raw/" + tag: float}` of the picture, in float32.
    interrupted: whether Ctrl-C ended the run early.
    config: what was run, with the layer weights that were solved and the options that
        were fitted to the memory.
    """

    picture: Picture
    path: Path
    folder: Path
    steps: int
    seconds: float
    losses: dict[str, float]
    interrupted: bool
    config: StyleConfig

    def __repr__(self) -> str:
        height, width = self.picture.size
        ending = ", interrupted" if self.interrupted else ""
        return (
            f"<StyleResult: {self.path}, {width} x {height}, "
            f"{counted(self.steps, 'step')}, loss {self.losses['loss']:.6g}{ending}>"
        )

    def _repr_png_(self) -> bytes:
        """Return the picture, which a notebook shows in place of the text."""
        return self.picture._repr_png_()


class RunOutcome(TypedDict, total=False):
    """What run.json records of the end of a run."""

    steps: int
    seconds: float
    losses: dict[str, float]
    exit: str
    error: str | None


def run_outcome(result: StyleResult, failure: str | None) -> RunOutcome:
    """Return what `run.json` records of the end of a run.

    failure: why the run diverged; `None` where it did not.
    """
    outcome: RunOutcome = {
        "steps": result.steps,
        "seconds": result.seconds,
        "losses": result.losses,
        "exit": exit_word(result.interrupted, failure),
    }
    if failure is not None:
        outcome["error"] = failure
    return outcome


def exit_word(interrupted: bool, failure: str | None) -> str:
    """Return how a run ended: "finished", "interrupted" or "diverged"."""
    if failure is not None:
        return "diverged"
    return "interrupted" if interrupted else "finished"


def write_result(job: Job, pixels: np.ndarray, word: str) -> Picture:
    """Write the result's file, with the run's options and weights in its metadata.

    pixels: of the last scale. word: how the run ended, from `exit_word`.
    Returns: the picture at the size of the result, with the content's alpha.
    """
    size = job.scales[-1].content_size
    alpha = job.content.alpha
    if alpha is not None:
        alpha = resize(alpha, size)
    pixels = resize(pixels, size)
    if job.config.color in RECOLORED:
        writing.save_picture(job.folder / BEFORE_RECOLORING, pixels)
        pixels = job.recolored(pixels)
    picture = Picture(pixels, alpha)
    weights = Path(job.weights.source).name
    record = {
        "config": json.dumps(shareable_options(job.config)),
        "weights": f"{job.config.net} {weights} sha256:{job.weights.sha256}",
    }
    if word != "finished":  # a batch does not take it for done then
        record["exit"] = word
    save_result(job, picture, record)
    return picture


def save_result(job: Job, picture: Picture, record: Mapping[str, str]) -> None:
    """Write the result to the job's output or, where that fails, to the run's folder.

    Raises: ImageError: the output cannot be written; it names the other file.
    """

    def save(path: Path) -> None:
        writing.save_picture(
            path,
            picture,
            bits=job.config.bits,
            quality=job.config.quality,
            metadata=record,
        )

    try:
        save(job.output)
    except ImageError as error:
        spare = job.folder / f"result{job.output.suffix}"
        if spare == job.output:
            raise
        save(spare)
        raise ImageError(f"{error} The picture is in {spare}.") from None


def release_model(callbacks: Sequence[keras.callbacks.Callback]) -> None:
    """Drop the references of kstyle's callbacks to the model, to free its memory."""
    for callback in callbacks:
        if isinstance(callback, DivergenceGuard):
            callback.best = None
        if isinstance(callback, (DivergenceGuard, EverySteps)):
            callback.set_model(None)


def final_losses(
    job: Job, pixels: np.ndarray, model: StyleTransfer | None, models: ModelCache
) -> dict[str, float]:
    """Measure the losses of the result in float32, whatever the steps were in.

    pixels: of the last scale; an interrupted run may not have reached the others.
    model: of that scale, if it is in float32.
    """
    if model is None:
        if job.config.tile != "off":
            gc.collect()  # a Keras model is part of a reference cycle
        size = pixels.shape[:2]
        scale = next(each for each in job.scales if each.content_size == size)
        scale = scale.for_measuring()
        found = build_model(
            job, scale, models, job_terms(job, scale), pixels
        ).measure_losses()
    else:
        found = model.evaluate_losses()
    return {name: float(value) for name, value in found.items()}


def losses_of_result(record: RunRecord) -> dict[str, float]:
    """Measure `{"loss", tag, "raw/" + tag: float}` of the result of a run's record.

    Raises: ConfigError: the picture's size is not the run's; ImageError, WeightsError.
    """
    config, folder = record["config"], record["folder"]
    pictures, path = read_pictures(config), result_path(config.output, folder)
    if config.color in RECOLORED:  # the losses are of the picture of the last step
        path = folder / BEFORE_RECOLORING
    job = Job(
        config=config,
        content=pictures.content,
        styles=pictures.styles,
        regions=pictures.regions,
        init_picture=pictures.init,
        weights=load_config_weights(config),
        scales=plan_scales_of_run(config, *pictures.sizes),
        folder=folder,
        output=path,
        requested_config=config,
    )
    picture, scale = load_picture(path), job.scales[-1].for_measuring()
    if picture.size != scale.content_size:
        raise ConfigError(
            f"{path} is {picture.size}, and the run's result was {scale.content_size} "
            "(height, width). It is not the picture of this run."
        )
    terms = job_terms(job, scale)
    model = build_model(job, scale, ModelCache(), terms, picture.pixels)
    return {name: float(value) for name, value in model.measure_losses().items()}
