"""`run.json`, and the commands that read it: rerun, verify, compare."""

import json
import os

import keras
import numpy as np
import pytest
from click.testing import CliRunner
from shared_models import stylize

from kstyle import StyleConfig, load_picture, save_picture
from kstyle.cli.main import cli
from kstyle.errors import ConfigError
from kstyle.files import file_hash
from kstyle.runs.provenance import (
    config_difference,
    read_run,
    shareable_options,
)


def invoke(*words):
    return CliRunner().invoke(cli, [str(word) for word in words])


def folders(options):
    return {entry.name for entry in os.scandir(options["logdir"])}


def test_the_record_of_a_finished_run(small_run):
    config = StyleConfig(**small_run)
    result = stylize(config)
    record = json.loads((result.folder / "run.json").read_text())
    assert StyleConfig(**record["config"]) == config
    assert record["pictures"] == {
        name: file_hash(small_run[name]) for name in ("content", "style")
    }
    assert record["weights"] == file_hash(small_run["weights"])
    assert record["versions"]["keras"] == keras.__version__
    assert (record["exit"], record["error"]) == ("finished", None)
    assert (record["steps"], record["losses"]) == (4, result.losses)
    assert record["seconds"] == result.seconds > 0


class Fail(keras.callbacks.Callback):
    def on_train_batch_end(self, batch, logs=None):
        if int(self.model.global_step) == 2:
            raise self.error


@pytest.mark.parametrize(
    ("error", "word"), [(OSError("no room"), "failed"), (KeyboardInterrupt(), None)]
)
def test_a_run_that_did_not_end_well_says_so(small_run, error, word):
    fail = Fail()
    fail.error = error
    if word is None:
        assert stylize(StyleConfig(**small_run), [fail]).interrupted
    else:
        with pytest.raises(OSError, match="no room"):
            stylize(StyleConfig(**small_run), [fail])
    (name,) = folders(small_run)
    record = read_run(os.path.join(small_run["logdir"], name))
    assert record["exit"] == (word or "interrupted")
    assert record["error"] == ("no room" if word else None)


def test_rerun_ends_in_the_same_picture_in_another_folder(small_run):
    first = stylize(StyleConfig(**small_run))
    result = invoke("rerun", first.folder, "--quiet")
    assert (result.exit_code, result.stderr) == (0, ""), result.output
    again = load_picture(result.stdout.strip()).pixels
    np.testing.assert_array_equal(again, load_picture(first.path).pixels)
    assert len(folders(small_run)) == 2


def test_rerun_names_what_has_changed_since(small_run, random_picture):
    folder = stylize(StyleConfig(**small_run | {"steps": 1})).folder
    path = folder / "run.json"
    record = json.loads(path.read_text())
    record["versions"]["keras"] = "0.1"
    path.write_text(json.dumps(record))
    save_picture(small_run["style"], random_picture(14, 18, seed=2))
    result = invoke("rerun", path, "--quiet")
    assert result.exit_code == 0
    assert result.stderr.splitlines() == [
        "changed since the run: the style picture's file",
        f"changed since the run: keras (0.1 then, {keras.__version__} now)",
    ]


@pytest.mark.parametrize("bits", [8, 16])
def test_the_saved_picture_has_the_losses_that_were_recorded(small_run, bits):
    folder = stylize(StyleConfig(**small_run, bits=bits)).folder
    result = invoke("verify", folder)
    assert result.exit_code == 0, result.output
    assert "the total loss differs by" in result.stdout
    save_picture(folder / "result.png", np.zeros((12, 18, 3)))
    assert invoke("verify", folder).exit_code == 1
    save_picture(folder / "result.png", np.zeros((9, 18, 3)))
    result = invoke("verify", folder)
    assert (result.exit_code, "not the picture of this run" in result.stderr) == (
        2,
        True,
    )


def test_compare_prints_what_differs_and_nothing_else(small_run):
    one, other = (
        stylize(StyleConfig(**small_run, pool=pool)).folder for pool in ("avg", "max")
    )
    difference = config_difference(read_run(one), read_run(other))
    assert difference == [("pool", "avg", "max")]
    result = invoke("compare", one, other)
    assert result.exit_code == 0
    assert " avg " in result.stdout and "style/conv2_1" in result.stdout
    curves = result.stdout.split("loss at step")[1].splitlines()[2:5]
    assert [line.split("│")[1].strip() for line in curves] == ["0", "2", "4"]
    assert "no scores: A picture of 12 x 18 pixels is too small" in result.stdout


def test_compare_prints_the_scores_of_both_results(small_run, random_picture):
    for name in ("content", "style"):
        save_picture(small_run[name], random_picture(16, 20, seed=len(name)))
    run = stylize(StyleConfig(**small_run | {"size": 20, "steps": 1})).folder
    scores = invoke("compare", run, run).stdout.split("score of the result")[1]
    found = [
        line.split("│")[1:4] for line in scores.splitlines() if "distance " in line
    ]
    assert [name.strip() for name, *_ in found] == [
        "style_distance",
        "content_distance",
    ]
    assert all(float(one) == float(other) > 0 for _, one, other in found)


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"config": {"size": -1}}'])
def test_what_is_no_record_is_refused(text, tmp_path):
    (tmp_path / "run.json").write_text(text)
    with pytest.raises(ConfigError, match="is no record of a run"):
        read_run(tmp_path)
    for command in (["rerun"], ["verify"], ["compare", tmp_path]):
        result = invoke(*command, tmp_path)
        assert result.exit_code == 2
        assert "is no record of a run" in result.stderr


def test_shared_options_keep_relative_paths_and_samples():
    config = StyleConfig(content="in/a.png", style="/home/me/b.png", weights="~/c.npz")
    options = shareable_options(config)
    assert [options[key] for key in ("content", "style", "weights", "init")] == [
        *("in/a.png", "b.png", "c.npz", "content"),
    ]
    assert options["output"] is None
