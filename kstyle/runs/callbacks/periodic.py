"""Callbacks that report every so many steps: the CSV of losses, snapshots, progress.

A callback uses the model's `pixels()`, `global_step` and `initial_losses`, and the
logs.
"""

import csv
import logging
import math
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TextIO

import keras
import numpy as np

from kstyle.images.writing import save_picture
from kstyle.planning.scales import Scale, ScalePlan

log = logging.getLogger("kstyle")

Clock = Callable[[], float]  # returns seconds


class EverySteps(keras.callbacks.Callback):
    """Calls `report(step, logs)` at the start, every `every` steps, and at the end.

    `every` counts global steps; 0 means never. No step is reported twice, so the
    next scale of a run continues where the last one ended.
    state_name: the callback's key in the checkpoint; `None`: it is not kept there.
    writes_files: whether an `OSError`, as on a full disk, ends the reports with a
        warning, and not the run.
    """

    state_name: str | None = None
    writes_files = False

    def __init__(self, every: int) -> None:
        super().__init__()
        self.every = every
        self.reported: int | None = None
        self.latest: dict[str, Any] | None = None

    def report(self, step: int, logs: dict[str, float]) -> None:
        """Handle one report. `logs`: as `train_step` returns them."""
        raise NotImplementedError

    def get_state(self) -> dict[str, Any]:
        """Return what a checkpoint keeps: the last step that was reported."""
        return {"reported": self.reported}

    def set_state(self, state: dict[str, Any]) -> None:
        """Continue from a state of `get_state`."""
        self.reported = state["reported"]

    def on_train_begin(self, logs: Any = None) -> None:
        if self.reported is None:
            self._report(self.model.initial_losses)

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        self.latest = logs
        if self.every and self.model.global_step % self.every == 0:
            self._report(logs)

    def on_train_end(self, logs: Any = None) -> None:
        if self.latest is not None:
            self._report(self.latest)

    def _report(self, logs: dict[str, Any]) -> None:
        step = self.model.global_step
        if self.every and step != self.reported:
            self.reported = step
            values = {name: float(value) for name, value in logs.items()}
            try:
                self.report(step, values)
            except OSError as error:
                if not self.writes_files:
                    raise
                self.every = 0
                name = str(self.state_name).replace("_", " ")
                log.warning("no %s from step %d on: %s", name, step, error)


class LossCSV(EverySteps):
    """Writes one row of losses per report into `file`, an open text file.

    Columns: `step`, `loss`, each term weighted, then each unweighted as `raw/…`.
    columns: those that the file of a resumed run has already. tags: of the terms of
        all scales; a term that a scale lacks is empty there.
    """

    state_name = "loss_csv"
    writes_files = True

    def __init__(
        self,
        file: TextIO,
        every: int,
        columns: Sequence[str] = (),
        tags: Sequence[str] = (),
    ) -> None:
        super().__init__(every)
        self.file, self.tags = file, tags
        self.writer = csv.DictWriter(file, columns) if columns else None

    def report(self, step: int, logs: dict[str, float]) -> None:
        logs.pop("change", None)
        if self.writer is None:
            raw = [f"raw/{tag}" for tag in self.tags]
            names = ["loss", *self.tags, *raw] if self.tags else [*logs]
            self.writer = csv.DictWriter(self.file, ["step", *names])
            self.writer.writeheader()
        self.writer.writerow({"step": step, **logs})
        self.file.flush()


class SnapshotFiles(EverySteps):
    """Writes the picture as `step_000050.png` into `folder`.

    recolor: called with the pixels of a snapshot; returns those that are written.
    """

    state_name = "snapshots"
    writes_files = True

    def __init__(
        self,
        folder: Path,
        every: int,
        recolor: Callable[[np.ndarray], np.ndarray] | None = None,
    ) -> None:
        super().__init__(every)
        self.folder, self.recolor = folder, recolor

    def path(self, step: int) -> Path:
        """Return the file of the snapshot at `step`."""
        return self.folder / f"step_{step:06d}.png"

    def report(self, step: int, logs: dict[str, float]) -> None:
        self.folder.mkdir(exist_ok=True)
        pixels = self.model.pixels()
        if self.recolor is not None:
            pixels = self.recolor(pixels)
        save_picture(self.path(step), pixels)


class PictureReport(EverySteps):
    """Calls `show(step, pixels)` with the picture, `(height, width, 3)` in [0, 1].

    recolor: as for `SnapshotFiles`.
    """

    def __init__(
        self,
        show: Callable[[int, np.ndarray], None],
        every: int,
        recolor: Callable[[np.ndarray], np.ndarray],
    ) -> None:
        super().__init__(every)
        self.show, self.recolor = show, recolor

    def report(self, step: int, logs: dict[str, float]) -> None:
        self.show(step, self.recolor(self.model.pixels()))


class LossCurve(EverySteps):
    """Keeps the losses of every step for a chart.

    values: lists under `"step"`, `"seconds"` since the start, `"loss"`, and the
        weighted sums `"content"`, `"style"` and `"tv"`.
    """

    state_name = "loss_curve"

    def __init__(self, clock: Clock = time.perf_counter) -> None:
        super().__init__(every=1)
        self.clock = clock
        self.begun: float | None = None
        self.values: dict[str, list[float]] = {}

    def get_state(self) -> dict[str, Any]:
        return super().get_state() | {"values": self.values}

    def set_state(self, state: dict[str, Any]) -> None:
        super().set_state(state)
        self.values = {key: list(values) for key, values in state["values"].items()}
        seconds = self.values.get("seconds")
        self.begun = self.clock() - seconds[-1] if seconds else None

    def report(self, step: int, logs: dict[str, float]) -> None:
        now = self.clock()
        if self.begun is None:
            self.begun = now
        row = {"step": step, "seconds": now - self.begun, "loss": logs["loss"]}
        for kind in ("content", "style", "tv"):
            row[kind] = sum(v for k, v in logs.items() if k.split("/")[0] == kind)
        for key, value in row.items():
            self.values.setdefault(key, []).append(value)


class ProgressReport(EverySteps):
    """Calls `show(step, loss, steps_per_second, seconds_left)`.

    scales: of the whole run. The time left is estimated from their `work` and the
        speed since the last report; NaN before the first step.
    """

    def __init__(
        self,
        show: Callable[[int, float, float, float], None],
        every: int,
        scales: Sequence[Scale | ScalePlan],
        clock: Clock = time.perf_counter,
    ) -> None:
        super().__init__(every)
        self.show, self.scales, self.clock = show, scales, clock
        self.last: tuple[int, float] | None = None  # step and time of the last report

    def work(self, step: float) -> float:
        """Return the cost of the first `step` steps, up to a constant factor."""
        total = 0.0
        for scale in self.scales:
            done = min(step, scale.steps)
            total += scale.work(done)
            step -= done
        return total

    def report(self, step: int, logs: dict[str, float]) -> None:
        now = self.clock()
        before, then = self.last or (step, now)
        self.last = (step, now)
        speed, left = 0.0, math.nan
        if step > before:
            speed = (step - before) / (now - then)
            rate = (self.work(step) - self.work(before)) / (now - then)
            left = (self.work(math.inf) - self.work(step)) / rate
        self.show(step, logs["loss"], speed, left)
