"""Experiment files: a base config, axes and parts, to a list of checked trials.

    base_config: ../reference.yaml     # a config file, beside this one
    base: {size: 320, steps: 150}      # options on top of it
    axes:                              # what varies: an option, or a name of your own
      pool: [avg, max]
      region: {left: {style_crop: left}, whole: {}}
    mode: grid                         # or one-at-a-time
    parts:                             # the same axes under other options
      pastiche: {content_weight: 0, tv_weight: 0, init: noise}
      stylised: {}
    repeats: {seed: [0, 1, 2]}         # every trial once for each
    quick: {size: 96, steps: 8}        # options of a trial under --quick
    findings: [...]                    # see findings.py

In place of `axes`, `trials` is an explicit list of options. A part may have `axes`,
`mode` or `trials` of its own, and `kind: table` makes it a table of initial losses.
"""

import dataclasses
from pathlib import Path
from typing import Annotated, Any, Literal

import pydantic

from kstyle.config.option_types import validation_error
from kstyle.config.strict_yaml import read_config_file
from kstyle.config.style_config import StyleConfig
from kstyle.errors import ConfigError
from kstyle.experiments.definition import axes as axes_module
from kstyle.experiments.definition.axes import Choice, trial_folder_name
from kstyle.runs.job import safe_stem


def keys_as_text(value):
    """A mapping, its keys as text; in YAML `128:` is a number, and `a:` is `None`."""
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise ValueError("give a mapping, such as {name: value}")
    return {str(key): each for key, each in value.items()}


TextMapping = Annotated[dict[str, Any], pydantic.BeforeValidator(keys_as_text)]


class Part(pydantic.BaseModel):
    """What a part says beside options: its own axes, or its kind."""

    model_config = pydantic.ConfigDict(extra="allow", frozen=True)

    kind: Literal["picture", "table"] = "picture"
    axes: TextMapping | None = None
    mode: Literal["grid", "one-at-a-time"] | None = None
    trials: list[TextMapping] | None = None


PartMapping = Annotated[
    dict[str, Annotated[Part, pydantic.BeforeValidator(keys_as_text)]],
    pydantic.BeforeValidator(keys_as_text),
]


class ExperimentFile(pydantic.BaseModel):
    """The keys of an experiment file."""

    model_config = pydantic.ConfigDict(extra="forbid", frozen=True)

    title: str | None = pydantic.Field(None, description="a headline")
    question: str = pydantic.Field("", description="what it asks")
    finding: str = pydantic.Field("", description="what is known or expected")
    measured: str = pydantic.Field("", description="how it is measured")
    base_config: str | None = pydantic.Field(None, description="a YAML file of options")
    base: TextMapping = pydantic.Field({}, description="a mapping of options")
    axes: TextMapping | None = pydantic.Field(
        None, description="a mapping of names to lists or mappings of values"
    )
    mode: Literal["grid", "one-at-a-time"] = pydantic.Field(
        "grid", description="grid or one-at-a-time"
    )
    trials: list[TextMapping] | None = pydantic.Field(
        None, description="a list of mappings of options"
    )
    parts: PartMapping = pydantic.Field(
        {}, description="a mapping of names to mappings of options"
    )
    repeats: TextMapping = pydantic.Field(
        {}, description="a mapping of names to lists or mappings of values"
    )
    quick: TextMapping = pydantic.Field({}, description="a mapping of options")
    findings: list[TextMapping] = pydantic.Field(
        [], description="a list of mappings, each with a claim and a rule"
    )


QUICK_OPTIONS = {"size": 96, "steps": 6, "scale_steps": 3}
MAX_NAME_LENGTH = 150  # of a trial: its folder's name must fit 255 bytes


@dataclasses.dataclass(frozen=True)
class Trial:
    """One run of an experiment.

    `label`: its own name, if it has one. `axes`, `repeats`: name to label of the value.
    `options`: those that differ from the base. `kind`: "picture", or "table" of losses.
    """

    name: str
    label: str
    part: str
    kind: str
    axes: dict
    repeats: dict
    options: dict
    config: StyleConfig


@dataclasses.dataclass(frozen=True)
class Experiment:
    """A checked experiment file. `axes`, `repeats`: name to labels, in order."""

    name: str
    path: Path
    title: str
    question: str
    finding: str
    measured: str
    base: StyleConfig
    trials: tuple[Trial, ...]
    parts: tuple[str, ...]
    axes: dict
    repeats: dict
    findings: tuple[dict, ...]


def read_experiment(path, changes=None, *, quick=False, pairs=()):
    """The `Experiment` in the file `path`.

    changes: options put on top of every trial's own. quick: small, few steps, and the
        first of every repeat only. pairs: (content, style) pictures, a repeat each.
    Raises: ConfigError: the file, an option, an axis or a name cannot be used.
    """
    path = Path(path)
    options = read_config_file(path)
    try:
        if not options:
            raise ConfigError(
                "the file is empty. `kstyle experiment new` writes a template."
            )
        # A key with nothing after it is a key left out.
        file = ExperimentFile(**{k: v for k, v in options.items() if v is not None})
        return build_experiment(path, file, changes or {}, quick, pairs)
    except pydantic.ValidationError as error:
        sentence = validation_error(error, ExperimentFile.model_fields)
        raise ConfigError(f"{path}: {sentence}") from None
    except ConfigError as error:
        raise ConfigError(f"{path}: {error}") from None


