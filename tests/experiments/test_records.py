"""What is kept of a trial, and when it counts as done."""

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
    split_finished,
    trial_fingerprint,
    write_record,
)
from kstyle.runs import provenance


@pytest.fixture
def read(tmp_path, small_run):
    """A function from options of the base and other keys to an experiment."""

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
        *({"steps": 5}, {"seed": 1}, {"style_layers": "conv1_1"}, {"net": "vgg16"}),
        *({"style_crop": "left"}, {"style_weights": "equal-loss"}, {"init": "noise"}),
    ],
)
def test_a_fingerprint_changes_with_an_option(read, options):
    assert digest(read(**options)) != digest(read())


@pytest.mark.parametrize(
    "options",
    [
        *({"logdir": "elsewhere"}, {"report_every": 1}, {"snapshot_every": 0}),
        *({"log_gradients": True}, {"all_losses": True}),
        *({"bits": 16}, {"quality": 80}),
    ],
)
def test_a_fingerprint_does_not_change_with_what_is_written_and_where(read, options):
    assert digest(read(**options)) == digest(read())


# Recorded before options had flags: trials that were finished then are recognised. A
# new option, a new default or other sample pictures are other trials.
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


@pytest.mark.parametrize(
    ("kind", "options"), [("picture", {}), ("table", TABLE_OPTIONS)]
)
def test_a_fingerprint_of_an_earlier_version_is_recognised(kind, options):
    trial = types.SimpleNamespace(kind=kind, config=StyleConfig(**options))
    assert trial_fingerprint(trial) == RECORDED[kind]


def test_a_fingerprint_does_not_depend_on_names_axes_or_how_values_are_written(read):
    other = read(axes={"pooling": {"soft": {"pool": "avg"}}}, name="other", steps=4.0)
    assert digest(other) == digest(read())


