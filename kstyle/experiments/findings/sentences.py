"""Rules of findings as sentences that a reader understands, with their units."""

import re
from collections.abc import Mapping
from typing import Any

from kstyle.experiments.findings.rules import Finding
from kstyle.experiments.scoring.names import NEAR_FACTOR, SCORE_NOUNS

CURVE_NOUNS = {
    "loss": "total loss",
    "content": "content loss",
    "style": "style loss",
    "tv": "total variation loss",
}
CURVE_TEXTS = {
    "start": "{} before the first step",
    "end": "{} after the last step",
    "left": "share of the initial {} that is left",
}
AGGREGATE_TEXTS = {"mean": "mean", "min": "smallest", "max": "largest"}
# What the number of a quantity is; "times" is also the unit of relative differences.
UNITS = {
    "ratio": "times",
    "trend": "rank correlation; 1 = always grows, −1 = always falls",
    "apart": "times",
    "reach": "times",
    "share": "of the whole, from 0 to 1",
}
DIFFERENCE_UNITS = {
    "style": "relative style distance; 0 = equal, 2 = nothing in common",
    "colour": "CIELAB units; 0 = equal, 2 is just visible",
}


def rule_sentence(finding: Finding) -> str:
    """Return in a sentence what is measured and when the finding is confirmed."""
    sentence = SENTENCES[finding.quantity](finding.arguments, finding.confirmed)
    if finding.part is not None:
        sentence = f"in {finding.part}, {sentence}"
    return sentence[0].upper() + sentence[1:]


def number_unit(finding: Finding) -> str:
    """Return the unit of a finding's number and what its ends mean."""
    if finding.quantity != "difference":
        return UNITS[finding.quantity]
    if "relative_to" in finding.arguments:
        return "times"
    return DIFFERENCE_UNITS[finding.arguments["measure"]]


def value_noun(name: str) -> str:
    """Return the noun of a score, or of a value of a loss curve such as `end/loss`."""
    when, _, rest = name.partition("/")
    if when in CURVE_TEXTS:
        return CURVE_TEXTS[when].format(CURVE_NOUNS[rest])
    noun = SCORE_NOUNS.get(when, when.replace("_", " "))
    return f"{noun} at {rest}" if rest else noun


def bound_text(rule: str, unit: str = "") -> str:
    """Return a rule in words: `"> 1.1"` as `more than 1.1 times` for `times`."""
    unit = f" {unit}" if unit else ""
    if ".." in rule:
        low, high = (part.strip() for part in rule.split(".."))
        return f"between {low} and {high}{unit}"
    sign, bound = rule.strip()[0], rule.strip()[1:].strip()
    return f"{'more' if sign == '>' else 'less'} than {bound}{unit}"


def selection_text(selection: Mapping[str, Any]) -> str:
    """Return a selection as a reader would write it: `pool = max`."""
    words = []
    for key, value in selection.items():
        labels = value if isinstance(value, (list, tuple)) else [value]
        text = " or ".join("none" if each is None else str(each) for each in labels)
        words.append(text if key in ("trial", "part") else f"{key} = {text}")
    return ", ".join(words) or "all trials"


def selects_several(selection: Mapping[str, Any]) -> bool:
    """Return whether a selection lists several labels, or leaves out every axis."""
    several = any(isinstance(value, (list, tuple)) for value in selection.values())
    return several or not selection


def ratio_sentence(arguments: Mapping[str, Any], rule: str) -> str:
    """Return the sentence of a `ratio`."""
    of, to = arguments["of"], arguments["to"]
    aggregate = AGGREGATE_TEXTS[arguments.get("against", "mean")]
    other = f"the {aggregate} of those" if selects_several(to) else "that"
    return (
        f"{value_noun(arguments['value'])} with {selection_text(of)} is "
        f"{bound_text(rule, 'times')} {other} with {selection_text(to)}"
    )


def trend_sentence(arguments: Mapping[str, Any], rule: str) -> str:
    """Return the sentence of a `trend`."""
    labels = arguments["labels"]
    verb = "falls" if re.match(r"\s*<\s*-", rule) else "grows"
    if ".." in rule:
        verb = "changes"
    return (
        f"{value_noun(arguments['value'])} {verb} from {arguments['along']} = "
        f"{labels[0]} to {labels[-1]}: rank correlation {bound_text(rule)}"
    )


def difference_sentence(arguments: Mapping[str, Any], rule: str) -> str:
    """Return the sentence of a `difference`."""
    first, second = map(selection_text, arguments["between"])
    pair = f"the pictures of {first} and of {second} differ in {arguments['measure']}"
    if "relative_to" not in arguments:
        unit = "CIELAB units" if arguments["measure"] == "colour" else ""
        return f"{pair} by {bound_text(rule, unit)}"
    third, fourth = map(selection_text, arguments["relative_to"])
    return (
        f"{pair} {bound_text(rule, 'times')} as much as those of {third} and {fourth}"
    )


def apart_sentence(arguments: Mapping[str, Any], rule: str) -> str:
    """Return the sentence of an `apart`."""
    return (
        f"the picture with {selection_text(arguments['of'])} is "
        f"{bound_text(rule, 'times')} as far in {arguments['measure']} from the others "
        f"({selection_text(arguments['others'])}) as these are from each other"
    )


def reach_sentence(arguments: Mapping[str, Any], rule: str) -> str:
    """Return the sentence of a `reach`."""
    of, to = selection_text(arguments["of"]), selection_text(arguments["to"])
    factor = arguments.get("factor", NEAR_FACTOR)
    return (
        f"to {factor:g} times the final loss of {to}, {of} needs "
        f"{bound_text(rule, 'times')} the steps that {to} needs (losses as they are: "
        "only for trials of the same objective)"
    )


def share_sentence(arguments: Mapping[str, Any], rule: str) -> str:
    """Return the sentence of a `share`."""
    kind, among = arguments.get("kind", "style"), ", ".join(arguments["among"])
    return (
        f"the share of {arguments['layer']} in the unweighted initial {kind} losses of "
        f"{among}, with {selection_text(arguments['of'])}, is {bound_text(rule)}"
    )


SENTENCES = {
    "ratio": ratio_sentence,
    "trend": trend_sentence,
    "difference": difference_sentence,
    "apart": apart_sentence,
    "reach": reach_sentence,
    "share": share_sentence,
}
