"""Findings as verdicts: a measured quantity, a rule fixed beforehand, a word.

What a finding is made of is said in `findings`. Its quantity is computed once for every
combination of the repeats.

Confirmed: the rule holds in every repeat. Not confirmed: in none. Cannot tell: it holds
in some, or nothing could be measured.
"""

import math

import numpy as np

from kstyle.experiments.axes import combinations, matches
from kstyle.experiments.findings import narrowed, parse_rule, quantity
from kstyle.experiments.quantities import QUANTITIES, Absent


def judge(finding, records, distance):
    """The verdict on a checked finding, from the `records` of its experiment.

    distance: from (measure, record, record) to a number.
    Returns: `claim`, `rule` in words, `verdict`, `number` (the median over the repeats;
        `None` if nothing could be measured) and `spread` (each repeat's number).
    """
    kind = quantity(finding)
    numbers = []
    for repeat in repeats_of(records):

        def select(wanted, repeat=repeat):
            return selected(records, repeat, narrowed(wanted, finding))

        try:
            number = QUANTITIES[kind](finding[kind], select, distance)
        except Absent:
            continue
        if not math.isnan(number):
            numbers.append(number)
    return {
        "claim": finding["claim"],
        "rule": in_words(finding),
        "verdict": word([parse_rule(finding["confirmed"])(n) for n in numbers]),
        "number": float(np.median(numbers)) if numbers else None,
        "spread": numbers,
    }


def word(holds):
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


def selected(records, repeat, wanted):
    """The records of one repeat that `wanted` asks for, in the order of its labels.

    Raises: Absent: one of them has failed, or was left out.
    """
    found = []
    for combination in combinations(wanted):
        meant = [
            record
            for record in records
            if record["repeats"] == repeat
            and matches(combination, record["part"], record["label"], record["axes"])
        ]
        if not meant or any(record["status"] != "finished" for record in meant):
            raise Absent
        found += meant
    return found


def in_words(finding):
    """What is measured and when it is confirmed, in a sentence."""
    kind = quantity(finding)
    inside = ", ".join(f"{key} {spelled(v)}" for key, v in finding[kind].items())
    place = f" in {finding['part']}" if "part" in finding else ""
    return f"{kind} ({inside}){place}: confirmed if {finding['confirmed']}"


def spelled(value):
    """A selection, a list or a plain value, as a reader would write it."""
    if isinstance(value, dict):
        return " and ".join(f"{k}={spelled(v)}" for k, v in value.items())
    if isinstance(value, (list, tuple)):
        pair = any(isinstance(each, dict) for each in value)
        return (" against " if pair else "/").join(map(spelled, value))
    return str(value)
