"""Axes of an experiment: from lists of values to combinations of options.

Also the way back: which of the trials a selection `{axis: label or labels}` means.
"""

import dataclasses
import difflib
import itertools
import math
import re
from pathlib import Path

from kstyle.config.style_config import StyleConfig
from kstyle.errors import ConfigError

# Columns of the tables, and what findings call a part: no axis may be called so.
RESERVED_NAMES = {
    *("experiment", "trial", "part", "kind", "status", "error", "picture"),
    *("seconds", "loss"),
}
MAX_TRIALS = 1000  # trials of an experiment


@dataclasses.dataclass(frozen=True)
class Choice:
    """Some options, the labels that say which, and a name if one was given."""

    options: dict
    labels: dict
    name: str = ""

    def words(self):
        """What a trial's name says of it: its own name, or each label with its axis."""
        labelled = [f"{axis}={text}" for axis, text in self.labels.items()]
        return [self.name] if self.name else labelled


def expand_axes(axes, key):
    """`{axis: [Choice, …]}`, one for each value.

    axes: `{axis: values}`. Values are a list (the axis is an option), or a mapping from
        labels to a value of that option or to several options at once.
    Raises: ConfigError: an axis without values, or that is no option and needs one.
    """
    found = {}
    for axis, values in axes.items():
        if not isinstance(values, (dict, list, tuple)):
            values = [values]
        if not values:
            raise ConfigError(f"{key}: {axis!r} has no values. Name one at least.")
        if axis in RESERVED_NAMES:
            raise ConfigError(f"{key}: none may be called {axis!r}. Rename it.")
        if not isinstance(values, dict):
            values = label_values(axis, values)
        found[axis] = [
            make_choice(axis, label, value) for label, value in values.items()
        ]
    return found


def label_values(axis, values):
    """`{label: value}` of a list; the same value twice is a mistake."""
    found = {}
    for value in values:
        text = as_label(value)
        if text in found:
            raise ConfigError(f"axis {axis!r} has the value {text!r} twice.")
        found[text] = value
    return found


def make_choice(axis, text, value):
    """One value of an axis as a `Choice`."""
    if not isinstance(value, dict):
        if axis not in StyleConfig.model_fields:
            close = difflib.get_close_matches(axis, StyleConfig.model_fields, n=1)
            hint = f"Did you mean {close[0]!r}?" if close else "Name one."
            raise ConfigError(
                f"axis {axis!r} is no option of stylize. {hint} Or give each value "
                f"as a mapping of options: {axis}: {{{text}: {{style_size: 256}}}}."
            )
        value = {axis: value}
    options = {str(key): each for key, each in value.items()}
    return Choice(options, {axis: as_label(text)})


def as_label(value):
    """A value as it is shown and as findings select it."""
    if isinstance(value, float) and math.isfinite(value):
        return f"{value:g}"
    if isinstance(value, (list, tuple)):
        return "+".join(map(as_label, value))
    if isinstance(value, dict):
        return "+".join(f"{key}:{as_label(each)}" for key, each in value.items())
    text = "none" if value is None else str(value)
    # The label names the trial's folder, and a report says nothing of its maker's home.
    absolute = text.startswith("~") or Path(text).is_absolute()
    return (Path(text).name if absolute else "") or text


def as_labels(value):
    """A label or labels of a selection, as text."""
    return [
        as_label(v) for v in (value if isinstance(value, (list, tuple)) else [value])
    ]


def label_combinations(selection):
    """Every `{axis: label}` of a selection, which may have several labels an axis."""
    labels = itertools.product(*map(as_labels, selection.values()))
    return [dict(zip(selection, each, strict=True)) for each in labels]


def matches_selection(combination, part, name, axes):
    """Whether a trial of that part, with that name of its own and those labels of its
    axes, is meant."""
    return combination.items() <= (axes | {"part": part, "trial": name}).items()


def trial_folder_name(*words):
    """Words as the name of a folder: no separators, and neither hidden nor `..`."""
    safe = [re.sub(r"[^\w.+=%-]", "_", word) for word in words if word]
    return re.sub(r"^\.", "_", ",".join(safe))


def axis_grid(axes):
    """Every combination, the first axis slowest; one empty `Choice` without axes."""
    check_trial_count(math.prod(map(len, axes.values())))
    return [merge_choices(choices) for choices in itertools.product(*axes.values())]


def check_trial_count(trials):
    """Refuse more trials than anybody waits for, before they take memory."""
    if trials > MAX_TRIALS:
        raise ConfigError(
            f"{trials} trials are more than {MAX_TRIALS}. Take values or axes away, "
            "or use mode: one-at-a-time."
        )


def one_at_a_time(axes):
    """The base, then each value of each axis alone."""
    singles = [choice for choices in axes.values() for choice in choices]
    return [Choice({}, {}, "base"), *singles]


def merge_choices(choices):
    """One `Choice` of several; if two set the same option, one label would be wrong."""
    options, labels = {}, {}
    for choice in choices:
        twice = (options.keys() & choice.options) | (labels.keys() & choice.labels)
        if twice:
            raise ConfigError(
                f"{min(twice)!r} is set twice for a trial, by axes, repeats or --set. "
                "Leave it to one of them."
            )
        options |= choice.options
        labels |= choice.labels
    return Choice(options, labels)


def listed_trials(trials):
    """A `Choice` for each mapping of options in a list; its `name`, or its options."""
    if not trials:
        raise ConfigError("trials: the list is empty. Give one mapping of options.")
    found = []
    for trial in trials:
        options = {key: value for key, value in trial.items() if key != "name"}
        labels = {key: as_label(value) for key, value in options.items()}
        name = trial.get("name")
        found.append(Choice(options, labels, "" if name is None else str(name)))
    return found
