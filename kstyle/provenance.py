"""`run.json`: what a run was made of, where it ran, and how it ended."""

import contextlib
import csv
import datetime
import json
import platform
from pathlib import Path

from kstyle.checkpoints import changed_files, origin
from kstyle.config import StyleConfig
from kstyle.errors import ConfigError, DivergedError
from kstyle.files import json_text, write_text
from kstyle.machine import versions

FILE = "run.json"
PATHS = ("content", "style", "init", "weights", "output", "logdir")


@contextlib.contextmanager
def recorded(job):
    """Keep the job's `run.json` up to date, however the block ends.

    Yields the record, to which what is measured is added. Its `exit` is "running",
    which stays where the process is killed, then "failed" or "diverged" with an
    `error`, or what the block makes of it.
    """
    record = {
        **origin(job.config),
        "weights_source": job.weights.source,
        "versions": versions(),
        "machine": platform.machine(),
        "begun": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        **{"exit": "running", "error": None, "steps": 0, "seconds": 0.0, "losses": {}},
    }
    path = job.folder / FILE
    write_text(path, json_text(record, indent=1) + "\n")
    try:
        yield record
    except BaseException as error:
        word = "diverged" if isinstance(error, DivergedError) else "failed"
        record |= {"exit": word, "error": str(error) or type(error).__name__}
        raise
    finally:
        with contextlib.suppress(OSError):  # a full disk is told of by its own error
            write_text(path, json_text(record, indent=1) + "\n")


def shareable(config):
    """The config's options as JSON has them, of an absolute path its name alone.

    For what may be passed on: where its maker keeps files is nobody's affair.
    """
    options = config.model_dump(mode="json")
    for key in PATHS:
        path = Path(options[key] or "")
        if str(path).startswith("~") or path.is_absolute():
            options[key] = path.name
    return options


def read_run(place):
    """The record of a run, from its folder or its `run.json`.

    Raises: ConfigError: there is none that can be read.
    """
    path = Path(place)
    path = path / FILE if path.is_dir() else path
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
        record["config"] = StyleConfig(**record["config"])
        record["losses"] = {k: float(v) for k, v in record["losses"].items()}
        record["folder"] = path.parent
        if not {"exit", "versions", "pictures", "weights"} <= record.keys():
            raise ValueError("it lacks some keys")
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise ConfigError(
            f"{path} is no record of a run ({error}). Name a run's folder in logs/, or "
            "its run.json."
        ) from None
    return record


def changes_since(record):
    """What is not as it was at the run of `record`, each in a few words."""
    changed = changed_files(record, origin(record["config"]))
    for name, version in versions().items():
        then = record["versions"].get(name)
        if then != version:
            changed.append(f"{name} ({then} then, {version} now)")
    return changed


def config_difference(*records):
    """`[(option, its value in each)]` of the options that are not the same."""
    options = [record["config"].model_dump(mode="json") for record in records]
    return [
        (key, *(each[key] for each in options))
        for key in options[0]
        if any(each[key] != options[0][key] for each in options)
    ]


def curve(record):
    """`{step: total loss}` of the run's `losses.csv`; empty where it is not there."""
    try:
        with open(record["folder"] / "losses.csv", newline="") as file:
            return {
                int(row["step"]): float(row["loss"]) for row in csv.DictReader(file)
            }
    except (OSError, ValueError, KeyError, TypeError):
        return {}
