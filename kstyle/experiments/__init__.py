"""The experiment bench: change one thing of the loss, see what it does.

    rows = kstyle.experiments.run("08_pooling", quick=True)

`run` is imported when first used, so that the command line starts without TensorFlow.
"""

import importlib

_HOMES = {
    "Silent": "runner",
    "plan": "plans",
    "read_experiment": "definition.experiment_file",
    "run": "runner",
}

__all__ = [*_HOMES]


def __getattr__(name):
    if name not in _HOMES:
        raise AttributeError(f"module 'kstyle.experiments' has no attribute {name!r}")
    return getattr(importlib.import_module(f"kstyle.experiments.{_HOMES[name]}"), name)


def __dir__():
    return __all__
