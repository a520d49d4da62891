"""`run.json`: the inputs of a run, its machine, and how it ended."""

import contextlib
import csv
import datetime
import json
import platform
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NotRequired, TypedDict

from kstyle.config.style_config import PATH_OPTIONS, StyleConfig
from kstyle.config.style_source import map_style_paths
from kstyle.errors import ConfigError, DivergedError
from kstyle.files import check_no_web_address, file_hash, json_text, write_text
from kstyle.hardware.host import package_versions
from kstyle.images.samples import picture_file
from kstyle.networks.weights import weights_hash

RUN_FILE = "run.json"


class Fingerprint(TypedDict):
    """All that decides the result of a run.

    config: the options as JSON has them. pictures: `{option: SHA-256}` of the picture
    files. weights: SHA-256 of the weights' file.
    """

    config: dict[str, Any]
    pictures: dict[str, str]
    weights: str


class RunRecord(TypedDict):
    """The content of `run.json`.

    exit: "running", which stays if the process is killed; "finished", "interrupted",
    "diverged" or "failed", the last two with an `error`. begun: UTC, ISO 8601.
    result: SHA-256 of the picture's file that the run has written; a run that is
    resumed may replace it.
    guard: what the divergence guard did: dicts of `step`, `reason` and `action`.
    `read_run` makes `config` a `StyleConfig` and adds the run's `folder`.
    """

    config: Any
    pictures: dict[str, str]
    weights: str
    weights_source: str
    versions: dict[str, str | None]
    machine: str
    begun: str
    exit: str
    error: str | None
    steps: int
    seconds: float
    losses: dict[str, float]
    result: NotRequired[str]
    guard: NotRequired[list[dict[str, Any]]]
    folder: NotRequired[Path]


def run_fingerprint(config: StyleConfig) -> Fingerprint:
    """Return the options and the hashes of all files that decide a run's result."""
    return {
        "config": config.model_dump(mode="json"),
        "pictures": picture_hashes(config.picture_options()),
        "weights": weights_hash(config.net, config.weights),
    }


def changed_files(then: Fingerprint | RunRecord, now: Fingerprint) -> list[str]:
    """List the files that differ between two fingerprints, each in a few words."""
    before = then["pictures"]
    changed = [
        f"the {name} picture's file"
        for name, digest in now["pictures"].items()
        if before.get(name) != digest
    ]
    if then["weights"] != now["weights"]:
        changed.append("the weights' file")
    return changed


def picture_hashes(pictures: Mapping[str, str]) -> dict[str, str]:
    """Return `{option: SHA-256}` of picture files. pictures: `{option: its value}`."""
    return {name: file_hash(picture_file(path)) for name, path in pictures.items()}


@contextlib.contextmanager
def record_run(
    config: StyleConfig, weights_source: str, folder: Path
) -> Iterator[RunRecord]:
    """Write the run's `run.json` at the start and at the end of the block.

    Yields the record, to which the block adds its results and its `exit`. An exception
    is recorded as "failed" or "diverged" and raised again.
    """
    record: RunRecord = {
        **run_fingerprint(config),
        "weights_source": weights_source,
        "versions": package_versions(),
        "machine": platform.machine(),
        "begun": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "exit": "running",
        "error": None,
        "steps": 0,
        "seconds": 0.0,
        "losses": {},
    }
    written = result_hash(folder)
    if written is not None:
        record["result"] = written
    write_run_record(folder, record)
    try:
        yield record
    except BaseException as error:
        record["exit"] = "diverged" if isinstance(error, DivergedError) else "failed"
        record["error"] = str(error) or type(error).__name__
        raise
    finally:
        with contextlib.suppress(OSError):  # a full disk is reported by its own error
            write_run_record(folder, record)


def write_run_record(folder: Path, record: RunRecord) -> None:
    """Write `run.json` into a run's folder. Raises: OSError."""
    write_text(folder / RUN_FILE, json_text(record, indent=1) + "\n")


def result_hash(folder: Path) -> str | None:
    """Return the SHA-256 of the result that the run in `folder` has written, if any."""
    try:
        return read_run(folder).get("result")
    except ConfigError:
        return None


def shareable_options(config: StyleConfig) -> dict[str, Any]:
    """Return the config's options as JSON has them, absolute paths as names alone.

    For files that are passed on: the folders of their author are private. Bytes of a
    name that are not UTF-8 are escaped.
    """
    options = config.model_dump(mode="json")
    for key in PATH_OPTIONS:
        if options[key] is not None:
            options[key] = shareable_path(options[key])
    options["styles"] = map_style_paths(options["styles"], shareable_path)
    return options


def shareable_path(text: str) -> str:
    """Return the name of an absolute path, or a relative path, as printable text."""
    path = Path(text)
    private = str(path).startswith("~") or path.is_absolute()
    return escape_undecodable(path.name if private else text)


def escape_undecodable(name: str) -> str:
    """Return a file's name with the bytes that are not UTF-8 as \\udc80 to \\udcff."""
    return name.encode("utf-8", "backslashreplace").decode()


def read_run(place: str | Path) -> RunRecord:
    """Read the record of a run from its folder or its `run.json`.

    Raises: ConfigError: there is none, or it is not readable.
    """
    check_no_web_address(place)
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
        reason = getattr(error, "strerror", None) or error
        raise ConfigError(
            f"{path} is no record of a run ({reason}). Name a run's folder in logs/, "
            "or its run.json."
        ) from None
    return record


def changes_since(record: RunRecord) -> list[str]:
    """List the files and package versions that have changed since a recorded run."""
    changed = changed_files(record, run_fingerprint(record["config"]))
    for name, version in package_versions().items():
        then = record["versions"].get(name)
        if then != version:
            changed.append(f"{name} ({then} then, {version} now)")
    return changed


def config_difference(first: RunRecord, second: RunRecord) -> list[tuple]:
    """Return `[(option, its value in each)]` of the options that differ."""
    one, other = (each["config"].model_dump(mode="json") for each in (first, second))
    return [(key, one[key], other[key]) for key in one if one[key] != other[key]]


def read_loss_curve(record: RunRecord) -> dict[int, float]:
    """Read `{step: total loss}` from the run's `losses.csv`; empty if it is absent."""
    try:
        with open(record["folder"] / "losses.csv", newline="") as file:
            return {
                int(row["step"]): float(row["loss"]) for row in csv.DictReader(file)
            }
    except (OSError, ValueError, KeyError, TypeError):
        return {}
