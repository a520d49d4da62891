"""The plan of a batch, its outcomes, and the base class of what shows its progress.

The plan has the pictures under their names, checked, in the order of their runs.

What several of them need (styles, masks and maps of regions, weights, folders) is read
at once and refused if it cannot be used. Of the contents only the headers are read, and
one that cannot be used, or that a mask does not fit, is only its own failure.
"""

import collections
import contextlib
import dataclasses
import itertools
import os
from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Literal

from kstyle.config.option_types import counted
from kstyle.config.style_config import PATH_OPTIONS, StyleConfig
from kstyle.config.style_source import ALPHA
from kstyle.errors import ConfigError, KStyleError
from kstyle.hardware.machine import THIS_MACHINE, Machine
from kstyle.hardware.precision import explain_precision, resolve_precision
from kstyle.images import reading, writing
from kstyle.planning.memory_fit import fit_memory
from kstyle.planning.regions import skipped_layers
from kstyle.planning.scales import ScalePlan, Size, plan_scales_of_run
from kstyle.runs.inputs import (
    InputCache,
    check_output_is_no_input,
    check_packages,
    load_config_weights,
    read_content_size,
    read_regions,
    read_style,
)
from kstyle.runs.job import Job
from kstyle.runs.region_inputs import check_regions_of_layers, region_words

PICTURE_SUFFIXES = tuple(
    suffix for suffixes in reading.READABLE_SUFFIXES.values() for suffix in suffixes
)
RESULT_SUFFIX = ".png"  # PNG holds 8 and 16 bits, transparency and the record


BatchStatus = Literal["finished", "there", "failed", "interrupted", "left"]
Paths = str | os.PathLike[str] | Iterable[str | os.PathLike[str]]


@dataclasses.dataclass(frozen=True)
class BatchEntry:
    """One picture of a batch.

    config: with options that fit the memory. requested_config: as it was before.
    state: "todo"; "there": an earlier batch has made it; or "failed", with the `error`.
    scales: of the run, if it is to be made.
    replaces: whether an existing result may be replaced.
    """

    config: StyleConfig
    requested_config: StyleConfig
    state: Literal["todo", "there", "failed"] = "todo"
    error: str = ""
    scales: tuple[ScalePlan, ...] = ()
    replaces: bool = False

    def result_size(self) -> Size:
        """Return (height, width) of the result."""
        return self.scales[-1].content_size


@dataclasses.dataclass(frozen=True)
class BatchPlan:
    """The entries of a batch in the order given, and the inputs read for them."""

    entries: tuple[BatchEntry, ...]
    inputs: InputCache
    machine: Machine = THIS_MACHINE

    def todo(self) -> list[BatchEntry]:
        """Return the entries to run, grouped so that one's models serve the next."""
        entries = [entry for entry in self.entries if entry.state == "todo"]
        first: dict[tuple[Size, str], int] = {}
        for number, entry in enumerate(entries):
            first.setdefault(model_key(entry), number)
        return sorted(entries, key=lambda entry: first[model_key(entry)])


@dataclasses.dataclass(frozen=True)
class BatchOutcome:
    """The outcome of one picture of a batch.

    status: "finished"; "there": it existed before; "failed", with an `error` in one
        sentence; "interrupted": the picture at Ctrl-C was kept; "left": not started.
    path, folder: of the result and of its run, if it was run now.
    """

    config: StyleConfig
    status: BatchStatus
    error: str = ""
    path: Path | None = None
    folder: Path | None = None
    steps: int = 0
    seconds: float = 0.0
    losses: dict[str, float] = dataclasses.field(default_factory=dict)


class SilentBatchWatch:
    """Base class of what shows the progress of a batch; shows nothing itself."""

    def begin(self, plan: BatchPlan, todo: Sequence[BatchEntry]) -> None:
        """Handle the plan before the first run. todo: in the order of the runs."""

    def running(self, job: Job) -> AbstractContextManager[list[Any]]:
        """Return a context for one run that yields its Keras callbacks."""
        return contextlib.nullcontext([])

    def end(self, entry: BatchEntry, outcome: BatchOutcome) -> None:
        """Handle the outcome of each run."""


def model_key(entry: BatchEntry) -> tuple[Size, str]:
    """Return what decides which graphs an entry needs, as far as it is known."""
    pictures = set(PATH_OPTIONS) - {"net", "weights"}
    options = entry.config.model_dump_json(exclude=pictures)
    return entry.result_size(), options


