"""The record of a trial, record.json: its keys, and when a trial counts as done."""

import functools
import hashlib
import json
import shutil
from pathlib import Path
from typing import Any, Literal, TypedDict, cast

from kstyle.errors import ConfigError
from kstyle.experiments.definition.experiment_file import Experiment, Trial, TrialKind
from kstyle.files import json_text, write_text
from kstyle.networks.weights import weights_hash
from kstyle.runs.job import safe_stem, style_name
from kstyle.runs.provenance import picture_hashes
from kstyle.tensorboard_plugin.names import HYPERPARAMETER_FILE

RECORD_FILE = "record.json"
EXPERIMENT_EVENTS = ".bench"  # suffix of event files that are about the experiment

Curve = dict[str, list[float]]  # "step", "seconds", "loss", "content", "style", "tv"
LossTable = dict[str, dict[str, float]]  # layer to {"content": loss, "style": loss}


class TrialResult(TypedDict, total=False):
    """What a run measures; a table of initial losses has only `table`."""

    picture: str | None  # path of the result, relative to the experiment's folder
    steps: int
    seconds: float
    losses: dict[str, float]  # final weighted losses; "loss" is the total
    weights: dict[str, float]  # weight of every loss term, as optimised
    curve: Curve
    fitted: dict[str, Any]  # options changed to fit the memory, and their values
    table: LossTable | None  # unweighted initial losses


class TrialRecord(TypedDict):
    """A trial's record, with the keys of record.json.

    `new_record` makes it; `record_result`, `record_failure` and `record_scores` return
    changed copies.
    """

    experiment: str
    trial: str  # its name
    label: str  # its name in a list of `trials`, else ""
    part: str
    kind: TrialKind
    axes: dict[str, str]
    repeats: dict[str, str]
    options: dict[str, Any]  # those that differ from the experiment's base
    fitted: dict[str, Any]  # options that were changed so that the run fits the memory
    status: Literal["finished", "failed"]
    error: str | None
    hash: str  # the trial's fingerprint
    folder: str  # relative to the experiment's folder
    picture: str | None
    content: str  # the pictures' names, without folder and suffix
    style: str
    steps: int
    seconds: float
    losses: dict[str, float]
    weights: dict[str, float]
    scores: dict[str, float]
    curve: Curve
    table: LossTable | None


def trial_fingerprint(trial: Trial) -> str:
    """Return a SHA-256 of all that decides a result: options, pictures and weights."""
    config = trial.config
    pictures = list(picture_hashes(config.picture_options()).values())
    weights = {config.weights: weights_hash(config.net, config.weights)}
    text = json.dumps(
        [trial.kind, config.result_options(), pictures, weights], sort_keys=True
    )
    return hashlib.sha256(text.encode()).hexdigest()


def new_record(experiment: str, trial: Trial) -> TrialRecord:
    """Return the record of a trial that has not run. experiment: its name."""
    return {
        "experiment": experiment,
        "trial": trial.name,
        "label": trial.label,
        "part": trial.part,
        "kind": trial.kind,
        "axes": trial.axes,
        "repeats": trial.repeats,
        "options": json.loads(json.dumps(trial.options)),
        "fitted": {},
        "status": "failed",
        "error": None,
        "hash": trial_fingerprint(trial),
        "folder": trial.name,
        "picture": None,
        "content": safe_stem(trial.config.content),
        "style": style_name(trial.config),
        "steps": 0,
        "seconds": 0.0,
        "losses": {},
        "weights": {},
        "scores": {},
        "curve": {},
        "table": None,
    }


def record_result(
    record: TrialRecord, result: TrialResult, error: str | None = None
) -> TrialRecord:
    """Return the record of a trial that has run.

    error: the sentence of a run that diverged but left a picture; the trial has failed.
    """
    status = "finished" if error is None else "failed"
    return cast(TrialRecord, {**record, **result, "status": status, "error": error})


def record_failure(record: TrialRecord, error: str) -> TrialRecord:
    """Return the record of a trial that has failed. error: a sentence."""
    return {**record, "status": "failed", "error": error}


def record_scores(record: TrialRecord, scores: dict[str, float]) -> TrialRecord:
    """Return the record with the scores of its picture."""
    return {**record, "scores": scores}


def read_record(folder: str | Path) -> TrialRecord | None:
    """Read the record in a trial's folder; `None` if there is none or it is damaged."""
    try:
        text = (Path(folder) / RECORD_FILE).read_text(encoding="utf-8")
        # Records of earlier versions have no "fitted" and "label".
        record = {"fitted": {}, "label": ""} | json.loads(text)
        for key in ("scores", "losses"):  # NaN and infinity are strings in JSON
            record[key] = {name: float(value) for name, value in record[key].items()}
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return None
    return cast(TrialRecord, record) if "hash" in record else None


