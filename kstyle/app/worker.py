"""The process that paints: it loads TensorFlow once and runs one job after another."""

import contextlib
import logging
import signal
from multiprocessing.connection import Connection
from typing import Any

from kstyle.app.messages import (
    Ended,
    Note,
    Ready,
    Started,
    StartRun,
)
from kstyle.config.style_config import StyleConfig
from kstyle.errors import DivergedError, KStyleError, error_sentence
from kstyle.hardware.machine import THIS_MACHINE
from kstyle.hardware.precision import resolve_precision
from kstyle.hardware.tensorflow_setup import load_tensorflow
from kstyle.runs.job import prepare, reopen_run, result_path
from kstyle.runs.provenance import read_run

log = logging.getLogger("kstyle")


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
    except Exception as failure:  # a bug: the next job still runs
        log.exception("a job of the app failed")
        error = error_sentence(failure)
    available = THIS_MACHINE.available_bytes("auto")
    return Ended(exit_word, error, result, available)


def run_or_resume(message: StartRun, connection: Connection, models: Any) -> tuple:
    """Run the job of a message. Returns `(exit, path of the result)`."""
    from kstyle.app.live_callbacks import LiveReport, RemoteControl
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
    report = LiveReport(connection.send, job.scales, job.recolored)
    callbacks = [report, RemoteControl(connection)]
    result = pipeline.run_job(job, callbacks, models, state)
    return "interrupted" if result.interrupted else "finished", result.path


class NoteSender(logging.Handler):
    """Sends the log of a run to the page."""

    def __init__(self, connection: Connection) -> None:
        super().__init__(logging.INFO)
        self.connection = connection

    def emit(self, record: logging.LogRecord) -> None:
        if record.levelno < logging.ERROR:  # an error has the traceback of a bug
            with contextlib.suppress(OSError):
                self.connection.send(Note(record.getMessage()))
