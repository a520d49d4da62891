"""What watches a run: the CSV of losses, snapshot files, progress.

A callback sees the model through `pixels()`, `global_step`, `first_look` and the logs.
"""

import csv
import math
import time

import keras

from kstyle.images.writing import save_picture


class EverySteps(keras.callbacks.Callback):
    """Calls `report(step, logs)` at the start, every `every` steps, and at the end.

    `every` counts global steps; 0 means never. No step is reported twice, so the
    next scale of a run goes on where the last one ended.
    """

    def __init__(self, every):
        super().__init__()
        self.every = every
        self.reported = None
        self.latest = None

    def report(self, step, logs):
        """Do what the callback is for. `logs`: floats, as `train_step` returns them."""
        raise NotImplementedError

    def on_train_begin(self, logs=None):
        if self.reported is None:
            self._report(self.model.first_look)

    def on_train_batch_end(self, batch, logs=None):
        self.latest = logs
        if self.every and self.model.global_step % self.every == 0:
            self._report(logs)

    def on_train_end(self, logs=None):
        if self.latest is not None:
            self._report(self.latest)

    def _report(self, logs):
        step = self.model.global_step
        if self.every and step != self.reported:
            self.reported = step
            self.report(step, {name: float(value) for name, value in logs.items()})


class LossCSV(EverySteps):
    """One row of losses a report in `file`, an open text file; step 0 comes first.

    Columns: `step`, `loss`, each term weighted, then each unweighted as `raw/…`.
    columns: those that the file has already, of a run that goes on.
    """

    def __init__(self, file, every, columns=()):
        super().__init__(every)
        self.file = file
        self.writer = csv.DictWriter(file, columns) if columns else None

    def report(self, step, logs):
        logs.pop("change", None)
        if self.writer is None:
            self.writer = csv.DictWriter(self.file, ["step", *logs])
            self.writer.writeheader()
        self.writer.writerow({"step": step, **logs})
        self.file.flush()


class SnapshotFiles(EverySteps):
    """The picture as `step_000050.png` in `folder`."""

    def __init__(self, folder, every):
        super().__init__(every)
        self.folder = folder

    def path(self, step):
        return self.folder / f"step_{step:06d}.png"

    def report(self, step, logs):
        self.folder.mkdir(exist_ok=True)
        save_picture(self.path(step), self.model.pixels())


class LossCurve(EverySteps):
    """Keeps what is drawn of a run: `values["step"]`, `"seconds"` since the start,
    `"loss"`, and the weighted sums `"content"`, `"style"` and `"tv"`, at every step."""

    def __init__(self):
        super().__init__(every=1)
        self.begun = None
        self.values = {}

    def report(self, step, logs):
        now = time.perf_counter()
        self.begun = self.begun or now
        row = {"step": step, "seconds": now - self.begun, "loss": logs["loss"]}
        for kind in ("content", "style", "tv"):
            parts = [v for k, v in logs.items() if k.split("/")[0] == kind]
            row[kind] = sum(parts)
        for key, value in row.items():
            self.values.setdefault(key, []).append(value)


class ProgressReport(EverySteps):
    """Tells `show(step, loss, steps_per_second, seconds_left)` how far the run is.

    scales: the `schedule.Scale`s of the whole run. What is left is reckoned in their
        `work`; the speed is that of the last report's steps. What `show` does (a bar,
        a line) is the caller's.
    """

    def __init__(self, show, every, scales):
        super().__init__(every)
        self.show, self.scales = show, scales
        self.since = None

    def work(self, step):
        """What the first `step` steps cost, up to a constant."""
        total = 0
        for scale in self.scales:
            done = min(step, scale.steps)
            total, step = total + scale.work(done), step - done
        return total

    def report(self, step, logs):
        now = time.perf_counter()
        before, then = self.since or (step, now)
        self.since = (step, now)
        speed, left = 0.0, math.nan
        if step > before:
            speed = (step - before) / (now - then)
            rate = (self.work(step) - self.work(before)) / (now - then)
            left = (self.work(math.inf) - self.work(step)) / rate
        self.show(step, logs["loss"], speed, left)