def write_record(folder: str | Path, record: TrialRecord) -> None:
    """Write the record into a trial's folder, completely or not at all."""
    write_text(Path(folder) / RECORD_FILE, json_text(record, indent=1) + "\n")


def finished_record(folder: str | Path) -> TrialRecord | None:
    """Read the record of a finished trial whose picture still exists, else `None`."""
    record = read_record(folder)
    if record is None or record.get("status") != "finished":
        return None
    picture = record.get("picture")
    exists = picture is None or (Path(folder) / Path(picture).name).is_file()
    return record if exists else None


def find_identical_trial(logdir: str | Path, fingerprint: str) -> Path | None:
    """Return the folder of a finished trial of any experiment with that fingerprint."""
    for path in sorted(Path(logdir).glob(f"*/*/{RECORD_FILE}")):
        if cached_record_hash(path, path.stat().st_mtime_ns) == fingerprint:
            if finished_record(path.parent) is not None:
                return path.parent
    return None


@functools.lru_cache(maxsize=4096)
def cached_record_hash(path: Path, modified: int) -> str | None:
    """Return the fingerprint in a record file; each trial asks for those of all others.

    modified: the file's time of modification, so that a changed file is read again.
    """
    del modified  # only part of the cache's key
    record = read_record(path.parent)
    return None if record is None else record["hash"]


def copy_identical_trial(
    source: Path, folder: Path, record: TrialRecord
) -> TrialRecord:
    """Copy the run in `source` to `folder`; return `record` with what it measured.

    The event files about the experiment of `source` are not copied.
    """
    left_out = shutil.ignore_patterns(f"*{EXPERIMENT_EVENTS}", HYPERPARAMETER_FILE)
    shutil.copytree(source, folder, ignore=left_out)
    original = read_record(source)
    if original is None:
        raise ConfigError(f"{source / RECORD_FILE} cannot be read. Run it again.")
    picture = original["picture"]
    if picture is not None:
        picture = f"{record['folder']}/{Path(picture).name}"
    result: TrialResult = {
        "picture": picture,
        "steps": original["steps"],
        "seconds": original["seconds"],
        "losses": original["losses"],
        "weights": original["weights"],
        "curve": original["curve"],
        "table": original["table"],
    }
    return record_result({**record, "fitted": original["fitted"]}, result)


def split_finished(
    experiment: Experiment, folder: Path, *, overwrite: bool = False
) -> tuple[dict[str, TrialRecord], list[Trial]]:
    """Return `{trial name: record}` of the finished trials, and the trials to run.

    A trial is finished if the record in its folder says so, has the trial's fingerprint
    and its picture exists; failed and interrupted trials run again.
    Raises: ConfigError: a finished trial of the same name had other options or
        pictures, and `overwrite` is not given.
    """
    finished, todo, changed = {}, [], []
    for trial in experiment.trials:
        record = finished_record(folder / trial.name)
        if record is not None and record["hash"] == trial_fingerprint(trial):
            finished[trial.name] = relabelled_record(record, experiment.name, trial)
            continue
        todo.append(trial)
        if record is not None:
            changed.append(trial.name)
    if changed and not overwrite:
        raise ConfigError(
            f"{folder} holds results of other options or pictures for {len(changed)} "
            f"of the trials, the first is {changed[0]!r}. Use --overwrite to replace "
            "them, or another --logdir."
        )
    return finished, todo


def relabelled_record(
    record: TrialRecord, experiment: str, trial: Trial
) -> TrialRecord:
    """Return a finished record with the labels that the experiment file has now."""
    current = new_record(experiment, trial)
    return {
        **record,
        "experiment": current["experiment"],
        "label": current["label"],
        "part": current["part"],
        "axes": current["axes"],
        "repeats": current["repeats"],
        "options": current["options"],
    }


def flat_row(record: TrialRecord) -> dict[str, Any]:
    """Return a record as one row of a table: `{column: number or text}`."""
    fitted = {f"fitted/{name}": value for name, value in record["fitted"].items()}
    return {
        "experiment": record["experiment"],
        "trial": record["trial"],
        "part": record["part"],
        "kind": record["kind"],
        **record["axes"],
        **record["repeats"],
        "status": record["status"],
        "error": record["error"],
        "picture": record["picture"],
        "content": record["content"],
        "style": record["style"],
        "steps": record["steps"],
        "seconds": record["seconds"],
        **fitted,
        "loss": record["losses"].get("loss"),
        **record["scores"],
    }
