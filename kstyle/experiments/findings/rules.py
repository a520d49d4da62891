"""The findings of an experiment file, and the checks on them before anything runs.

A finding in an experiment file is a claim, one quantity and a rule:

    - claim: avg's total loss falls much faster
      reach: {of: {pool: avg}, to: {pool: max}}
      part: stylised            # only trials of this part, if there are parts
      confirmed: "< 0.5"        # or "> 0.5", or "0.9 .. 1.1"

`of`, `to` and the other selections choose one trial by the labels of its axes (and by
`part`), or by its name in a list of `trials`, as `{trial: soft}`; in mode one-at-a-time
the base is called `base`. A list of labels, or an axis left out, selects several
trials, which the `to` of a ratio and `others` allow. The quantities:

- `ratio: {value, of, to, against: mean|min|max}`: a value of one trial divided by that
  of another, or by the mean, smallest or largest of several.
- `trend: {value, along: axis, labels: […]}`: Spearman's rank correlation of a value
  with the order of the axis's labels: 1 if it always grows, -1 if it always falls.
- `difference: {measure, between: [a, b], relative_to: [c, d]}`: the distance of two
  pictures, divided by the distance of two others.
- `apart: {measure, of, others}`: the smallest distance of one picture to the others,
  divided by the largest distance among the others.
- `reach: {of, to, factor}`: steps that one trial needs to 1.1 (factor) x the final loss
  of another, divided by the steps that the other needs; infinite if it never does.
  Only for trials of the same objective: the losses of others are on other scales, and
  the one with the smaller losses begins below the bar. Compare those by a `ratio` of
  `steps_to_fall`, in which each run has its own scale.
- `share: {of, layer, among, kind: style|content}`: a layer's share of the unweighted
  losses of some layers, in a table of initial losses.

A `value` is a score (`scoring.names.SCORES`), or `start/`, `end/` or `left/` with
`loss`, `content`, `style` or `tv`: the weighted loss before the first and after the
last step, and the last over the first.
A `measure` is `style` (relative Gram distance) or `colour` (mean CIELAB difference).
"""

import dataclasses
import difflib
import math
import re
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any

from kstyle.errors import ConfigError
from kstyle.experiments.definition.axes import (
    Selection,
    as_labels,
    label_combinations,
    matches_selection,
)
from kstyle.experiments.definition.experiment_file import Experiment, Trial
from kstyle.experiments.findings.quantities import (
    AGGREGATES,
    CURVE_NAMES,
    CURVE_VALUES,
    MEASURES,
    QUANTITIES,
)

SELECTION_KEYS = ("of", "to", "others")  # each has one selection
PAIR_KEYS = ("between", "relative_to")  # each has two


@dataclasses.dataclass(frozen=True)
class Finding:
    """A checked claim about an experiment.

    `quantity`: a key of `QUANTITIES`. `arguments`: of the quantity, as in the file,
    with its defaults. `confirmed`: the rule for the number, such as "> 1.1". `part`:
    the part whose trials are meant, or `None`.
    """

    claim: str
    quantity: str
    arguments: dict[str, Any]
    confirmed: str
    part: str | None = None

    def within_part(self, selection: Selection) -> dict[str, Any]:
        """Restrict a selection to the finding's part, unless it names another."""
        part = {} if self.part is None else {"part": self.part}
        return {**part, **selection}


def parse_rule(text: Any) -> Callable[[float], bool]:
    """Parse `"> 1.1"`, `"< 0.5"` or `"0.9 .. 1.1"` to a test of a number.

    Raises: ConfigError: it is none of these.
    """
    number = r"\s*(-?\d+(?:\.\d+)?(?:e-?\d+)?)\s*"
    if found := re.fullmatch(rf"\s*([<>]){number}", str(text)):
        bound = float(found[2])
        return (lambda x: x < bound) if found[1] == "<" else (lambda x: x > bound)
    if found := re.fullmatch(rf"{number}\.\.{number}", str(text)):
        low, high = float(found[1]), float(found[2])
        if low <= high:
            return lambda x: low <= x <= high
    raise ConfigError(
        f"{text!r} is no rule. Expected '> 1.1', '< 0.5' or '0.9 .. 1.1'."
    )


def check_findings(
    mappings: Iterable[Mapping[str, Any]],
    experiment: Experiment,
    scores: Collection[str],
) -> list[Finding]:
    """Check the findings of an experiment file.

    mappings: the findings as in the file. scores: the names of the scores.
    Raises: ConfigError: a key, axis, label, part or score does not exist, or a rule
        cannot be parsed.
    """
    result = []
    for mapping in mappings:
        try:
            result.append(check_finding(mapping, experiment, scores))
        except ConfigError as error:
            name = mapping.get("claim") or mapping
            raise ConfigError(f"finding {name!r}: {error}") from None
    return result


def check_finding(
    mapping: Mapping[str, Any], experiment: Experiment, scores: Collection[str]
) -> Finding:
    """Check one finding; see `check_findings`."""
    names = [name for name in QUANTITIES if name in mapping]
    if len(names) != 1:
        raise ConfigError(
            f"Give one quantity of {list(QUANTITIES)}. Received: {names}."
        )
    (name,) = names
    check_keys(mapping, ("claim", "confirmed", name), ("part",))
    parse_rule(mapping["confirmed"])
    if not isinstance(mapping[name], dict):
        raise ConfigError(f"{name} is a mapping. Received: {mapping[name]!r}.")
    finding = Finding(
        claim=mapping["claim"],
        quantity=name,
        arguments=check_arguments(name, mapping[name], experiment, scores),
        confirmed=mapping["confirmed"],
        part=mapping.get("part"),
    )
    check_selection(finding.within_part({}), experiment)
    for key, selection in listed_selections(finding.arguments):
        check_selection(selection, experiment)
        check_selected_trials(name, key, finding.within_part(selection), experiment)
    return finding


