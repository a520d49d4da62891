"""The right side of the page: the job that runs, its picture and losses, the queue."""

import math
from collections.abc import Callable
from html import escape
from typing import Any

from nicegui import ui

from kstyle.app.job_queue import AppJob
from kstyle.app.page_tools import Divider, attempt, short_button
from kstyle.app.settings import FIRST_SIZE, PaintSettings, sample_settings
from kstyle.app.state import AppState
from kstyle.config.style_config import StyleConfig
from kstyle.runs.progress import format_time

STATUS_TEXTS = {"interrupted": "stopped, kept", "pausing": "pausing …"}
STATUS_TEXTS |= {"stopping": "stopping …", "preparing": "preparing …"}
EMPTY_TEXT = (
    "<b>Your picture appears here</b>"
    "<ol><li>Choose a photograph and a painting.</li>"
    "<li>Press Paint.</li>"
    "<li>Watch it, and download it.</li></ol>"
)
CURVES = {"loss": "total", "content": "content", "style": "style"}
CURVE_COLORS = {"loss": "#4b8dff", "content": "#c07a00", "style": "#2fa57c"}


class JobView:
    """Elements for the job that an `AppState` shows, and for the queue.

    edit: called with the settings of a job that are to be changed.
    """

    def __init__(self, state: AppState, edit: Callable[[PaintSettings], None]) -> None:
        self.state, self.edit = state, edit
        self.version: Any = None
        self.chart_length = -1
        self.buttons_of: Any = None
        self.rows_of: Any = None
        with ui.element("div").classes("stage"):
            with ui.element("div").classes("panel stage"):
                self.add_picture()
            with ui.element("div").classes("panel") as self.queue_panel:
                ui.html("<h3>Queue</h3>", sanitize=False)
                self.queue = ui.element("div").classes("jobs")

    def add_picture(self) -> None:
        """Add the elements of the job."""
        with ui.element("div").classes("head") as self.head:
            self.title = ui.html("", sanitize=False)
            self.status = ui.label("").classes("status")
        with ui.element("div").classes("view"):
            with ui.element("div").classes("empty") as self.empty:
                self.empty_text = ui.html("", sanitize=False)
                self.sample = short_button(
                    f"Try it with two samples, {FIRST_SIZE} px", self.paint_samples
                )
            with ui.element("div").style("display: contents") as self.picture:
                self.divider = Divider()
        self.bar = ui.linear_progress(value=0, show_value=False)
        self.bar.props("rounded size=8px instant-feedback")
        self.numbers = ui.html("", sanitize=False).classes("numbers")
        self.message = ui.html("", sanitize=False).classes("message")
        self.buttons = ui.element("div").classes("buttons")
        self.chart = ui.echart(chart_options()).classes("chart")

    def refresh(self) -> None:
        """Show the present state, if it differs from what is shown."""
        state = self.state
        job = state.shown_job()
        version = (state.queue.version, job and job.number, state.queue.machine)
        if version == self.version:
            return
        self.version = version
        self.show_job(job)
        self.show_queue(job)

    def show_job(self, job: AppJob | None) -> None:
        """Show a job, or that there is none."""
        for element in (self.head, self.bar, self.numbers, self.message, self.chart):
            element.set_visibility(job is not None)
        has_picture = job is not None and bool(job.picture or job.result)
        self.picture.set_visibility(has_picture)
        self.empty.set_visibility(not has_picture)
        self.show_buttons(job)
        self.sample.set_visibility(job is None)
        if job is None:
            self.empty_text.set_content(EMPTY_TEXT)
            return
        self.empty_text.set_content(waiting_text(job))
        self.title.set_content(f"<h2>{escape(job.title)}</h2>")
        self.status.set_text(STATUS_TEXTS.get(job.status, job.status))
        self.status.classes(replace=f"status {job.status}")
        if has_picture:
            folder = f"/kstyle/jobs/{job.number}"
            step = "result" if job.result else job.picture and job.picture.step
            self.divider.show(f"{folder}/content.jpg", f"{folder}/picture.jpg?{step}")
        self.bar.set_value(job.step / job.steps if job.steps else 0)
        self.numbers.set_content(numbers_text(job))
        self.message.set_content(message_text(job))
        self.show_curve(job)

    def show_curve(self, job: AppJob) -> None:
        """Draw the losses so far."""
        key = hash((job.number, len(job.curve), job.step))
        self.chart.set_visibility(len(job.curve) > 1)
        if key == self.chart_length or len(job.curve) < 2:
            return
        self.chart_length = key
        for series, name in zip(self.chart.options["series"], CURVES, strict=True):
            points = ((point.step, vars(point)[name]) for point in job.curve)
            series["data"] = [[step, loss] for step, loss in points if loss > 0]
        self.chart.options["xAxis"]["max"] = job.steps
        self.chart.update()

    def show_buttons(self, job: AppJob | None) -> None:
        """Show the buttons for what can be done with a job now."""
        key = None
        if job is not None:
            key = (job.number, job.status, job.result)
        if key == self.buttons_of:
            return
        self.buttons_of = key
        self.buttons.clear()
        if job is None:
            return
        queue = self.state.queue
        with self.buttons:
            if job.can_pause:
                short_button("Pause", queue.pause)
            if job.can_continue:
                short_button("Continue", queue.proceed)
            if job.can_stop:
                short_button("Stop and keep", queue.stop)
            if job.status == "waiting":
                short_button("Remove", lambda: queue.remove(job))
            if job.status in ("interrupted", "failed") and job.folder is not None:
                short_button("Resume", lambda: self.resume(job))
            if job.result is not None:
                address = f"/kstyle/jobs/{job.number}/download"
                short_button("Download", lambda: ui.download(address))
            if job.ended:
                settings = PaintSettings.from_config(job.config)
                short_button("Change and repeat", lambda: self.edit(settings))

    def paint_samples(self) -> None:
        """Paint a first picture."""
        self.edit(sample_settings())
        attempt(self.state.paint)

    def resume(self, job: AppJob) -> None:
        """Add the rest of a job to the queue."""
        if job.folder is None:
            return
        folder = job.folder
        if attempt(lambda: self.state.queue.resume(folder, job.config)):
            self.state.shown = None

    def show_queue(self, shown: AppJob | None) -> None:
        """List all jobs of this session, the latest first."""
        jobs = self.state.queue.jobs[::-1]
        rows = [(job.number, job.status, job is shown) for job in jobs]
        if rows == self.rows_of:  # a button under the pointer stays the same
            return
        self.rows_of = rows
        self.queue_panel.set_visibility(len(jobs) > 1)
        self.queue.clear()
        with self.queue:
            for job in jobs:
                self.add_row(job, job is shown)

    def add_row(self, job: AppJob, is_shown: bool) -> None:
        """Add a job to the list."""

        def show() -> None:
            self.state.shown = job.number
            self.refresh()

        with ui.element("div").classes("job"):
            title = ui.label(job.title).classes("grow")
            title.style("font-weight: 650" if is_shown else "")
            ui.label(choices_text(job.config)).classes("soft")
            status = STATUS_TEXTS.get(job.status, job.status)
            ui.label(status).classes(f"status {job.status}")
            if job.status == "waiting":
                row_button("Remove", lambda: self.state.queue.remove(job))
            elif not is_shown:
                row_button("Show", show)


