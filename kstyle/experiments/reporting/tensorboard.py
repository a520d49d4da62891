"""What an experiment writes for TensorBoard beside its runs: HParams, results, texts.

One `tensorboard --logdir` over the experiment's folder shows the runs' curves over each
other under the trials' names, and from here: axes as hyperparameters and scores as
metrics, every result under one tag side by side, the question and the configs.
"""

import contextlib

import tensorflow as tf
from tensorboard.plugins.hparams import api as hp

from kstyle.experiments.records import BENCH_EVENTS
from kstyle.experiments.reporting.tables import strip_folders
from kstyle.runs.callbacks.tensorboard import code_block, config_markdown

SCORE_TAG = "score/{}"


def write_experiment_events(folder, experiment, scores):
    """Once an experiment: which hyperparameters and metrics there are, and the text."""
    values = hyperparameters_of(experiment)
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


def hyperparameters_of(experiment):
    """`{axis or repeat or part: labels}` of an experiment."""
    found = {"part": experiment.parts} if experiment.parts else {}
    return found | experiment.axes | experiment.repeats


def introduction(experiment):
    """The experiment's own words, as Markdown."""
    parts = (
        ("Question", experiment.question),
        ("Finding", experiment.finding),
        ("Measured", experiment.measured),
    )
    lines = [f"**{name}.** {text.strip()}" for name, text in parts if text.strip()]
    return strip_folders("\n\n".join([f"# {experiment.title}", *lines]))


def write_trial_events(folder, record, picture):
    """A trial's hyperparameters, scores and result, into its own folder.

    picture: `(height, width, 3)` in [0, 1]; `None` for a table of initial losses.
    """
    values = {"part": record["part"]} if record["part"] else {}
    with event_writer(folder):
        if picture is None:
            tf.summary.text("initial losses", loss_markdown(record["table"]), step=0)
            return
        hp.hparams(values | record["axes"] | record["repeats"], record["trial"])
        tf.summary.image("result", picture[None], step=record["steps"])
        for name, value in record["scores"].items():
            tf.summary.scalar(SCORE_TAG.format(name), value, step=record["steps"])
        tf.summary.text("options", code_block(options_markdown(record)), step=0)


def options_markdown(record):
    """What differs from the base, a line an option; of an absolute path its name."""
    options = [f"{key}: {strip_folders(v)}" for key, v in record["options"].items()]
    return "\n".join(options or ["the base as it is"])


def loss_markdown(table):
    """Unweighted initial losses of every layer, as a Markdown table."""
    rows = [
        f"| {k} | {v['content']:.6g} | {v['style']:.6g} |" for k, v in table.items()
    ]
    return "\n".join(["| layer | content | style |", "|---|---:|---:|", *rows])


@contextlib.contextmanager
def event_writer(folder):
    """A summary writer of `folder` as the default one, closed at the end."""
    writer = tf.summary.create_file_writer(str(folder), filename_suffix=BENCH_EVENTS)
    try:
        with writer.as_default():
            yield
    finally:
        writer.close()
