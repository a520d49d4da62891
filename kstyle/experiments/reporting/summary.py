"""What is left of an experiment once its trials have run: scores, verdicts, pages."""

import csv
import dataclasses
import io
import json
from pathlib import Path

from kstyle.config.style_config import BOOKKEEPING_OPTIONS, PATH_OPTIONS
from kstyle.experiments.findings.verdicts import judge_finding
from kstyle.experiments.records import flat_row, write_record
from kstyle.experiments.reporting import report, tensorboard
from kstyle.experiments.scoring.names import SCORES
from kstyle.files import json_text, write_text
from kstyle.images.reading import load_picture

VERDICTS_FILE = "verdicts.json"


@dataclasses.dataclass(frozen=True)
class Summary:
    """Where an experiment's report is, and what it says."""

    experiment: object
    folder: Path
    records: list
    verdicts: list
    page: Path


def score_trial(folder, trial, record, bench):
    """Give a finished trial its scores, in its record and for TensorBoard."""
    if record["status"] != "finished":
        return
    picture = None
    if record["kind"] == "picture":
        picture = bench.picture(record)
        record["scores"] = bench.scores(picture, record["curve"], trial.config)
    write_record(folder / trial.name, record)
    tensorboard.write_trial_events(folder / trial.name, record, picture)


def is_scored(record):
    """Whether the record has the scores that there are now."""
    return record["kind"] != "picture" or set(record["scores"]) == set(SCORES)


def summarize(experiment, folder, records, bench, command):
    """Write all that speaks of the whole experiment. Returns a `Summary`.

    records: of the trials that have run, in order. command: what repeats it all.
    """
    trials = {trial.name: trial for trial in experiment.trials}
    for record in records:
        if not is_scored(record):
            score_trial(folder, trials[record["trial"]], record, bench)
    distance = bench.distance({name: trial.config for name, trial in trials.items()})
    verdicts = [judge_finding(f, records, distance) for f in experiment.findings]
    folder.mkdir(parents=True, exist_ok=True)
    write_tables(folder, records)
    tensorboard.write_experiment_events(folder, experiment, SCORES)
    about = describe_experiment(experiment, command)
    write_text(
        folder / VERDICTS_FILE, json_text(about | {"verdicts": verdicts}, indent=1)
    )
    pictures = original_pictures(trials[record["trial"]] for record in records)
    page = report.write_report(
        folder, about, shareable_records(records), verdicts, pictures
    )
    write_experiment_index(folder.parent)
    return Summary(experiment, folder, records, verdicts, page)


def write_tables(folder, records):
    """`trials.jsonl` with whole records, `trials.csv` with a row of scores for each."""
    lines = [json_text(record) + "\n" for record in records]
    write_text(folder / "trials.jsonl", "".join(lines))
    rows = [flat_row(record) for record in records]
    columns = list(dict.fromkeys(column for row in rows for column in row))
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, columns)
    writer.writeheader()
    writer.writerows(rows)
    write_text(folder / "trials.csv", text.getvalue())


def describe_experiment(experiment, command):
    """What the report says of an experiment beside its trials."""
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
    }


def shareable_records(records):
    """The records as a report may show them: files by name, not by folder."""
    return [
        record | {"options": without_folders(record["options"])} for record in records
    ]


def without_folders(options):
    """Options in which a file's path is its name alone."""
    return {
        name: Path(value).name if name in PATH_OPTIONS and value else value
        for name, value in options.items()
    }


def original_pictures(trials):
    """`{label: pixels}` of the photographs and paintings that the trials used."""
    found = {}
    for trial in trials:
        for kind in ("content", "style"):
            path = getattr(trial.config, kind)
            label = f"{kind} {Path(path.removeprefix('sample:')).stem}"
            if label not in found:
                found[label] = load_picture(path).pixels
    return found


def write_experiment_index(logdir):
    """The index over every experiment in `logdir` that has verdicts."""
    reports = []
    for path in sorted(logdir.glob(f"*/{VERDICTS_FILE}")):
        about, folder = read_verdicts(path), path.parent.name
        sheet = f"{folder}/contact_sheet.png"
        has_sheet = (logdir / sheet).exists()
        about |= {
            "href": f"{folder}/report.html",
            "sheet": sheet if has_sheet else None,
        }
        reports.append(about)
    return report.write_index_page(logdir, reports)


def read_verdicts(path):
    """What `sum_up` wrote of an experiment; infinite numbers are texts in JSON."""
    about = json.loads(path.read_text(encoding="utf-8"))
    for verdict in about["verdicts"]:
        verdict["spread"] = [float(number) for number in verdict["spread"]]
        if verdict["number"] is not None:
            verdict["number"] = float(verdict["number"])
    return about
