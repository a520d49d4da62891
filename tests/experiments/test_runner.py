"""Whole experiments on tiny pictures: what runs, is kept, printed and reported."""

import csv
import errno
import json
import os
import re
from pathlib import Path

import click.testing
import numpy as np
import pytest
import shared_models
import yaml

import kstyle
from kstyle import experiments
from kstyle.cli.main import cli
from kstyle.errors import ConfigError, ExperimentError
from kstyle.experiments.definition.experiment_file import read_experiment
from kstyle.experiments.execution.trial import LocalExecutor, WorkerContext
from kstyle.experiments.plans import plan
from kstyle.experiments.runner import run_plans
from kstyle.experiments.scoring.names import SCORES
from kstyle.files import lock_folder
from kstyle.runs import checkpoint_file


def run(path, tmp_path, **choices):
    return shared_models.run_experiment(path, logdir=tmp_path / "logs", **choices)


def invoke(*words):
    return click.testing.CliRunner().invoke(cli, ["experiment", *map(str, words)])


def test_every_trial_has_a_row_with_axes_losses_and_scores(pools, tmp_path):
    rows = run(pools(), tmp_path)
    assert [row["trial"] for row in rows] == ["pool=avg", "pool=max"]
    assert [row["pool"] for row in rows] == ["avg", "max"]
    assert {row["status"] for row in rows} == {"finished"}
    assert all(row["steps"] == 2 and row["seconds"] > 0 for row in rows)
    assert rows[0]["loss"] != rows[1]["loss"]
    for row in rows:
        assert set(SCORES) <= set(row)
        assert all(np.isscalar(value) or value is None for value in row.values())


def test_an_experiment_writes_runs_records_tables_and_pages(pools, tmp_path):
    run(pools(), tmp_path)
    folder = tmp_path / "logs" / "pools"
    names = {path.name for path in folder.iterdir()}
    assert {"pool=avg", "pool=max", "trials.csv", "trials.jsonl"} <= names
    pages = {"report.html", "votes.html"}
    assert {"verdicts.json", "contact_sheet.png", *pages} <= names
    assert (folder.parent / "index.html").exists()
    with open(folder / "trials.csv", newline="") as file:
        assert [row["pool"] for row in csv.DictReader(file)] == ["avg", "max"]
    for trial in ("pool=avg", "pool=max"):
        kept = {path.name for path in (folder / trial).iterdir()}
        assert {"config.yaml", "losses.csv", "record.json", "result.png"} <= kept


class StepCounter(experiments.Silent):
    """Collects `(trial, steps done)`; calls `react` with them."""

    def __init__(self, react=None):
        self.steps = []
        self.react = react

    def step(self, trial, done, total, loss, left):
        self.steps.append((trial, done))
        if self.react:
            self.react(trial, done)


def test_finished_trials_are_not_run_again(pools, tmp_path):
    first, second = StepCounter(), StepCounter()
    before = run(pools(), tmp_path, watch=first)
    np.testing.assert_equal(run(pools(), tmp_path, watch=second), before)  # or NaN
    assert {trial for trial, _ in first.steps} == {"pool=avg", "pool=max"}
    assert second.steps == []


def test_a_report_gives_old_records_the_new_scores(pools, tmp_path):
    path = pools()
    rows = run(path, tmp_path)
    record = tmp_path / "logs/pools/pool=avg/record.json"
    old = json.loads(record.read_text())
    del old["scores"]["dists_style"]
    record.write_text(json.dumps(old))
    again = experiments.report(path, logdir=tmp_path / "logs")
    np.testing.assert_equal(again, rows)
    assert "dists_style" in json.loads(record.read_text())["scores"]


def test_a_report_runs_nothing_and_ranks_by_votes(pools, tmp_path):
    path, logdir = pools(), tmp_path / "logs"
    done = invoke("report", path, "--logdir", logdir)
    assert done.exit_code == 2
    assert "No trial of pools with these options has run" in done.stderr
    run(path, tmp_path)
    done = invoke("report", path, "--logdir", logdir, "--set", "steps=1")
    assert "Give the options of its run" in done.stderr
    records = [logdir / f"pools/pool={pool}/record.json" for pool in ("avg", "max")]
    a, b = (json.loads(record.read_text())["hash"][:16] for record in records)
    votes = [{"a": a, "b": b, "choice": "b"}, {"a": a, "b": "gone", "choice": "a"}]
    content = {"kstyle_votes": 1, "experiment": "pools", "votes": votes}
    (tmp_path / "votes.json").write_text(json.dumps(content))
    done = invoke(
        "report", path, "--logdir", logdir, "--votes", tmp_path / "votes.json"
    )
    assert done.exit_code == 0, done.output
    assert done.stdout.index("1. pool = max") < done.stdout.index("2. pool = avg")
    assert "1 votes are on results that are not in this report" in done.stderr
    page = (logdir / "pools/report.html").read_text(encoding="utf-8")
    assert "Votes of people" in page and 'href="votes.html"' in page


