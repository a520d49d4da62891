"""TensorBoard events of an experiment: hyperparameters, scores, results and texts.

With `tensorboard --logdir` of the experiment's folder the trials' runs are shown
together; this module adds the axes as hyperparameters and the scores as metrics, every
result under one tag, the question and the configs.
"""

import contextlib
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
import tensorflow as tf
from tensorboard.plugins.hparams import api as hp

from kstyle.experiments.definition.experiment_file import Experiment
from kstyle.experiments.records import EXPERIMENT_EVENTS, LossTable, TrialRecord
from kstyle.experiments.reporting.tables import strip_folders
from kstyle.runs.callbacks.tensorboard import code_block, config_markdown

SCORE_TAG = "score/{}"


def write_experiment_events(
    folder: Path, experiment: Experiment, scores: Mapping[str, str]
) -> None:
    """Write the experiment's hyperparameters, metrics and texts into its folder.

    scores: name to description.
    """
    values = hyperparameters(experiment)
    with event_writer(folder):
        hp.hparams_config(
            hparams=[hp.HParam(axis, hp.Discrete(v)) for axis, v in values.items()],
            metrics=[
                hp.Metric(SCORE_TAG.format(name), display_name=name, description=text)
                for name, text in scores.items()
            ],
        )
        tf.summary.text("experiment", introduction(experiment), step=0)
        tf.summary.text("base config", config_markdown(experiment.base), step=0)


def hyperparameters(experiment: Experiment) -> dict[str, tuple[str, ...]]:
    """Return `{axis or repeat or "part": labels}`."""
    parts = {"part": experiment.parts} if experiment.parts else {}
    return parts | experiment.axes | experiment.repeats


def introduction(experiment: Experiment) -> str:
    """Return the texts of the experiment file as Markdown."""
    texts = (
        ("Question", experiment.question),
        ("Finding", experiment.finding),
        ("Measured", experiment.measured),
    )
    lines = [f"**{name}.** {text.strip()}" for name, text in texts if text.strip()]
    return strip_folders("\n\n".join([f"# {experiment.title}", *lines]))


def write_trial_events(
    folder: Path, record: TrialRecord, picture: np.ndarray | None
) -> None:
    """Write a trial's hyperparameters, scores and result into its folder.

    picture: `(height, width, 3)` in [0, 1]; `None` for a table of initial losses.
    """
    part = {"part": record["part"]} if record["part"] else {}
    with event_writer(folder):
        if picture is None:
            table = loss_markdown(record["table"] or {})
            tf.summary.text("initial losses", table, step=0)
            return
        hp.hparams(part | record["axes"] | record["repeats"], record["trial"])
        tf.summary.image("result", picture[None], step=record["steps"])
        for name, value in record["scores"].items():
            tf.summary.scalar(SCORE_TAG.format(name), value, step=record["steps"])
        tf.summary.text("options", code_block(options_markdown(record)), step=0)


def options_markdown(record: TrialRecord) -> str:
    """Return the options that differ from the base, one in a line, without folders."""
    options = [f"{key}: {strip_folders(v)}" for key, v in record["options"].items()]
    return "\n".join(options or ["no difference from the base config"])


def loss_markdown(table: LossTable) -> str:
    """Return the unweighted initial losses of every layer as a Markdown table."""
    rows = [
        f"| {layer} | {losses['content']:.6g} | {losses['style']:.6g} |"
        for layer, losses in table.items()
    ]
    return "\n".join(["| layer | content | style |", "|---|---:|---:|", *rows])


@contextlib.contextmanager
def event_writer(folder: Path) -> Iterator[None]:
    """Use a summary writer of `folder` as the default one within the block."""
    writer = tf.summary.create_file_writer(
        str(folder), filename_suffix=EXPERIMENT_EVENTS
    )
    try:
        with writer.as_default():
            yield
    finally:
        writer.close()