def batch_configs(
    config: StyleConfig,
    contents: Paths | None = None,
    styles: Paths | None = None,
    output: str | os.PathLike[str] | None = None,
) -> list[StyleConfig]:
    """Return a config for every content with every style, contents first.

    contents, styles: pictures and folders of pictures, one or several; `None`: the
        config's own. output: a folder for the results, CONTENT-STYLE.png; without it,
        each is `result.png` in the run's own folder.
    Raises: ConfigError: a folder cannot be read or has no pictures, or `output` is no
        folder, or is that of the contents.
    """
    contents = [config.content] if contents is None else expand_folders(contents)
    if styles is None:
        in_styles = [config]
    else:
        in_styles = [config.replace(style=style) for style in expand_folders(styles)]
    configs = [each.replace(content=c) for c in contents for each in in_styles]
    paths: list[str | None] = [None] * len(configs)
    if output is not None:
        check_output_folder(output, contents)
        names = result_names([picture_paths(each) for each in configs])
        paths = [str(Path(output) / name) for name in names]
    return [
        each.replace(output=path) for each, path in zip(configs, paths, strict=True)
    ]


def picture_paths(config: StyleConfig) -> tuple[str, ...]:
    """Return the paths of the content and of every style."""
    return config.content, *(style.picture for style in config.style_sources())


def expand_folders(places: Paths) -> list[str]:
    """Return the pictures that `places` name, those in a folder in place of it."""
    if isinstance(places, (str, os.PathLike)):
        places = [places]
    found: list[str] = []
    for place in places:
        path = os.fspath(place)
        found += pictures_in(path)[0] if os.path.isdir(path) else [path]
    return found


def pictures_in(folder: str | os.PathLike[str]) -> tuple[list[str], int]:
    """Return the pictures in `folder` by name, and the number of other files.

    Pictures are recognised by their suffix. Hidden files are other files; folders are
    not counted.
    Raises: ConfigError: the folder cannot be read, or has no picture.
    """
    try:
        files = sorted(p for p in Path(folder).iterdir() if not p.is_dir())
    except (OSError, ValueError) as error:  # ValueError: a NUL in the name
        reason = getattr(error, "strerror", None) or error
        raise ConfigError(f"{folder}: {reason}. Name a folder of pictures.") from None
    found = [
        str(path)
        for path in files
        if path.suffix.lower() in PICTURE_SUFFIXES and not path.name.startswith(".")
    ]
    if not found:
        raise ConfigError(
            f"There is no picture in {folder}, which has "
            f"{counted(len(files), 'file')}. Name a folder with "
            f"{', '.join(PICTURE_SUFFIXES)}."
        )
    return found, len(files) - len(found)


def check_output_folder(
    output: str | os.PathLike[str], contents: Iterable[str]
) -> None:
    """Refuse an output that names a file, or the folder of the contents.

    Raises: ConfigError.
    """
    folder = Path(output)
    if folder.suffix.lower() in writing.WRITABLE_BITS or folder.is_file():
        raise ConfigError(
            f"The output of a batch is a folder, and {folder} names a file. Its "
            f"results are CONTENT-STYLE{RESULT_SUFFIX} in a folder."
        )
    if any(Path(path).parent.resolve() == folder.resolve() for path in contents):
        raise ConfigError(
            f"The results would be among the contents in {folder}, and be contents the "
            "next time. Name another folder."
        )


def result_names(pairs: Sequence[tuple[str, ...]]) -> list[str]:
    """Return a file name for each pair of content and style, unique in any case.

    CONTENT-STYLE.png, and CONTENT-STYLE-STYLE.png of several styles; if that is not
    unique with suffixes (a_jpg-wave_png), and then with numbers. The same pairs get the
    same names each time.
    """
    names = [
        "-".join(Path(without_sample_prefix(path)).stem for path in pair)
        for pair in pairs
    ]
    count = collections.Counter(name.casefold() for name in names)
    found, taken = [], set()
    for name, pair in zip(names, pairs, strict=True):
        if count[name.casefold()] > 1:
            name = "-".join(
                Path(without_sample_prefix(path)).name.replace(".", "_")
                for path in pair
            )
        tries = itertools.chain([name], (f"{name}-{k}" for k in itertools.count(2)))
        numbered = next(n for n in tries if n.casefold() not in taken)
        taken.add(numbered.casefold())
        found.append(numbered + RESULT_SUFFIX)
    return found


