"""A dialog in which a region of the photograph is painted with a brush."""

from nicegui import ui

from kstyle.app.page_tools import short_button

# The script of the page paints on the canvas, and uploads it as a grey picture.
OPEN_SCRIPT = "kstyleBrush.open({photograph!r}, {mask!r})"


class RegionEditor:
    """The dialog; the painted region arrives as the picture of the slot "mask"."""

    def __init__(self) -> None:
        with ui.dialog().props("persistent") as self.dialog:
            with ui.element("div").classes("viewer brush"):
                with ui.element("div").classes("head"):
                    ui.html("<h2>Paint the region</h2>", sanitize=False)
                    self.hint = ui.label("").classes("hint")
                with ui.element("div").classes("easel"):
                    ui.element("img").props('alt="Photograph"')
                    canvas = ui.element("canvas").props("tabindex=0")
                    canvas.props('aria-label="Region, painted with the pointer"')
                with ui.element("div").classes("buttons brushtools"):
                    ui.label("Brush").classes("hint")
                    size = ui.element("input").classes("brushsize")
                    size.props('type=range min=2 max=30 value=10 aria-label="Brush"')
                    brush_button("Erase", "kstyleBrush.toggleErase()").classes("erase")
                    brush_button("Clear", "kstyleBrush.clear()")
                    ui.element("div").classes("spacer")
                    short_button("Cancel", self.dialog.close)
                    use = brush_button("Use", "kstyleBrush.save()")
                    use.on_click(self.dialog.close)

    def open(self, photograph: str, mask: str, hint: str) -> None:
        """Show the dialog. photograph, mask: addresses; mask: "" for a new region."""
        self.hint.set_text(hint)
        self.dialog.open()
        script = OPEN_SCRIPT.format(photograph=photograph, mask=mask)
        ui.timer(0.2, lambda: ui.run_javascript(script), once=True)


def brush_button(text: str, script: str) -> ui.button:
    """Add a button that the browser handles."""
    button = ui.button(text, color=None).classes("plain")
    button.props("outline dense no-caps padding='3px 12px'")
    button.on("click", js_handler=f"() => {script}")
    return button
