"""Experiment files: a base config, axes and parts, read as a list of checked trials.

    base_config: ../reference.yaml     # a config file, beside this one
    base: {size: 320, steps: 150}      # options on top of it
    axes:                              # what varies: an option, or any other name
      pool: [avg, max]
      region: {left: {style_crop: left}, whole: {}}
    mode: grid                         # or one-at-a-time
    parts:                             # the same axes under other options
      pastiche: {content_weight: 0, tv_weight: 0, init: noise}
      stylised: {}
    repeats: {seed: [0, 1, 2]}         # every trial once for each
    quick: {size: 96, steps: 8}        # options of a trial under --quick
    findings: [...]                    # see kstyle.experiments.findings.rules

Instead of `axes`, `trials` lists the options of each trial. A part can have its own
`axes`, `mode` or `trials`; with `kind: table` it measures initial losses and makes no
picture.
"""

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import pydantic

from kstyle.config.option_types import validation_error
from kstyle.config.strict_yaml import read_config_file
from kstyle.config.style_config import StyleConfig
from kstyle.config.style_source import (
    without_replaced_styles,
    without_shares_of_styles,
)
from kstyle.errors import ConfigError
from kstyle.experiments.definition.axes import (
    Choice,
    axis_grid,
    check_trial_count,
    expand_axes,
    listed_trials,
    merge_choices,
    one_at_a_time,
    trial_folder_name,
)
from kstyle.runs.job import safe_stem


def keys_as_text(value: Any) -> dict[str, Any]:
    """Return a mapping with its keys as text, and `None` as an empty mapping.

    In YAML the key of `128: x` is a number, and the value of `a:` is `None`.
    """
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise ValueError("give a mapping, such as {name: value}")
    return {str(key): each for key, each in value.items()}


TextMapping = Annotated[dict[str, Any], pydantic.BeforeValidator(keys_as_text)]
TrialKind = Literal["picture", "table"]  # a stylised picture, or initial losses
Mode = Literal["grid", "one-at-a-time"]


class Part(pydantic.BaseModel):
    """A part of an experiment file: options, and its own kind, axes or trials."""

    model_config = pydantic.ConfigDict(extra="allow", frozen=True)

    kind: TrialKind = "picture"
    axes: TextMapping | None = None
    mode: Mode | None = None
    trials: list[TextMapping] | None = None


PartMapping = Annotated[
    dict[str, Annotated[Part, pydantic.BeforeValidator(keys_as_text)]],
    pydantic.BeforeValidator(keys_as_text),
]


class ExperimentFile(pydantic.BaseModel):
    """The keys of an experiment file."""

    model_config = pydantic.ConfigDict(extra="forbid", frozen=True)

    title: str | None = pydantic.Field(None, description="a headline")
    question: str = pydantic.Field("", description="a question")
    finding: str = pydantic.Field("", description="what is known or expected")
    measured: str = pydantic.Field("", description="how it is measured")
    base_config: str | None = pydantic.Field(None, description="a YAML file of options")
    base: TextMapping = pydantic.Field({}, description="a mapping of options")
    axes: TextMapping | None = pydantic.Field(
        None, description="a mapping of names to lists or mappings of values"
    )
    mode: Mode = pydantic.Field("grid", description="grid or one-at-a-time")
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
MAX_NAME_LENGTH = 150  # bytes of a trial's name: file systems allow 255 for a folder


@dataclasses.dataclass(frozen=True)
class Trial:
    """One run of an experiment.

    `name`: unique; also its folder's. `label`: its name in a list of `trials`, else "".
    `part`: "" without parts. `axes`, `repeats`: name to label of the value.
    `options`: those that differ from the experiment's base.
    """

    name: str
    label: str
    part: str
    kind: TrialKind
    axes: dict[str, str]
    repeats: dict[str, str]
    options: dict[str, Any]
    config: StyleConfig


