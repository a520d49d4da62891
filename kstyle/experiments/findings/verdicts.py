"""Verdicts on findings: a measured number, tested by a rule that was fixed beforehand.

A finding's quantity (`findings.rules` explains them) is computed once for every repeat.
Confirmed: the rule holds in every repeat. Not confirmed: it holds in none. Cannot tell:
it holds in some, or nothing could be measured.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Literal, TypedDict

import numpy as np

from kstyle.experiments.definition.axes import (
    Selection,
    label_combinations,
    matches_selection,
)
from kstyle.experiments.findings.quantities import QUANTITIES, Distance, MissingValue
from kstyle.experiments.findings.rules import Finding, parse_rule
from kstyle.experiments.findings.sentences import number_unit, rule_sentence
from kstyle.experiments.records import TrialRecord

VerdictWord = Literal["confirmed", "not confirmed", "cannot tell"]


class Verdict(TypedDict):
    """The verdict on a finding, as it is in verdicts.json."""

    claim: str
    rule: str  # what is measured and when it is confirmed, in a sentence
    verdict: VerdictWord
    number: float | None  # median over the repeats; None if nothing could be measured
    unit: str  # of the number, and what its ends mean
    value: str  # the score that is measured, or ""
    confirmed: str  # the rule as in the file, such as "> 1.1"
    spread: list[float]  # the number of each repeat


def judge_finding(
    finding: Finding, records: Sequence[TrialRecord], distance: Distance
) -> Verdict:
    """Return the verdict on a finding, from the records of its experiment.

    distance: see `findings.quantities`.
    """
    quantity = QUANTITIES[finding.quantity]
    numbers = []
    for repeat in distinct_repeats(records):

        def select(
            selection: Selection, repeat: Mapping[str, str] = repeat
        ) -> list[TrialRecord]:
            return select_records(records, repeat, finding.within_part(selection))

        try:
            number = quantity.compute(finding.arguments, select, distance)
        except MissingValue:
            continue
        if not math.isnan(number):
            numbers.append(number)
    holds = parse_rule(finding.confirmed)
    return {
        "claim": finding.claim,
        "rule": rule_sentence(finding),
        "verdict": verdict_word([holds(number) for number in numbers]),
        "number": float(np.median(numbers)) if numbers else None,
        "unit": number_unit(finding),
        "value": finding.arguments.get("value", ""),
        "confirmed": finding.confirmed,
        "spread": numbers,
    }


def verdict_word(holds: Sequence[bool]) -> VerdictWord:
    """Return the verdict from whether the rule holds in each repeat."""
    if not holds or (any(holds) and not all(holds)):
        return "cannot tell"
    return "confirmed" if holds[0] else "not confirmed"


def distinct_repeats(records: Iterable[TrialRecord]) -> list[dict[str, str]]:
    """Return every combination of repeat labels among the records, in order."""
    found: list[dict[str, str]] = []
    for record in records:
        if record["repeats"] not in found:
            found.append(record["repeats"])
    return found


def select_records(
    records: Iterable[TrialRecord], repeat: Mapping[str, str], selection: Selection
) -> list[TrialRecord]:
    """Return the records of one repeat that are selected, in the order of the labels.

    Raises: MissingValue: one of them has failed, or was left out.
    """
    found = []
    for combination in label_combinations(selection):
        matching = [
            record
            for record in records
            if record["repeats"] == repeat
            and matches_selection(
                combination, record["part"], record["label"], record["axes"]
            )
        ]
        if not matching or any(each["status"] != "finished" for each in matching):
            raise MissingValue
        found += matching
    return found
