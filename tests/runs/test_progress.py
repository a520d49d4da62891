"""Progress from Python: in a notebook, and where nobody sees it."""

from pathlib import Path

import pytest

from kstyle.config.style_config import StyleConfig
from kstyle.errors import ConfigError
from kstyle.runs.pipeline import stylize
from kstyle.runs.progress import NotebookProgress, format_time

ROOT = Path(__file__).parents[2]


def test_a_pipe_gets_no_progress(small_run, capfd):
    stylize(StyleConfig(**small_run))
    assert "loss" not in "".join(capfd.readouterr())


def test_an_unknown_verbose_is_refused_before_anything_is_made(small_run):
    with pytest.raises(ConfigError, match="verbose must be 'auto', 0 or 1.*'loud'"):
        stylize(StyleConfig(**small_run), verbose="loud")
    assert not Path(small_run["logdir"]).exists()


def test_a_notebook_draws_a_bar_and_the_same_text():
    progress = NotebookProgress(3, 12, "loss 5 < 6")
    assert repr(progress) == "step 3/12: loss 5 < 6"
    assert progress._repr_html_() == (
        '<progress value="3" max="12"></progress> step 3/12: loss 5 &lt; 6'
    )


def test_times_are_minutes_or_hours():
    assert [format_time(x) for x in (0, 61, 3661, float("nan"))] == [
        *("0:00", "1:01", "1:01:01", "-")
    ]


@pytest.mark.end_to_end
def test_a_notebook_shows_a_run_live_and_its_picture(small_run, tmp_path):
    nbclient = pytest.importorskip("nbclient")
    nbformat = pytest.importorskip("nbformat")
    pytest.importorskip("ipykernel")
    source = (
        f"import sys; sys.path.insert(0, {str(ROOT)!r})\n"
        f"import kstyle\nkstyle.stylize(kstyle.StyleConfig(**{small_run!r}))"
    )
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source)])
    client = nbclient.NotebookClient(notebook, timeout=300)
    client.execute(cwd=str(tmp_path))
    outputs = notebook.cells[0].outputs
    (bar,) = [o for o in outputs if o.output_type == "display_data"]
    assert bar.data["text/plain"].startswith("step 4/4: loss ")
    assert '<progress value="4" max="4">' in bar.data["text/html"]
    (result,) = [o for o in outputs if o.output_type == "execute_result"]
    assert result.data["text/plain"].startswith("<StyleResult: ")
    assert result.data["image/png"]
