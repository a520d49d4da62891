"""The quantities that findings measure, each a number for one repeat of the trials.

Each function takes the finding's `arguments` (see `findings.rules`), `select` and
`distance`. `select` returns the records of a selection `{axis: label or labels}` or
raises `MissingValue`; `distance(measure, a, b)` compares two records' pictures.
`check_findings` has ensured that every selection has as many trials as are needed.
"""

import dataclasses
import itertools
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

import numpy as np

from kstyle.experiments.definition.axes import Selection
from kstyle.experiments.definition.experiment_file import TrialKind
from kstyle.experiments.records import TrialRecord
from kstyle.experiments.scoring.names import NEAR_FACTOR

Arguments = Mapping[str, Any]
Select = Callable[[Selection], Sequence[TrialRecord]]
Distance = Callable[[str, TrialRecord, TrialRecord], float]


class MissingValue(Exception):
    """A trial or a value that the quantity needs does not exist."""


AGGREGATES: dict[str, Callable[[Sequence[float]], float]] = {
    "mean": np.mean,
    "min": np.min,
    "max": np.max,
}
MEASURES = ("style", "colour")
CURVE_VALUES = ("start", "end", "left")
CURVE_NAMES = ("loss", "content", "style", "tv")


def ratio(arguments: Arguments, select: Select, distance: Distance) -> float:
    """Divide a value of one trial by that of another, or by that of several."""
    value = arguments["value"]
    (record,) = select(arguments["of"])
    others = [record_value(value, other) for other in select(arguments["to"])]
    divisor = AGGREGATES[arguments.get("against", "mean")](others)
    return safe_ratio(record_value(value, record), divisor)


def trend(arguments: Arguments, select: Select, distance: Distance) -> float:
    """Return Spearman's rank correlation of a value with the order of labels."""
    records = select({arguments["along"]: arguments["labels"]})
    return spearman([record_value(arguments["value"], record) for record in records])


def difference(arguments: Arguments, select: Select, distance: Distance) -> float:
    """Return the distance of two pictures, or divide it by that of two others."""

    def pair_distance(selections: Sequence[Selection]) -> float:
        (first,), (second,) = map(select, selections)
        return distance(arguments["measure"], first, second)

    found = pair_distance(arguments["between"])
    if "relative_to" not in arguments:
        return found
    return safe_ratio(found, pair_distance(arguments["relative_to"]))


def apart(arguments: Arguments, select: Select, distance: Distance) -> float:
    """Divide the least distance of one to the others by the largest among these."""
    (record,), others = select(arguments["of"]), select(arguments["others"])
    measure = arguments["measure"]
    least = min(distance(measure, record, other) for other in others)
    pairs = itertools.combinations(others, 2)
    return safe_ratio(least, max(distance(measure, a, b) for a, b in pairs))


def reach(arguments: Arguments, select: Select, distance: Distance) -> float:
    """Divide the steps of one trial to `factor` x another's final loss by those that
    the other needs."""
    (first,), (second,) = select(arguments["of"]), select(arguments["to"])
    bound = arguments.get("factor", NEAR_FACTOR) * second["curve"]["loss"][-1]
    return safe_ratio(
        steps_to_reach(bound, first["curve"]), steps_to_reach(bound, second["curve"])
    )


def share(arguments: Arguments, select: Select, distance: Distance) -> float:
    """Return a layer's share of the unweighted initial losses of some layers."""
    (record,), kind = select(arguments["of"]), arguments.get("kind", "style")
    table, among = record["table"], arguments["among"]
    if table is None or any(layer not in table for layer in among):
        raise MissingValue  # a picture is too small for the layer
    total = sum(table[layer][kind] for layer in among)
    return safe_ratio(table[arguments["layer"]][kind], total)


@dataclasses.dataclass(frozen=True)
class Quantity:
    """A quantity of findings: its function, its keys and the trials that it takes.

    `several`: selection keys that take several trials, with the smallest number; every
    other selection is of exactly one.
    """

    compute: Callable[[Arguments, Select, Distance], float]
    required: Collection[str]
    optional: Collection[str] = ()
    several: Mapping[str, int] = dataclasses.field(default_factory=dict)
    trial_kind: TrialKind = "picture"


QUANTITIES = {  # by the key in an experiment file
    "ratio": Quantity(ratio, ("value", "of", "to"), ("against",), {"to": 1}),
    "trend": Quantity(trend, ("value", "along"), ("labels",)),
    "difference": Quantity(difference, ("measure", "between"), ("relative_to",)),
    "apart": Quantity(apart, ("measure", "of", "others"), (), {"others": 2}),
    "reach": Quantity(reach, ("of", "to"), ("factor",)),
    "share": Quantity(share, ("of", "layer", "among"), ("kind",), trial_kind="table"),
}


def record_value(name: str, record: TrialRecord) -> float:
    """Return a score, or the first or last value of a curve for `start/…`, `end/…`.

    `left/…` is the last value over the first: on the run's own scale.

    Raises: MissingValue: the record does not have it.
    """
    when, _, curve = name.partition("/")
    if when in CURVE_VALUES:
        values = record["curve"].get(curve)
        if not values:
            raise MissingValue
        if when == "left":
            return safe_ratio(values[-1], values[0])
        return values[0 if when == "start" else -1]
    if name not in record["scores"]:
        raise MissingValue
    return record["scores"][name]


def safe_ratio(a: float, b: float) -> float:
    """Return `a / b`; where `b` is 0, infinity, or NaN for 0 / 0."""
    return float(np.divide(a, b)) if b else (np.inf if a else np.nan)


def spearman(values: Sequence[float]) -> float:
    """Return the rank correlation of `values` with their order, in [-1, 1].

    Equal values share their mean rank. NaN if a value is NaN: it has no rank.
    """
    array = np.asarray(values, float)
    if np.isnan(array).any():
        return np.nan
    ranks = mean_ranks(array)
    if not np.ptp(ranks):
        return 0.0  # all values are equal: no trend
    return float(np.corrcoef(ranks, np.arange(len(array)))[0, 1])


def mean_ranks(array: np.ndarray) -> np.ndarray:
    """Return the rank of each value from 0; equal values share their mean rank."""
    smaller = (array[:, None] > array).sum(1)
    return smaller + ((array[:, None] == array).sum(1) - 1) / 2


def steps_to_reach(bound: float, curve: Mapping[str, Sequence[float]]) -> float:
    """Return the first step whose loss is at most `bound`; infinity without one."""
    steps = zip(curve["step"], curve["loss"], strict=True)
    return next((step for step, loss in steps if loss <= bound), np.inf)
