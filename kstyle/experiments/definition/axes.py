"""Axes of an experiment: lists of values expanded to combinations of options.

Also the reverse: which trials a finding's selection `{axis: label or labels}` matches.
"""

import dataclasses
import difflib
import itertools
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from kstyle.config.style_config import StyleConfig
from kstyle.errors import ConfigError

# Columns of the result tables, and the word by which findings select a part: an axis of
# such a name would overwrite the column.
RESERVED_NAMES = {
    "experiment",
    "trial",
    "part",
    "kind",
    "status",
    "error",
    "picture",
    "seconds",
    "loss",
}
MAX_TRIALS = 1000  # trials of one experiment

Selection = Mapping[str, Any]  # axis (or "part" or "trial") to a label or labels


@dataclasses.dataclass(frozen=True)
class Choice:
    """Options that are set together, with the labels that name them.

    `options`: option to value. `labels`: axis to label. `name`: a trial's name in a
    list of `trials`, else "".
    """

    options: dict[str, Any]
    labels: dict[str, str]
    name: str = ""

    def name_parts(self) -> list[str]:
        """Return what the trial's name takes from this choice."""
        if self.name:
            return [self.name]
        return [f"{axis}={label}" for axis, label in self.labels.items()]


def expand_axes(axes: Mapping[str, Any], section: str) -> dict[str, list[Choice]]:
    """Return `{axis: [Choice, …]}`, one choice for each value.

    axes: `{axis: values}`. Values are a list (the axis is an option), or a mapping from
        labels to a value of that option or to several options at once.
    section: "axes" or "repeats", for messages.
    Raises: ConfigError: an axis has no values, or is no option and its values are not
        mappings of options.
    """
    found = {}
    for axis, values in axes.items():
        if not isinstance(values, (dict, list, tuple)):
            values = [values]
        if not values:
            raise ConfigError(f"{section}: {axis!r} has no values. Give at least one.")
        if axis in RESERVED_NAMES:
            raise ConfigError(f"{section}: the name {axis!r} is reserved. Rename it.")
        if not isinstance(values, dict):
            values = label_values(axis, values)
        found[axis] = [
            make_choice(axis, label, value) for label, value in values.items()
        ]
    return found


def label_values(axis: str, values: Iterable[Any]) -> dict[str, Any]:
    """Return `{label: value}` of a list of values.

    Raises: ConfigError: two values have the same label.
    """
    found: dict[str, Any] = {}
    for value in values:
        label = as_label(value)
        if label in found:
            raise ConfigError(f"axis {axis!r} has the value {label!r} twice.")
        found[label] = value
    return found


def make_choice(axis: str, label: Any, value: Any) -> Choice:
    """Return one value of an axis as a `Choice`.

    Raises: ConfigError: the axis is no option and `value` no mapping of options.
    """
    if not isinstance(value, dict):
        if axis not in StyleConfig.model_fields:
            close = difflib.get_close_matches(axis, StyleConfig.model_fields, n=1)
            hint = f"Did you mean {close[0]!r}?" if close else "Name an option."
            raise ConfigError(
                f"axis {axis!r} is no option of stylize. {hint} Or give each value "
                f"as a mapping of options: {axis}: {{{label}: {{style_size: 256}}}}."
            )
        value = {axis: value}
    options = {str(key): each for key, each in value.items()}
    return Choice(options, {axis: as_label(label)})


def as_label(value: Any) -> str:
    """Return the text by which reports show a value and findings select it."""
    if isinstance(value, float) and math.isfinite(value):
        return f"{value:g}"
    if isinstance(value, (list, tuple)):
        return "+".join(map(as_label, value))
    if isinstance(value, dict):
        return "+".join(f"{key}:{as_label(each)}" for key, each in value.items())
    text = "none" if value is None else str(value)
    # Labels are in folder names and reports, which should not show the user's folders.
    absolute = text.startswith("~") or Path(text).is_absolute()
    return (Path(text).name if absolute else "") or text


def as_labels(value: Any) -> list[str]:
    """Return the labels of a selection, given as one value or a list of values."""
    values = value if isinstance(value, (list, tuple)) else [value]
    return [as_label(each) for each in values]


def label_combinations(selection: Selection) -> list[dict[str, str]]:
    """Return every `{axis: label}` of a selection with several labels for an axis."""
    labels = itertools.product(*map(as_labels, selection.values()))
    return [dict(zip(selection, each, strict=True)) for each in labels]


def matches_selection(
    combination: Mapping[str, str], part: str, label: str, axes: Mapping[str, str]
) -> bool:
    """Return whether a trial has the labels of one combination of a selection.

    part, label, axes: those of the trial; `label` is its name in a list of `trials`.
    """
    known = {**axes, "part": part, "trial": label}
    return combination.items() <= known.items()


def trial_folder_name(*words: str) -> str:
    """Join words to the name of a folder: no separators, not hidden, not `..`."""
    safe = [re.sub(r"[^\w.+=%-]", "_", word) for word in words if word]
    return re.sub(r"^\.", "_", ",".join(safe))


def axis_grid(axes: Mapping[str, Sequence[Choice]]) -> list[Choice]:
    """Return every combination of the axes' choices, the first axis slowest.

    Without axes: one empty `Choice`. Raises: ConfigError: more than `MAX_TRIALS`.
    """
    check_trial_count(math.prod(map(len, axes.values())))
    return [merge_choices(choices) for choices in itertools.product(*axes.values())]


def check_trial_count(trials: int) -> None:
    """Raise `ConfigError` for more than `MAX_TRIALS` trials, before they are built."""
    if trials > MAX_TRIALS:
        raise ConfigError(
            f"{trials} trials are more than {MAX_TRIALS}. Take values or axes away, "
            "or use mode: one-at-a-time."
        )


def one_at_a_time(axes: Mapping[str, Sequence[Choice]]) -> list[Choice]:
    """Return the base, then each value of each axis by itself."""
    singles = [choice for choices in axes.values() for choice in choices]
    return [Choice({}, {}, "base"), *singles]


def merge_choices(choices: Iterable[Choice]) -> Choice:
    """Merge several choices into one.

    Raises: ConfigError: two of them set the same option, so one label would be wrong.
    """
    options: dict[str, Any] = {}
    labels: dict[str, str] = {}
    for choice in choices:
        twice = (options.keys() & choice.options) | (labels.keys() & choice.labels)
        if twice:
            raise ConfigError(
                f"{min(twice)!r} is set twice for a trial, by axes, repeats, --pair or "
                "--set. Set it in one of them only."
            )
        options |= choice.options
        labels |= choice.labels
    return Choice(options, labels)


def listed_trials(trials: Iterable[Mapping[str, Any]]) -> list[Choice]:
    """Return a `Choice` for each mapping of a list of `trials`.

    A mapping's `name` becomes the choice's; without it the options are the labels.
    Raises: ConfigError: the list is empty.
    """
    if not trials:
        raise ConfigError("trials: the list is empty. Give one mapping of options.")
    found = []
    for trial in trials:
        options = {key: value for key, value in trial.items() if key != "name"}
        labels = {key: as_label(value) for key, value in options.items()}
        name = trial.get("name")
        found.append(Choice(options, labels, "" if name is None else str(name)))
    return found