def row_button(text: str, action: Callable[[], None]) -> None:
    """Add a button to the row of a job."""
    button = ui.button(text, on_click=action, color=None).classes("plain")
    button.props("flat dense no-caps size=sm")


def choices_text(config: StyleConfig) -> str:
    """Return what tells jobs of the same pictures apart: `painterly, 512 px`."""
    strength = config.strength
    look = config.look if strength is None else f"strength {strength:g}"
    return f"{look}, {config.size} px"


def waiting_text(job: AppJob) -> str:
    """Return what stands in the place of a picture that is not there yet, as HTML."""
    if job.ended:
        return "There is no picture."
    if job.status == "waiting":
        return "<b>Waiting</b><br>Jobs are painted one after another."
    return "<b>Preparing</b><br>Reading the pictures and building the model."


def numbers_text(job: AppJob) -> str:
    """Return step, loss, speed and time of a job, as HTML."""
    if not job.steps:
        return ""
    parts = [f"step <b>{job.step}</b> of {job.steps}"]
    if job.curve:
        last = job.curve[-1]
        parts.append(f"loss <b>{last.loss:.4g}</b>")
        if last.speed and not job.ended:
            parts.append(f"<b>{last.speed:.2f}</b> steps/s")
        if not math.isnan(last.seconds_left) and job.status == "running":
            parts.append(f"<b>{format_time(last.seconds_left)}</b> left")
    return "".join(f"<span>{part}</span>" for part in parts)


def message_text(job: AppJob) -> str:
    """Return why a job has failed, and what kstyle has noted, as HTML."""
    text = f'<p class="error">{escape(job.error)}</p>' if job.error else ""
    if job.notes:
        lines = "".join(f"<li>{escape(note)}</li>" for note in job.notes[-5:])
        text += f'<ul class="notes">{lines}</ul>'
    return text


def chart_options() -> dict[str, Any]:
    """Return the options of an empty chart of losses."""
    axis = {
        "axisLabel": {"color": "#8a9099"},
        "axisLine": {"lineStyle": {"color": "#8a9099"}},
        "splitLine": {"lineStyle": {"color": "rgba(138,144,153,.22)"}},
    }
    # NiceGUI takes a value whose key begins with a colon as JavaScript.
    exponents = {"color": "#8a9099", ":formatter": "value => value.toExponential(0)"}
    return {
        "animation": False,
        "grid": {"left": 56, "right": 16, "top": 34, "bottom": 28},
        "legend": {"top": 0, "left": 0, "textStyle": {"color": "#8a9099"}},
        "tooltip": {"trigger": "axis"},
        "xAxis": {"type": "value", "min": 0, **axis},
        "yAxis": {"type": "log", **axis, "axisLabel": exponents},
        "series": [
            {
                "name": text,
                "type": "line",
                "showSymbol": False,
                "data": [],
                "lineStyle": {"width": 2},
                "color": CURVE_COLORS[name],
            }
            for name, text in CURVES.items()
        ],
    }
