"""What a finding says, and the checks on it before anything runs.

A finding in an experiment file is a claim, one quantity and a rule:

    - claim: avg's total loss falls much faster
      reach: {of: {pool: avg}, to: {pool: max}}
      part: stylised            # of the trials that are meant, if there are parts
      confirmed: "< 0.5"        # or "> 0.5", or "0.9 .. 1.1"

`of`, `to` and the like select one trial by the labels of its axes (and by `part`), or
by the name that it has in a list of `trials`, as `{trial: soft}`; that of the base in
mode one-at-a-time is `base`. A list of labels, or an axis left out, selects several
where that is allowed: in the `to` of a ratio, and in `others`. The quantities:

- `ratio: {value, of, to, against: mean|min|max}`: a value of one trial over that of
  another, or over the mean, least or largest of several.
- `trend: {value, along: axis, labels: […]}`: Spearman's rank correlation of a value
  with the order of the axis's labels, 1 if it always grows, -1 if it always falls.
- `difference: {measure, between: [a, b], relative_to: [c, d]}`: how far two pictures
  are apart, over how far two others are.
- `apart: {measure, of, others}`: the least distance of one picture to the others, over
  the largest among these.
- `reach: {of, to, factor}`: steps that one trial takes to 1.1 (factor) x the final loss
  of another, over the steps that the other takes; infinite if it never gets there.
- `share: {of, layer, among, kind: style|content}`: a layer's share of the unweighted
  losses of some layers, in a table of initial losses.

A `value` is a score (`score_names`), or `start/` or `end/` with `loss`, `content`,
`style` or `tv`: the weighted loss before the first and after the last step. A `measure`
is `style` (relative Gram distance) or `colour` (mean CIELAB difference).
"""

import difflib
import math
import re

from kstyle.errors import ConfigError
from kstyle.experiments.definition.axes import (
    as_labels,
    label_combinations,
    matches_selection,
)
from kstyle.experiments.findings.quantities import AGGREGATES, CURVE_NAMES, MEASURES

QUANTITY_KEYS = {  # of each quantity: those that it needs, and those that it may have
    "ratio": ({"value", "of", "to"}, {"against"}),
    "trend": ({"value", "along"}, {"labels"}),
    "difference": ({"measure", "between"}, {"relative_to"}),
    "apart": ({"measure", "of", "others"}, set()),
    "reach": ({"of", "to"}, {"factor"}),
    "share": ({"of", "layer", "among"}, {"kind"}),
}
SELECTION_KEYS = ("of", "to", "others")  # and the two of each in PAIRS
PAIR_KEYS = ("between", "relative_to")
MINIMUM_TRIALS = {
    ("ratio", "to"): 1,
    ("apart", "others"): 2,
}  # trials at least; others one


def quantity_name(finding):
    """The name of the one quantity of a finding."""
    return next(kind for kind in QUANTITY_KEYS if kind in finding)


def within_part(selection, finding):
    """The selection within the finding's part, if it has one."""
    return ({"part": finding["part"]} if "part" in finding else {}) | selection


def parse_rule(text):
    """`"> 1.1"`, `"< 0.5"` or `"0.9 .. 1.1"` as a function from a number to a bool."""
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


def check_findings(findings, experiment, scores):
    """The findings with every default filled in, once they are known to make sense.

    scores: the names of the scores. Raises: ConfigError: a key, axis, label, part or
    score that does not exist, or a rule that cannot be read.
    """
    result = []
    for finding in findings:
        claim = finding.get("claim")
        try:
            result.append(check_finding(finding, experiment, scores))
        except ConfigError as error:
            raise ConfigError(f"finding {claim or finding!r}: {error}") from None
    return result


def check_finding(finding, experiment, scores):
    kinds = [kind for kind in QUANTITY_KEYS if kind in finding]
    if len(kinds) != 1:
        raise ConfigError(
            f"Give one quantity of {list(QUANTITY_KEYS)}. Received: {kinds}."
        )
    known = {"claim", "confirmed", "part", kinds[0]}
    check_keys(finding, known, known - {"part"})
    parse_rule(finding["confirmed"])
    rule = finding[kinds[0]]
    if not isinstance(rule, dict):
        raise ConfigError(f"{kinds[0]} is a mapping. Received: {rule!r}.")
    needed, optional = QUANTITY_KEYS[kinds[0]]
    check_keys(rule, needed | optional, needed)
    check_value(rule, scores)
    if kinds[0] == "trend":
        along = str(rule["along"])
        check_selection({along: rule.get("labels", [])}, experiment)
        labels = as_labels(rule.get("labels", known_labels(experiment)[along]))
        rule = rule | {"along": along, "labels": labels}
    check_selection(within_part({}, finding), experiment)
    for key, selection in selections_of(rule):
        check_selection(selection, experiment)
        check_selected_trials(
            kinds[0], key, within_part(selection, finding), experiment
        )
    return finding | {kinds[0]: rule}


