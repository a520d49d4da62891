"""The losses of a run before it was interrupted, for the chart of its rest."""

import contextlib
import csv
import math
from pathlib import Path

from kstyle.app.messages import Progress


def read_progress(folder: Path, last_step: int) -> list[Progress]:
    """Read the losses of a run until `last_step` from its `losses.csv`; none if there
    is no such file."""
    found = []
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
        with open(folder / "losses.csv", newline="") as file:
            for row in csv.DictReader(file):
                step = int(row["step"])
                if step > last_step:
                    break
                content, style = (
                    math.fsum(float(v) for k, v in row.items() if k.startswith(kind))
                    for kind in ("content/", "style/")
                )
                loss = float(row["loss"])
                found.append(Progress(step, loss, content, style, 0.0, math.nan))
    return found
