"""The page of all runs."""

import re

import pytest
from click.testing import CliRunner

from kstyle.cli.main import cli
from kstyle.errors import ConfigError
from kstyle.gallery.gallery_page import write_gallery


def test_the_page_has_every_run_and_each_photograph_once(logs, finished_run):
    finished_run("one")
    finished_run("exp/two", look="painterly", exit="interrupted")
    text = write_gallery(logs).read_text("utf-8")
    assert text.count('class="run"') == 2
    assert "<h2>exp" in text and "<b>painterly</b>" in text
    assert '<b class="interrupted">interrupted</b>' in text
    # Two results, and in the script one photograph and one painting.
    assert len(re.findall("data:image/jpeg", text)) == 4


def test_links_lead_from_the_page_to_the_runs(logs, finished_run, tmp_path):
    finished_run("a run")
    page = write_gallery(logs, tmp_path / "pages" / "all.html")
    text = page.read_text("utf-8")
    assert 'data-file="../logs/a%20run/result.png"' in text
    assert 'href="../logs/a%20run"' in text


def test_the_page_names_no_folder_of_the_user(logs, finished_run, tmp_path):
    finished_run()
    assert str(tmp_path) not in write_gallery(logs).read_text("utf-8")


def test_names_are_escaped(logs, finished_run):
    run = finished_run()
    text = (run / "run.json").read_text().replace("red.png", "<b>&.png")
    (run / "run.json").write_text(text)
    page = write_gallery(logs).read_text("utf-8")
    assert "<b>&." not in page and "&lt;b&gt;&amp;" in page


def test_only_an_own_page_is_replaced(logs, finished_run, tmp_path):
    finished_run()
    assert write_gallery(logs) == write_gallery(logs)
    other = tmp_path / "index.html"
    other.write_text("mine")
    with pytest.raises(ConfigError, match="exists"):
        write_gallery(logs, other)


def test_a_folder_without_runs_is_one_sentence(tmp_path):
    done = CliRunner().invoke(cli, ["gallery", str(tmp_path)])
    assert done.exit_code == 2 and "has no runs" in done.stderr


def test_a_run_whose_pictures_are_gone_is_still_listed(logs, finished_run, tmp_path):
    run = finished_run()
    for path in (tmp_path / "red.png", run / "result.png"):
        path.unlink()
    for path in (run / "snapshots").iterdir():
        path.unlink()
    text = write_gallery(logs).read_text("utf-8")
    assert "no picture" in text and "red" in text
