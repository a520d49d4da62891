"""Pictures in the terminal, and the program that opens a result."""

import io

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image
from rich.console import Console

import kstyle
from kstyle.cli.main import cli
from kstyle.cli.preview import HalfBlocks, TerminalPreview, open_preview


def terminal(width=20):
    """A console that writes what a terminal would get into its `file`."""
    return Console(
        file=io.StringIO(), force_terminal=True, color_system="truecolor", width=width
    )


def test_a_half_block_is_two_pixels():
    image = Image.fromarray(np.uint8([[[1, 2, 3]], [[4, 5, 6]]]))
    console = terminal()
    console.print(HalfBlocks(image, 1))
    assert console.file.getvalue() == "\x1b[38;2;1;2;3;48;2;4;5;6m▀\x1b[0m\n"


@pytest.mark.parametrize(("width", "columns", "rows"), [(20, 8, 2), (4, 4, 1)])
def test_a_picture_keeps_its_shape_and_fits_the_terminal(width, columns, rows):
    console = terminal(width)
    console.print(HalfBlocks(Image.new("RGB", (16, 8)), 8))
    lines = console.file.getvalue().splitlines()
    assert [line.count("▀") for line in lines] == [columns] * rows


def test_a_transparent_result_is_shown_over_white():
    console = terminal()
    alpha = np.zeros((2, 2), "float32")
    picture = kstyle.Picture(np.zeros((2, 2, 3), "float32"), alpha)
    TerminalPreview(console).show_result(picture)
    assert "38;2;255;255;255" in console.file.getvalue()
    assert "result, 2 x 2" in console.file.getvalue()


def test_without_a_terminal_there_is_no_preview():
    assert open_preview(True) is None and open_preview(False) is None


def test_a_program_that_is_missing_is_one_line(small_run, tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))  # no xdg-open
    words = ["stylize", small_run["content"], small_run["style"], "--open"]
    for name in ("logdir", "weights", "content_layers", "style_layers", "size"):
        words += [f"--{name.replace('_', '-')}", str(small_run[name])]
    done = CliRunner().invoke(cli, [*words, "--steps", "1", "--preview", "-q"])
    assert done.exit_code == 0
    assert "No program was found that opens" in done.stderr
    assert "▀" not in done.output
