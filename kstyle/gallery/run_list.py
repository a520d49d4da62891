"""The runs in a folder of runs, such as `logs/`, and what their records say."""

import dataclasses
import datetime
import logging
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from kstyle.config.looks import LOOKS
from kstyle.config.style_config import StyleConfig
from kstyle.errors import ConfigError
from kstyle.files import check_no_web_address
from kstyle.runs.job import result_path
from kstyle.runs.provenance import RUN_FILE, RunRecord, read_run

log = logging.getLogger("kstyle")

MAX_FOLDER_DEPTH = 4  # logs/EXPERIMENT/TRIAL, and some folders in between
# Options that describe a picture to its painter. Weights of layers are left out: most
# are solved at the start of a run, and are other numbers with every pair of pictures.
DESCRIBED_OPTIONS = (
    "net",
    "pool",
    "style_loss",
    "content_loss",
    "color",
    "blend",
    "finish",
    "init",
    "optimizer",
    "parameterization",
    "convention",
    "tv_weight",
    "steps",
    "scale_steps",
    "scales",
    "style_scale",
    "style_crop",
    "content_crop",
    "seed",
)


@dataclasses.dataclass(frozen=True)
class RunEntry:
    """A run that was found in a folder of runs.

    group: the folder that it shares with others, such as an experiment's; "" where it
        is directly in the folder of runs. record: of its `run.json`.
    """

    group: str
    record: RunRecord

    @property
    def folder(self) -> Path:
        """The run's folder."""
        return self.record["folder"]

    @property
    def config(self) -> StyleConfig:
        """The options of the run."""
        return self.record["config"]

    @property
    def title(self) -> str:
        """The names of the pictures, as `run_title` gives them."""
        return run_title(self.config)

    @property
    def begun(self) -> datetime.datetime | None:
        """When the run began, in local time; `None` if the record does not say so."""
        try:
            return datetime.datetime.fromisoformat(self.record["begun"]).astimezone()
        except (KeyError, TypeError, ValueError):
            return None

    def result(self) -> Path | None:
        """Return the file of the result; of a run without one the last snapshot, or
        `None` if there is none either."""
        path = result_path(self.config.output, self.folder)
        if path.is_file():
            return path
        snapshots = snapshot_files(self.folder)
        return snapshots[-1] if snapshots else None

    def described_options(self) -> dict[str, str]:
        """Map the options that a reader wants to know to their values as text: the
        look, and those of `DESCRIBED_OPTIONS` that differ from their defaults."""
        config, defaults = (
            each.model_dump(mode="json") for each in (self.config, StyleConfig())
        )
        found: dict[str, Any] = {}
        if config["strength"] is not None:
            found["strength"] = config["strength"]
        elif config["style_weight"] == LOOKS[config["look"]]:
            found["look"] = config["look"]
        else:
            found["style_weight"] = config["style_weight"]
        for name in DESCRIBED_OPTIONS:
            if config[name] != defaults[name]:
                found[name] = config[name]
        masks = [style.region for style in self.config.style_sources()]
        regions = [picture_name(mask) for mask in masks if mask is not None]
        if self.config.content_map is not None:
            regions = [picture_name(self.config.content_map)]
        if regions:
            found["region"] = regions
        return {name: shown_value(value) for name, value in found.items()}


def run_title(config: StyleConfig) -> str:
    """Return the names of the pictures of a run, without folders and suffixes."""
    return f"{picture_name(config.content)} in the style of {style_names(config)}"


def style_names(config: StyleConfig) -> str:
    """Return the names of the paintings of a run: `night, window and meadow`."""
    names = [picture_name(style.picture) for style in config.style_sources()]
    *others, last = names
    return f"{', '.join(others)} and {last}" if others else last


def shown_value(value: Any) -> str:
    """Return the value of an option, as JSON has it, as a reader expects it."""
    if isinstance(value, list):
        return ", ".join(map(shown_value, value))
    return f"{value:g}" if isinstance(value, float) else str(value)


def picture_name(path: str) -> str:
    """Return the name of a picture to show: without `sample:`, folders and suffix."""
    return Path(path.removeprefix("sample:")).stem


def snapshot_files(folder: Path) -> list[Path]:
    """List the snapshots of a run by their steps."""
    return sorted((folder / "snapshots").glob("step_*.png"))


def find_runs(folder: str | Path) -> list[RunEntry]:
    """List the runs in `folder` and in folders in it, the latest first.

    Hidden folders are left out. A run whose record cannot be read is logged.
    Raises: ConfigError: there is no such folder.
    """
    check_no_web_address(folder)
    folder = Path(folder)
    if not folder.is_dir():
        raise ConfigError(f"{folder} is not a folder. Name a folder of runs, as logs/.")
    entries = []
    for place in run_folders(folder):
        try:
            record = read_run(place)
        except ConfigError as error:
            log.warning("left out: %s", error)
            continue
        parts = place.relative_to(folder).parts[:-1]
        entries.append(RunEntry("/".join(parts), record))
    entries.sort(key=lambda entry: str(entry.record.get("begun")), reverse=True)
    return entries


def run_folders(folder: Path) -> Iterator[Path]:
    """Yield the folders in `folder` that have a `run.json`; it may be one itself."""
    for place, names, files in os.walk(folder):
        here = Path(place)
        if RUN_FILE in files:
            yield here
        deep = len(here.relative_to(folder).parts) >= MAX_FOLDER_DEPTH
        if RUN_FILE in files or deep:
            names.clear()
        names[:] = sorted(name for name in names if not name.startswith("."))