def check_arguments(
    name: str,
    arguments: dict[str, Any],
    experiment: Experiment,
    scores: Collection[str],
) -> dict[str, Any]:
    """Return the arguments of the quantity `name` with their defaults, but for the
    selections checked."""
    quantity = QUANTITIES[name]
    check_keys(arguments, quantity.required, quantity.optional)
    check_values(arguments, scores)
    if name != "trend":
        return arguments
    along = str(arguments["along"])
    check_selection({along: arguments.get("labels", [])}, experiment)
    labels = arguments.get("labels", known_labels(experiment)[along])
    return arguments | {"along": along, "labels": as_labels(labels)}


def check_keys(
    mapping: Mapping[str, Any], required: Collection[str], optional: Collection[str]
) -> None:
    """Raise `ConfigError` for an unknown key or a missing one."""
    known = sorted([*required, *optional])
    for key in mapping:
        if key not in known:
            raise ConfigError(f"Unknown key {key!r}. It may have {known}.")
    for key in sorted(required):
        if key not in mapping:
            raise ConfigError(f"The key {key!r} is missing.")


def check_values(arguments: Mapping[str, Any], scores: Collection[str]) -> None:
    """Raise `ConfigError` for an argument whose value does not exist."""
    among = arguments.get("among")
    curves = [f"{when}/{curve}" for when in CURVE_VALUES for curve in CURVE_NAMES]
    known_values = {
        "value": [*scores, *curves],
        "measure": [*MEASURES],
        "against": [*AGGREGATES],
        "kind": ["style", "content"],
        "layer": among if isinstance(among, list) else [],
    }
    for key, known in known_values.items():
        if key in arguments and arguments[key] not in known:
            close = difflib.get_close_matches(str(arguments[key]), known, n=1)
            hint = f"Did you mean {close[0]!r}?" if close else f"Known: {known}."
            raise ConfigError(f"Unknown {key} {arguments[key]!r}. {hint}")
    factor = arguments.get("factor", 1)
    if not isinstance(factor, (int, float)) or not 0 < factor < math.inf:
        raise ConfigError(f"factor is a number above 0. Received: {factor!r}.")


def listed_selections(arguments: Mapping[str, Any]) -> list[tuple[str, Any]]:
    """Return `(key, selection)` for every selection in a quantity's arguments.

    Raises: ConfigError: a pair has not two selections, or a trend not two labels.
    """
    found = [(key, arguments[key]) for key in SELECTION_KEYS if key in arguments]
    for key in PAIR_KEYS:
        if key in arguments:
            if not isinstance(arguments[key], list) or len(arguments[key]) != 2:
                raise ConfigError(f"{key} takes two selections: [{{…}}, {{…}}].")
            found += [(key, selection) for selection in arguments[key]]
    if "along" in arguments:
        labels = arguments["labels"]
        if len(labels) < 2:
            raise ConfigError(f"A trend needs two labels. There are {labels}.")
        found += [("along", {arguments["along"]: label}) for label in labels]
    return found


def known_labels(experiment: Experiment) -> dict[str, tuple[str, ...]]:
    """Return `{axis, "part" or "trial": labels}` that selections can use."""
    names = tuple(dict.fromkeys(t.label for t in experiment.trials if t.label))
    own = {"trial": names} if names else {}
    return experiment.axes | {"part": experiment.parts} | own


def check_selection(selection: Any, experiment: Experiment) -> None:
    """Raise `ConfigError` for an axis, label or part that no trial has."""
    if not isinstance(selection, dict):
        raise ConfigError(f"A selection is {{axis: label}}. Received: {selection!r}.")
    known = known_labels(experiment)
    for axis, labels in selection.items():
        if axis not in known:
            raise ConfigError(f"Unknown axis {axis!r}. There are {list(known)}.")
        for label in as_labels(labels):
            if label not in known[axis]:
                raise ConfigError(
                    f"{axis} has no value {label!r}. It has {list(known[axis])}."
                )


def check_selected_trials(
    name: str, key: str, selection: Selection, experiment: Experiment
) -> None:
    """Raise `ConfigError` if a selection's trials are not what the quantity takes.

    name: of the quantity. key: that of the selection in its arguments.
    """
    quantity = QUANTITIES[name]
    trials: list[Trial] = []
    first_repeat = experiment.trials[0].repeats  # every repeat has the same trials
    for combination in label_combinations(selection):
        matching = [
            trial
            for trial in experiment.trials
            if trial.repeats == first_repeat
            and matches_selection(combination, trial.part, trial.label, trial.axes)
        ]
        if not matching:
            raise ConfigError(f"{key}: no trial has {combination}.")
        trials += matching
    names = [trial.name for trial in trials]
    if key not in quantity.several and len(trials) != 1:
        raise ConfigError(
            f"{key}: one trial is meant, and {selection} has {names}. Name the part "
            "and a value of every axis, or the trial by its own name."
        )
    if len(trials) < quantity.several.get(key, 1):
        raise ConfigError(f"{key}: there are too few trials, {names}.")
    for trial in trials:
        if trial.kind != quantity.trial_kind:
            raise ConfigError(
                f"{key}: {trial.name!r} has no {quantity.trial_kind} for a {name}."
            )
