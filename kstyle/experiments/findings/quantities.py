"""The quantities that findings measure, each a number for one repeat of the trials.

`select` gives the records of a selection `{axis: label or labels, "part": name}`, or
raises `Absent`; `distance(measure, a, b)` how far two records' pictures are apart.
`findings.checked` has seen to it that every selection has as many as are needed.
"""

import itertools

import numpy as np

from kstyle.experiments.scoring.names import NEAR_FACTOR


class MissingValue(Exception):
    """A trial or a value that the quantity needs is not there."""


AGGREGATES = {"mean": np.mean, "min": np.min, "max": np.max}
MEASURES = ("style", "colour")
CURVE_NAMES = ("loss", "content", "style", "tv")


def ratio(rule, select, distance):
    """A value of one trial over that of another, or over that of several."""
    others = [record_value(rule["value"], record) for record in select(rule["to"])]
    below = AGGREGATES[rule.get("against", "mean")](others)
    (record,) = select(rule["of"])
    return safe_ratio(record_value(rule["value"], record), below)


def trend(rule, select, distance):
    """Spearman's rank correlation of a value with the order of an axis's labels."""
    records = select({rule["along"]: rule["labels"]})
    return spearman([record_value(rule["value"], record) for record in records])


def difference(rule, select, distance):
    """How far two pictures are apart, over how far two others are."""
    first = pair_distance(rule, rule["between"], select, distance)
    if "relative_to" not in rule:
        return first
    return safe_ratio(first, pair_distance(rule, rule["relative_to"], select, distance))


def apart(rule, select, distance):
    """The least distance of one to the others, over the largest among these."""
    (record,), others = select(rule["of"]), select(rule["others"])
    least = min(distance(rule["measure"], record, other) for other in others)
    pairs = itertools.combinations(others, 2)
    return safe_ratio(least, max(distance(rule["measure"], *pair) for pair in pairs))


def reach(rule, select, distance):
    """Steps of one trial to `factor` x the other's final loss, over the other's own."""
    (first,), (second,) = select(rule["of"]), select(rule["to"])
    bar = rule.get("factor", NEAR_FACTOR) * second["curve"]["loss"][-1]
    return safe_ratio(
        steps_to_reach(bar, first["curve"]), steps_to_reach(bar, second["curve"])
    )


def share(rule, select, distance):
    """A layer's share of the unweighted initial losses of some layers."""
    (record,), kind = select(rule["of"]), rule.get("kind", "style")
    table = record["table"]
    if any(layer not in table for layer in rule["among"]):
        raise MissingValue  # the pictures are too small for it
    total = sum(table[layer][kind] for layer in rule["among"])
    return safe_ratio(table[rule["layer"]][kind], total)


QUANTITIES = {f.__name__: f for f in (ratio, trend, difference, apart, reach, share)}


def record_value(name, record):
    """A score, or `start/…` or `end/…` of a curve."""
    when, _, curve = name.partition("/")
    if when in ("start", "end"):
        values = record["curve"].get(curve)
        if not values:
            raise MissingValue
        return values[0 if when == "start" else -1]
    if name not in record["scores"]:
        raise MissingValue
    return record["scores"][name]


def safe_ratio(a, b):
    """`a / b`; infinite, or not a number, where `b` is 0."""
    return float(np.divide(a, b)) if b else (np.inf if a else np.nan)


def spearman(values):
    """Rank correlation of `values` with their order; ties share their mean rank.

    Not a number if one of them is not: it has no rank.
    """
    values = np.asarray(values, float)
    if np.isnan(values).any():
        return np.nan
    below = (values[:, None] > values).sum(1)
    ranks = below + ((values[:, None] == values).sum(1) - 1) / 2
    if not np.ptp(ranks):
        return 0.0  # all alike: no trend
    return float(np.corrcoef(ranks, np.arange(len(values)))[0, 1])


def pair_distance(rule, pair, select, distance):
    (first,), (second,) = map(select, pair)
    return distance(rule["measure"], first, second)


def steps_to_reach(bar, curve):
    """The first step whose loss is `bar` or less; infinite if there is none."""
    steps = zip(curve["step"], curve["loss"], strict=True)
    return next((step for step, loss in steps if loss <= bar), np.inf)
