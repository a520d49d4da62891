"""TensorBoard events of an experiment: hyperparameters, scores, results and texts.

With `tensorboard --logdir` of the experiment's folder the trials' runs are shown
together; this module adds the axes as hyperparameters, the scores as scalars, every
result under one tag, the question and the configs.
"""

import contextlib
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import tensorflow as tf

from kstyle.config.style_config import StyleConfig
from kstyle.experiments.definition.axes import as_label
from kstyle.experiments.definition.experiment_file import Experiment, Trial
from kstyle.experiments.records import EXPERIMENT_EVENTS, LossTable, TrialRecord
from kstyle.experiments.reporting.tables import strip_folders
from kstyle.experiments.scoring.names import SCORES
from kstyle.runs.callbacks.tensorboard import code_block, config_markdown
from kstyle.runs.hyperparameters import (
    Hyperparameter,
    describe_run,
    is_number_option,
    write_hyperparameters,
)

SCORE_TAG = "score/{}"
# Written once more beside the sums of the losses, `all/content` and `all/style`:
# TensorBoard's table shows the first five metrics in their alphabetical order.
MAIN_SCORES = ("content_distance", "style_distance")
MAIN_SCORE_TAG = "all/{}"


def write_experiment_events(folder: Path, experiment: Experiment) -> None:
    """Write the experiment's texts into its folder.

    There is no list of its hyperparameters: where one folder holds several experiments,
    TensorBoard would show the columns of one of them only. Without a list it collects
    those of all runs.
    """
    with event_writer(folder):
        tf.summary.text("experiment", introduction(experiment), step=0)
        tf.summary.text("base config", config_markdown(experiment.base), step=0)


def write_trial_hyperparameters(
    folder: Path,
    trial: Trial,
    experiment: str,
    axes: Iterable[str] = (),
    position: int = 0,
) -> None:
    """Write a trial's axes as hyperparameters into its folder, and its description.

    folder: the experiment's; experiment: its name. axes: of the whole experiment, of
        which the trial may have some only; it then has the option's value, or "base".
    position: of the trial in the experiment.
    """
    labels = trial_labels(trial, axes)
    values = {name: axis_value(name, labels[name], trial.config) for name in labels}
    write_hyperparameters(
        folder / trial.name,
        {name: value for name, value in values.items() if value is not None},
        {
            **describe_run(trial.config),
            "experiment": experiment,
            "labels": labels,
            "position": position,
        },
    )


def trial_labels(trial: Trial, axes: Iterable[str] = ()) -> dict[str, str]:
    """Return `{"part", axis or repeat: label}` of a trial; `axes` as above."""
    labels = {"part": trial.part} if trial.part else {}
    for axis in dict.fromkeys((*axes, *trial.axes)):
        is_option = axis in StyleConfig.model_fields
        other = as_label(getattr(trial.config, axis)) if is_option else "base"
        labels[axis] = trial.axes.get(axis, other)
    return labels | trial.repeats


def axis_value(name: str, label: str, config: StyleConfig) -> Hyperparameter | None:
    """Return the value of an axis as a hyperparameter; `None`: a number, not set."""
    if name in StyleConfig.model_fields and is_number_option(name):
        return getattr(config, name)  # also under a label: `size: {small: 256}`
    return label


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
    """Write a trial's scores and result into its folder.

    picture: `(height, width, 3)` in [0, 1]; `None` for a table of initial losses.
    """
    with event_writer(folder):
        if picture is None:
            table = loss_markdown(record["table"] or {})
            tf.summary.text("initial losses", table, step=0)
            return
        step = record["steps"]
        text = "The **result** of the trial."
        tf.summary.image("result", picture[None], step=step, description=text)
        for name, value in record["scores"].items():
            tag, text = SCORE_TAG.format(name), SCORES.get(name, "")
            tf.summary.scalar(tag, value, step=step, description=text)
            if name in MAIN_SCORES:
                tag = MAIN_SCORE_TAG.format(name)
                tf.summary.scalar(tag, value, step=step, description=text)
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
    """Use a summary writer of `folder` as the default one within the block.

    It replaces the event files that an earlier evaluation has written there.
    """
    for path in folder.glob(f"*{EXPERIMENT_EVENTS}"):
        path.unlink()
    writer = tf.summary.create_file_writer(
        str(folder), filename_suffix=EXPERIMENT_EVENTS
    )
    try:
        with writer.as_default():
            yield
    finally:
        writer.close()
