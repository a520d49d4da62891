"""Records of trials: their keys, their fingerprints, and which trials run again."""

import json
import math
import os
import shutil
import types

import pytest

from kstyle.config.style_config import StyleConfig
from kstyle.errors import ConfigError
from kstyle.experiments import records
from kstyle.experiments.definition.experiment_file import read_experiment
from kstyle.experiments.records import (
    RECORD_FILE,
    flat_row,
    new_record,
    record_failure,
    record_result,
    record_scores,
    split_finished,
    trial_fingerprint,
    write_record,
)


@pytest.fixture
def read(tmp_path, small_run):
    """Return a function from options of the base to an experiment."""

    def call(axes=None, name="mine", **options):
        path = tmp_path / f"{name}.yaml"
        keys = {"base": small_run | options, "axes": axes or {"pool": ["avg", "max"]}}
        path.write_text(json.dumps(keys))  # JSON is YAML
        return read_experiment(path)

    return call


def digest(experiment):
    return trial_fingerprint(experiment.trials[0])


@pytest.mark.parametrize(
    "options",
    [
        {"steps": 5},
        {"seed": 1},
        {"style_layers": "conv1_1"},
        {"net": "vgg16"},
        {"style_crop": "left"},
        {"style_weights": "equal-loss"},
        {"init": "noise"},
    ],
)
def test_a_fingerprint_changes_with_an_option(read, options):
    assert digest(read(**options)) != digest(read())


@pytest.mark.parametrize(
    "options",
    [
        {"logdir": "elsewhere"},
        {"report_every": 1},
        {"snapshot_every": 0},
        {"log_gradients": True},
        {"all_losses": True},
        {"bits": 16},
        {"quality": 80},
    ],
)
def test_output_options_do_not_change_a_fingerprint(read, options):
    assert digest(read(**options)) == digest(read())


# Recorded before options had flags: trials that were finished then are recognised. A
# new default, other sample pictures, or a new option without `is_later`, are other
# trials.
RECORDED = {
    "picture": "25a0515c7d141197e093ce5f21378141e5026beaa5f42feaa2fa647b03dd6355",
    "table": "eafc187ca3d659f9fc12b6c5287e542631b5ab950319c626895d1d9b02bf3f35",
}
TABLE_OPTIONS = {
    "net": "vgg16",
    "style": "sample:window",
    "init": "noise",
    "size": 64,
    "style_layers": "conv3_1:2",
    "history": 4,
    "fit": "off",
    "learning_rate": 0.5,
    "tile": 512,
    "logdir": "x",
    "device": "cpu",
}


EARLIER_DEFAULTS = {"style_weights": None}


@pytest.mark.parametrize(
    ("kind", "options"), [("picture", EARLIER_DEFAULTS), ("table", TABLE_OPTIONS)]
)
def test_a_fingerprint_of_an_earlier_version_is_recognised(kind, options):
    trial = types.SimpleNamespace(kind=kind, config=StyleConfig(**options))
    assert trial_fingerprint(trial) == RECORDED[kind]


def test_names_do_not_change_a_fingerprint(read):
    other = read(axes={"pooling": {"soft": {"pool": "avg"}}}, name="other", steps=4.0)
    assert digest(other) == digest(read())


