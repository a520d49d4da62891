"""What a report says of trials in words and in tables."""

import math
import re

from markupsafe import Markup

RUN_SCORES = {
    "steps": "steps of the run",
    "seconds": "seconds that the run took",
    "loss": "final total loss; to be compared only where the objective is the same",
}
# A path from the root, a drive or home that is at least two levels deep, with quotes
# round it (spaces then belong to it) or without; the last group is what it ends in.
PATH_ROOT = r"(?:file://)?(?:[A-Za-z]:|~)?[\\/]"
PATH_NAME = r"""[^\s\\/'"<>]"""
QUOTED_PATH = re.compile(rf"""(['"]){PATH_ROOT}[^'"\n]*[\\/]([^'"\\/\n]+)(?=\1)""")
PLAIN_PATH = re.compile(
    rf"(?<![\w./\\~-]){PATH_ROOT}(?:{PATH_NAME}+[\\/])+({PATH_NAME}*)"
)


def strip_folders(value):
    """A string with the absolute paths in it cut to their last part.

    A report may be passed on; where its maker keeps files is nobody's affair. All else
    than a plain string stays as it is.
    """
    if not isinstance(value, str) or isinstance(value, Markup):
        return value
    return PLAIN_PATH.sub(r"\1", QUOTED_PATH.sub(r"\1\2", value))


def short_number(value):
    """Three significant digits, or a whole number below a million in full."""
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


def option_text(value):
    """The value of an option as a user would write it: `conv3_1:2, conv4_1:0.5`."""
    if isinstance(value, dict):
        return ", ".join(f"{k}:{option_text(v)}" for k, v in value.items()) or "none"
    if isinstance(value, (list, tuple)):
        return ", ".join(map(option_text, value)) or "none"
    if isinstance(value, float):
        return f"{value:g}"
    return "none" if value is None else str(value)


def labels_text(labels):
    """Axes or repeats in plain words: `pool = avg, net = vgg16`."""
    return ", ".join(f"{name} = {value}" for name, value in labels.items())


def no_break(text):
    """`text` that breaks after a comma rather than within `pool = avg`."""
    return text.replace(" = ", "\xa0=\xa0")


def trial_label(record):
    """What a trial is called among those of its part and repeat."""
    said = {record["part"], *(f"{k}={v}" for k, v in record["repeats"].items())}
    rest = [word for word in record["trial"].split(",") if word not in said]
    return labels_text(record["axes"]) or ", ".join(rest) or record["trial"]


def row_label(record):
    """What a trial is called among those of its part."""
    return ", ".join(
        filter(None, [trial_label(record), labels_text(record["repeats"])])
    )


def long_label(record):
    """What a trial is called in the experiment."""
    return strip_folders(": ".join(filter(None, [record["part"], row_label(record)])))


def score_heading(name):
    """A score's name with spaces, the layer's own underscore kept."""
    score, _, layer = name.partition("/")
    return f"{score.replace('_', ' ')} {layer}".strip()


def group_by_part(records):
    """`{part: records}` in the order of the records."""
    parts = {}
    for record in records:
        parts.setdefault(record["part"], []).append(record)
    return parts


def all_tables(records, scores):
    """The tables of finished `records` that have anything in them.

    Each is a dict: `title`; `columns`, (text, description) pairs; `groups`, from a part
    to its (label, numbers) rows; and `spans`, (text, columns under it) pairs.
    """
    runs = [record for record in records if record["kind"] == "picture"]
    whole = RUN_SCORES | {
        name: text for name, text in scores.items() if "/" not in name
    }
    layers = {name: text for name, text in scores.items() if "/" in name}
    terms = {tag: "" for record in runs for tag in record["weights"]}
    differ = any(record["weights"] != runs[0]["weights"] for record in runs)
    tables = [
        trial_table("Scores", runs, whole, measured_values),
        trial_table("Scores by layer", runs, layers, measured_values),
        trial_table(
            "Weights as optimised",
            runs if differ else [],
            terms,
            lambda record: record["weights"],
        ),
        initial_table([record for record in records if record["kind"] == "table"]),
    ]
    return [table for table in tables if table["columns"]]


def measured_values(record):
    """Every number of a finished run that the score tables may show."""
    run = {"steps": record["steps"], "seconds": record["seconds"]}
    return run | {"loss": record["losses"].get("loss")} | record["scores"]


def trial_table(title, records, descriptions, values):
    """A row a trial, a column for each description of which there is a number."""
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


def initial_table(records):
    """A row a layer, the unweighted content and style loss of each record beside it."""
    layers = list(dict.fromkeys(layer for r in records for layer in r["table"]))
    kinds = {
        "content": "unweighted content loss at the initial picture",
        "style": "unweighted style loss at the initial picture",
    }
    rows = [
        (layer, [r["table"].get(layer, {}).get(k) for r in records for k in kinds])
        for layer in layers
    ]
    return {
        "title": "Initial losses of each layer",
        "columns": list(kinds.items()) * len(records),
        "groups": {"": rows},
        "spans": [(row_label(record), len(kinds)) for record in records],
    }