def without_sample_prefix(path: str) -> str:
    """Return the name of a sample, or the path as it is."""
    return path.removeprefix("sample:")


def make_batch_plan(
    configs: Sequence[StyleConfig],
    *,
    overwrite: bool = False,
    machine: Machine = THIS_MACHINE,
) -> BatchPlan:
    """Plan a batch and check everything that can be checked before its runs.

    overwrite: whether existing results are replaced. Otherwise they stay, except those
        of interrupted and of diverged runs.
    Raises: KStyleError: something that several pictures need cannot be used.
    """
    # As a run resolves it: an unfinished run is recognised by its config.
    requested, inputs = configs, InputCache()
    configs = [
        c.replace(precision=resolve_precision(c.precision, c.device, machine))
        for c in requested
    ]
    outputs = [config.output for config in configs if config.output is not None]
    if not configs:
        raise ConfigError("A batch of no pictures: name one content at least.")
    if len(set(outputs)) < len(outputs):
        raise ConfigError("Two pictures of the batch have the same output.")
    styles = {(s.picture, s.crop) for c in configs for s in c.style_sources()}
    sizes = {key: read_style(*key, inputs).shape[:2] for key in styles}
    places = {Path(c.output).parent: Path(c.output) for c in configs if c.output}
    places |= {
        Path(c.logdir): Path(c.logdir) / f"result{RESULT_SUFFIX}" for c in configs
    }
    for path in places.values():
        writing.check_writable(path, overwrite=True)
    entries: list[BatchEntry] = []
    problems: dict[tuple[Size, str], str] = {}
    for config in configs:
        check_packages(config)
        load_config_weights(config, inputs)
        if config.has_init_file():
            inputs.load_picture(config.init)
        check_regions_of_layers(config)
        if config.has_regions():
            inputs.load_masks(config)
        of_styles = [sizes[s.picture, s.crop] for s in config.style_sources()]
        available = machine.available_bytes(config.device)
        entries.append(
            check_entry(config, of_styles, available, overwrite, inputs, problems)
        )
    for config in requested:
        explain_precision(config.precision, config.device, machine)
    return BatchPlan(tuple(entries), inputs, machine)


def check_entry(
    config: StyleConfig,
    style_sizes: Sequence[Size],
    available: int | None,
    overwrite: bool,
    inputs: InputCache,
    problems: dict[tuple[Size, str], str],
) -> BatchEntry:
    """Return the entry of one picture.

    available: as for `fit_memory`. problems: as for `region_problem`.
    """
    try:
        replaces = False
        if config.output is not None:
            check_output_is_no_input(config, config.output)
            writing.check_writable(config.output, bits=config.bits, overwrite=True)
            replaces = os.path.exists(config.output)
            if replaces and not overwrite and is_finished_result(config.output):
                return BatchEntry(config, config, "there")
        content_size = read_content_size(config.content, config.content_crop)
        sizes = content_size, *style_sizes
        fitted = fit_memory(config, *sizes, available=available)
        scales = plan_scales_of_run(fitted, *sizes)
        if problem := region_problem(fitted, scales, inputs, problems):
            return BatchEntry(config, config, "failed", problem)
        return BatchEntry(fitted, config, scales=scales, replaces=replaces)
    except KStyleError as error:
        return BatchEntry(config, config, "failed", str(error))


def region_problem(
    config: StyleConfig,
    scales: Sequence[ScalePlan],
    inputs: InputCache,
    problems: dict[tuple[Size, str], str],
) -> str:
    """Return why the masks do not fit a content, as its run would say; "" if they do.

    A mask is not looked at again for contents of one size: a large one takes a second.
    Those of a run that needs the content's alpha are not looked at: a header does not
    have it.
    problems: those found before.
    """
    if ALPHA in region_words(config):
        return ""
    # Not JSON, which has no paths that are not UTF-8.
    options = repr(config.model_dump(exclude={"content", "output"}))
    key = reading.picture_size(config.content), options
    if key not in problems:
        problems[key] = ""
        try:
            skipped_layers(config, read_regions(config, None, inputs), scales)
        except KStyleError as error:
            problems[key] = str(error)
    return problems[key]


def is_finished_result(path: str | os.PathLike[str]) -> bool:
    """Return whether the picture at `path` is that of a run that was not cut short."""
    return "exit" not in writing.read_metadata(path)
