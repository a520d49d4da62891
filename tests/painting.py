"""Runs for the tests of threads; a module that a spawned process can import."""

import threading

import keras
import tensorflow as tf

from kstyle.config.style_config import StyleConfig
from kstyle.runs.job import reopen_run
from kstyle.runs.pipeline import run_job, stylize


def paint(options):
    """The pixels of a run, and whether it was in the main thread."""
    main = threading.current_thread() is threading.main_thread()
    return stylize(StyleConfig(**options)).picture.pixels, main


class StopAt(keras.callbacks.Callback):
    """Interrupts a run at the end of a global step."""

    def __init__(self, step):
        super().__init__()
        self.step = step

    def on_train_batch_end(self, batch, logs=None):
        if self.model.global_step == self.step:
            raise KeyboardInterrupt


def paint_three_times(options, threads):
    """The pixels and the losses of two equal runs, and of one that is resumed.

    threads: of TensorFlow, to be called in a process that has not used it yet.
    """
    tf.config.threading.set_intra_op_parallelism_threads(threads)
    tf.config.threading.set_inter_op_parallelism_threads(threads)
    config = StyleConfig(**options)
    results = [stylize(config), stylize(config)]
    folder = stylize(config, [StopAt(config.steps // 2)]).folder
    job, state = reopen_run(folder)
    results.append(run_job(job, state=state))
    return [(r.picture.pixels, (r.folder / "losses.csv").read_text()) for r in results]
