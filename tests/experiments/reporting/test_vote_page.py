"""The page of the blind comparison, also in a headless Chromium, and the ranking."""

import json
import re

import pytest
from browser import chromium_page
from PIL import Image

from kstyle.experiments.findings.votes import Vote, read_votes
from kstyle.experiments.reporting.report import TEMPLATES
from kstyle.experiments.reporting.vote_page import (
    comparable_groups,
    rank_results,
    ranking_table,
    write_vote_page,
)

ABOUT = {
    "name": "08_pooling",
    "title": "<Pooling>",
    "command": "kstyle experiment run 08_pooling.yaml --quick",
}


def result(name, number, **keys):
    """Return the keys of a finished record that the page uses."""
    return {
        "trial": name,
        "part": "",
        "kind": "picture",
        "axes": {"pool": name},
        "repeats": {},
        "status": "finished",
        "hash": f"{number:064x}"[::-1],
        "content": "coffee",
        "style": "night",
        "scores": {"lpips": float(number), "style_distance/conv1_1": 1.0},
    } | keys


def picture(level):
    return Image.new("RGB", (32, 24), (level, level, level))


def images(records):
    return {r["trial"]: picture(50 * i) for i, r in enumerate(records)}


def write(folder, records):
    originals = [("content coffee", picture(9)), ("style night", picture(99))]
    template = TEMPLATES.get_template("votes.html")
    shown = images(records)
    return write_vote_page(template, folder, ABOUT, records, shown, originals)


@pytest.fixture
def page_file(tmp_path):
    """The page of three results, which can be compared in three pairs."""
    return write(tmp_path, [result(n, i) for i, n in enumerate(("avg", "max", "l2"))])


def test_the_page_names_no_result_and_needs_no_other_file(page_file):
    text = page_file.read_text(encoding="utf-8")
    data = json.loads(re.search(r'application/json" id="data">(.*?)</script>', text)[1])
    (group,) = data["groups"]
    assert [r["id"] for r in group["results"]] == [f"{i}" + 15 * "0" for i in range(3)]
    for label in ("avg", "l2", '&lt;Pooling&gt;</p>\n<h1 id="question"'):
        assert label not in text
    assert "experiment report 08_pooling.yaml --quick --votes FILE" in text
    assert set(re.findall(r'(?:src|href)="(.*?)"', text)) == set()


def test_results_of_one_repeat_and_part_are_compared():
    records = [
        result("a", 1, repeats={"pair": "x"}),
        result("b", 2, repeats={"pair": "x"}),
        result("c", 3, repeats={"pair": "y"}),
        result("d", 4, part="p", repeats={"pair": "x"}),
        result("e", 5, repeats={"pair": "x"}, status="failed"),
        result("f", 6, repeats={"pair": "x"}, content="other"),
        result("g", 1, repeats={"pair": "x"}),  # the same as the first
    ]
    (group,) = comparable_groups(records, images(records), [])
    assert len(group["results"]) == 2
    assert group["content"] is None


def test_without_two_results_there_is_no_page(tmp_path, page_file):
    assert write(tmp_path, [result("avg", 0)]) is None
    assert not page_file.exists()


def test_a_ranking_is_a_table_with_scores_and_correlations():
    records = [result(name, i + 1) for i, name in enumerate("abc")]
    ids = [record["hash"][:16] for record in records]
    votes = [Vote(ids[0], ids[1], "a"), Vote(ids[1], ids[2], "a")] * 5
    (ranking,), unknown = rank_results(records, votes)
    scores = {"lpips": "LPIPS", "style_distance/conv1_1": "", "ssim": "absent"}
    table = ranking_table(ranking, scores)
    assert unknown == 0
    labels = [label.replace("\xa0", " ") for label, _ in table["groups"][""]]
    assert labels == ["1. pool = a", "2. pool = b", "3. pool = c", "rank correlation"]
    assert [heading for heading, _ in table["columns"]][-2:] == ["votes", "lpips"]
    first, *_, last = (numbers for _, numbers in table["groups"][""])
    assert first[3:] == [5, 1.0]
    assert last[-1] == pytest.approx(-1)  # a low score is preferred


@pytest.fixture
def page(page_file):
    """Yield the page in a headless Chromium, as a phone would show it."""
    with chromium_page(390, 844) as shown:
        shown.goto(page_file.as_uri())
        yield shown


@pytest.mark.browser
def test_votes_by_keys_and_buttons_are_saved_as_a_file(page, tmp_path):
    def state():
        return page.locator("#count").inner_text()

    def shown():
        sources = {
            page.evaluate(f"document.getElementById('{side}').src") for side in "ab"
        }
        return frozenset(sources)

    pairs = {shown()}
    assert state() == "pair 1 of 3"
    page.keyboard.press("ArrowLeft")
    pairs.add(shown())
    page.keyboard.press("Backspace")
    assert state() == "pair 1 of 3"
    page.get_by_role("button", name="No difference").click()
    page.reload()  # the votes are kept
    assert state() == "pair 2 of 3"
    page.get_by_role("button", name="Picture B").click()
    pairs.add(shown())
    assert len(pairs) == 3
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    page.keyboard.press("ArrowRight")
    assert page.get_by_role("heading").inner_text() == "3 of 3 pairs compared"
    with page.expect_download() as download:
        page.get_by_role("button", name="Save the votes").click()
    download.value.save_as(tmp_path / "votes.json")
    experiment, votes = read_votes(tmp_path / "votes.json")
    assert experiment == "08_pooling"
    assert [vote.choice for vote in votes] == ["equal", "b", "b"]
    assert len({frozenset((vote.a, vote.b)) for vote in votes}) == 3
