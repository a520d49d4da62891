"""The report of an experiment, one page that needs nothing else, and the index.

`templates/` says how the pages look; this module makes ready what is on them.
"""

import re
from collections import Counter
from pathlib import Path

import jinja2
import yaml

from kstyle.errors import ImageError
from kstyle.experiments.reporting.charts import (
    data_uri,
    draw_chart,
    swatch,
    thumbnail,
    write_contact_sheet,
)
from kstyle.experiments.reporting.tables import (
    all_tables,
    group_by_part,
    labels_text,
    long_label,
    no_break,
    option_text,
    score_heading,
    short_number,
    strip_folders,
    trial_label,
)
from kstyle.files import write_text
from kstyle.images.reading import load_picture

LOSS_PANELS = {
    "loss": "Total loss",
    "content": "Content, weighted",
    "style": "Style, weighted",
}
SCORES_SHOWN = 3  # scores under each picture
MAX_COLUMNS = 6  # pictures in a row


def write_report(folder, experiment, records, verdicts, pictures=None):
    """Write `report.html` and `contact_sheet.png` into `folder`. Returns the page.

    folder: the experiment's, in which each record's `picture` lies.
    experiment: `name`, `title`, `question`, `finding`, `measured`, `command`, `base`
        (option to value) and `scores` (name to description).
    records: of the trials, in order. verdicts: `claim`, `verdict`, `number`, `spread`
        and `rule` of each. pictures: `{name: (H, W, 3) in [0, 1]}` of the originals.
    Raises: OSError: something cannot be written; what was there before stays.
    """
    folder, scores = Path(folder), experiment["scores"]
    records, images = read_results(folder, records)
    originals = [(strip_folders(k), thumbnail(v)) for k, v in (pictures or {}).items()]
    results = [
        (no_break(long_label(record)), images[record["trial"]])
        for record in records
        if record["picture"]
    ]
    write_contact_sheet(folder / "contact_sheet.png", originals + results)
    finished = [record for record in records if record["status"] == "finished"]
    charts = [
        loss_charts(part, group) for part, group in group_by_part(finished).items()
    ]
    text = TEMPLATES.get_template("report.html").render(
        about=experiment,
        base=yaml.safe_dump(experiment["base"], sort_keys=False, allow_unicode=True),
        verdicts=verdicts,
        originals=[(name, data_uri(image)) for name, image in originals],
        grids=picture_grids(records, images, relevant_scores(scores, verdicts)),
        charts=[each for each in charts if each["panels"]],
        tables=all_tables(finished, scores),
        failed=[(long_label(r), r["error"]) for r in records if r["error"]],
    )
    write_text(folder / "report.html", text)
    return folder / "report.html"


def write_index_page(folder, reports):
    """Write `index.html` over several reports into `folder`. Returns its path.

    reports: `name`, `title`, `question`, `verdicts`, `href` and `sheet` of each; the
        last two relative to `folder`, `sheet` perhaps `None`.
    """
    reports = [
        report
        | {
            "claims": len(report["verdicts"]),
            "counts": Counter(verdict["verdict"] for verdict in report["verdicts"]),
        }
        for report in reports
    ]
    path = Path(folder) / "index.html"
    write_text(path, TEMPLATES.get_template("index.html").render(reports=reports))
    return path


def read_results(folder, records):
    """`(records, {trial: small image})`; a picture that is gone is now an error."""
    kept, images = [], {}
    for record in records:
        if record["picture"]:
            try:
                pixels = load_picture(folder / record["picture"]).pixels
                images[record["trial"]] = thumbnail(pixels)
            except ImageError as error:
                record = record | {"picture": None, "error": str(error)}
        kept.append(record)
    return kept, images


def relevant_scores(scores, verdicts):
    """The few scores to show under a picture: those that the rules speak of first."""
    rules = " ".join(verdict["rule"] for verdict in verdicts)
    ruled = [
        n for n in scores if re.search(rf"(?<![\w/]){re.escape(n)}(?![\w/])", rules)
    ]
    whole = [name for name in scores if "/" not in name]
    return list(dict.fromkeys(ruled + whole))[:SCORES_SHOWN]


def picture_grids(records, images, scores):
    """Each part's name and its rows of pictures."""
    pictures = [record for record in records if record["kind"] == "picture"]
    found = []
    for part, group in group_by_part(pictures).items():
        rows = {
            name: [r and grid_cell(r, images.get(r["trial"]), scores) for r in row]
            for name, row in grid_rows(group).items()
        }
        columns = min(MAX_COLUMNS, max(map(len, rows.values())))
        found.append({"part": part, "rows": rows, "columns": columns})
    return found


def grid_rows(records):
    """`{name: records}`: a row for each repeat, `None` where one has no such trial.

    A grid of more trials than fit side by side has its last axis for columns, and a row
    for each value of the others too.
    """
    names = {tuple(record["axes"]) for record in records}
    many = len({trial_label(record) for record in records}) > MAX_COLUMNS
    axes = names.pop() if many and len(names) == 1 else ()
    rows = {}
    for record in records:
        others = {axis: record["axes"][axis] for axis in axes[:-1]}
        row = rows.setdefault(labels_text(record["repeats"] | others), {})
        column = record["axes"][axes[-1]] if axes else trial_label(record)
        row[record["trial"] if column in row else column] = record
    columns = dict.fromkeys(column for row in rows.values() for column in row)
    return {name: [row.get(c) for c in columns] for name, row in rows.items()}


def grid_cell(record, image, scores):
    """What the grid shows of a trial; `picture` is `None` if there is none."""
    known = record["scores"]
    options = {k: option_text(v) for k, v in record["options"].items()}
    fitted = {k: f"{v}, to fit the memory" for k, v in record["fitted"].items()}
    return {
        "label": trial_label(record),
        "title": long_label(record),
        "picture": data_uri(image) if image else None,
        "alt": f"{record['content']} in the style of {record['style']}: "
        f"{long_label(record)}",
        "scores": [
            (score_heading(name), known[name]) for name in scores if name in known
        ],
        "difference": options | fitted,
        "error": record["error"],
    }


def loss_charts(part, records):
    """The charts of a part and their legend; trials of one label share their look."""
    lines = {}
    for record in records:
        if record["curve"]:
            lines.setdefault(trial_label(record), []).append(record["curve"])
    panels, total = {}, drawing(lines, "loss")
    for kind, title in LOSS_PANELS.items():
        drawn = drawing(lines, kind)
        # Where one kind is all that is optimised, its chart would be that of the total.
        if kind == "loss" or drawn != total:
            panels[title] = draw_chart(drawn, f"{part} {kind}")
    return {
        "part": part,
        "legend": [(name, *swatch(index)) for index, name in enumerate(lines)],
        "panels": {title: body for title, body in panels.items() if body},
        "repeated": any(len(line) > 1 for line in lines.values()),
    }


def drawing(lines, kind):
    """What `sheets.chart` draws of one kind of loss."""
    return [
        [(curve["step"], curve[kind]) for curve in line if kind in curve]
        for line in lines.values()
    ]


TEMPLATES = jinja2.Environment(
    loader=jinja2.FileSystemLoader(Path(__file__).parent / "templates"),
    autoescape=True,
    undefined=jinja2.StrictUndefined,
    finalize=strip_folders,  # on every string that a template shows
    trim_blocks=True,
    lstrip_blocks=True,
)
TEMPLATES.filters["number"] = short_number
TEMPLATES.filters["unbroken"] = no_break