def test_only_missing_trials_run(pools, tmp_path):
    run(pools(), tmp_path, only=["avg"])
    record = tmp_path / "logs/pools/pool=avg/record.json"
    before = record.stat().st_mtime_ns
    rows = run(pools(), tmp_path)
    assert len(rows) == 2
    assert record.stat().st_mtime_ns == before


def test_other_options_are_refused_until_overwrite_is_given(pools, tmp_path):
    run(pools(), tmp_path)
    with pytest.raises(ConfigError, match="--overwrite"):
        run(pools(), tmp_path, changes={"steps": 1})
    rows = run(pools(), tmp_path, changes={"steps": 1}, overwrite=True)
    assert [row["steps"] for row in rows] == [1, 1]


def test_a_trial_without_weights_fails_and_the_others_run(pools, tmp_path):
    path = pools(axes={"weights": {"mine": pools_weights(pools), "none": "no.npz"}})
    result = invoke("run", path, "--logdir", tmp_path / "logs")
    assert result.exit_code == 1
    assert (
        "failed: weights=none: The weights 'no.npz' cannot be opened" in result.output
    )
    rows = run(path, tmp_path)
    assert [row["status"] for row in rows] == ["finished", "failed"]
    report = (tmp_path / "logs/pools/report.html").read_text()
    assert "cannot be opened" in report


def pools_weights(pools):
    return yaml.safe_load(pools().read_text())["base"]["weights"]


def test_a_diverged_trial_is_recorded_and_the_next_one_runs(pools, tmp_path):
    # The first has no start, the second one never moves; the second leaves a picture.
    axes = {"p": {"huge": {"style_weight": 1e38}, "slow": {"learning_rate": 1e-9}}}
    axes["p"]["well"] = {"style_weight": 100}
    path = pools(axes=axes, base={"steps": 12})
    rows = run(path, tmp_path)
    assert [row["status"] for row in rows] == ["failed", "failed", "finished"]
    assert "the weights are too large for 32-bit numbers" in rows[0]["error"]
    assert "no pixel has changed in 10 steps" in rows[1]["error"]
    assert [row["picture"] for row in rows] == [
        None,
        "p=slow/result.png",
        "p=well/result.png",
    ]
    record = tmp_path / "logs/pools/p=slow/record.json"
    assert json.loads(record.read_text())["steps"] == rows[1]["steps"] == 10
    assert "no pixel has changed" in (tmp_path / "logs/pools/report.html").read_text()


def test_nothing_runs_if_one_trial_is_invalid(pools, tmp_path):
    path = pools(axes={"content": {"here": "sample:coffee", "gone": "gone.png"}})
    with pytest.raises(kstyle.errors.ImageError, match="content=gone"):
        run(path, tmp_path)
    assert not (tmp_path / "logs").exists()


def test_ctrl_c_keeps_and_summarizes_finished_trials(pools, tmp_path):
    def interrupt(trial, done):
        if trial == "pool=max":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(pools(), tmp_path, watch=StepCounter(interrupt))
    folder = tmp_path / "logs" / "pools"
    assert len((folder / "trials.jsonl").read_text().splitlines()) == 1
    assert len(run(pools(), tmp_path)) == 2


