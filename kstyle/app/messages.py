"""What the app's server and its worker process say to each other."""

import dataclasses
from pathlib import Path
from typing import Any


@dataclasses.dataclass(frozen=True)
class StartRun:
    """To the worker: run a config, or continue the run in a folder.

    config: the options, as `StyleConfig.model_dump` gives them; `None` with `folder`.
    """

    config: dict[str, Any] | None
    folder: Path | None = None


@dataclasses.dataclass(frozen=True)
class Pause:
    """To the worker: wait after the present step."""


@dataclasses.dataclass(frozen=True)
class Continue:
    """To the worker: go on after a `Pause`."""


@dataclasses.dataclass(frozen=True)
class Stop:
    """To the worker: end the run after the present step and write its picture."""


@dataclasses.dataclass(frozen=True)
class Ready:
    """From the worker: what it has found out about the machine.

    precision: what "auto" means here. seconds_per_gflop: `{precision: seconds}` of 1e9
        operations. available_bytes: that a run may use; `None`: unknown.
    """

    precision: str
    seconds_per_gflop: dict[str, float]
    available_bytes: int | None


@dataclasses.dataclass(frozen=True)
class Started:
    """From the worker: a run has its folder. steps: of all scales. step: those that
    were done before."""

    folder: Path
    steps: int
    step: int


@dataclasses.dataclass(frozen=True)
class Progress:
    """From the worker: losses after a step. speed: steps per second; 0: unknown.

    loss, content, style: the total and the weighted sums. seconds_left: NaN: unknown.
    """

    step: int
    loss: float
    content: float
    style: float
    speed: float
    seconds_left: float


@dataclasses.dataclass(frozen=True)
class LivePicture:
    """From the worker: the picture after a step, as a JPEG."""

    step: int
    jpeg: bytes


@dataclasses.dataclass(frozen=True)
class Paused:
    """From the worker: it waits."""


@dataclasses.dataclass(frozen=True)
class Note:
    """From the worker: a sentence of the log that the user should read."""

    text: str


@dataclasses.dataclass(frozen=True)
class Ended:
    """From the worker: the run is over; it waits for the next one.

    exit: as in `run.json`, or "failed" where there is none. error: why, in a sentence.
    result: the file of the picture. available_bytes: as of `Ready`.
    """

    exit: str
    error: str | None = None
    result: Path | None = None
    available_bytes: int | None = None
