"""The left side of the page: pictures, look, size, and what a run will take."""

import math
from html import escape
from typing import Any

from nicegui import run, ui

from kstyle.app.page_tools import attempt, short_button, warn
from kstyle.app.region_editor import RegionEditor
from kstyle.app.settings import (
    APP_SIZES,
    EFFORTS,
    OWN_STEPS,
    RunForecast,
    forecast,
)
from kstyle.app.state import SAMPLE_PAINTINGS, AppState, sample_photographs
from kstyle.config.looks import LOOKS
from kstyle.errors import KStyleError
from kstyle.gallery.run_list import picture_name
from kstyle.runs.progress import format_time

PLACES = {"content": "Photograph", "style": "Painting", "second": "Second painting"}
COLORS = {
    "style": "as the painting",
    "match": "painting, shifted to the photograph's",
    "keep": "as the photograph",
    "exact": "exactly the painting's range",
}


class PaintForm:
    """Elements for the settings of an `AppState`."""

    def __init__(self, state: AppState) -> None:
        self.state = state
        self.forecast_of: Any = None  # what the line of the estimate is about
        self.shown_pictures: dict[str, str] = {}
        self.filling = False  # while elements are set from the settings
        with ui.element("div").classes("panel form"):
            with ui.element("div").classes("inputs"):
                self.zones = {
                    slot: self.add_zone(slot) for slot in ("content", "style")
                }
            self.add_second()
            self.add_look()
            self.add_size_and_color()
            self.add_effort()
            with ui.expansion("More options").classes("more") as self.expansion:
                self.more = ui.textarea(
                    placeholder="style_loss: wasserstein\ntv_weight: 60",
                    on_change=self.read_elements,
                )
                self.more.props("borderless autogrow debounce=500 dense")
                self.more.props('aria-label="More options, as in config.yaml"')
                ui.label("As in config.yaml: see kstyle stylize --help-all.").classes(
                    "hint"
                )
            self.line = ui.html("", sanitize=False).classes("forecast")
            self.button = ui.button("Paint", on_click=self.paint)
            self.button.props("no-caps unelevated").classes("paintbutton")
        ui.on("kstyle-picture", self.take_picture)
        ui.on("kstyle-refused", lambda event: refuse(event.args))
        self.show_settings()

    def add_zone(self, slot: str) -> Any:
        """Add the place for a picture, with samples below it."""
        with ui.element("div"):
            ui.label(PLACES[slot]).classes("label")
            zone = ui.element("div").classes("drop")
            zone.props(f"data-slot={slot} tabindex=0 role=button")
            zone.props(f'aria-label="{PLACES[slot]}: drop, paste or choose a file"')
            names = sample_photographs() if slot == "content" else SAMPLE_PAINTINGS
            with ui.element("div").classes("samples"):
                for name in names:
                    button = ui.element("button").props(f'type=button title="{name}"')
                    place = PLACES[slot].lower()
                    button.props(f'aria-label="{place}: sample {name}"')
                    button.on("click", lambda n=name: self.take_sample(slot, n))
                    with button:
                        ui.element("img").props(f'src="/kstyle/samples/{name}.jpg"')
        return zone

    def add_second(self) -> None:
        """Add a second painting, and the region in which a painting applies."""
        self.editor = RegionEditor()
        title = "Second painting, regions"
        with ui.expansion(title).classes("more") as self.second:
            with ui.element("div").classes("second"):
                self.zones["second"] = self.add_zone("second")
                with ui.element("div").classes("side"):
                    self.rule = ui.label("").classes("hint")
                    self.share = ui.slider(min=0, max=1, step=0.05)
                    self.share.props('aria-label="Share of the second painting" label')
                    self.share.on("change", self.read_share)
                    self.region = ui.element("div").classes("region")
                    short_button("Paint a region", self.edit_region)
                    self.no_region = short_button(
                        "No region", lambda: self.take_nothing("mask")
                    )
                    self.no_second = short_button(
                        "No second painting", lambda: self.take_nothing("second")
                    )

    def add_look(self) -> None:
        """Add the looks and the strength, which name the same thing."""
        with ui.element("div"):
            ui.label("Look").classes("label")
            self.look = ui.toggle(list(LOOKS), on_change=self.read_look)
            self.look.props("no-caps unelevated spread padding='4px 2px'").classes(
                "looks"
            )
            self.strength = ui.slider(min=0, max=1, step=0.01)
            self.strength.props('aria-label="Strength"')
            self.strength.on("change", self.read_strength)
            with ui.element("div").classes("ends hint"):
                ui.label("photograph")
                ui.label("painting")

    def add_size_and_color(self) -> None:
        """Add the size of the result and whose colours it has."""
        with ui.element("div").classes("row2"):
            self.size = ui.select(
                {edge: f"{edge} px" for edge in APP_SIZES},
                label="Size (long edge)",
                on_change=self.read_elements,
            ).props("outlined dense")
            self.color = ui.select(
                COLORS, label="Colours", on_change=self.read_elements
            ).props("outlined dense")

    def add_effort(self) -> None:
        """Add the number of steps."""
        with ui.element("div"):
            ui.label("Steps").classes("label")
            self.effort = ui.toggle(
                {name: f"{name}, {count}" for name, count in EFFORTS.items()},
                on_change=self.read_elements,
            )
            self.effort.props("no-caps unelevated spread").classes("looks")

    def show_settings(self) -> None:
        """Set all elements from the settings."""
        self.filling = True
        settings, looks = self.state.settings, list(LOOKS)
        strength = settings.strength
        self.look.set_value(settings.look if strength is None else None)
        if strength is None:
            strength = looks.index(settings.look) / (len(looks) - 1)
        self.strength.set_value(strength)
        if settings.size not in self.size.options:
            self.size.options[settings.size] = f"{settings.size} px"
            self.size.update()
        self.size.set_value(settings.size)
        self.color.set_value(settings.color)
        own = settings.effort == OWN_STEPS
        self.effort.set_value(None if own else settings.effort)
        self.more.set_value(settings.more)
        self.expansion.set_value(bool(settings.more))
        self.second.set_value(bool(settings.second or settings.mask))
        self.share.set_value(settings.share)
        self.filling = False
        self.show_pictures()

    def show_pictures(self) -> None:
        """Show the chosen pictures in their places."""
        settings = self.state.settings
        self.show_region()
        for slot in PLACES:
            path = getattr(settings, slot)
            if self.shown_pictures.get(slot) == path:
                continue
            self.shown_pictures[slot] = path
            zone = self.zones[slot]
            zone.clear()
            with zone:
                if path:
                    name, stamp = picture_name(path), abs(hash(path))
                    picture = ui.element("img").props(f'alt="{PLACES[slot]}"')
                    picture.props(f'src="/kstyle/chosen/{slot}.jpg?{stamp}"')
                    picture.tooltip(name)
                else:
                    ui.html("<p>Drop, paste,<br>or click</p>", sanitize=False)
                with ui.element("div").classes("busy"):
                    ui.label("Reading …")

    def show_region(self) -> None:
        """Show the region, and what it means."""
        settings = self.state.settings
        mixed = bool(settings.second and not settings.mask)
        self.share.set_visibility(mixed)
        self.no_second.set_visibility(bool(settings.second))
        self.no_region.set_visibility(bool(settings.mask))
        self.region.set_visibility(bool(settings.mask))
        if settings.mask:
            where = "The white region has the second painting, the rest the first."
            if not settings.second:
                where = "The white region is painted, the rest stays a photograph."
        else:
            where = "Both paintings are mixed: share of the second."
            if not settings.second:
                where = "Choose another painting to mix in, or paint a region."
        self.rule.set_text(where)
        if self.shown_pictures.get("mask") != settings.mask:
            self.shown_pictures["mask"] = settings.mask
            self.region.clear()
            if settings.mask:
                stamp = abs(hash(settings.mask))
                with self.region:
                    image = ui.element("img").props('alt="Region"')
                    image.props(f'src="/kstyle/chosen/mask.jpg?{stamp}"')

    def edit_region(self) -> None:
        """Open the dialog with the brush."""
        settings = self.state.settings
        if not settings.content:
            warn("Choose a photograph first.")
            return
        photograph = f"/kstyle/chosen/content.jpg?{abs(hash(settings.content))}"
        mask = f"/kstyle/chosen/mask.jpg?{abs(hash(settings.mask))}"
        second = "gets the second painting" if settings.second else "is painted"
        self.editor.open(
            photograph, mask if settings.mask else "", f"What you paint {second}."
        )

    def take_nothing(self, slot: str) -> None:
        """Take a picture away."""
        if attempt(lambda: self.state.choose_picture(slot, "")):
            self.show_pictures()

    def read_share(self) -> None:
        """Take the share of the second painting."""
        if not self.filling:
            self.state.settings.share = round(float(self.share.value), 2)

    def read_look(self) -> None:
        """Take the look that was chosen."""
        if not self.filling and self.look.value is not None:
            self.state.settings.look = self.look.value
            self.state.settings.strength = None
            self.show_settings()

    def read_strength(self) -> None:
        """Take the strength in place of a look."""
        if not self.filling:
            self.state.settings.strength = round(float(self.strength.value), 2)
            self.show_settings()

    def read_elements(self) -> None:
        """Take what the other elements show."""
        if self.filling:
            return
        settings = self.state.settings
        settings.size, settings.color = self.size.value, self.color.value
        settings.effort = self.effort.value or OWN_STEPS
        settings.more = self.more.value or ""

    def take_sample(self, slot: str, name: str) -> None:
        """Choose a sample."""
        if attempt(lambda: self.state.choose_picture(slot, f"sample:{name}")):
            self.show_pictures()

    def take_picture(self, event: Any) -> None:
        """Choose an uploaded picture."""
        slot, path = event.args.get("slot", ""), str(event.args.get("path", ""))
        if attempt(lambda: self.state.choose_picture(slot, path)):
            self.show_pictures()

    def paint(self) -> None:
        """Add a job of the settings."""
        busy = self.state.queue.current is not None
        if not attempt(self.state.paint):
            return
        ui.run_javascript("kstyleShowPicture()")
        if busy:
            ui.notify("Added to the queue.", position="top")

    async def refresh(self) -> None:
        """Show what other tabs have chosen, and a new estimate where it may differ."""
        self.show_pictures()
        state = self.state
        about = (str(state.settings), state.queue.machine, state.queue.broken)
        if about == self.forecast_of:
            return
        self.forecast_of = about
        text = await run.io_bound(forecast_line, state)
        self.line.set_content(text or "")


