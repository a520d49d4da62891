"""Which pictures a batch paints: found, named, checked and put in order beforehand.

What all of them need (styles, weights, folders) is read and refused at once. Of the
contents only the headers are read, and one that cannot be used is a failure of its own.
"""

import collections
import dataclasses
import itertools
import os
from pathlib import Path

from kstyle.config.style_config import PATH_OPTIONS, StyleConfig
from kstyle.errors import ConfigError, KStyleError
from kstyle.hardware.precision import explain_precision, resolve_precision
from kstyle.images import reading, writing
from kstyle.images.picture import fit_long_edge
from kstyle.planning.memory_fit import fit_memory
from kstyle.planning.scales import usable_scales
from kstyle.runs.inputs import InputCache, load_config_weights, read_style

PICTURE_SUFFIXES = tuple(
    suffix for suffixes in reading.READABLE_SUFFIXES.values() for suffix in suffixes
)
RESULT_SUFFIX = (
    ".png"  # of the results: it holds 8 and 16 bits, transparency and the record
)


@dataclasses.dataclass(frozen=True)
class BatchEntry:
    """One picture of a batch.

    config: fitted to the memory. asked: as it was before.
    state: "todo"; "there", if an earlier batch has painted it; or "failed", with the
        `error`. sizes: (height, width) of the content's and of the style's file.
    replaces: whether there is something in the result's place that may go.
    """

    config: StyleConfig
    asked: StyleConfig
    state: str = "todo"
    error: str = ""
    sizes: tuple = ()
    replaces: bool = False

    def result_size(self):
        """(height, width) of the picture that comes of it."""
        return fit_long_edge(self.sizes[0], self.config.size)


@dataclasses.dataclass(frozen=True)
class BatchPlan:
    """The entries of a batch in the order given, and what has been read for them."""

    entries: tuple[BatchEntry, ...]
    shelf: InputCache

    def todo(self):
        """What is to be painted, equal sizes and options one after the other: the
        models of the one serve the next."""
        first, entries = {}, [e for e in self.entries if e.state == "todo"]
        for number, entry in enumerate(entries):
            first.setdefault(model_key(entry), number)
        return sorted(entries, key=lambda entry: first[model_key(entry)])


def model_key(entry):
    """What decides which graphs an entry needs, as far as it is known beforehand."""
    options = entry.config.model_dump_json(exclude=set(PATH_OPTIONS) - {"weights"})
    return entry.result_size(), options


def batch_configs(config, contents=None, styles=None, output=None):
    """A config for every content in every style, contents first.

    contents, styles: names of pictures and of folders of pictures, one or a list; the
        config's own where `None`. output: a folder, where each result is put as
        CONTENT-STYLE.png; without it, each is `result.png` in the run's own folder.
    Raises: ConfigError: a folder cannot be read or has no pictures in it, or `output`
        is no folder, or that of the contents.
    """
    contents = [config.content] if contents is None else expand_folders(contents)
    styles = [config.style] if styles is None else expand_folders(styles)
    pairs = [(content, style) for content in contents for style in styles]
    paths = [None] * len(pairs)
    if output is not None:
        check_output_folder(output, contents)
        paths = [str(Path(output) / name) for name in result_names(pairs)]
    return [
        config.replace(content=content, style=style, output=path)
        for (content, style), path in zip(pairs, paths, strict=True)
    ]


def expand_folders(places):
    """The pictures that `places` name, a folder standing for those in it."""
    places = [places] if isinstance(places, (str, os.PathLike)) else places
    found = []
    for place in map(str, places):
        found += pictures_in(place)[0] if os.path.isdir(place) else [place]
    return found


def pictures_in(folder):
    """The pictures in `folder` by name, and how many other files are there.

    A picture is known by its suffix. Hidden files are others; folders do not count.
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
            f"There is no picture in {folder}, which has {len(files)} files. Name a "
            f"folder with {', '.join(PICTURE_SUFFIXES)}."
        )
    return found, len(files) - len(found)


def check_output_folder(output, contents):
    """Refuse a folder of results that cannot be one."""
    folder = Path(output)
    if folder.suffix.lower() in writing.WRITABLE_BITS or folder.is_file():
        raise ConfigError(
            f"The output of a batch is a folder, and {folder} names a file. Its "
            f"results are CONTENT-STYLE{RESULT_SUFFIX} in a folder."
        )
    if any(Path(path).parent.resolve() == folder.resolve() for path in contents):
        raise ConfigError(
            f"The results would be among the contents in {folder}, and be painted next "
            "time. Name another folder."
        )


def result_names(pairs):
    """A file's name for each pair of content and style; no two alike in any case.

    CONTENT-STYLE.png; the suffixes come in where that is not enough (a_jpg-wave_png),
    and then numbers. The same pairs have the same names each time.
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


def without_sample_prefix(path):
    return path.removeprefix("sample:")


def make_batch_plan(configs, *, overwrite=False):
    """The `Plan` of a batch, all that can be checked beforehand being checked.

    overwrite: whether results that are there are painted anew; otherwise they stay,
        but for those of runs that Ctrl-C has cut short or that have diverged.
    Raises: KStyleError: something that more than one picture needs cannot be used.
    """
    # As a run resolves them: what it leaves is known again by its config.
    wanted, configs, shelf = (
        configs,
        [resolve_precision(c) for c in configs],
        InputCache(),
    )
    outputs = [config.output for config in configs if config.output is not None]
    if not configs:
        raise ConfigError("A batch of no pictures: name one content at least.")
    if len(set(outputs)) < len(outputs):
        raise ConfigError("Two pictures of the batch have the same output.")
    styles = {(c.style, c.style_crop): c for c in configs}
    sizes = {k: read_style(c, shelf).shape[:2] for k, c in styles.items()}
    places = {Path(c.output).parent: Path(c.output) for c in configs if c.output}
    places |= {
        Path(c.logdir): Path(c.logdir) / f"result{RESULT_SUFFIX}" for c in configs
    }
    for path in places.values():
        writing.check_writable(path, overwrite=True)
    entries = []
    for config in configs:
        load_config_weights(config, shelf)
        if config.has_init_file():
            shelf.picture(config.init)
        size = sizes[config.style, config.style_crop]
        entries.append(check_entry(config, size, overwrite))
    explain_precision(*wanted)
    return BatchPlan(tuple(entries), shelf)


def check_entry(config, style_size, overwrite):
    """The `Entry` of one picture."""
    try:
        replaces = False
        if config.output is not None:
            writing.check_writable(config.output, bits=config.bits, overwrite=True)
            replaces = os.path.exists(config.output)
            if replaces and not overwrite and is_finished_result(config.output):
                return BatchEntry(config, config, "there")
        sizes = reading.picture_size(config.content), style_size
        usable_scales(config, *sizes)
        fitted = fit_memory(config, *sizes)
        return BatchEntry(fitted, config, sizes=sizes, replaces=replaces)
    except KStyleError as error:
        return BatchEntry(config, config, "failed", str(error))


def is_finished_result(path):
    """Whether the picture at `path` is more than what a run that was cut short kept."""
    return "exit" not in writing.read_metadata(path)
