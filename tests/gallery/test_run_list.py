"""The runs in a folder of runs."""

import pytest

from kstyle.errors import ConfigError
from kstyle.gallery.run_list import find_runs


def test_the_latest_run_is_the_first_and_folders_are_groups(logs, finished_run):
    finished_run("old")
    finished_run("08_pooling/pool=avg", begun="2026-01-03T00:00:00+00:00")
    finished_run(".hidden/run")
    found = [(entry.group, entry.folder.name) for entry in find_runs(logs)]
    assert found == [("08_pooling", "pool=avg"), ("", "old")]


def test_a_run_folder_itself_is_a_run(finished_run):
    (entry,) = find_runs(finished_run())
    assert entry.title == "red in the style of blue"


def test_a_damaged_record_is_logged_and_left_out(logs, finished_run, caplog):
    finished_run("whole")
    (finished_run("broken") / "run.json").write_text("{")
    assert [entry.folder.name for entry in find_runs(logs)] == ["whole"]
    assert "left out" in caplog.text and "broken" in caplog.text


def test_options_that_differ_from_the_defaults_are_described(logs, finished_run):
    finished_run(look="painterly", color="keep", scales=[64, 128], size=128)
    (entry,) = find_runs(logs)
    assert entry.described_options() == {
        "look": "painterly",
        "color": "keep",
        "scales": "64, 128",
    }


def test_regions_and_shares_are_described(logs, finished_run, tmp_path):
    blue = str(tmp_path / "blue.png")
    sources = [{"picture": blue, "region": "rest"}]
    sources += [{"picture": "sample:window", "region": "sky.png"}]
    finished_run("regions", styles=sources, begun="2026-01-03T00:00:00+00:00")
    finished_run("mixed", styles=[blue, "sample:window"], blend=[2, 1])
    regions, mixed = (entry.described_options() for entry in find_runs(logs))
    assert regions["region"] == "rest, sky"
    assert mixed["blend"] == "2, 1"


def test_a_weight_of_no_look_is_described_as_a_weight(logs, finished_run):
    finished_run(style_weight=70)
    assert find_runs(logs)[0].described_options() == {"style_weight": "70"}


def test_without_a_result_the_last_snapshot_stands_for_it(finished_run):
    folder = finished_run(exit="running")
    (folder / "result.png").unlink()
    (entry,) = find_runs(folder)
    assert entry.result().name == "step_000020.png"


def test_a_folder_that_is_none_is_refused(tmp_path):
    with pytest.raises(ConfigError, match="is not a folder"):
        find_runs(tmp_path / "none")


def test_a_mixture_is_named_by_all_its_paintings(logs, finished_run, tmp_path):
    finished_run(styles=[str(tmp_path / "blue.png"), "sample:night"])
    assert find_runs(logs)[0].title == "red in the style of blue and night"