def refuse(args: dict[str, Any]) -> None:
    """Show why a picture was not accepted."""
    warn(str(args.get("message", ""))[:500])


def forecast_line(state: AppState) -> str:
    """Return what a run of the settings will take, as HTML."""
    if state.queue.broken is not None:
        return f'<span class="error">{escape(state.queue.broken)}</span>'
    if not state.settings.content or not state.settings.style:
        return "Choose a photograph and a painting. The samples are a start."
    try:
        config = state.settings.config(state.logdir)
        found = forecast(config, state.queue.machine)
    except KStyleError as error:
        return f'<span class="error">{escape(str(error))}</span>'
    return forecast_text(found)


def forecast_text(found: RunForecast) -> str:
    """Return a forecast as HTML."""
    height, width = found.size
    estimate = found.estimate
    seconds = estimate.seconds
    time = "measuring this machine …"
    if not math.isnan(seconds):
        time = f"about <b>{format_time(seconds)}</b>"
    memory = f"<b>{estimate.bytes / 1e9:.1f} GB</b> of memory"
    if found.available_bytes is not None:
        memory += f" ({found.available_bytes / 1e9:.1f} free)"
    text = f"{width} × {height} px, {estimate.steps} steps: {time}, {memory}"
    if found.shortage is not None:
        text += f'<br><span class="error">{escape(found.shortage)}</span>'
    elif found.fitted is not None:
        text += f'<br><span class="warn">To fit: {escape(found.fitted)}.</span>'
    return text