def build_experiment(path, file, changes, quick, pairs):
    """The experiment of a file whose keys are known to be right."""
    base = base_options(path, file)
    hasty = QUICK_OPTIONS | file.quick if quick else {}
    start = StyleConfig(**{**base, **hasty, **changes})
    check_quick_options(base, file.quick)
    repeats = dict(file.repeats) | ({"pair": named_pairs(pairs)} if pairs else {})
    repeats = axes_module.expand_axes(repeats, "repeats")
    if quick:
        repeats = {name: values[:1] for name, values in repeats.items()}
    parts = file.parts or {"": Part()}
    runs = [
        (part, (choice, repeat, Choice(changes, {})))
        for part in parts.items()
        for repeat in axes_module.axis_grid(repeats)
        for choice in part_trials(file, part[1])
    ]
    axes_module.check_trial_count(len(runs))
    trials = [make_trial(*run, base, hasty, start) for run in runs]
    check_unique_names(trials)
    name = f"{path.stem}-quick" if quick else path.stem
    return Experiment(
        trial_folder_name(name),
        path,
        file.title or path.stem,
        *(file.question, file.finding, file.measured),
        start,
        tuple(trials),
        tuple(name for name in parts if name),
        collect_labels(trials, "axes"),
        collect_labels(trials, "repeats"),
        tuple(file.findings),
    )


def base_options(path, file):
    """The options of the file's `base_config`, with those of its `base` on top."""
    if file.base_config is None:
        return dict(file.base)
    options = read_config_file(path.parent / file.base_config)
    # A run's own config.yaml may say where that run's picture went.
    return {k: v for k, v in options.items() if k != "output"} | file.base


def check_quick_options(base, quick):
    """Refuse options that only `--quick` would find to be wrong."""
    try:
        StyleConfig(**{**base, **quick})
    except ConfigError as error:
        raise ConfigError(f"quick: {error}") from None


def named_pairs(pairs):
    """`{label: options}` of (content, style) pictures."""
    found = {}
    for pair in pairs:
        content, style = map(str, pair)
        label = f"{safe_stem(content)}+{safe_stem(style)}"
        if label in found:
            raise ConfigError(f"Two pairs are called {label!r}. Rename a picture.")
        found[label] = {"content": content, "style": style}
    return found


def part_trials(file, part):
    """The `axes.Choice`s of a part: its own axes or list, or else the file's."""
    own = part.axes is not None or part.trials is not None
    source = part if own else file
    if source.axes is not None and source.trials is not None:
        raise ConfigError("Give axes or trials, not both.")
    if source.trials is not None:
        return axes_module.listed_trials(source.trials)
    axes = axes_module.expand_axes(source.axes or {}, "axes")
    mode = part.mode or file.mode
    return (
        axes_module.one_at_a_time(axes)
        if mode != "grid"
        else axes_module.axis_grid(axes)
    )


def make_trial(part, choices, base, hasty, start):
    """One trial; its options: base, part, the `hasty` ones of --quick, `choices`.

    choices: what the axes say, the repeat, and what is changed for all trials alike.
        An axis of sizes is not made small: its trials would be one and the same.
    """
    part_name, settings = part
    choice, repeat, _ = choices
    name = trial_folder_name(part_name, *choice.words(), *repeat.words()) or "base"
    try:
        chosen = axes_module.merge_choices(choices).options
        own = (settings.model_extra or {}) | hasty | chosen
        if settings.kind == "table":
            own |= {"all_losses": True}  # it needs the weights of every layer
        config = StyleConfig(**{**base, **own})
        if config.output is not None:
            raise ConfigError("output: a result lies in its trial's folder.")
    except ConfigError as error:
        raise ConfigError(f"trial {name!r}: {error}") from None
    full, plain = config.model_dump(), start.model_dump()
    options = {key: full[key] for key in full if full[key] != plain[key]}
    return Trial(
        *(name, choice.name, part_name, settings.kind),
        *(choice.labels, repeat.labels, options, config),
    )


def check_unique_names(trials):
    """Each trial needs a name of its own, since its folder is called so."""
    seen = set()
    for trial in trials:
        if trial.name.lower() in seen:  # some file systems ignore case
            raise ConfigError(
                f"Two trials are called {trial.name!r}. Give each value or trial a "
                "label of its own."
            )
        if len(trial.name.encode()) > MAX_NAME_LENGTH:
            raise ConfigError(
                f"The trial's name {trial.name!r} is longer than {MAX_NAME_LENGTH} "
                "bytes. Give its values short labels, as `axis: {label: value}`."
            )
        seen.add(trial.name.lower())


def collect_labels(trials, field):
    """`{name: labels in order of appearance}` of the trials' axes or repeats."""
    found = {}
    for trial in trials:
        for name, label in getattr(trial, field).items():
            found.setdefault(name, {})[label] = None
    return {name: tuple(values) for name, values in found.items()}
