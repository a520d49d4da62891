"""Findings as verdicts: a measured quantity, a rule fixed beforehand, a word.

What a finding is made of is said in `findings`. Its quantity is computed once for every
combination of the repeats.

Confirmed: the rule holds in every repeat. Not confirmed: in none. Cannot tell: it holds
in some, or nothing could be measured.
"""

import math

import numpy as np

from kstyle.experiments.definition.axes import label_combinations, matches_selection
from kstyle.experiments.findings.quantities import QUANTITIES, MissingValue
from kstyle.experiments.findings.rules import parse_rule, quantity_name, within_part


def judge_finding(finding, records, distance):
    """The verdict on a checked finding, from the `records` of its experiment.

    distance: from (measure, record, record) to a number.
    Returns: `claim`, `rule` in words, `verdict`, `number` (the median over the repeats;
        `None` if nothing could be measured) and `spread` (each repeat's number).
    """
    kind = quantity_name(finding)
    numbers = []
    for repeat in repeats_of(records):

        def select(wanted, repeat=repeat):
            return select_records(records, repeat, within_part(wanted, finding))

        try:
            number = QUANTITIES[kind](finding[kind], select, distance)
        except MissingValue:
            continue
        if not math.isnan(number):
            numbers.append(number)
    return {
        "claim": finding["claim"],
        "rule": rule_sentence(finding),
        "verdict": verdict_word([parse_rule(finding["confirmed"])(n) for n in numbers]),
        "number": float(np.median(numbers)) if numbers else None,
        "spread": numbers,
    }


def verdict_word(holds):
    """The verdict, from whether the rule holds in each repeat."""
    if not holds or (any(holds) and not all(holds)):
        return "cannot tell"
    return "confirmed" if holds[0] else "not confirmed"


def repeats_of(records):
    """Every combination of repeat labels that occurs, in order."""
    found = []
    for record in records:
        if record["repeats"] not in found:
            found.append(record["repeats"])
    return found


def select_records(records, repeat, wanted):
    """The records of one repeat that `wanted` asks for, in the order of its labels.

    Raises: Absent: one of them has failed, or was left out.
    """
    found = []
    for combination in label_combinations(wanted):
        meant = [
            record
            for record in records
            if record["repeats"] == repeat
            and matches_selection(
                combination, record["part"], record["label"], record["axes"]
            )
        ]
        if not meant or any(record["status"] != "finished" for record in meant):
            raise MissingValue
        found += meant
    return found


def rule_sentence(finding):
    """What is measured and when it is confirmed, in a sentence."""
    kind = quantity_name(finding)
    inside = ", ".join(f"{key} {selection_text(v)}" for key, v in finding[kind].items())
    place = f" in {finding['part']}" if "part" in finding else ""
    return f"{kind} ({inside}){place}: confirmed if {finding['confirmed']}"


def selection_text(value):
    """A selection, a list or a plain value, as a reader would write it."""
    if isinstance(value, dict):
        return " and ".join(f"{k}={selection_text(v)}" for k, v in value.items())
    if isinstance(value, (list, tuple)):
        pair = any(isinstance(each, dict) for each in value)
        return (" against " if pair else "/").join(map(selection_text, value))
    return str(value)
