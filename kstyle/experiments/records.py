"""What is on disk of a trial: its record, and whether that is still the same trial."""

import functools
import hashlib
import json
import shutil
from pathlib import Path

from kstyle.config.style_config import BOOKKEEPING_OPTIONS
from kstyle.errors import ConfigError
from kstyle.files import json_text, write_text
from kstyle.runs.job import safe_stem
from kstyle.runs.provenance import picture_hashes, weights_hash

RECORD_FILE = "record.json"
BENCH_EVENTS = ".bench"  # ends the name of an event file that is about the experiment


def trial_fingerprint(trial):
    """A hash of all that decides a trial's result: options, pictures, weights."""
    config = trial.config
    options = config.model_dump(mode="json", exclude=BOOKKEEPING_OPTIONS)
    pictures = list(picture_hashes(config).values())
    parts = [trial.kind, options, pictures]
    weights = {config.weights: weights_hash(config)}
    text = json.dumps([*parts, weights], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def new_record(experiment, trial):
    """The record of a trial that has not run. experiment: its name."""
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
        "style": safe_stem(trial.config.style),
        **{"steps": 0, "seconds": 0.0, "losses": {}, "weights": {}, "scores": {}},
        **{"curve": {}, "table": None},
    }


def read_record(folder):
    """The record in a trial's folder; `None` where there is none that can be read."""
    try:
        text = (Path(folder) / RECORD_FILE).read_text(encoding="utf-8")
        record = {"fitted": {}, "label": ""} | json.loads(text)  # the first have none
        for key in ("scores", "losses"):  # what is no number is a text in JSON
            record[key] = {name: float(value) for name, value in record[key].items()}
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return None
    return record if "hash" in record else None


def finished_record(folder):
    """The record in a trial's folder if it is finished and its picture still there."""
    record = read_record(folder)
    if record is None or record.get("status") != "finished":
        return None
    picture = record.get("picture")
    kept = picture is None or (Path(folder) / Path(picture).name).is_file()
    return record if kept else None


def find_identical_trial(logdir, digest):
    """The folder of a finished trial of any experiment with that hash, or `None`."""
    for path in sorted(Path(logdir).glob(f"*/*/{RECORD_FILE}")):
        if cached_record_hash(path, path.stat().st_mtime_ns) == digest:
            if finished_record(path.parent) is not None:
                return path.parent
    return None


@functools.lru_cache(maxsize=4096)
def cached_record_hash(path, changed):
    """The hash in a record's file: every trial asks for that of all others."""
    del changed  # part of the key alone
    record = read_record(path.parent)
    return record and record["hash"]


def copy_identical_trial(twin, folder, record):
    """Make `folder` a copy of the run in `twin`; what that adds to `record`.

    What TensorBoard was told of the twin's own experiment stays behind.
    """
    shutil.copytree(twin, folder, ignore=shutil.ignore_patterns(f"*{BENCH_EVENTS}"))
    kept = read_record(twin)
    picture = kept["picture"] and f"{record['folder']}/{Path(kept['picture']).name}"
    measured = ("steps", "seconds", "losses", "weights", "curve", "table", "fitted")
    return {key: kept[key] for key in measured} | {"picture": picture}


def write_record(folder, record):
    """Write `record` into a trial's folder, whole or not at all."""
    write_text(Path(folder) / RECORD_FILE, json_text(record, indent=1) + "\n")


def split_finished(experiment, folder, *, overwrite=False):
    """`({trial name: record} of what is done already, [trials to run])`.

    A trial is done if its folder's record says so under the same hash and its picture
    is there; failed and unfinished ones run again.
    Raises: ConfigError: a finished trial of that name had other options or pictures,
        and `overwrite` is not given.
    """
    finished, todo, others = {}, [], []
    for trial in experiment.trials:
        record = finished_record(folder / trial.name)
        if record is not None and record["hash"] == trial_fingerprint(trial):
            finished[trial.name] = relabelled_record(record, experiment, trial)
        else:
            todo.append(trial)
            others += [trial.name] if record is not None else []
    if others and not overwrite:
        raise ConfigError(
            f"{folder} holds results of other options or pictures for {len(others)} of "
            f"the trials, the first is {others[0]!r}. Use --overwrite to replace them, "
            "or another --logdir."
        )
    return finished, todo


def relabelled_record(record, experiment, trial):
    """A finished record under the labels that the experiment's file has now."""
    kept = new_record(experiment.name, trial)
    keys = ("experiment", "label", "part", "axes", "repeats", "options")
    return record | {key: kept[key] for key in keys}


def flat_row(record):
    """A record as one row of a table: `{column: number or text}`."""
    row = {key: record[key] for key in ("experiment", "trial", "part", "kind")}
    row |= record["axes"] | record["repeats"]
    row |= {key: record[key] for key in ("status", "error", "picture", "content")}
    row |= {key: record[key] for key in ("style", "steps", "seconds")}
    row |= {f"fitted/{name}": value for name, value in record["fitted"].items()}
    row["loss"] = record["losses"].get("loss")
    return row | record["scores"]