def test_a_fingerprint_tells_a_table_from_a_picture(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text("parts: {a: {}, b: {kind: table}}")
    first, second = read_experiment(path).trials
    assert trial_fingerprint(first) != trial_fingerprint(second)


@pytest.mark.parametrize("name", ["content.png", "style.png", "start.png", "tiny.npz"])
def test_a_fingerprint_changes_with_each_input_file(read, tmp_path, small_run, name):
    for old, new in (("content.png", "start.png"), (small_run["weights"], "tiny.npz")):
        shutil.copy(tmp_path / old, tmp_path / new)
    files = {"init": tmp_path / "start.png", "weights": tmp_path / "tiny.npz"}
    experiment = read(**{key: str(path) for key, path in files.items()})
    before = digest(experiment)
    assert digest(experiment) == before
    with open(tmp_path / name, "ab") as file:
        file.write(b"\0")
    assert digest(experiment) != before


def test_a_changed_byte_changes_a_fingerprint(read, tmp_path):
    experiment, path = read(), tmp_path / "content.png"
    before, data = digest(experiment), bytearray(path.read_bytes())
    data[-20] ^= 1
    path.write_bytes(data)
    os.utime(path, ns=(0, 0))  # a clock too coarse to tell is not what is tested here
    assert digest(experiment) != before


def test_missing_weights_have_a_fingerprint_too(read, tmp_path):
    experiment = read(weights=str(tmp_path / "later.npz"))
    before = digest(experiment)
    (tmp_path / "later.npz").write_bytes(b"weights")
    assert digest(experiment) != before


def test_a_new_record_says_which_trial_it_is_and_has_no_result(read):
    experiment = read(axes={"scales": {"two": [12, 18]}})
    record = new_record(experiment.name, experiment.trials[0])
    assert record["experiment"] == "mine"
    assert record["trial"] == record["folder"] == "scales=two"
    assert (record["axes"], record["options"]) == (
        {"scales": "two"},
        {"scales": [12, 18]},
    )
    assert (record["content"], record["style"]) == ("content", "style")
    assert (record["status"], record["picture"], record["steps"]) == ("failed", None, 0)
    assert json.loads(json.dumps(record)) == record


@pytest.fixture
def finish(tmp_path):
    """Return a function that writes a finished trial and returns its folder."""

    def call(experiment, index=0, **keys):
        trial, home = experiment.trials[index], tmp_path / "logs" / experiment.name
        folder = home / trial.name
        folder.mkdir(parents=True)
        (folder / "result.png").write_bytes(b"picture")
        picture = f"{trial.name}/result.png"
        record = new_record(experiment.name, trial)
        record = record_result(record, {"picture": picture, "steps": 4})
        write_record(folder, record | keys)
        return folder

    return call


@pytest.fixture
def split(tmp_path):
    """Return a function from an experiment to the names of finished trials and of
    those to run."""

    def call(experiment, **choices):
        home = tmp_path / "logs" / experiment.name
        finished, todo = split_finished(experiment, home, **choices)
        return [*finished], [trial.name for trial in todo]

    return call


def test_before_the_first_run_every_trial_is_to_run(read, split):
    assert split(read()) == ([], ["pool=avg", "pool=max"])


def test_a_finished_trial_is_done_and_its_record_kept(read, finish, tmp_path):
    experiment = read()
    finish(experiment, scores={"roughness": 2.5})
    finished, todo = split_finished(experiment, tmp_path / "logs" / "mine")
    assert [trial.name for trial in todo] == ["pool=max"]
    assert finished["pool=avg"]["steps"] == 4
    assert finished["pool=avg"]["scores"] == {"roughness": 2.5}


def test_a_table_is_done_without_a_picture(read, finish, split):
    experiment = read()
    folder = finish(experiment, picture=None, kind="table", table={})
    (folder / "result.png").unlink()
    assert split(experiment)[0] == ["pool=avg"]


def test_a_finished_trial_has_the_labels_of_the_current_file(read, finish, tmp_path):
    finish(read(axes={"pool": {"soft": "avg"}}))
    folder = tmp_path / "logs" / "mine"
    folder.joinpath("pool=soft").rename(folder / "pool=smooth")
    experiment = read(axes={"pool": {"smooth": "avg"}}, pool="max")
    record = split_finished(experiment, folder)[0]["pool=smooth"]
    assert (record["axes"], record["options"]) == ({"pool": "smooth"}, {"pool": "avg"})


def test_other_options_are_refused_and_replaced_with_overwrite(read, finish, split):
    finish(read(), 0)
    finish(read(), 1)
    other = read(steps=5)
    with pytest.raises(ConfigError) as caught:
        split(other)
    assert "for 2 of the trials, the first is 'pool=avg'. Use --over" in str(
        caught.value
    )
    assert split(other, overwrite=True) == ([], ["pool=avg", "pool=max"])
    assert split(read(report_every=1)) == (["pool=avg", "pool=max"], [])


def test_overwrite_keeps_unchanged_trials(read, finish, split):
    finish(read())
    assert split(read(), overwrite=True) == (["pool=avg"], ["pool=max"])


def test_another_picture_under_the_same_name_is_refused(read, finish, split, tmp_path):
    finish(read())
    shutil.copy(tmp_path / "style.png", tmp_path / "content.png")
    with pytest.raises(ConfigError, match="other options or pictures for 1 of the"):
        split(read())


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", "null", '{"status": "finished"}', '{"hash": "x"}', "\xff"],
)
def test_a_trial_with_a_damaged_record_runs_again(read, finish, split, text):
    folder = finish(read())
    (folder / RECORD_FILE).write_bytes(text.encode("latin-1"))
    assert split(read()) == ([], ["pool=avg", "pool=max"])


