"""The page of the app: elements of NiceGUI that show an `AppState` and change it.

Every browser has its own elements. A timer compares the state with what they show, so
a page that is loaded again, or was away, shows what is true now.
"""

from nicegui import run, ui

from kstyle.app.history_view import HistoryView
from kstyle.app.job_view import JobView
from kstyle.app.page_tools import attempt, warn
from kstyle.app.paint_form import PaintForm
from kstyle.app.settings import PaintSettings
from kstyle.app.state import AppState
from kstyle.errors import KStyleError
from kstyle.gallery.run_list import RunEntry
from kstyle.tensorboard_plugin.names import PLUGIN_NAME

REFRESH_SECONDS = 0.5
HEAD = """
<link rel="stylesheet" href="/kstyle/static/app.css">
<link rel="stylesheet" href="/kstyle/divider.css">
<script src="/kstyle/static/app.js" defer></script>
"""


def show_page(state: AppState) -> None:
    """Build the page for one browser."""
    ui.add_head_html(HEAD)
    ui.colors(primary="#2f62c4")
    with ui.header(), ui.element("div").classes("bar"):
        ui.label("kstyle").classes("brand")
        with ui.tabs().props("dense no-caps") as tabs:
            ui.tab("paint", "Paint")
            ui.tab("history", "History")
        ui.element("div").classes("spacer")
        opener = ui.button("TensorBoard", color=None).classes("plain")
        opener.props("flat dense no-caps").on_click(lambda: open_tensorboard(state))

    def edit(settings: PaintSettings) -> None:
        state.settings = settings
        form.show_settings()
        tabs.set_value("paint")

    def resume(entry: RunEntry) -> None:
        if attempt(lambda: state.resume(entry)):
            tabs.set_value("paint")

    with ui.tab_panels(tabs, value="paint", animated=False, keep_alive=True):
        with ui.tab_panel("paint"), ui.element("div").classes("pagewidth paint"):
            form = PaintForm(state)
            job = JobView(state, edit)
        with ui.tab_panel("history"), ui.element("div").classes("pagewidth"):
            history = HistoryView(state, edit, resume)

    async def change_tab() -> None:
        if tabs.value == "history":
            await history.refresh()

    async def refresh() -> None:
        job.refresh()
        await form.refresh()

    tabs.on_value_change(change_tab)
    ui.timer(REFRESH_SECONDS, refresh)


async def open_tensorboard(state: AppState) -> None:
    """Start TensorBoard, and show its address."""
    ui.notify("Starting TensorBoard …", position="top")
    try:
        address = await run.io_bound(state.tensorboard.open)
    except KStyleError as error:
        warn(str(error))
        return
    if address is None:  # the app ends
        return
    with ui.dialog(value=True), ui.card():
        ui.label("TensorBoard is running on this machine, until the app ends.")
        tab = f"{address}#{PLUGIN_NAME}"  # kstyle's, where the pictures are
        ui.link(address, tab, new_tab=True).classes("tensorboard")