@dataclasses.dataclass(frozen=True)
class Experiment:
    """A checked experiment file.

    `axes`, `repeats`: name to labels, in order of appearance. `findings`: as in the
    file; `findings.rules.check_findings` checks them.
    """

    name: str
    path: Path
    title: str
    question: str
    finding: str
    measured: str
    base: StyleConfig
    trials: tuple[Trial, ...]
    parts: tuple[str, ...]
    axes: dict[str, tuple[str, ...]]
    repeats: dict[str, tuple[str, ...]]
    findings: tuple[dict[str, Any], ...]
    quick: bool = False  # a smoke test, from which no claim can be judged

    def smoke_test(self) -> str:
        """Return what a reader must know of an experiment under `--quick`, else ""."""
        if not self.quick:
            return ""
        return (
            f"Smoke test (--quick): {self.base.steps} steps at {self.base.size} px. It "
            "shows that everything runs; no claim is judged. Run it without --quick "
            "for verdicts."
        )


def read_experiment(
    path: str | Path,
    changes: Mapping[str, Any] | None = None,
    *,
    quick: bool = False,
    pairs: Iterable[Sequence[str | Path]] = (),
) -> Experiment:
    """Read and check the experiment file `path`.

    changes: options set for every trial, on top of its own. quick: small pictures, few
        steps, and only the first value of every repeat. pairs: (content, style)
        pictures, each a repeat of all trials.
    Raises: ConfigError: the file, an option, an axis or a name cannot be used.
    """
    path = Path(path)
    options = read_config_file(path)
    try:
        if not options:
            raise ConfigError(
                "the file is empty. `kstyle experiment new` writes a template."
            )
        # A key without a value counts as left out.
        file = ExperimentFile(**{k: v for k, v in options.items() if v is not None})
        return build_experiment(path, file, dict(changes or {}), quick, pairs)
    except pydantic.ValidationError as error:
        sentence = validation_error(error, ExperimentFile.model_fields)
        raise ConfigError(f"{path}: {sentence}") from None
    except ConfigError as error:
        raise ConfigError(f"{path}: {error}") from None


def build_experiment(
    path: Path,
    file: ExperimentFile,
    changes: dict[str, Any],
    quick: bool,
    pairs: Iterable[Sequence[str | Path]],
) -> Experiment:
    """Build the experiment of a file with valid keys; see `read_experiment`."""
    file_options = base_options(path, file)
    quick_options = QUICK_OPTIONS | file.quick if quick else {}
    # Each trial is checked with all of them.
    base = StyleConfig(
        **without_shares_of_styles({**file_options, **quick_options, **changes})
    )
    check_quick_options(file_options, file.quick)
    repeats = repeat_choices(file, pairs, first_only=quick)
    parts = file.parts or {"": Part()}
    combinations = [
        (name, choice, repeat)
        for name, part in parts.items()
        for repeat in repeats
        for choice in part_choices(file, part)
    ]
    check_trial_count(len(combinations))
    trials = []
    for name, choice, repeat in combinations:
        options = file_options | (parts[name].model_extra or {}) | quick_options
        kind = parts[name].kind
        trials.append(make_trial(name, kind, options, choice, repeat, changes, base))
    check_unique_names(trials)
    return Experiment(
        name=trial_folder_name(f"{path.stem}-quick" if quick else path.stem),
        path=path,
        title=file.title or path.stem,
        question=file.question,
        finding=file.finding,
        measured=file.measured,
        base=base,
        trials=tuple(trials),
        parts=tuple(name for name in parts if name),
        axes=collect_labels(trial.axes for trial in trials),
        repeats=collect_labels(trial.repeats for trial in trials),
        findings=tuple(file.findings),
        quick=quick,
    )


def base_options(path: Path, file: ExperimentFile) -> dict[str, Any]:
    """Return the options of the file's `base_config`, then of its `base`."""
    if file.base_config is None:
        return dict(file.base)
    options = read_config_file(path.parent / file.base_config)
    # The config.yaml of a run can name that run's result file.
    return {k: v for k, v in options.items() if k != "output"} | file.base


def check_quick_options(base: dict[str, Any], quick: dict[str, Any]) -> None:
    """Raise `ConfigError` for wrong `quick` options, also without `--quick`."""
    try:
        StyleConfig(**without_shares_of_styles({**base, **quick}))
    except ConfigError as error:
        raise ConfigError(f"quick: {error}") from None


