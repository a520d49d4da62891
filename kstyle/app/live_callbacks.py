"""Keras callbacks that report a run of the app and obey the messages of its queue."""

import contextlib
import io
import math
import time
from collections.abc import Callable, Iterator, Sequence
from multiprocessing.connection import Connection
from typing import Any

import keras
import numpy as np
from PIL import Image

from kstyle.app.messages import LivePicture, Pause, Paused, Progress, Stop
from kstyle.images.picture import fit_long_edge, resize
from kstyle.planning.scales import ScalePlan
from kstyle.runs.callbacks.periodic import ProgressReport

PICTURE_SECONDS = 0.7  # between two pictures
LOSSES_SECONDS = 0.2  # between two reports of losses
LIVE_EDGE = 1024  # long edge of a picture, px
LIVE_QUALITY = 85  # of its JPEG


class LiveReport(ProgressReport):
    """Sends losses, speed and pictures of a run as messages.

    send: takes a message; that nobody listens any more is no reason to fail. scales: of
        the run. recolor: as of `PictureReport`.
    """

    def __init__(
        self,
        send: Callable[[Any], None],
        scales: Sequence[ScalePlan],
        recolor: Callable[[np.ndarray], np.ndarray],
    ) -> None:
        super().__init__(self.send_progress, 1, scales)
        self.send, self.recolor = send, recolor
        self.logs: dict[str, float] = {}
        self.ends = {0, sum(scale.steps for scale in scales)}
        self.losses_due = throttled_times(LOSSES_SECONDS)
        self.picture_due = throttled_times(PICTURE_SECONDS)

    def report(self, step: int, logs: dict[str, float]) -> None:
        if step in self.ends or next(self.losses_due):
            self.logs = logs
            super().report(step, logs)
        if step in self.ends or next(self.picture_due):
            jpeg = live_jpeg(self.recolor(self.model.pixels()))
            with contextlib.suppress(OSError):
                self.send(LivePicture(step, jpeg))

    def send_progress(self, step: int, loss: float, speed: float, left: float) -> None:
        """Send losses, speed and the seconds that are left."""
        content, style = (
            math.fsum(v for k, v in self.logs.items() if k.split("/")[0] == kind)
            for kind in ("content", "style")
        )
        with contextlib.suppress(OSError):
            self.send(Progress(step, loss, content, style, speed, left))


class RemoteControl(keras.callbacks.Callback):
    """Pauses and stops a run between two steps, when the first is complete: its logs
    are written, and a checkpoint can be made of it.

    connection: to the queue; if it is closed, the run stops.
    """

    def __init__(self, connection: Connection) -> None:
        super().__init__()
        self.connection = connection

    def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
        while self.connection.poll():
            self.obey()

    def obey(self) -> None:
        """Handle one message."""
        try:
            message = self.connection.recv()
            if isinstance(message, Pause):
                self.connection.send(Paused())
                while isinstance(message, Pause):
                    message = self.connection.recv()
        except (EOFError, OSError):  # the server is gone
            message = Stop()
        if isinstance(message, Stop):
            raise KeyboardInterrupt  # ends the run as Ctrl-C does


def throttled_times(seconds: float) -> Iterator[bool]:
    """Yield whether `seconds` have passed since the last time that it was true."""
    last = -math.inf
    while True:
        now = time.monotonic()
        due = now - last >= seconds
        if due:
            last = now
        yield due


def live_jpeg(pixels: np.ndarray) -> bytes:
    """Return `(height, width, 3)` in [0, 1] as a JPEG, long edge at most 1024."""
    size = pixels.shape[:2]
    shown = resize(pixels, fit_long_edge(size, min(LIVE_EDGE, max(size))))
    levels = (np.clip(shown, 0, 1) * 255 + 0.5).astype(np.uint8)
    file = io.BytesIO()
    Image.fromarray(levels).save(file, "JPEG", quality=LIVE_QUALITY)
    return file.getvalue()
