"""`--preview` and `--open`: pictures in the terminal and in the system's viewer."""

import importlib.util
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import numpy as np
from PIL import Image

from kstyle.cli.common import one_line
from kstyle.cli.options import Decorator, VariableOption, variable_option
from kstyle.cli.streams import print_to_stderr
from kstyle.images.picture import Picture, fit_long_edge, resize
from kstyle.runs.job import Job
from kstyle.runs.progress import planned_steps, stderr_is_terminal

if TYPE_CHECKING:
    from rich.console import Console, ConsoleOptions, RenderResult

PREVIEW_COLUMNS = 80  # of the terminal, at most, that a result takes
SNAPSHOT_COLUMNS = 40
PREVIEW_PIXELS = 800  # long edge of a picture that a terminal draws itself


def preview_option(command: Any) -> Any:
    """Decorate `command` with `--preview`."""
    return variable_option(
        "--preview",
        name="preview",
        is_flag=True,
        help="show snapshots and result in the terminal, on stderr; nothing where that "
        "is none",
        group="Watching",
    )(command)


def open_option(help_text: str) -> Decorator:
    """Return the decorator of `--open`, given as `open_result`."""
    return click.option(
        "--open",
        "open_result",
        cls=VariableOption,
        is_flag=True,
        help=help_text,
        group="Watching",
    )


def open_in_viewer(path: Path) -> None:
    """Open a file in the program that the system has for its type."""
    if click.launch(str(path.resolve())) != 0:
        print_to_stderr(f"No program was found that opens {one_line(str(path))}.")


class HalfBlocks:
    """A rich renderable of a picture: a character shows two pixels, one as its colour
    and one as its background."""

    def __init__(self, image: Image.Image, columns: int) -> None:
        self.image, self.columns = image, columns

    def __rich_console__(
        self, console: "Console", options: "ConsoleOptions"
    ) -> "RenderResult":
        from rich.color import Color
        from rich.segment import Segment
        from rich.style import Style

        width = max(1, min(self.columns, options.max_width))
        rows = max(1, round(width * self.image.height / self.image.width / 2))
        shown = np.asarray(self.image.resize((width, 2 * rows), Image.Resampling.BOX))
        for upper, lower in zip(shown[::2], shown[1::2], strict=True):
            for over, under in zip(upper.tolist(), lower.tolist(), strict=True):
                colors = Color.from_rgb(*over), Color.from_rgb(*under)
                yield Segment("▀", Style(color=colors[0], bgcolor=colors[1]))
            yield Segment.line()


class TerminalPreview:
    """Shows pictures on the terminal of stderr.

    console: that of the progress bar, so that pictures appear above it. draws_pictures:
        whether the terminal does so; else half blocks stand for pixels.
    """

    def __init__(self, console: "Console", *, draws_pictures: bool = False) -> None:
        self.console, self.draws_pictures = console, draws_pictures

    def show(self, pixels: np.ndarray, caption: str, columns: int) -> None:
        """Show `(height, width, 3)` in [0, 1] in at most `columns` columns."""
        size = pixels.shape[:2]
        shown = resize(pixels, fit_long_edge(size, min(PREVIEW_PIXELS, max(size))))
        image = Image.fromarray(np.uint8(np.clip(shown, 0, 1) * 255 + 0.5))
        columns = min(columns, self.console.width)
        self.console.print(self.renderable(image, columns))
        self.console.print(caption, highlight=False, markup=False)

    def renderable(self, image: Image.Image, columns: int) -> Any:
        """Return a picture, `columns` wide, for the console."""
        if not self.draws_pictures:
            return HalfBlocks(image, columns)
        from textual_image import renderable

        return renderable.Image(image, width=columns, height="auto")

    def show_result(self, picture: Picture) -> None:
        """Show the result of a run."""
        height, width = picture.size
        caption = f"result, {width} x {height}"
        self.show(picture.over_white(), caption, PREVIEW_COLUMNS)

    def snapshot_callback(self, job: Job) -> Any:
        """Return the Keras callback that shows the snapshots of a run, but for the
        initial picture and the last one, which is the result."""
        from kstyle.runs.callbacks.periodic import PictureReport

        every, total = job.config.snapshot_every, planned_steps(job)

        def show(step: int, pixels: np.ndarray) -> None:
            if step % every == 0 and 0 < step < total:
                self.show(pixels, f"step {step}", SNAPSHOT_COLUMNS)

        return PictureReport(show, every, job.recolored)


def open_preview(wanted: bool) -> TerminalPreview | None:
    """Return a preview on stderr; `None` if it is not `wanted`, or no terminal."""
    if not wanted or not stderr_is_terminal():
        return None
    from rich.console import Console

    draws = terminal_draws_pictures()
    return TerminalPreview(Console(stderr=True), draws_pictures=draws)


def terminal_draws_pictures() -> bool:
    """Return whether the terminal knows Kitty's protocol or sixel, as textual-image
    finds out, and whether that is installed."""
    if importlib.util.find_spec("textual_image") is None or not sys.stdout.isatty():
        return False
    from textual_image import renderable  # asks the terminal when it is imported

    return renderable.Image in (renderable.TGPImage, renderable.SixelImage)