def test_a_failed_trial_runs_again_also_with_other_options(read, finish, split):
    finish(read(), status="failed", picture=None)
    assert split(read())[0] == split(read(steps=5))[0] == []


def test_nan_scores_survive_strict_json(read, finish):
    folder = finish(read(), scores={"chroma": math.nan, "roughness": 2.5})
    assert "NaN" in json.loads((folder / RECORD_FILE).read_text())["scores"].values()
    scores = records.read_record(folder)["scores"]
    assert math.isnan(scores["chroma"])
    assert scores["roughness"] == 2.5


def test_a_trial_without_its_picture_runs_again(read, finish, split):
    folder = finish(read())
    (folder / "result.png").unlink()
    assert split(read())[0] == split(read(steps=5))[0] == []


def test_identical_trials_are_found_by_their_fingerprint(read, finish, tmp_path):
    folder, wanted = finish(read()), digest(read(name="other"))
    find = records.find_identical_trial
    assert find(tmp_path / "logs", wanted) == folder
    assert find(tmp_path / "logs", digest(read(steps=5))) is None
    assert find(tmp_path / "nowhere", wanted) is None
    (folder / "result.png").unlink()
    assert find(tmp_path / "logs", wanted) is None


def test_copying_a_trial_leaves_out_its_experiments_events(read, finish, tmp_path):
    twin = finish(read(), losses={"loss": 7.0}, scores={"roughness": 2.5})
    (twin / "events.1.bench").write_bytes(b"")
    (twin / "events.1").write_bytes(b"")
    other = read(axes={"p": {"soft": {"pool": "avg"}}}, name="other")
    record = new_record(other.name, other.trials[0])
    folder = tmp_path / "logs" / "other" / "p=soft"
    found = records.copy_identical_trial(twin, folder, record)
    assert (found["losses"], found["steps"]) == ({"loss": 7.0}, 4)
    assert found["picture"] == "p=soft/result.png"
    assert (found["status"], found["axes"]) == ("finished", {"p": "soft"})
    assert (found["trial"], found["scores"]) == ("p=soft", {})
    assert {path.name for path in folder.iterdir()} == {
        "events.1",
        RECORD_FILE,
        "result.png",
    }


def test_a_record_has_the_keys_of_earlier_versions(read):
    experiment = read()
    assert (
        list(new_record(experiment.name, experiment.trials[0]))
        == (
            "experiment trial label part kind axes repeats options fitted status error "
            "hash folder picture content style steps seconds losses weights scores "
            "curve table"
        ).split()
    )


def test_a_record_without_later_keys_is_read(read, finish):
    folder = finish(read())
    record = json.loads((folder / RECORD_FILE).read_text())
    del record["fitted"], record["label"]
    (folder / RECORD_FILE).write_text(json.dumps(record))
    found = records.read_record(folder)
    assert (found["fitted"], found["label"], found["steps"]) == ({}, "", 4)


def test_results_failures_and_scores_are_added_to_copies(read):
    experiment = read()
    record = new_record(experiment.name, experiment.trials[0])
    before = dict(record)
    ran = record_result(record, {"steps": 4, "losses": {"loss": 7.0}})
    assert (ran["status"], ran["error"], ran["steps"]) == ("finished", None, 4)
    diverged = record_result(record, {"steps": 2}, "It diverged.")
    assert (diverged["status"], diverged["error"]) == ("failed", "It diverged.")
    assert record_failure(ran, "Full disk.")["error"] == "Full disk."
    assert record_failure(ran, "Full disk.")["status"] == "failed"
    assert record_scores(ran, {"chroma": 1.0})["scores"] == {"chroma": 1.0}
    assert record == before and ran["scores"] == {}


def test_flat_row_has_names_axes_numbers_and_scores(read):
    experiment = read()
    record = new_record(experiment.name, experiment.trials[0])
    failed = flat_row(record)
    assert (failed["pool"], failed["status"], failed["loss"]) == ("avg", "failed", None)
    record |= {"losses": {"loss": 7.0, "tv": 1.0}, "scores": {"roughness": 2.5}}
    row = flat_row(record | {"repeats": {"seed": "1"}, "steps": 4})
    assert (row["trial"], row["seed"], row["loss"]) == ("pool=avg", "1", 7.0)
    assert (row["roughness"], row["steps"], row["content"]) == (2.5, 4, "content")
    assert not {"curve", "tv", "options", "hash"} & set(row)