def test_a_fingerprint_tells_a_table_from_a_picture(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text("parts: {a: {}, b: {kind: table}}")
    first, second = read_experiment(path).trials
    assert trial_fingerprint(first) != trial_fingerprint(second)


@pytest.mark.parametrize("name", ["content.png", "style.png", "start.png", "tiny.npz"])
def test_a_fingerprint_changes_with_the_bytes_of_every_file_that_is_read(
    read, tmp_path, small_run, name
):
    for old, new in (("content.png", "start.png"), (small_run["weights"], "tiny.npz")):
        shutil.copy(tmp_path / old, tmp_path / new)
    files = {"init": tmp_path / "start.png", "weights": tmp_path / "tiny.npz"}
    experiment = read(**{key: str(path) for key, path in files.items()})
    before = digest(experiment)
    assert digest(experiment) == before
    with open(tmp_path / name, "ab") as file:
        file.write(b"\0")
    assert digest(experiment) != before


def test_bytes_changed_within_one_size_are_seen(read, tmp_path):
    experiment, path = read(), tmp_path / "content.png"
    before, data = digest(experiment), bytearray(path.read_bytes())
    data[-20] ^= 1
    path.write_bytes(data)
    os.utime(path, ns=(0, 0))  # a clock too coarse to tell is not what is tested here
    assert digest(experiment) != before


def test_a_fingerprint_changes_with_the_weights_in_the_package(read, monkeypatch):
    experiment = read(weights="builtin")
    before = digest(experiment)
    sums = dict.fromkeys(provenance.BUILTIN_SHA256, "0" * 64)
    monkeypatch.setattr(provenance, "BUILTIN_SHA256", sums)
    assert digest(experiment) != before


def test_weights_that_are_not_there_have_a_fingerprint_all_the_same(read, tmp_path):
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
    """A function that leaves a trial as a run of it would; its folder."""

    def call(experiment, index=0, **keys):
        trial, home = experiment.trials[index], tmp_path / "logs" / experiment.name
        folder = home / trial.name
        folder.mkdir(parents=True)
        (folder / "result.png").write_bytes(b"picture")
        picture = f"{trial.name}/result.png"
        done = {"status": "finished", "picture": picture, "steps": 4}
        write_record(folder, new_record(experiment.name, trial) | done | keys)
        return folder

    return call


@pytest.fixture
def split(tmp_path):
    """A function from an experiment to names: what is done, what is to be done."""

    def call(experiment, **choices):
        home = tmp_path / "logs" / experiment.name
        finished, todo = split_finished(experiment, home, **choices)
        return [*finished], [trial.name for trial in todo]

    return call


def test_before_the_first_run_everything_is_to_be_done(read, split):
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


def test_a_finished_trial_shows_what_the_file_says_now(read, finish, tmp_path):
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


def test_overwrite_does_not_run_what_is_the_same(read, finish, split):
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
def test_a_record_that_cannot_be_used_runs_again(read, finish, split, text):
    folder = finish(read())
    (folder / RECORD_FILE).write_bytes(text.encode("latin-1"))
    assert split(read()) == ([], ["pool=avg", "pool=max"])


def test_a_failed_trial_runs_again_even_if_its_options_changed(read, finish, split):
    finish(read(), status="failed", picture=None)
    assert split(read())[0] == split(read(steps=5))[0] == []


def test_a_score_that_is_no_number_survives_strict_json(read, finish):
    folder = finish(read(), scores={"chroma": math.nan, "roughness": 2.5})
    assert "NaN" in json.loads((folder / RECORD_FILE).read_text())["scores"].values()
    scores = records.read_record(folder)["scores"]
    assert math.isnan(scores["chroma"])
    assert scores["roughness"] == 2.5


def test_a_trial_whose_picture_is_gone_runs_again(read, finish, split):
    folder = finish(read())
    (folder / "result.png").unlink()
    assert split(read())[0] == split(read(steps=5))[0] == []


def test_a_twin_is_a_finished_trial_of_the_same_fingerprint(read, finish, tmp_path):
    folder, wanted = finish(read()), digest(read(name="other"))
    find = records.find_identical_trial
    assert find(tmp_path / "logs", wanted) == folder
    assert find(tmp_path / "logs", digest(read(steps=5))) is None
    assert find(tmp_path / "nowhere", wanted) is None
    (folder / "result.png").unlink()
    assert find(tmp_path / "logs", wanted) is None


def test_adopting_copies_the_run_but_not_what_it_told_of_its_experiment(
    read, finish, tmp_path
):
    twin = finish(read(), losses={"loss": 7.0}, scores={"roughness": 2.5})
    (twin / "events.1.bench").write_bytes(b"")
    (twin / "events.1").write_bytes(b"")
    other = read(axes={"p": {"soft": {"pool": "avg"}}}, name="other")
    record = new_record(other.name, other.trials[0])
    folder = tmp_path / "logs" / "other" / "p=soft"
    found = records.copy_identical_trial(twin, folder, record)
    assert (found["losses"], found["steps"]) == ({"loss": 7.0}, 4)
    assert found["picture"] == "p=soft/result.png"
    assert not {"axes", "trial", "scores", "hash"} & set(found)
    assert {path.name for path in folder.iterdir()} == {
        "events.1",
        RECORD_FILE,
        "result.png",
    }


def test_flat_is_a_row_of_names_axes_numbers_and_scores(read):
    experiment = read()
    record = new_record(experiment.name, experiment.trials[0])
    failed = flat_row(record)
    assert (failed["pool"], failed["status"], failed["loss"]) == ("avg", "failed", None)
    record |= {"losses": {"loss": 7.0, "tv": 1.0}, "scores": {"roughness": 2.5}}
    row = flat_row(record | {"repeats": {"seed": "1"}, "steps": 4})
    assert (row["trial"], row["seed"], row["loss"]) == ("pool=avg", "1", 7.0)
    assert (row["roughness"], row["steps"], row["content"]) == (2.5, 4, "content")
    assert not {"curve", "tv", "options", "hash"} & set(row)
