"""The history: all runs in the folder, with what can be done with each."""

from collections.abc import Callable
from html import escape
from urllib.parse import quote

from nicegui import run, ui

from kstyle.app.page_tools import Divider, short_button, warn
from kstyle.app.settings import PaintSettings
from kstyle.app.state import AppState
from kstyle.config.option_types import counted
from kstyle.errors import KStyleError
from kstyle.gallery.run_list import RunEntry, snapshot_files
from kstyle.runs.progress import format_time

RUNS_AT_ONCE = 60  # cards that are shown before the user asks for more
EXIT_TEXTS = {"running": "not finished", "interrupted": "stopped"}


class HistoryView:
    """Elements for the runs of an `AppState`.

    edit: called with the settings of a run that is repeated. resume: called with a run.
    """

    def __init__(
        self,
        state: AppState,
        edit: Callable[[PaintSettings], None],
        resume: Callable[[RunEntry], None],
    ) -> None:
        self.state, self.edit, self.resume = state, edit, resume
        self.entries: list[RunEntry] = []
        self.count = RUNS_AT_ONCE
        with ui.element("div").classes("tools"):
            self.search = ui.input(
                placeholder="Search: coffee, painterly, stopped",
                on_change=self.search_again,
            )
            self.search.props("outlined dense clearable debounce=250 type=search")
            self.search.props('aria-label="Search"')
            self.found = ui.label("").classes("soft")
        self.grid = ui.element("div").classes("runs")
        self.further = ui.button("Show more", on_click=self.show_more)
        self.further.props("flat no-caps").set_visibility(False)
        with ui.dialog() as self.dialog, ui.element("div").classes("viewer"):
            with ui.element("div").classes("head"):
                self.caption = ui.html("", sanitize=False)
                ui.element("div").classes("spacer")
                short_button("Close", self.dialog.close)
            self.divider = Divider()

    async def refresh(self) -> None:
        """Read the folder again."""
        self.entries = await run.io_bound(self.state.find_runs) or []
        self.show()

    def search_again(self) -> None:
        """Show the runs that match the search."""
        self.count = RUNS_AT_ONCE
        self.show()

    def show_more(self) -> None:
        """Show more cards."""
        self.count += RUNS_AT_ONCE
        self.show()

    def show(self) -> None:
        """Show the cards of the runs that match the search."""
        words = (self.search.value or "").lower().split()
        matching = [
            entry
            for entry in self.entries
            if all(word in search_text(entry) for word in words)
        ]
        runs = counted(len(self.entries), "run")
        self.found.set_text(f"{len(matching)} of {runs}")
        self.further.set_visibility(len(matching) > self.count)
        self.grid.clear()
        with self.grid:
            for entry in matching[: self.count]:
                self.add_card(entry)

    def add_card(self, entry: RunEntry) -> None:
        """Add the card of a run."""
        key = quote(self.state.run_key(entry))
        exit_word, has_picture = entry.record["exit"], entry.result() is not None
        with ui.element("div").classes("run"):
            picture = ui.element("button").classes("picture").props("type=button")
            picture.props('aria-label="Show large, with a divider"')
            with picture:
                if has_picture:
                    image = ui.element("img").props('loading=lazy alt=""')
                    image.props(f'src="/kstyle/runs/card/{key}"')
            if has_picture:
                picture.on("click", lambda: self.enlarge(entry))
            with ui.element("div").classes("text"):
                ui.html(f"<h3>{escape(entry.title)}</h3>", sanitize=False)
                ui.label(about_text(entry)).classes("soft")
                if exit_word != "finished":
                    text = EXIT_TEXTS.get(exit_word, exit_word)
                    ui.label(text).classes(f"status {exit_word}").style(
                        "align-self: flex-start"
                    )
                chips = "".join(
                    f"<span>{escape(name.replace('_', ' '))} {escape(value)}</span>"
                    for name, value in entry.described_options().items()
                )
                ui.html(f'<div class="chips">{chips}</div>', sanitize=False)
                with ui.element("div").classes("buttons"):
                    self.add_buttons(entry, key)

    def add_buttons(self, entry: RunEntry, key: str) -> None:
        """Add the buttons of a card."""
        if entry.result() is not None:
            address = f"/kstyle/runs/download/{key}"
            short_button("Download", lambda: ui.download(address))
        if len(snapshot_files(entry.folder)) > 1:
            short_button("Film", lambda: self.download_film(entry))
        if self.state.can_resume(entry):
            short_button("Resume", lambda: self.resume(entry))
        short_button(
            "Change and repeat",
            lambda: self.edit(PaintSettings.from_config(entry.config)),
        )

    async def download_film(self, entry: RunEntry) -> None:
        """Make a film of a run, and send it."""
        ui.notify("Making the film …", position="top")
        try:
            await run.io_bound(self.state.make_film, entry)
        except KStyleError as error:
            warn(str(error))
            return
        ui.download(f"/kstyle/runs/film/{quote(self.state.run_key(entry))}")

    def enlarge(self, entry: RunEntry) -> None:
        """Show a run large."""
        key = quote(self.state.run_key(entry))
        self.caption.set_content(f"<h2>{escape(entry.title)}</h2>")
        self.divider.show(f"/kstyle/runs/content/{key}", f"/kstyle/runs/view/{key}")
        self.dialog.open()


def search_text(entry: RunEntry) -> str:
    """Return all that a search looks at."""
    options = " ".join(f"{k} {v}" for k, v in entry.described_options().items())
    exit_word = entry.record["exit"]
    words = (
        entry.title,
        entry.group,
        exit_word,
        EXIT_TEXTS.get(exit_word, ""),
        options,
    )
    return " ".join(words).replace("_", " ").lower()


def about_text(entry: RunEntry) -> str:
    """Return when a run began and how long it took."""
    begun = entry.begun
    when = f"{begun.day} {begun:%B %Y, %H:%M}" if begun else ""
    parts = [entry.group, when, format_time(entry.record["seconds"])]
    return " · ".join(part for part in parts if part)
