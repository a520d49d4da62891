"""The process that paints: it loads TensorFlow once and runs one job after another."""

import contextlib
import io
import logging
import math
import signal
import time
from collections.abc import Callable, Iterator
from multiprocessing.connection import Connection
from typing import Any

import numpy as np
from PIL import Image

from kstyle.app.messages import (
    Ended,
    LivePicture,
    Note,
    Pause,
    Paused,
    Progress,
    Ready,
    Started,
    StartRun,
    Stop,
)
from kstyle.config.style_config import StyleConfig
from kstyle.errors import DivergedError, KStyleError, error_sentence
from kstyle.hardware.machine import THIS_MACHINE
from kstyle.hardware.precision import resolve_precision
from kstyle.hardware.tensorflow_setup import load_tensorflow
from kstyle.images.picture import fit_long_edge, resize
from kstyle.planning.scales import ScalePlan
from kstyle.runs.job import prepare, reopen_run, result_path
from kstyle.runs.provenance import read_run

log = logging.getLogger("kstyle")

PICTURE_SECONDS = 0.7  # between two pictures of a running job
LOSSES_SECONDS = 0.2  # between two reports of its losses
LIVE_EDGE = 1024  # long edge of a picture of a running job, px
LIVE_QUALITY = 85


def serve_queue(connection: Connection) -> None:
    """Serve the app's queue until it closes the connection."""
    # A shell that starts the app in the background has it ignored.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    with contextlib.suppress(EOFError, OSError, KeyboardInterrupt):
        load_tensorflow()
        from kstyle.runs.model_cache import MAX_MODEL_BYTES, ModelCache

        log.addHandler(NoteSender(connection))
        log.setLevel(logging.INFO)
        models = ModelCache(MAX_MODEL_BYTES)
        connection.send(measure_machine())
        while True:
            message = connection.recv()
            if isinstance(message, StartRun):  # others are late
                connection.send(run_message(message, connection, models))


def measure_machine() -> Ready:
    """Measure what estimates of a run need."""
    from kstyle.hardware import devices
    from kstyle.planning.calibration import seconds_per_gflop

    precision = resolve_precision("auto", "auto")
    with devices.use_device("auto"):
        speeds = {name: seconds_per_gflop(name) for name in {precision, "float32"}}
    return Ready(precision, speeds, THIS_MACHINE.available_bytes("auto"))


def run_message(message: StartRun, connection: Connection, models: Any) -> Ended:
    """Run what a message asks for. Returns how it ended, whatever happens."""
    exit_word, error, result = "failed", None, None
    try:
        exit_word, result = run_or_resume(message, connection, models)
    except KeyboardInterrupt:
        exit_word, error = "interrupted", "Stopped before the first step."
    except DivergedError as failure:
        exit_word, error = "diverged", str(failure)
        result = failure.result.path if failure.result is not None else None
    except KStyleError as failure:
        error = str(failure)
    except Exception as failure:  # a bug: the app goes on with the next job
        log.exception("a job of the app failed")
        error = error_sentence(failure)
    available = THIS_MACHINE.available_bytes("auto")
    return Ended(exit_word, error, result, available)


def run_or_resume(message: StartRun, connection: Connection, models: Any) -> tuple:
    """Run the job of a message. Returns `(exit, path of the result)`."""
    from kstyle.runs import pipeline

    if message.folder is None:
        job, state = prepare(StyleConfig(**(message.config or {}))), None
    else:
        reopened, state = reopen_run(message.folder)
        if reopened is None:
            output = read_run(message.folder)["config"].output
            return "finished", result_path(output, message.folder)
        job = reopened
    steps = sum(scale.steps for scale in job.scales)
    connection.send(Started(job.folder, steps, state.step if state else 0))
    callbacks = live_callbacks(connection, job.scales, steps, job.recolored)
    result = pipeline.run_job(job, callbacks, models, state)
    return "interrupted" if result.interrupted else "finished", result.path


def live_callbacks(
    connection: Connection,
    scales: tuple[ScalePlan, ...],
    steps: int,
    recolor: Callable[[np.ndarray], np.ndarray],
) -> list[Any]:
    """Return the Keras callbacks that report a run and obey the queue's messages.

    scales: of the run, with `steps` in all. recolor: as of `PictureReport`.
    """
    import keras

    from kstyle.runs.callbacks.periodic import EverySteps, ProgressReport

    class LiveReport(ProgressReport):
        """Sends losses, speed and pictures."""

        def __init__(self) -> None:
            super().__init__(self.send, 1, scales)
            self.logs: dict[str, float] = {}
            self.progress_due = throttled_times(LOSSES_SECONDS)
            self.picture_due = throttled_times(PICTURE_SECONDS)

        def report(self, step: int, logs: dict[str, float]) -> None:
            last = step in (0, steps)
            if last or next(self.progress_due):
                self.logs = logs
                super().report(step, logs)
            if last or next(self.picture_due):
                jpeg = live_jpeg(recolor(self.model.pixels()))
                connection.send(LivePicture(step, jpeg))

        def send(self, step: int, loss: float, speed: float, left: float) -> None:
            content, style = (
                math.fsum(v for k, v in self.logs.items() if k.split("/")[0] == kind)
                for kind in ("content", "style")
            )
            connection.send(Progress(step, loss, content, style, speed, left))

    class RemoteControl(keras.callbacks.Callback):
        """Pauses and stops a run between two steps, when the first is complete: its
        logs are written, and a checkpoint can be made of it."""

        def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
            while connection.poll():
                self.obey()

        def obey(self) -> None:
            """Handle one message."""
            try:
                message = connection.recv()
                if isinstance(message, Pause):
                    connection.send(Paused())
                    while isinstance(message, Pause):
                        message = connection.recv()
            except (EOFError, OSError):  # the server is gone: keep the picture
                message = Stop()
            if isinstance(message, Stop):
                raise KeyboardInterrupt  # ends the run as Ctrl-C does

    report: EverySteps = LiveReport()
    return [report, RemoteControl()]


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
    file = io.BytesIO()
    levels = (np.clip(shown, 0, 1) * 255 + 0.5).astype(np.uint8)
    Image.fromarray(levels).save(file, "JPEG", quality=LIVE_QUALITY)
    return file.getvalue()


class NoteSender(logging.Handler):
    """Sends the log of a run to the page."""

    def __init__(self, connection: Connection) -> None:
        super().__init__(logging.INFO)
        self.connection = connection

    def emit(self, record: logging.LogRecord) -> None:
        if record.levelno < logging.ERROR:  # an error has the traceback of a bug
            with contextlib.suppress(OSError):
                self.connection.send(Note(record.getMessage()))
