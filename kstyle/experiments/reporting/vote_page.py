"""The blind comparison of results: the page on which people vote, and their ranking.

`votes.html` shows two results at a time, without names: it knows each result by its
fingerprint only. See `findings.votes`.
"""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import jinja2
import numpy as np
from PIL import Image

from kstyle.experiments.findings.votes import (
    Item,
    Vote,
    VoteRanking,
    rank_by_votes,
)
from kstyle.experiments.records import TrialRecord
from kstyle.experiments.reporting.contact_sheet import data_uri
from kstyle.experiments.reporting.tables import (
    Number,
    ReportTable,
    score_heading,
    trial_label,
)
from kstyle.files import write_text
from kstyle.runs.job import safe_stem

VOTES_PAGE = "votes.html"
ID_LENGTH = 16  # hexadecimal digits of a trial's fingerprint


def result_id(record: TrialRecord) -> str:
    """Return the name of a result on the page and in the votes."""
    return record["hash"][:ID_LENGTH]


def write_vote_page(
    template: jinja2.Template,
    folder: Path,
    about: Mapping[str, Any],
    records: Iterable[TrialRecord],
    images: Mapping[str, Image.Image],
    originals: Iterable[tuple[str, Image.Image]],
) -> Path | None:
    """Write the page into the experiment's folder; return its path.

    about: an `ExperimentDescription`. images: `{trial: thumbnail}`. originals: labels
        as "content coffee", and thumbnails.
    Returns: `None` if no two results can be compared; an existing page is removed.
    """
    path = folder / VOTES_PAGE
    groups = comparable_groups(records, images, originals)
    if not groups:
        path.unlink(missing_ok=True)
        return None
    text = template.render(
        title=about["title"],
        command=about["command"].replace("experiment run", "experiment report", 1),
        data={"experiment": about["name"], "groups": groups},
    )
    write_text(path, text)
    return path


def comparable_groups(
    records: Iterable[TrialRecord],
    images: Mapping[str, Image.Image],
    originals: Iterable[tuple[str, Image.Image]],
) -> list[dict[str, Any]]:
    """Return the results that are compared with one another, in groups.

    A group has the finished results of one part, one repeat, one content and one style
    picture: `content` and `style` (`None` if not known), and `results` with `id` and
    `picture`.
    """
    known = {}
    for label, image in originals:
        kind, _, stem = label.partition(" ")
        known[kind, safe_stem(stem)] = data_uri(image)
    groups: dict[tuple, dict[str, Any]] = {}
    for record in records:
        if record["status"] != "finished" or record["trial"] not in images:
            continue
        content, style = record["content"], record["style"]
        repeat = tuple(record["repeats"].items())
        group = groups.setdefault(
            (record["part"], repeat, content, style),
            {
                "content": known.get(("content", content)),
                "style": known.get(("style", style)),
                "results": {},
            },
        )
        group["results"].setdefault(
            result_id(record), data_uri(images[record["trial"]])
        )
    return [
        {
            **group,
            "results": [
                {"id": name, "picture": picture}
                for name, picture in group["results"].items()
            ],
        }
        for group in groups.values()
        if len(group["results"]) > 1
    ]


def rank_results(
    records: Iterable[TrialRecord], votes: Iterable[Vote]
) -> tuple[list[VoteRanking], int]:
    """Rank the results of an experiment; see `rank_by_votes`.

    A score of an item is the mean of its results, NaN where one of them has none.
    """
    items: dict[str, Item] = {}
    groups: dict[Item, list[TrialRecord]] = {}
    for record in records:
        if record["kind"] == "picture" and record["status"] == "finished":
            item = items[result_id(record)] = record["part"], trial_label(record)
            groups.setdefault(item, []).append(record)
    scores = {item: mean_scores(group) for item, group in groups.items()}
    return rank_by_votes(votes, items, scores)


def mean_scores(records: Sequence[TrialRecord]) -> dict[str, float]:
    """Return the mean of each score of some records."""
    names = dict.fromkeys(name for record in records for name in record["scores"])
    return {
        name: float(np.mean([record["scores"].get(name, np.nan) for record in records]))
        for name in names
    }


RANKING_COLUMNS = {
    "preferred %": "estimated chance of being preferred to the middle of the ranking",
    "from %": "lower end of the 95 % interval",
    "to %": "upper end of the 95 % interval",
    "votes": "comparisons with this trial",
}


def ranking_table(ranking: VoteRanking, scores: Mapping[str, str]) -> ReportTable:
    """Return a ranking beside the scores, and their rank correlations below.

    scores: name to description; those of single layers are left out.
    """
    names = [name for name in scores if name in ranking.agreement and "/" not in name]
    rows: list[tuple[str, list[Number]]] = []
    for place, item in enumerate(ranking.items, start=1):
        chances = (item.preferred, item.low, item.high)
        rows.append(
            (
                f"{place}.\N{NO-BREAK SPACE}{item.label}",
                [
                    *(round(100 * chance) for chance in chances),
                    item.votes,
                    *(item.scores.get(name) for name in names),
                ],
            )
        )
    unranked: list[Number] = [None] * len(RANKING_COLUMNS)
    correlations = (ranking.agreement[name] for name in names)
    rows.append(("rank correlation", [*unranked, *correlations]))
    columns = [*RANKING_COLUMNS.items()]
    columns += [(score_heading(name), scores[name]) for name in names]
    return {
        "title": ranking.part,
        "columns": columns,
        "groups": {"": rows},
        "spans": [],
    }
