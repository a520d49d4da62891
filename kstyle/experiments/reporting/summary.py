"""The evaluation of an experiment: scores, verdicts, tables and pages."""

import csv
import dataclasses
import io
import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from kstyle.config.style_config import (
    BOOKKEEPING_OPTIONS,
    PATH_OPTIONS,
    StyleConfig,
)
from kstyle.config.style_source import map_style_paths
from kstyle.experiments.definition.experiment_file import Experiment
from kstyle.experiments.findings.rules import Finding
from kstyle.experiments.findings.verdicts import Verdict, judge_finding
from kstyle.experiments.findings.votes import Vote, VoteRanking
from kstyle.experiments.records import (
    TrialRecord,
    flat_row,
    record_scores,
    write_record,
)
from kstyle.experiments.reporting import report, tensorboard
from kstyle.experiments.reporting.vote_page import rank_results
from kstyle.experiments.scoring.names import SCORES
from kstyle.experiments.scoring.scorer import Scorer
from kstyle.files import json_text, write_text
from kstyle.images.reading import load_picture

VERDICTS_FILE = "verdicts.json"


@dataclasses.dataclass(frozen=True)
class Summary:
    """The results of an experiment.

    page: the path of its report. rankings: by people's votes; unknown_votes: how many
        votes are on other results.
    """

    experiment: Experiment
    folder: Path
    records: list[TrialRecord]
    verdicts: list[Verdict]
    page: Path
    rankings: list[VoteRanking]
    unknown_votes: int


def score_trial(
    folder: Path, config: StyleConfig, record: TrialRecord, scorer: Scorer
) -> TrialRecord:
    """Score a finished trial, write its record and events; return the record.

    A table of initial losses has no scores; the record of a failed trial is returned
    unchanged. folder: the experiment's. config: the trial's.
    """
    if record["status"] != "finished":
        return record
    picture = None
    if record["kind"] == "picture":
        picture = scorer.load_result(record)
        scores = scorer.score(picture, config, record["curve"])
        record = record_scores(record, scores)
    write_record(folder / record["folder"], record)
    tensorboard.write_trial_events(folder / record["folder"], record, picture)
    return record


def is_scored(record: TrialRecord) -> bool:
    """Return whether the record has exactly the scores of this version."""
    return record["kind"] != "picture" or set(record["scores"]) == set(SCORES)


def summarize(
    experiment: Experiment,
    findings: Iterable[Finding],
    folder: Path,
    records: Iterable[TrialRecord],
    scorer: Scorer,
    command: str,
    votes: Iterable[Vote] = (),
) -> Summary:
    """Write the tables, verdicts and pages of an experiment.

    records: of the trials that have run, in order. command: repeats the experiment.
    votes: of people, on pairs of the results.
    Raises: OSError: a file cannot be written.
    """
    configs = {trial.name: trial.config for trial in experiment.trials}
    scored = [
        record
        if is_scored(record)
        else score_trial(folder, configs[record["trial"]], record, scorer)
        for record in records
    ]
    distance = scorer.distance_function(configs)
    judged = [] if experiment.quick else findings
    verdicts = [judge_finding(finding, scored, distance) for finding in judged]
    folder.mkdir(parents=True, exist_ok=True)
    write_tables(folder, scored)
    tensorboard.write_experiment_events(folder, experiment)
    write_all_hyperparameters(folder, experiment, scored)
    about = describe_experiment(experiment, command)
    write_text(
        folder / VERDICTS_FILE, json_text({**about, "verdicts": verdicts}, indent=1)
    )
    pictures = original_pictures(configs[record["trial"]] for record in scored)
    rankings, unknown = rank_results(scored, votes)
    page = report.write_report(
        folder, about, shareable_records(scored), verdicts, pictures, rankings
    )
    write_experiment_index(folder.parent)
    return Summary(experiment, folder, scored, verdicts, page, rankings, unknown)


def write_all_hyperparameters(
    folder: Path, experiment: Experiment, records: Iterable[TrialRecord]
) -> None:
    """Write the hyperparameters of the trials that have a picture, each with the values
    of all axes of the experiment."""
    with_picture = {record["trial"] for record in records if record["picture"]}
    for position, trial in enumerate(experiment.trials):
        if trial.name in with_picture:
            tensorboard.write_trial_hyperparameters(
                folder, trial, experiment.name, experiment.axes, position
            )


def write_tables(folder: Path, records: Sequence[TrialRecord]) -> None:
    """Write the records as `trials.jsonl`, and a row of each as `trials.csv`."""
    lines = [json_text(record) + "\n" for record in records]
    write_text(folder / "trials.jsonl", "".join(lines))
    rows = [flat_row(record) for record in records]
    columns = list(dict.fromkeys(column for row in rows for column in row))
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, columns)
    writer.writeheader()
    writer.writerows(rows)
    write_text(folder / "trials.csv", text.getvalue())


def describe_experiment(
    experiment: Experiment, command: str
) -> report.ExperimentDescription:
    """Return what the report shows of an experiment besides its trials."""
    base = experiment.base.model_dump(mode="json", exclude=BOOKKEEPING_OPTIONS)
    return {
        "name": experiment.name,
        "title": experiment.title,
        "question": experiment.question,
        "finding": experiment.finding,
        "measured": experiment.measured,
        "base": without_folders(base),
        "command": command,
        "scores": dict(SCORES),
        "smoke_test": experiment.smoke_test(),
    }


def shareable_records(records: Iterable[TrialRecord]) -> list[TrialRecord]:
    """Return the records with files by name, without folders, as reports show them."""
    return [
        {**record, "options": without_folders(record["options"])} for record in records
    ]


def without_folders(options: dict[str, Any]) -> dict[str, Any]:
    """Return the options with only the names of files."""
    found: dict[str, Any] = {
        name: Path(value).name if name in PATH_OPTIONS and value else value
        for name, value in options.items()
    }
    if "styles" in found:
        found["styles"] = map_style_paths(found["styles"], lambda path: Path(path).name)
    return found


def original_pictures(configs: Iterable[StyleConfig]) -> dict[str, np.ndarray]:
    """Return `{label: pixels}` of the content and style pictures of the trials."""
    found = {}
    for config in configs:
        styles = [("style", style.picture) for style in config.style_sources()]
        for kind, path in [("content", config.content), *styles]:
            label = f"{kind} {Path(path.removeprefix('sample:')).stem}"
            if label not in found:
                found[label] = load_picture(path).pixels
    return found


def write_experiment_index(logdir: Path) -> Path:
    """Write the index of every experiment in `logdir` that has verdicts."""
    entries = []
    for path in sorted(logdir.glob(f"*/{VERDICTS_FILE}")):
        folder = path.parent.name
        strip = f"{folder}/{report.STRIP_FILE}"
        entry = read_verdicts(path)
        entry["href"] = f"{folder}/{report.REPORT_FILE}"
        entry["strip"] = strip if (logdir / strip).exists() else None
        entries.append(entry)
    return report.write_index_page(logdir, entries)


def read_verdicts(path: Path) -> dict[str, Any]:
    """Read a `verdicts.json`; NaN and infinity are strings in JSON."""
    about = json.loads(path.read_text(encoding="utf-8"))
    for verdict in about["verdicts"]:
        verdict.setdefault("unit", "")  # earlier versions had none
        verdict["spread"] = [float(number) for number in verdict["spread"]]
        if verdict["number"] is not None:
            verdict["number"] = float(verdict["number"])
    return about
