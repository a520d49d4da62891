"""The report of an experiment, one page without other files, and the index of reports.

`templates/` has the layout; this module prepares the values that the templates show.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypedDict

import jinja2
import numpy as np
import yaml
from PIL import Image

from kstyle.config.option_types import option_text
from kstyle.errors import ImageError
from kstyle.experiments.findings.verdicts import Verdict
from kstyle.experiments.findings.votes import VoteRanking
from kstyle.experiments.records import Curve, TrialRecord
from kstyle.experiments.reporting.charts import (
    CurvePoints,
    draw_chart,
    legend_swatch,
)
from kstyle.experiments.reporting.contact_sheet import (
    data_uri,
    thumbnail,
    write_contact_sheet,
    write_result_strip,
)
from kstyle.experiments.reporting.tables import (
    all_tables,
    group_by_part,
    label_markup,
    labels_text,
    long_label,
    no_break,
    score_heading,
    short_number,
    strip_folders,
    trial_label,
)
from kstyle.experiments.reporting.vote_page import ranking_table, write_vote_page
from kstyle.experiments.scoring.names import SCORES
from kstyle.files import write_text
from kstyle.images.reading import load_picture
from kstyle.tensorboard_plugin.names import PAGE_FOLDER

REPORT_FILE = "report.html"
CONTACT_SHEET_FILE = "contact_sheet.png"
STRIP_FILE = "results.png"  # some of the results, for the index
LOSS_PANELS = {
    "loss": "Total loss",
    "content": "Content loss, weighted",
    "style": "Style loss, weighted",
}
SCORES_SHOWN = 3  # scores under each picture
MAX_COLUMNS = 6  # pictures in a row


class ExperimentDescription(TypedDict):
    """What the report shows of an experiment besides its trials; see verdicts.json."""

    name: str
    title: str
    question: str
    finding: str
    measured: str
    base: dict[str, Any]  # option to value
    command: str  # repeats the experiment
    scores: dict[str, str]  # name to description
    smoke_test: str  # what a reader must know of a run with --quick, else ""


def write_report(
    folder: str | Path,
    experiment: ExperimentDescription,
    records: Iterable[TrialRecord],
    verdicts: Sequence[Verdict],
    pictures: Mapping[str, np.ndarray] | None = None,
    rankings: Iterable[VoteRanking] = (),
) -> Path:
    """Write the page `report.html`, its contact sheet and `votes.html` into `folder`.

    folder: the experiment's, to which each record's `picture` is relative.
    pictures: `{label: (H, W, 3) in [0, 1]}` of the content and style pictures.
    rankings: by people's votes.
    Returns: the path of `report.html`.
    Raises: OSError: a file cannot be written; the previous one stays.
    """
    folder, scores = Path(folder), experiment["scores"]
    records, images = read_results(folder, records)
    originals = [
        (strip_folders(label), thumbnail(pixels))
        for label, pixels in (pictures or {}).items()
    ]
    results = [
        (no_break(long_label(record)), images[record["trial"]])
        for record in records
        if record["picture"]
    ]
    write_contact_sheet(folder / CONTACT_SHEET_FILE, originals + results)
    write_result_strip(folder / STRIP_FILE, [image for _, image in results])
    finished = [record for record in records if record["status"] == "finished"]
    charts = [
        loss_charts(title, group)
        for part, records_of_part in group_by_part(finished).items()
        for title, group in group_by_pair(part, records_of_part).items()
    ]
    vote_page = write_vote_page(
        TEMPLATES.get_template("votes.html"),
        folder,
        experiment,
        records,
        images,
        originals,
    )
    text = TEMPLATES.get_template("report.html").render(
        vote_page=vote_page and vote_page.name,
        rankings=[ranking_table(each, scores) for each in rankings],
        about=experiment,
        base=yaml.safe_dump(experiment["base"], sort_keys=False, allow_unicode=True),
        verdicts=verdicts,
        originals=[(label, data_uri(image)) for label, image in originals],
        grids=picture_grids(records, images, relevant_scores(scores, verdicts)),
        charts=[each for each in charts if each["panels"]],
        tables=all_tables(finished, scores),
        failed=[(long_label(r), r["error"]) for r in records if r["error"]],
    )
    write_text(folder / REPORT_FILE, text)
    return folder / REPORT_FILE


def write_index_page(folder: str | Path, reports: Iterable[Mapping[str, Any]]) -> Path:
    """Write `index.html` of several reports into `folder`; return its path.

    reports: `name`, `title`, `question`, `verdicts`, `href` and `strip` of each. The
        last two are paths relative to `folder`; `strip` is `None` without pictures.
    """
    entries = [
        {
            **report,
            "claims": len(report["verdicts"]),
            "counts": Counter(verdict["verdict"] for verdict in report["verdicts"]),
        }
        for report in reports
    ]
    path = Path(folder) / "index.html"
    write_text(path, TEMPLATES.get_template("index.html").render(reports=entries))
    return path


def read_results(
    folder: Path, records: Iterable[TrialRecord]
) -> tuple[list[TrialRecord], dict[str, Image.Image]]:
    """Return `(records, {trial: thumbnail})`.

    A record whose picture cannot be read has the error instead.
    """
    kept, images = [], {}
    for record in records:
        if record["picture"]:
            try:
                pixels = load_picture(folder / record["picture"]).pixels
                images[record["trial"]] = thumbnail(pixels)
            except ImageError as error:
                record = {**record, "picture": None, "error": str(error)}
        kept.append(record)
    return kept, images


def relevant_scores(scores: Iterable[str], verdicts: Iterable[Verdict]) -> list[str]:
    """Return the few scores to show under a picture, those in the rules first."""
    measured = {verdict["value"] for verdict in verdicts}
    in_rules = [name for name in scores if name in measured]
    without_layers = [name for name in scores if "/" not in name]
    return list(dict.fromkeys(in_rules + without_layers))[:SCORES_SHOWN]


def picture_grids(
    records: Iterable[TrialRecord],
    images: Mapping[str, Image.Image],
    scores: Sequence[str],
) -> list[dict[str, Any]]:
    """Return the grid of pictures of each part: `part`, `rows` and `columns`."""
    pictures = [record for record in records if record["kind"] == "picture"]
    grids = []
    for part, group in group_by_part(pictures).items():
        rows = {
            name: [
                record and grid_cell(record, images.get(record["trial"]), scores)
                for record in row
            ]
            for name, row in grid_rows(group).items()
        }
        columns = min(MAX_COLUMNS, max(map(len, rows.values())))
        grids.append({"part": part, "rows": rows, "columns": columns})
    return grids


def grid_rows(records: Sequence[TrialRecord]) -> dict[str, list[TrialRecord | None]]:
    """Return `{name: records}`: a row for each repeat, `None` for a missing trial.

    If a row would have more than `MAX_COLUMNS` trials, the columns are the last axis,
    and there is a row for each value of the others.
    """
    names = {tuple(record["axes"]) for record in records}
    many = len({trial_label(record) for record in records}) > MAX_COLUMNS
    axes = names.pop() if many and len(names) == 1 else ()
    rows: dict[str, dict[str, TrialRecord]] = {}
    for record in records:
        others = {axis: record["axes"][axis] for axis in axes[:-1]}
        row = rows.setdefault(labels_text(record["repeats"] | others), {})
        column = record["axes"][axes[-1]] if axes else trial_label(record)
        row[record["trial"] if column in row else column] = record
    columns = dict.fromkeys(column for row in rows.values() for column in row)
    return {name: [row.get(c) for c in columns] for name, row in rows.items()}


def grid_cell(
    record: TrialRecord, image: Image.Image | None, scores: Iterable[str]
) -> dict[str, Any]:
    """Return what the grid shows of a trial; `picture` is `None` without an image."""
    known = record["scores"]
    options = {k: option_text(v) for k, v in record["options"].items()}
    fitted = {k: f"{v}, to fit the memory" for k, v in record["fitted"].items()}
    title = long_label(record)
    return {
        "label": trial_label(record),
        "title": title,
        "picture": data_uri(image) if image else None,
        "alt": f"{record['content']} in the style of {record['style']}: {title}",
        "scores": [
            (score_heading(name), known[name], SCORES.get(name, ""))
            for name in scores
            if name in known
        ],
        "difference": options | fitted,
        "error": record["error"],
    }


def group_by_pair(
    part: str, records: Iterable[TrialRecord]
) -> dict[str, list[TrialRecord]]:
    """Return `{title: records}` of a part, one for each of the pairs of `--pair`.

    Losses of different pictures cannot be compared, so each pair has its own charts.
    """
    groups: dict[str, list[TrialRecord]] = {}
    for record in records:
        pair = record["repeats"].get("pair", "").replace("+", " and ")
        title = ": ".join(filter(None, [part, pair]))
        groups.setdefault(title, []).append(record)
    return groups


def loss_charts(part: str, records: Iterable[TrialRecord]) -> dict[str, Any]:
    """Return the charts of a part, or of a pair of pictures in it, and their legend.

    The repeats of a trial have one label, and the lines of one label look the same.
    """
    curves: dict[str, list[Curve]] = {}
    for record in records:
        if record["curve"]:
            curves.setdefault(trial_label(record), []).append(record["curve"])
    panels, total = {}, curve_points(curves.values(), "loss")
    for loss, title in LOSS_PANELS.items():
        points = curve_points(curves.values(), loss)
        # If only one loss is optimised, its chart would repeat that of the total.
        if loss == "loss" or points != total:
            panels[title] = draw_chart(points, f"{part} {loss}")
    if len(curves) > 1:  # one curve by itself is compared with nothing
        points = [list(map(own_fall, repeats)) for repeats in curves.values()]
        panels["Rest of each run's own fall"] = draw_chart(points, f"{part} fall")
    return {
        "part": part,
        "legend": [(label, *legend_swatch(i)) for i, label in enumerate(curves)],
        "panels": {title: body for title, body in panels.items() if body},
        "repeated": any(len(repeats) > 1 for repeats in curves.values()),
    }


def own_fall(curve: Curve) -> tuple[list[float], list[float]]:
    """Return steps and, of the total loss, the share of its fall that is still to come.

    From 1 to 0; shares below 1 in 1000 are NaN, so that they do not stretch the axis.
    """
    loss = np.asarray(curve["loss"], float)
    fall = loss[0] - loss[-1]
    rest = (loss - loss[-1]) / fall if fall > 0 else np.full(loss.shape, np.nan)
    return curve["step"], np.where(rest >= 1e-3, rest, np.nan).tolist()


def curve_points(curves: Iterable[Collection[Curve]], loss: str) -> list[CurvePoints]:
    """Return the `lines` of `draw_chart` for one loss. curves: those of each label."""
    return [
        [(curve["step"], curve[loss]) for curve in repeats if loss in curve]
        for repeats in curves
    ]


TEMPLATES = jinja2.Environment(
    # The viewer of enlarged pictures is that of kstyle's tab in TensorBoard.
    loader=jinja2.FileSystemLoader([Path(__file__).parent / "templates", PAGE_FOLDER]),
    autoescape=True,
    undefined=jinja2.StrictUndefined,
    finalize=strip_folders,  # on every string that a template shows
    trim_blocks=True,
    lstrip_blocks=True,
)
TEMPLATES.filters["number"] = short_number
TEMPLATES.filters["unbroken"] = no_break
TEMPLATES.filters["label"] = label_markup
