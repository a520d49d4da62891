"""Log folders with the events of runs that were never run."""

import tensorflow as tf

from kstyle.config.style_config import StyleConfig
from kstyle.losses.terms import loss_terms
from kstyle.runs.callbacks.tensorboard import write_header, write_scalars
from kstyle.runs.hyperparameters import (
    describe_run,
    run_hyperparameters,
    write_hyperparameters,
)


def write_run(folder, config, level=0.5, **description):
    """Write a run of 4 steps, with two scales, whose pictures have one grey level."""
    folder.mkdir(parents=True)
    described = describe_run(config) | description
    write_hyperparameters(folder, run_hyperparameters(config), described)
    terms = loss_terms({"conv1_2": 8}, {"conv1_1": 200}, tv=3)
    picture = tf.fill((16, 24, 3), level).numpy()
    writer = tf.summary.create_file_writer(str(folder))
    write_header(writer, config, terms, picture, 1 - picture)
    with writer.as_default():
        for step, loss in ((0, 8.0), (2, 4.0), (4, 2.0)):
            tf.summary.image("snapshot", picture[None] * (step / 4), step=step)
            parts = {"content/conv1_2": loss / 4, "style/conv1_1": 3 * loss / 4}
            sums = {"all/content": loss / 4, "all/style": 3 * loss / 4}
            write_scalars({"loss": loss, **sums, **parts}, step)
            write_scalars({f"raw/{tag}": value for tag, value in parts.items()}, step)
        for step, edge in ((0, 12), (2, 24)):
            write_scalars({"scale/begins": edge}, step)
    writer.close()


def write_experiment(folder):
    """Write an experiment of two trials, pool avg and max."""
    for position, pool in enumerate(("avg", "max")):
        write_run(
            folder / f"pool={pool}",
            StyleConfig(pool=pool),
            level=0.5 + 0.25 * position,
            experiment=folder.name,
            labels={"pool": pool},
            position=position,
        )
