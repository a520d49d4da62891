"""The rule of a finding as a sentence, and the unit of its number."""

from collections.abc import Mapping, Sequence
from typing import Any

from kstyle.experiments.definition.axes import Selection
from kstyle.experiments.findings.quantities import FALL_SHARE
from kstyle.experiments.findings.rules import Finding
from kstyle.experiments.scoring.names import NEAR_FACTOR, SCORES

CURVE_MEANINGS = {
    "loss": "total loss",
    "content": "weighted content loss",
    "style": "weighted style loss",
    "tv": "weighted total variation loss",
}
WHEN = {
    "start": "before the first step",
    "end": "after the last step",
    "left": "that is left after the last step, as a share of the first,",
}
MEASURE_MEANINGS = {
    "style": "style difference (relative distance of the Gram matrices)",
    "colour": "mean colour difference (CIELAB)",
}
UNITS = {  # the meaning of the number of each quantity
    "ratio": "times",
    "trend": "rank correlation, -1 to 1",
    "apart": "times",
    "reach": "times the steps",
    "fall": "times the steps",
    "share": "of the sum",
}
MEASURE_UNITS = {"style": "relative Gram distance", "colour": "CIELAB units"}


def rule_sentence(finding: Finding) -> str:
    """Return in a sentence when a finding is confirmed."""
    part = f"In {finding.part}: " if finding.part is not None else ""
    sentence = SENTENCES[finding.quantity](finding.arguments, finding.confirmed)
    return f"{part}{sentence}."


def number_unit(finding: Finding) -> str:
    """Return the unit and meaning of a finding's number."""
    arguments = finding.arguments
    if finding.quantity != "difference":
        return UNITS[finding.quantity]
    if "relative_to" in arguments:
        return "times"
    return MEASURE_UNITS[arguments["measure"]]


def ratio_sentence(arguments: Mapping[str, Any], confirmed: str) -> str:
    divisor = selection_text(arguments["to"])
    if isinstance(arguments.get("against"), str):
        name = {"min": "the smallest", "max": "the largest", "mean": "the mean"}
        divisor = f"{name[arguments['against']]} of {divisor}"
    return (
        f"{value_text(arguments['value'])} of {selection_text(arguments['of'])} is "
        f"{bound_text(confirmed, ' times')} that of {divisor}"
    )


def trend_sentence(arguments: Mapping[str, Any], confirmed: str) -> str:
    labels = ", ".join(arguments["labels"])
    return (
        f"{value_text(arguments['value'])} follows the order of {arguments['along']} "
        f"({labels}): its rank correlation is {bound_text(confirmed)}"
    )


def difference_sentence(arguments: Mapping[str, Any], confirmed: str) -> str:
    measure = MEASURE_MEANINGS[arguments["measure"]]
    between = pair_text(arguments["between"])
    if "relative_to" not in arguments:
        return f"the {measure} of {between} is {bound_text(confirmed)}"
    other = pair_text(arguments["relative_to"])
    return (
        f"the {measure} of {between} is {bound_text(confirmed, ' times')} that of "
        f"{other}"
    )


def apart_sentence(arguments: Mapping[str, Any], confirmed: str) -> str:
    return (
        f"the smallest {MEASURE_MEANINGS[arguments['measure']]} of "
        f"{selection_text(arguments['of'])} to {selection_text(arguments['others'])} "
        f"is {bound_text(confirmed, ' times')} the largest among these"
    )


def reach_sentence(arguments: Mapping[str, Any], confirmed: str) -> str:
    other = selection_text(arguments["to"])
    factor = arguments.get("factor", NEAR_FACTOR)
    return (
        f"{selection_text(arguments['of'])} comes to {factor:g} times the last total "
        f"loss of {other} in {bound_text(confirmed, ' times')} the steps that {other} "
        "needs"
    )


def fall_sentence(arguments: Mapping[str, Any], confirmed: str) -> str:
    share = arguments.get("share", FALL_SHARE)
    return (
        f"{selection_text(arguments['of'])} has {share:.0%} of the whole fall of its "
        f"own total loss behind it in {bound_text(confirmed, ' times')} the steps that "
        f"{selection_text(arguments['to'])} needs for {share:.0%} of its own"
    )


def share_sentence(arguments: Mapping[str, Any], confirmed: str) -> str:
    kind, among = arguments.get("kind", "style"), ", ".join(arguments["among"])
    return (
        f"the share of {arguments['layer']} in the sum of the unweighted initial "
        f"{kind} losses of {among}, from {selection_text(arguments['of'])}, is "
        f"{bound_text(confirmed)}"
    )


SENTENCES = {  # by the quantity
    "ratio": ratio_sentence,
    "trend": trend_sentence,
    "difference": difference_sentence,
    "apart": apart_sentence,
    "reach": reach_sentence,
    "fall": fall_sentence,
    "share": share_sentence,
}


def bound_text(confirmed: str, unit: str = "") -> str:
    """Return "> 1.1" as "more than 1.1 times", "0.9 .. 1.1" as "between …"."""
    text = confirmed.strip()
    words = {">": "more than", "<": "less than"}
    if text[0] in words:
        return f"{words[text[0]]} {text[1:].strip()}{unit}"
    low, high = (part.strip() for part in text.split(".."))
    return f"between {low} and {high}{unit}"


def value_text(name: str) -> str:
    """Return a score with its meaning, or the value of a loss curve in words."""
    when, _, curve = name.partition("/")
    if when in WHEN:
        return f"the {CURVE_MEANINGS[curve]} {WHEN[when]}"
    meaning = SCORES.get(name, "").partition(" (")[0]
    return f"{name} ({meaning})" if meaning else name


def pair_text(pair: Sequence[Selection]) -> str:
    """Return two selections as "A and B"."""
    return " and ".join(map(selection_text, pair))


def selection_text(selection: Mapping[str, Any]) -> str:
    """Return the labels of a selection: "pool max", "avg or max", "all"."""
    parts = []
    for axis, labels in selection.items():
        names = labels if isinstance(labels, (list, tuple)) else [labels]
        parts.append(f"{axis} {' or '.join(map(str, names))}")
    return ", ".join(parts) or "all"