def repeat_choices(
    file: ExperimentFile, pairs: Iterable[Sequence[str | Path]], *, first_only: bool
) -> list[Choice]:
    """Return every combination of the repeats.

    first_only: only the first value of every repeat is used.
    """
    repeats = dict(file.repeats)
    if named := named_pairs(pairs):
        repeats["pair"] = named
    choices = expand_axes(repeats, "repeats")
    if first_only:
        choices = {name: values[:1] for name, values in choices.items()}
    return axis_grid(choices)


def named_pairs(pairs: Iterable[Sequence[str | Path]]) -> dict[str, dict[str, str]]:
    """Return `{label: options}` of (content, style) pictures.

    Raises: ConfigError: two pairs have the same label.
    """
    found: dict[str, dict[str, str]] = {}
    for pair in pairs:
        content, style = map(str, pair)
        label = f"{safe_stem(content)}+{safe_stem(style)}"
        if label in found:
            raise ConfigError(f"Two pairs are called {label!r}. Rename a picture.")
        found[label] = {"content": content, "style": style}
    return found


def part_choices(file: ExperimentFile, part: Part) -> list[Choice]:
    """Return the choices of a part: of its own axes or trials, else of the file's."""
    own = part.axes is not None or part.trials is not None
    source = part if own else file
    if source.axes is not None and source.trials is not None:
        raise ConfigError("Give axes or trials, not both.")
    if source.trials is not None:
        return listed_trials(source.trials)
    axes = expand_axes(source.axes or {}, "axes")
    mode = part.mode or file.mode
    return axis_grid(axes) if mode == "grid" else one_at_a_time(axes)


def make_trial(
    part: str,
    kind: TrialKind,
    options: dict[str, Any],
    choice: Choice,
    repeat: Choice,
    changes: dict[str, Any],
    base: StyleConfig,
) -> Trial:
    """Return one trial.

    options: those of the base, of the part and of `--quick`; `choice` (of the axes),
        `repeat` and `changes` replace them, so `--quick` leaves an axis of sizes alone.
    base: what the trial's own options are listed against.
    Raises: ConfigError: an option cannot be used, or is set twice.
    """
    parts = (part, *choice.name_parts(), *repeat.name_parts())
    name = trial_folder_name(*parts) or "base"
    try:
        chosen = merge_choices((choice, repeat, Choice(changes, {}))).options
        # A table of initial losses needs every layer.
        forced = {"all_losses": True} if kind == "table" else {}
        kept = without_replaced_styles(options, chosen)
        config = StyleConfig(**{**kept, **chosen, **forced})
        if config.output is not None:
            raise ConfigError(
                "output: a trial's result is written to its folder. Leave it out."
            )
    except ConfigError as error:
        raise ConfigError(f"trial {name!r}: {error}") from None
    base_values = base.model_dump()
    return Trial(
        name=name,
        label=choice.name,
        part=part,
        kind=kind,
        axes=choice.labels,
        repeats=repeat.labels,
        options={k: v for k, v in config.model_dump().items() if v != base_values[k]},
        config=config,
    )


def check_unique_names(trials: Iterable[Trial]) -> None:
    """Raise `ConfigError` for a name that is used twice or too long for a folder."""
    seen = set()
    for trial in trials:
        if trial.name.lower() in seen:  # some file systems ignore case
            raise ConfigError(
                f"Two trials are called {trial.name!r}. Give each value or trial a "
                "different label."
            )
        if len(trial.name.encode()) > MAX_NAME_LENGTH:
            raise ConfigError(
                f"The trial's name {trial.name!r} is longer than {MAX_NAME_LENGTH} "
                "bytes. Give its values short labels, as `axis: {label: value}`."
            )
        seen.add(trial.name.lower())


def collect_labels(labels: Iterable[dict[str, str]]) -> dict[str, tuple[str, ...]]:
    """Return `{name: labels in order of appearance}` of the trials' axes or repeats."""
    found: dict[str, dict[str, None]] = {}
    for each in labels:
        for name, label in each.items():
            found.setdefault(name, {})[label] = None
    return {name: tuple(values) for name, values in found.items()}
