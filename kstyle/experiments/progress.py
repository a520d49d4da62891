"""What an experiment reports while it runs; no TensorFlow here."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kstyle.experiments.definition.experiment_file import Experiment, Trial
from kstyle.experiments.records import TrialRecord

if TYPE_CHECKING:
    from kstyle.experiments.reporting.summary import Summary


class Silent:
    """Shows nothing of an experiment's progress; the base class of those that do."""

    def begin(self, experiment: Experiment, todo: list[Trial], finished: int) -> None:
        """Called before the first trial. finished: the number of finished trials."""

    def step(
        self, trial: str, done: int, total: int, loss: float, seconds_left: float
    ) -> None:
        """Called while a trial runs. done, total: steps."""

    def end(self, record: TrialRecord) -> None:
        """Called after each trial."""

    def summary(self, summary: Summary) -> None:
        """Called after the last trial."""