def test_a_full_disk_leaves_the_finished_trials_readable(pools, tmp_path, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    run(pools(), tmp_path, only=["avg"])
    before = (tmp_path / "logs/pools/report.html").read_bytes()
    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(ExperimentError, match="No space left"):
        run(pools(), tmp_path)
    assert (tmp_path / "logs/pools/report.html").read_bytes() == before
    kept = json.loads((tmp_path / "logs/pools/pool=avg/record.json").read_text())
    assert kept["status"] == "finished"
    monkeypatch.undo()
    assert [row["status"] for row in run(pools(), tmp_path)] == ["finished"] * 2


def test_initial_losses_are_printed_written_and_reported(pools, tmp_path):
    parts = {"losses": {"kind": "table", "axes": {"init": ["content", "noise"]}}}
    path = pools(parts=parts, base={"weights": "builtin"})  # to the deepest layer
    result = invoke("run", path, "--logdir", tmp_path / "logs")
    assert result.exit_code == 0, result.output
    assert result.output.count("unweighted initial losses: losses,init=") == 2
    folder = tmp_path / "logs" / "pools"
    with open(folder / "losses,init=content" / "initial_losses.csv") as file:
        rows = {row["layer"]: row for row in csv.DictReader(file)}
    assert float(rows["conv2_1"]["content"]) == 0
    assert float(rows["conv2_1"]["style"]) > 0
    assert "conv2_1" in (folder / "report.html").read_text()


def test_verdicts_are_printed_and_written(pools, tmp_path):
    finding = {
        "claim": "the losses are alike",
        "ratio": {"value": "end/loss", "of": {"pool": "avg"}, "to": {"pool": "avg"}},
        "confirmed": "0.9 .. 1.1",
    }
    result = invoke("run", pools(findings=[finding]), "--logdir", tmp_path / "logs")
    assert re.search(r"confirmed\W+1\W+1\W+the losses are alike", result.output)
    about = json.loads((tmp_path / "logs/pools/verdicts.json").read_text())
    assert about["verdicts"][0]["verdict"] == "confirmed"


def test_a_finding_about_an_unknown_score_is_refused(pools, tmp_path):
    finding = {
        "claim": "x",
        "ratio": {"value": "beauty", "of": {"pool": "avg"}, "to": {"pool": "max"}},
        "confirmed": "> 1",
    }
    with pytest.raises(ConfigError, match="beauty"):
        run(pools(findings=[finding]), tmp_path)


def test_list_prints_trials_and_differences_and_runs_nothing(pools, tmp_path):
    result = invoke("run", pools(), "--list", "--logdir", tmp_path / "logs")
    assert result.exit_code == 0
    assert re.search(r"pool=max\W+to run\W+pool=max", result.output)
    assert not (tmp_path / "logs").exists()


def test_dry_run_prints_time_and_memory_and_runs_nothing(pools, tmp_path):
    result = invoke("run", pools(), "--dry-run", "--logdir", tmp_path / "logs")
    assert result.exit_code == 0
    assert re.search(r"pool=max\W+to run\W+0:\d\d\W+\d\.\d GB", result.output)
    assert "in all, estimated" in result.output
    assert not (tmp_path / "logs").exists()


def test_reports_and_events_contain_no_folders(pools, tmp_path):
    path = pools(axes={"weights": [pools_weights(pools)]})
    assert [row["trial"] for row in run(path, tmp_path)] == ["weights=tiny.npz"]
    folder = tmp_path / "logs/pools"
    pages = [folder / name for name in ("report.html", "verdicts.json", "trials.csv")]
    events = list(folder.rglob("events*"))
    assert len(events) == 4  # of the experiment, of the run twice, of its judge
    home = str(Path(pools_weights(pools)).parent).encode()
    for file in (*pages, folder.parent / "index.html", *events):
        text = file.read_bytes()
        assert str(tmp_path).encode() not in text and home not in text, file


def test_new_writes_a_template_that_can_be_planned(tmp_path):
    path = tmp_path / "mine.yaml"
    assert invoke("new", path).exit_code == 0
    (each,) = plan(path, logdir=tmp_path)
    assert len(each.experiment.trials) == 20
    before = path.read_text()
    result = invoke("new", path)
    assert result.exit_code == 2 and "exists" in result.output
    assert path.read_text() == before


def test_an_identical_trial_of_another_experiment_is_copied(pools, tmp_path):
    path = pools()
    rows = run(path, tmp_path)
    other = path.with_name("again.yaml")
    text = yaml.safe_load(path.read_text())
    text["axes"] = {"pooling": {"soft": {"pool": "avg"}}}
    other.write_text(yaml.safe_dump(text))
    watch = StepCounter()
    (row,) = run(other, tmp_path, watch=watch)
    assert watch.steps == []
    assert (row["trial"], row["pooling"]) == ("pooling=soft", "soft")
    same = ("loss", "seconds", "style_distance", "stroke_scale")
    assert [row[key] for key in same] == [rows[0][key] for key in same]
    folder = tmp_path / "logs" / "again" / "pooling=soft"
    assert (folder / "result.png").exists()
    assert len(list(folder.glob("*.bench"))) == 1


def test_a_terminal_shows_bars_of_the_experiment_and_trial(
    pools, tmp_path, monkeypatch
):
    monkeypatch.setenv("FORCE_COLOR", "1")  # as in a terminal
    monkeypatch.setenv("COLUMNS", "120")
    result = invoke("run", pools(), "--logdir", tmp_path / "logs")
    assert result.exit_code == 0, result.output
    shown = re.sub("\x1b\\[[0-9;?]*[a-zA-Z]", "", result.stderr)
    assert re.search(r"pools .*2/2 trials +ETA 0:00", shown)
    assert re.search(r"pool=max .*2/2 +loss \d[\d.e+]* +ETA 0:00", shown)
    assert "wrote " in result.stdout and "2/2" not in result.stdout


def test_pairs_and_set_change_every_trial(pools, tmp_path):
    words = ["run", pools(), "--list", "--set", "style-weight=7"]
    words += ["--pair", "sample:coffee", "sample:night"]
    result = invoke(*words, "--pair", "sample:chelsea", "sample:window")
    assert result.exit_code == 0, result.output
    assert "pool=max,pair=coffee+night" in result.output
    odd = invoke("run", pools(), "--list", "--set", "style=!!int ''")
    assert "!!int ''" in odd.output  # no YAML, so it is the file's name
    assert "pool=avg,pair=chelsea+window" in result.output


def test_an_experiment_in_use_is_not_run_a_second_time(pools, tmp_path):
    with lock_folder(tmp_path / "logs" / "pools"):
        result = invoke("run", pools(), "--logdir", tmp_path / "logs")
    assert result.exit_code == 2
    assert "pools is in use by another kstyle" in result.output
    assert not list((tmp_path / "logs" / "pools").iterdir())


def run_until(path, place, step):
    """Run `path` in `place` and end it at a step, as if the process were killed."""
    with pytest.raises(SystemExit):
        run(path, place, watch=StepCounter(end_at(step)))


def end_at(step):
    """A function that ends the process when a trial has taken `step` steps."""

    def end(trial, done):
        if done == step:
            raise SystemExit

    return end


def resume(path, place):
    """Run `path` in `place`; return the rows and the reported steps."""
    watch = StepCounter()
    rows = run(path, place, watch=watch)
    return rows, [done for _, done in watch.steps]


@pytest.mark.parametrize("solved", [None, "equal-gradient:0.5"])
def test_a_killed_trial_is_resumed_to_the_same_result(pools, tmp_path, solved):
    base = {"steps": 6, "checkpoint_every": "2", "style_weights": solved}
    path = pools(base=base, axes={"pool": ["avg"]})
    (whole,) = run(path, tmp_path / "whole")

    run_until(path, tmp_path, step=5)
    folder = tmp_path / "logs" / "pools" / "pool=avg"
    assert checkpoint_file.read_checkpoint(folder).step == 4
    config = (folder / "config.yaml").read_text()
    assert ("were solved by" in config) == (solved is not None)
    (row,), steps = resume(path, tmp_path)
    assert row["status"] == "finished" and steps == [4, 5, 6]
    assert (folder / "config.yaml").read_text() == config
    pixels, others = (
        kstyle.load_picture(place / "result.png").pixels
        for place in (folder, tmp_path / "whole/logs/pools/pool=avg")
    )
    np.testing.assert_array_equal(pixels, others)
    same = [name for name in SCORES if name != "seconds_to_near"]
    np.testing.assert_equal(
        [row[name] for name in same], [whole[name] for name in same]
    )
    record = json.loads((folder / "record.json").read_text())
    assert record["curve"]["step"] == list(range(7))
    assert record["curve"]["seconds"] == sorted(record["curve"]["seconds"])


def run_on(machine, path, place, watch):
    """Run `path` in `place` on `machine`; return the rows."""
    plans, context = plan(path, logdir=place / "logs"), WorkerContext(machine)
    return run_plans(plans, watch, context, LocalExecutor(context))


def test_a_resumed_trial_keeps_its_number_of_pairs(pools, tmp_path, machine_for):
    path = pools(base={"steps": 4, "checkpoint_every": "1"}, axes={"pool": ["avg"]})
    config = read_experiment(path).trials[0].config
    small = machine_for(config.replace(history=5))
    (whole,) = run_on(small, path, tmp_path / "whole", StepCounter())
    with pytest.raises(SystemExit):
        run_on(small, path, tmp_path, StepCounter(end_at(3)))
    watch = StepCounter()
    (row,) = run_on(small, path, tmp_path, watch)
    steps = [done for _, done in watch.steps]
    assert steps == [2, 3, 4]
    assert (row["status"], row["loss"]) == ("finished", whole["loss"])
    used = {"history": 5}
    folder = tmp_path / "logs/pools/pool=avg"
    record, about = (
        json.loads((folder / name).read_text()) for name in ("record.json", "run.json")
    )
    assert "history" not in record["options"] and record["fitted"] == used
    assert about["config"] | used == about["config"]
    assert {k: row[f"fitted/{k}"] for k in used} == used
    report = (tmp_path / "logs/pools/report.html").read_text()
    assert "5, to fit the memory" in report
