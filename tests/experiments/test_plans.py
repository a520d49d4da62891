"""Plans: what will run, checked before the first trial starts."""

import json
import shlex

import pytest

from kstyle.cli.experiment_commands import parse_changes
from kstyle.errors import ConfigError, KStyleError
from kstyle.experiments import plans
from kstyle.experiments.plans import find_experiment_files, plan, rerun_command
from kstyle.experiments.records import (
    new_record,
    record_result,
    trial_fingerprint,
    write_record,
)
from kstyle.hardware.precision import (
    log_once,
    resolve_precision,
)


@pytest.fixture
def write(tmp_path, small_run):
    """Return a function that writes an experiment file of avg and max; its path."""

    def call(name="pools.yaml", **keys):
        base = small_run | {"scales": 1} | keys.pop("base", {})
        path = tmp_path / name
        axes = {"pool": ["avg", "max"]}
        path.write_text(json.dumps({"base": base, "axes": axes} | keys))
        return path

    return call


def names(trials):
    return [trial.name for trial in trials]


def test_a_plan_has_trials_folder_and_sizes_as_read(write, tmp_path):
    (each,) = plan(write(), logdir=tmp_path / "logs")
    assert each.folder == tmp_path / "logs" / "pools"
    assert names(each.todo) == ["pool=avg", "pool=max"]
    assert each.finished == {}
    assert each.sizes["pool=max"] == ((16, 24), (14, 18))
    assert not each.folder.exists()


def test_sizes_are_those_of_the_cropped_style(write, tmp_path):
    axes = {"style_crop": {"all": None, "left": "left"}}
    (each,) = plan(write(axes=axes), logdir=tmp_path)
    assert each.sizes["style_crop=all"][1] == (14, 18)
    assert each.sizes["style_crop=left"][1] == (14, 14)


def test_finished_trials_are_not_to_run(write, tmp_path):
    (each,) = plan(write(), logdir=tmp_path)
    record = new_record(each.experiment.name, each.todo[0])
    record = record_result(record, {"steps": 4})
    (each.folder / "pool=avg").mkdir(parents=True)
    write_record(each.folder / "pool=avg", record)
    (again,) = plan(write(), logdir=tmp_path)
    assert names(again.todo) == ["pool=max"]
    assert again.finished == {"pool=avg": record}
    with pytest.raises(ConfigError, match="--overwrite"):
        plan(write(), logdir=tmp_path, changes={"steps": 5})
    (other,) = plan(write(), logdir=tmp_path, changes={"steps": 5}, overwrite=True)
    assert names(other.todo) == ["pool=avg", "pool=max"]


@pytest.mark.parametrize(
    ("only", "expected"),
    [
        (["max"], ["pool=max"]),
        ("max", ["pool=max"]),
        (["avg", "max"], ["pool=avg", "pool=max"]),
        (["pool"], ["pool=avg", "pool=max"]),
        ((), ["pool=avg", "pool=max"]),
    ],
)
def test_only_chooses_trials_by_a_part_of_their_name(write, tmp_path, only, expected):
    (each,) = plan(write(), logdir=tmp_path, only=only)
    assert names(each.todo) == names(each.experiment.trials) == expected
    assert list(each.sizes) == expected


def test_only_without_a_match_is_refused_with_the_names(write, tmp_path):
    with pytest.raises(ConfigError) as caught:
        plan(write(), logdir=tmp_path, only=["min", "same"])
    assert str(caught.value) == (
        "pools has no trial with min or same in its name. It has "
        "['pool=avg', 'pool=max']."
    )


def test_only_keeps_findings_about_the_other_trials(write, tmp_path):
    selections = {"between": [{"pool": "avg"}, {"pool": "max"}]}
    rule = {"claim": "x", "difference": {"measure": "colour"} | selections}
    path = write(findings=[rule | {"confirmed": "> 1"}])
    (each,) = plan(path, logdir=tmp_path, only="max")
    assert [finding.claim for finding in each.findings] == ["x"]


def test_findings_are_checked_before_anything_runs(write, tmp_path):
    finding = {"claim": "x", "reach": {"of": {}, "to": {"pool": "min"}}}
    with pytest.raises(ConfigError, match="finding 'x': .*one trial is meant"):
        plan(write(findings=[finding | {"confirmed": "> 1"}]), logdir=tmp_path)


def test_quick_pairs_and_changes_are_passed_on(write, tmp_path):
    (each,) = plan(
        write(repeats={"seed": [0, 1]}, quick={"size": 18}),
        quick=True,
        pairs=[("sample:coffee", "sample:night")],
        changes={"steps": 1},
        logdir=tmp_path,
    )
    assert each.folder == tmp_path / "pools-quick"
    assert names(each.todo)[0] == "pool=avg,seed=0,pair=coffee+night"
    assert {trial.config.steps for trial in each.todo} == {1}
    assert each.command == (
        "kstyle experiment run pools.yaml --quick --pair sample:coffee sample:night "
        "--set steps=1"
    )


@pytest.mark.parametrize("kind", ["content", "style", "init"])
def test_a_missing_picture_is_refused_and_names_the_trial(write, tmp_path, kind):
    path = write(axes={kind: {"here": "sample:coffee", "gone": "gone.png"}})
    said = rf"trial '{kind}=gone': (init: )?gone\.png: No such file"
    with pytest.raises(KStyleError, match=said):
        plan(path, logdir=tmp_path / "logs")
    assert not (tmp_path / "logs").exists()


