"""`run.json`: what a run was made of, where it ran, and how it ended."""

import contextlib
import csv
import datetime
import functools
import hashlib
import json
import os
import platform
from pathlib import Path

from kstyle.config.style_config import PATH_OPTIONS, StyleConfig
from kstyle.errors import ConfigError, DivergedError
from kstyle.files import json_text, write_text
from kstyle.hardware.host import package_versions
from kstyle.images.samples import picture_file
from kstyle.networks.weights import BUILTIN_SHA256, keras_path


def run_fingerprint(config):
    """All that decides a run's result, as JSON has it: options and hashes of files."""
    return {
        "config": config.model_dump(mode="json"),
        "pictures": picture_hashes(config),
        "weights": weights_hash(config),
    }


def changed_files(then, now):
    """The files that differ between two of `origin`, each in a few words."""
    before = then.get("pictures", {})
    changed = [
        f"the {name} picture's file"
        for name, digest in now["pictures"].items()
        if before.get(name) != digest
    ]
    return changed + ["the weights' file"] * (then.get("weights") != now["weights"])


def picture_hashes(config):
    """`{option: SHA-256}` of the picture files that the config names."""
    pictures = config.picture_options()
    return {name: file_hash(picture_file(path)) for name, path in pictures.items()}


def weights_hash(config):
    """SHA-256 of the file of weights that the config names."""
    if config.weights == "builtin":
        return BUILTIN_SHA256[config.net]
    keras = config.weights == "keras"
    return file_hash(keras_path(config.net) if keras else config.weights)


def file_hash(path):
    """SHA-256 of a file's bytes; "absent" where there is none to be read."""
    try:
        path = Path(path).expanduser()
        state = os.stat(path)
        return cached_file_hash(path, state.st_mtime_ns, state.st_size)
    except (OSError, ValueError, RuntimeError):
        return "absent"


@functools.lru_cache(maxsize=256)
def cached_file_hash(path, changed, size):
    """One pass over a file that many trials share; anew when it has changed."""
    del changed, size  # part of the key alone
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


RUN_FILE = "run.json"


@contextlib.contextmanager
def record_run(job):
    """Keep the job's `run.json` up to date, however the block ends.

    Yields the record, to which what is measured is added. Its `exit` is "running",
    which stays where the process is killed, then "failed" or "diverged" with an
    `error`, or what the block makes of it.
    """
    record = {
        **run_fingerprint(job.config),
        "weights_source": job.weights.source,
        "versions": package_versions(),
        "machine": platform.machine(),
        "begun": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        **{"exit": "running", "error": None, "steps": 0, "seconds": 0.0, "losses": {}},
    }
    path = job.folder / RUN_FILE
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


def shareable_options(config):
    """The config's options as JSON has them, of an absolute path its name alone.

    For what may be passed on: where its maker keeps files is nobody's affair.
    """
    options = config.model_dump(mode="json")
    for key in PATH_OPTIONS:
        path = Path(options[key] or "")
        if str(path).startswith("~") or path.is_absolute():
            options[key] = path.name
    return options


def read_run(place):
    """The record of a run, from its folder or its `run.json`.

    Raises: ConfigError: there is none that can be read.
    """
    path = Path(place)
    path = path / RUN_FILE if path.is_dir() else path
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
    changed = changed_files(record, run_fingerprint(record["config"]))
    for name, version in package_versions().items():
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


def read_loss_curve(record):
    """`{step: total loss}` of the run's `losses.csv`; empty where it is not there."""
    try:
        with open(record["folder"] / "losses.csv", newline="") as file:
            return {
                int(row["step"]): float(row["loss"]) for row in csv.DictReader(file)
            }
    except (OSError, ValueError, KeyError, TypeError):
        return {}
