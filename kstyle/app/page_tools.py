"""What the parts of the page share."""

from collections.abc import Callable
from typing import Any

from nicegui import ui

from kstyle.errors import KStyleError


def attempt(action: Callable[[], Any]) -> bool:
    """Do something that may fail; show why it has. Returns whether it has worked."""
    try:
        action()
    except KStyleError as error:
        warn(str(error))
        return False
    return True


class Divider:
    """A result with a divider between it and its photograph."""

    def __init__(self) -> None:
        self.before_source = self.after_source = ""
        with ui.element("div").classes("divider"):
            self.after = ui.element("img").classes("after").props('alt="Result"')
            self.before = ui.element("img").classes("before").props('alt="Photograph"')
            # The script of the page moves the divider, without asking the server.
            slider = ui.element("input").props('type=range min=0 max=100 step="0.1"')
            slider.props('value=50 aria-label="Divider between photograph and result"')
            ui.element("div").classes("line")
            with ui.element("span").classes("tag left"):
                ui.html("photograph", sanitize=False)
            with ui.element("span").classes("tag right"):
                ui.html("result", sanitize=False)

    def show(self, before: str, after: str) -> None:
        """Show two pictures by their addresses."""
        if before != self.before_source:
            self.before.props(f'src="{before}"')
        if after != self.after_source:
            self.after.props(f'src="{after}"')
        self.before_source, self.after_source = before, after


def short_button(text: str, action: Callable[..., Any]) -> ui.button:
    """Add a button of the second rank."""
    button = ui.button(text, on_click=action, color=None).classes("plain")
    return button.props("outline dense no-caps padding='3px 12px'")


def warn(message: str) -> None:
    """Show a sentence about what has gone wrong."""
    ui.notify(message, type="negative", multi_line=True, timeout=8000, position="top")