def test_a_picture_too_small_for_the_layers_names_the_trial(write, tmp_path):
    axes = {"style_layers": {"shallow": "conv1_1", "deep": "conv5_1"}}
    with pytest.raises(ConfigError, match="trial 'style_layers=deep': The .* picture"):
        plan(write(axes=axes), logdir=tmp_path)


def test_several_files_are_several_plans_in_their_order(write, tmp_path):
    found = plan([write("b.yaml"), str(write("a.yaml"))], logdir=tmp_path)
    assert [each.experiment.name for each in found] == ["b", "a"]


def test_two_experiments_of_one_name_are_refused(write, tmp_path):
    (tmp_path / "other").mkdir()
    files = [write(), write("other/pools.yaml")]
    with pytest.raises(ConfigError, match="Two experiments are called 'pools'. Rename"):
        plan(files, logdir=tmp_path)


def test_one_file_named_twice_is_one_experiment(write, tmp_path, monkeypatch):
    path = write()
    monkeypatch.chdir(tmp_path)
    assert find_experiment_files([path, "pools.yaml", str(path)]) == [path]
    assert len(find_experiment_files(["all", "08_pooling"])) == 12


def test_files_can_be_paths_built_in_names_or_all(write, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    builtin = plans.builtin_folder()
    assert find_experiment_files([write()]) == [tmp_path / "pools.yaml"]
    assert find_experiment_files(["08_pooling"]) == [builtin / "08_pooling.yaml"]
    assert find_experiment_files(["08_pooling.yaml"]) == [builtin / "08_pooling.yaml"]
    everything = find_experiment_files(["all"])
    assert len(everything) == 12
    assert everything == sorted(builtin.glob("*.yaml"))


def test_the_unique_beginning_of_a_name_is_enough():
    (path,) = find_experiment_files(["08"])
    assert path.name == "08_pooling.yaml"
    with pytest.raises(ConfigError, match=r"Several .* begin with '0': \['01_"):
        find_experiment_files(["0"])
    for word in ("", "08.yaml", "8"):
        with pytest.raises(ConfigError, match="There is no experiment file"):
            find_experiment_files([word])


def test_a_local_file_comes_before_a_built_in_one(write, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write("08_pooling.yaml")
    (path,) = find_experiment_files(["08_pooling.yaml"])
    assert path.resolve() == tmp_path / "08_pooling.yaml"


@pytest.mark.parametrize("word", ["pooling", "nowhere/08_pooling.yaml", ""])
def test_an_unknown_experiment_is_refused_with_the_names(word, tmp_path):
    with pytest.raises(ConfigError) as caught:
        plan(word, logdir=tmp_path)
    message = str(caught.value)
    assert message.startswith(
        f"There is no experiment file {word!r}. Give a path, 'all'"
    )
    assert "'08_pooling'" in message and "kstyle experiment new" in message


def test_the_command_has_the_choices_but_no_folders():
    command = rerun_command(
        "/home/me/my file.yaml",
        True,
        ["pool=max", "a b"],
        [("/home/me/tower.jpg", "sample:night")],
        {"style": "/home/me/waves.jpg", "size": 96},
    )
    assert "/home" not in command
    assert command == (
        "kstyle experiment run 'my file.yaml' --quick --only pool=max --only 'a b' "
        "--pair tower.jpg sample:night --set style=waves.jpg --set size=96"
    )
    assert rerun_command("08_pooling.yaml", False, (), (), None) == (
        "kstyle experiment run 08_pooling.yaml"
    )


def test_the_command_repeats_the_changes_exactly():
    changes = {
        "style_crop": None,
        "log_gradients": True,
        "scales": [64, 128],
        "style_layers": {"conv1_1": 2.0},
        "pool": "max",
        "tv_weight": 0.5,
    }
    words = shlex.split(rerun_command("a.yaml", False, (), (), changes))
    assert parse_changes(words[5::2]) == changes


def test_every_trial_has_an_estimate(write, tmp_path):
    found = plan(write(), logdir=tmp_path)
    estimates = plans.estimate_trials(found, lambda precision: 1.0)
    assert set(estimates) == {("pools", "pool=avg"), ("pools", "pool=max")}
    assert all(each.seconds > 0 and each.bytes > 0 for each in estimates.values())


@pytest.mark.parametrize("given", ["auto", "bfloat16", "float32"])
def test_the_plan_resolves_the_precision_of_each_trial(write, tmp_path, given):
    path = write(base={"precision": given})
    (each,) = plan(path, logdir=tmp_path)
    expected = resolve_precision(given, "auto")
    assert expected in ("bfloat16", "float32")
    assert {trial.config.precision for trial in each.todo} == {expected}


def test_a_plan_says_why_auto_is_float32(write, tmp_path, caplog):
    log_once.cache_clear()  # another test may have logged it
    with caplog.at_level("INFO", "kstyle"):
        plan(write(base={"precision": "auto"}), logdir=tmp_path)
    slow = resolve_precision("auto", "auto") == "float32"
    assert ("--precision auto is float32 here" in caplog.text) == slow


def test_trials_of_two_precisions_have_different_fingerprints(write, tmp_path):
    first, second = (
        plan(write(base={"precision": precision}), logdir=tmp_path)[0].todo[0]
        for precision in ("bfloat16", "float32")
    )
    assert trial_fingerprint(first) != trial_fingerprint(second)
