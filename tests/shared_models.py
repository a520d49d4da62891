"""Runs of tests that share their models, as those of a batch do.

To trace the graphs of a model takes a second, far longer than the steps of a test.
Tests of what a new process does, as a resumed run, use `kstyle.runs.pipeline` itself.
"""

from kstyle.experiments.execution.trial import LocalExecutor, WorkerContext
from kstyle.experiments.plans import plan
from kstyle.experiments.progress import Silent
from kstyle.experiments.runner import run_plans
from kstyle.runs import pipeline
from kstyle.runs.job import prepare

CONTEXT = WorkerContext()


def run_job(job, callbacks=(), state=None):
    """Run a job, as `pipeline.run_job`."""
    return pipeline.run_job(job, callbacks, CONTEXT.models, state)


def stylize(config, callbacks=(), *, overwrite=False):
    """Run a config, as `kstyle.stylize` without progress."""
    return run_job(prepare(config, overwrite=overwrite), callbacks)


def run_experiment(path, watch=None, **choices):
    """Run an experiment in this process, as `kstyle.experiments.run`."""
    plans = plan(path, **choices)
    return run_plans(plans, watch or Silent(), CONTEXT, LocalExecutor(CONTEXT))
