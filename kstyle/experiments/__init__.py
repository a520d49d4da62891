"""Experiments: runs that differ in some options, with scores, verdicts and a report.

    rows = kstyle.experiments.run("08_pooling", quick=True)

The names below are imported when first used, so that the command line starts without
TensorFlow.
"""

import importlib
from typing import Any

from kstyle.hardware.keras_setup import check_keras_backend

_HOMES = {
    "Silent": "progress",
    "plan": "plans",
    "read_experiment": "definition.experiment_file",
    "report": "runner",
    "run": "runner",
}

_WITH_KERAS = {"report", "run"}  # their module imports Keras

__all__ = [*_HOMES]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'kstyle.experiments' has no attribute {name!r}")
    if name in _WITH_KERAS:
        check_keras_backend()
    return getattr(importlib.import_module(f"kstyle.experiments.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return __all__
