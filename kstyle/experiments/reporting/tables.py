"""Texts and tables of a report: names of trials, short numbers, tables of scores."""

import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypedDict

from markupsafe import Markup

from kstyle.experiments.records import TrialRecord

RUN_SCORES = {
    "steps": "steps of the run",
    "seconds": "duration of the run in seconds",
    "loss": "final total loss; comparable only between trials of the same objective",
}
# An absolute path: it starts at a root, a drive or `~` and has at least two levels. In
# quotes it may contain spaces. The last group is the file's name.
PATH_ROOT = r"(?:file://)?(?:[A-Za-z]:|~)?[\\/]"
PATH_NAME = r"""[^\s\\/'"<>]"""
QUOTED_PATH = re.compile(rf"""(['"]){PATH_ROOT}[^'"\n]*[\\/]([^'"\\/\n]+)(?=\1)""")
PLAIN_PATH = re.compile(
    rf"(?<![\w./\\~-]){PATH_ROOT}(?:{PATH_NAME}+[\\/])+({PATH_NAME}*)"
)

Number = float | None


class ReportTable(TypedDict):
    """A table of the report."""

    title: str
    columns: list[tuple[str, str]]  # heading and description
    groups: dict[str, list[tuple[str, list[Number]]]]  # part to (label, numbers) rows
    spans: list[tuple[str, int]]  # heading over several columns, and their number


def strip_folders(value: Any) -> Any:
    """Reduce the absolute paths in a string to file names.

    Reports can be shared, so they do not show the folders of their author. Other values
    than plain strings are returned unchanged.
    """
    if not isinstance(value, str) or isinstance(value, Markup):
        return value
    return PLAIN_PATH.sub(r"\1", QUOTED_PATH.sub(r"\1\2", value))


def short_number(value: Number) -> str:
    """Format with three significant digits; whole numbers below a million in full."""
    if value is None or math.isnan(value):
        return "–"
    if math.isinf(value):
        return "∞" if value > 0 else "−∞"
    if value == int(value) and abs(value) < 1e6:
        return f"{int(value)}"
    rounded = float(f"{value:.3g}")
    if 1e-3 <= abs(rounded) < 1e3:
        return f"{value:#.3g}".rstrip(".")
    if 1e3 <= abs(rounded) < 1e6:
        return f"{rounded:.0f}"
    return re.sub(r"e([+-])0*", lambda sign: "e" + sign[1].strip("+"), f"{value:.2e}")


def labels_text(labels: Mapping[str, str]) -> str:
    """Format axes or repeats: `pool = avg, net = vgg16`."""
    return ", ".join(f"{name} = {value}" for name, value in labels.items())


def no_break(text: str) -> str:
    """Return `text` in which no line breaks within `pool = avg`."""
    return text.replace(" = ", "\xa0=\xa0")


def label_markup(text: str) -> Markup:
    """Return a label as HTML in which lines break between `pool = avg` pairs first."""
    *pairs, last = strip_folders(text).split(", ")
    words = [f"{pair}," for pair in pairs] + [last]
    span = Markup('<span class="pair">{}</span>')
    return Markup(" ").join(span.format(word) for word in words)


def trial_label(record: TrialRecord) -> str:
    """Return a trial's name among those of its part and repeat."""
    if record["axes"]:
        return labels_text(record["axes"])
    repeats = {f"{name}={label}" for name, label in record["repeats"].items()}
    words = record["trial"].split(",")
    rest = [word for word in words if word not in repeats | {record["part"]}]
    return ", ".join(rest) or record["trial"]


def row_label(record: TrialRecord) -> str:
    """Return a trial's name among those of its part."""
    labels = [trial_label(record), labels_text(record["repeats"])]
    return ", ".join(filter(None, labels))


def long_label(record: TrialRecord) -> str:
    """Return a trial's name in the experiment."""
    return strip_folders(": ".join(filter(None, [record["part"], row_label(record)])))


def score_heading(name: str) -> str:
    """Return a score's name with spaces; the layer keeps its underscore."""
    score, _, layer = name.partition("/")
    return f"{score.replace('_', ' ')} {layer}".strip()


def group_by_part(records: Iterable[TrialRecord]) -> dict[str, list[TrialRecord]]:
    """Return `{part: records}` in the order of the records."""
    parts: dict[str, list[TrialRecord]] = {}
    for record in records:
        parts.setdefault(record["part"], []).append(record)
    return parts


def all_tables(
    records: Sequence[TrialRecord], scores: Mapping[str, str]
) -> list[ReportTable]:
    """Return the tables of finished records that are not empty.

    scores: name to description.
    """
    runs = [record for record in records if record["kind"] == "picture"]
    by_result = {name: text for name, text in scores.items() if "/" not in name}
    by_layer = {name: text for name, text in scores.items() if "/" in name}
    terms = {tag: "" for record in runs for tag in record["weights"]}
    differ = any(record["weights"] != runs[0]["weights"] for record in runs)
    tables = [
        trial_table("Scores", runs, RUN_SCORES | by_result, measured_values),
        trial_table("Scores by layer", runs, by_layer, measured_values),
        trial_table(
            "Loss weights",
            runs if differ else [],
            terms,
            lambda record: record["weights"],
        ),
        initial_table([record for record in records if record["kind"] == "table"]),
    ]
    return [table for table in tables if table["columns"]]


def measured_values(record: TrialRecord) -> dict[str, Number]:
    """Return every number of a finished run that the score tables can show."""
    return {
        "steps": record["steps"],
        "seconds": record["seconds"],
        "loss": record["losses"].get("loss"),
        **record["scores"],
    }


def trial_table(
    title: str,
    records: Sequence[TrialRecord],
    descriptions: Mapping[str, str],
    values: Callable[[TrialRecord], Mapping[str, Number]],
) -> ReportTable:
    """Return a table with a row for each trial.

    descriptions: column to description; columns without any number are left out.
    values: a function from a record to its numbers by column.
    """
    found = [values(record) for record in records]
    names = [n for n in descriptions if any(row.get(n) is not None for row in found)]
    groups = {
        part: [
            (row_label(record), [values(record).get(name) for name in names])
            for record in group
        ]
        for part, group in group_by_part(records).items()
    }
    columns = [(score_heading(name), descriptions[name]) for name in names]
    return {"title": title, "columns": columns, "groups": groups, "spans": []}


def initial_table(records: Sequence[TrialRecord]) -> ReportTable:
    """Return a table of initial losses: a row per layer, two columns per record."""
    tables = [record["table"] or {} for record in records]
    layers = dict.fromkeys(layer for table in tables for layer in table)
    losses = {
        "content": "unweighted content loss of the initial picture",
        "style": "unweighted style loss of the initial picture",
    }
    rows: list[tuple[str, list[Number]]] = [
        (layer, [table.get(layer, {}).get(loss) for table in tables for loss in losses])
        for layer in layers
    ]
    return {
        "title": "Initial losses of each layer",
        "columns": list(losses.items()) * len(records),
        "groups": {"": rows},
        "spans": [(row_label(record), len(losses)) for record in records],
    }