def check_keys(mapping, known, needed):
    for key in mapping:
        if key not in known:
            raise ConfigError(f"Unknown key {key!r}. It may have {sorted(known)}.")
    for key in sorted(needed):
        if key not in mapping:
            raise ConfigError(f"The key {key!r} is missing.")


def check_value(rule, scores):
    """Refuse a value, measure or comparison that does not exist."""
    among = rule.get("among")
    curves = [f"{when}/{curve}" for when in ("start", "end") for curve in CURVE_NAMES]
    for key, known in (
        ("value", [*scores, *curves]),
        ("measure", MEASURES),
        ("against", [*AGGREGATES]),
        ("kind", ("style", "content")),
        ("layer", among if isinstance(among, list) else []),
    ):
        if key in rule and rule[key] not in known:
            close = difflib.get_close_matches(str(rule[key]), list(known), n=1)
            hint = f"Did you mean {close[0]!r}?" if close else f"Known: {list(known)}."
            raise ConfigError(f"Unknown {key} {rule[key]!r}. {hint}")
    factor = rule.get("factor", 1)
    if not isinstance(factor, (int, float)) or not 0 < factor < math.inf:
        raise ConfigError(f"factor is a number above 0. Received: {factor!r}.")


def selections_of(rule):
    """`(key, selection)` for every selection in a quantity's rule."""
    found = [(key, rule[key]) for key in SELECTION_KEYS if key in rule]
    for key in PAIR_KEYS:
        if key in rule:
            if not isinstance(rule[key], list) or len(rule[key]) != 2:
                raise ConfigError(f"{key} takes two selections: [{{…}}, {{…}}].")
            found += [(key, selection) for selection in rule[key]]
    if "along" in rule:
        if len(rule["labels"]) < 2:
            raise ConfigError(f"A trend needs two labels. There are {rule['labels']}.")
        found += [("along", {rule["along"]: text}) for text in rule["labels"]]
    return found


def known_labels(experiment):
    """`{axis, "part" or "trial": labels}` of all that can be selected by."""
    names = tuple(dict.fromkeys(t.label for t in experiment.trials if t.label))
    own = {"trial": names} if names else {}
    return experiment.axes | {"part": experiment.parts} | own


def check_selection(selection, experiment):
    """Refuse an axis, label or part that no trial of the experiment has."""
    if not isinstance(selection, dict):
        raise ConfigError(f"A selection is {{axis: label}}. Received: {selection!r}.")
    known = known_labels(experiment)
    for axis, wanted in selection.items():
        if axis not in known:
            raise ConfigError(f"Unknown axis {axis!r}. There are {list(known)}.")
        for text in as_labels(wanted):
            if text not in known[axis]:
                raise ConfigError(
                    f"{axis} has no value {text!r}. It has {list(known[axis])}."
                )


def check_selected_trials(kind, key, selection, experiment):
    """Refuse a selection of other trials, fewer or more, than the quantity can take."""
    found, repeat = [], experiment.trials[0].repeats  # all repeats have the same
    for each in label_combinations(selection):
        some = [
            trial
            for trial in experiment.trials
            if trial.repeats == repeat
            and matches_selection(each, trial.part, trial.label, trial.axes)
        ]
        if not some:
            raise ConfigError(f"{key}: no trial has {each}.")
        found += some
    names = [trial.name for trial in found]
    if (kind, key) not in MINIMUM_TRIALS and len(found) != 1:
        raise ConfigError(
            f"{key}: one trial is meant, and {selection} has {names}. Name the part "
            "and a value of every axis, or the trial by its own name."
        )
    if len(found) < MINIMUM_TRIALS.get((kind, key), 1):
        raise ConfigError(f"{key}: there are too few trials, {names}.")
    wanted = "table" if kind == "share" else "picture"
    for trial in found:
        if trial.kind != wanted:
            raise ConfigError(f"{key}: {trial.name!r} has no {wanted} for a {kind}.")
