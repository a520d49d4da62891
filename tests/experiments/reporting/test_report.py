"""Reports: their contents, their escaping, and that a page needs no other file."""

import base64
import errno
import html.parser
import io
import os
import re
import subprocess
import sys
from collections import Counter

import numpy as np
import pytest
from PIL import Image

from kstyle.config.option_types import option_text
from kstyle.experiments.reporting.charts import draw_chart, legend_swatch, line_style
from kstyle.experiments.reporting.contact_sheet import (
    SHEET_CELL,
    SHEET_GAP,
    data_uri,
    thumbnail,
    write_contact_sheet,
    write_result_strip,
)
from kstyle.experiments.reporting.report import (
    grid_rows,
    own_fall,
    relevant_scores,
    write_index_page,
    write_report,
)
from kstyle.experiments.reporting.tables import (
    all_tables,
    label_markup,
    short_number,
    strip_folders,
    trial_label,
)
from kstyle.images.reading import load_picture
from kstyle.images.writing import save_picture

MARKUP = """<script>alert(1)</script>"'><img src=x onerror=alert(1)>"""
VOID = {"meta", "img", "br", "input", "link", "hr"}


class Page(html.parser.HTMLParser):
    """Parses a page: its elements, its text, and whether its tags are balanced."""

    def __init__(self, path):
        super().__init__()
        self.elements, self.words, self.open = [], [], []
        self.source = path.read_text(encoding="utf-8")
        self.feed(self.source)
        self.close()
        self.text = " ".join(" ".join(self.words).split())

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag, f"</{tag}> closes nothing"

    def handle_data(self, data):
        if not {"style", "script"} & set(self.open):
            self.words.append(data.replace("\xa0", " "))

    def values(self, tag, attribute):
        return [found.get(attribute) for name, found in self.elements if name == tag]


def trial(name="pool=avg", **keys):
    """Return a finished record of a picture of two steps, replaced by `keys`."""
    return {
        "experiment": "08_pooling",
        "trial": name,
        "part": "",
        "kind": "picture",
        "axes": dict(word.split("=") for word in name.split(",")),
        "repeats": {},
        "options": {},
        "fitted": {},
        "status": "finished",
        "error": None,
        "hash": "0",
        "folder": name,
        "picture": f"{name}.png",
        "content": "coffee",
        "style": "night",
        "steps": 2,
        "seconds": 1.5,
        "losses": {"loss": 3.0},
        "weights": {"style/conv1_1": 200.0},
        "scores": {"roughness": 12.345, "style_distance": 0.5},
        "curve": {
            "step": [0, 1, 2],
            "loss": [9.0, 5.0, 3.0],
            "content": [0.0, 1.0, 1.0],
            "style": [9.0, 4.0, 2.0],
        },
        "table": None,
    } | keys


def failed(name, error, **keys):
    """Return the record of a failed trial: without numbers or a picture."""
    empty = {"losses": {}, "weights": {}, "scores": {}, "curve": {}, "picture": None}
    state = {"status": "failed", "error": error, "steps": 0, "seconds": 0}
    return trial(name, **empty, **state, **keys)


def about(**keys):
    return {
        "name": "08_pooling",
        "title": "Pooling",
        "question": "Average or maximum?",
        "finding": "",
        "measured": "",
        "base": {"net": "vgg16", "content_layers": {"conv2_2": 1.0}},
        "command": "kstyle experiment run 08_pooling.yaml",
        "scores": {
            "style_distance": "to the painting",
            "style_distance/conv1_1": "the same at conv1_1",
            "roughness": "grey levels",
        },
    } | keys


def verdict(**keys):
    return {
        "claim": "max is rough",
        "verdict": "confirmed",
        "number": 1.2345,
        "spread": [1.2, 1.269],
        "rule": "Roughness with pool = max is more than 1.1 times that with avg",
        "unit": "times",
        "value": "roughness",
        "confirmed": "> 1.1",
    } | keys


@pytest.fixture
def report(tmp_path, random_picture):
    """Return a function that writes pictures of records and a report; its `Page`."""

    def write(records, verdicts=(), pictures=None, **keys):
        for record in records:
            if record["picture"]:
                save_picture(tmp_path / record["picture"], random_picture(12, 16))
        path = write_report(tmp_path, about(**keys), records, list(verdicts), pictures)
        assert path == tmp_path / "report.html"
        return Page(path)

    return write


def test_the_page_has_question_verdicts_and_command(report):
    page = report(
        [trial("pool=avg"), trial("pool=max")],
        [verdict()],
        finding="Max has odd spots.\n",
        measured="Roughness.",
    )
    for words in (
        "Pooling",
        "Average or maximum?",
        "Max has odd spots.",
        "Roughness.",
        "max is rough",
        "✓ confirmed",
        "1.23 times",
        "in each repeat 1.20, 1.27",
        "Roughness with pool = max is more than 1.1 times that with avg",
        "pool = max",
        "kstyle experiment run 08_pooling.yaml",
        "net: vgg16 content_layers:",
        "style_distance: to the painting",
        "steps seconds loss",
    ):
        assert words in page.text, words


def test_the_page_is_complete_without_other_files(report):
    page = report([trial(), failed("pool=max", "x")], [verdict()])
    assert page.open == []
    assert ("html", {"lang": "en"}) in page.elements
    assert "width=device-width, initial-scale=1" in page.values("meta", "content")
    assert "<title>Pooling · 08_pooling</title>" in page.source
    assert set(page.values("link", "href")) == set()
    assert page.values("script", "src") == [None]
    sources = [source for source in page.values("img", "src") if source]
    assert sources and all(s.startswith("data:image/jpeg;base64,") for s in sources)
    links = page.values("a", "href") + page.values("use", "xlink:href")
    ids = [found["id"] for _, found in page.elements if "id" in found]
    assert all(link[0] == "#" and link[1:] in ids for link in links)
    assert set(Counter(ids).values()) == {1}
    assert not re.search(r"https?:|@import|url\((?!#)", page.source)


def test_pictures_have_alt_texts_and_are_buttons(report):
    page = report([trial()], pictures={"content coffee": np.zeros((4, 6, 3))})
    alts = [alt for alt in page.values("img", "alt") if alt]
    assert alts == ["content coffee", "coffee in the style of night: pool = avg"]
    zooms = [b for tag, b in page.elements if b.get("class") == "zoom"]
    assert len(zooms) == 2 and all(tag["type"] == "button" for tag in zooms)
    assert zooms[1]["data-caption"].split("\n") == [
        "pool = avg",
        "same as the base config",
    ]
    charts = [svg for tag, svg in page.elements if svg.get("role") == "img"]
    assert [svg["aria-label"] for svg in charts] == [
        "Total loss over steps",
        "Content loss, weighted over steps",
        "Style loss, weighted over steps",
    ]


def test_html_in_names_is_escaped_everywhere(report, tmp_path):
    record = trial(
        trial=MARKUP,
        part=MARKUP,
        axes={MARKUP: MARKUP},
        repeats={MARKUP: MARKUP},
        options={MARKUP: MARKUP},
        weights={MARKUP: 1.0},
        content=MARKUP,
        style=MARKUP,
        scores={MARKUP: 1.0},
    )
    table = trial("a=b", kind="table", picture=None, table={MARKUP: {"style": 1.0}})
    records = [record, failed("a=c", MARKUP, part=MARKUP), table, trial()]
    texts = {key: MARKUP for key in ("title", "question", "command", "finding")}
    judged = verdict(claim=MARKUP, rule=MARKUP)
    page = report(
        records,
        [judged],
        {MARKUP: np.zeros((4, 6, 3))},
        **texts,
        base={MARKUP: MARKUP},
        scores={MARKUP: MARKUP},
    )
    card = {"href": MARKUP, "strip": MARKUP, "name": MARKUP, "title": MARKUP}
    index = Page(write_index_page(tmp_path, [card | texts | {"verdicts": [judged]}]))
    for each, scripts in ((page, 1), (index, 0)):
        assert each.open == []
        assert len(each.values("script", "src")) == scripts
        assert "x" not in each.values("img", "src")
        assert not any("onerror" in found for _, found in each.elements)
        assert MARKUP in each.text


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("The weights '/home/me/my nets/a.npz' are gone.", "The weights 'a.npz' are"),
        ("/home/me/a.npz: no such file", "a.npz: no such file"),
        ("see ~/nets/a.npz", "see a.npz"),
        (r"C:\Users\me\a.npz is gone", "a.npz is gone"),
        ("file:///home/me/a.npz", "a.npz"),
        ("content: /home/me/a.png\n", "content: a.png\n"),
        ("style/conv3_1 and ../a/b.png", "style/conv3_1 and ../a/b.png"),
        ("https://keras.io/api/x", "https://keras.io/api/x"),
        ("avg / max, 1/2", "avg / max, 1/2"),
    ],
)
def test_absolute_paths_are_reduced_to_file_names(text, expected):
    assert strip_folders(text).startswith(expected)


def test_no_absolute_path_reaches_the_page(report):
    error = "'/home/me/my nets/a.npz' cannot be opened"
    records = [
        trial(options={"weights": "/home/me/b.npz"}),
        failed("pool=max", error, axes={"weights": "/home/me/c.npz"}),
    ]
    command = "kstyle experiment run /home/me/x.yaml"
    page = report(records, base={"style": "/home/me/night.png"}, command=command)
    assert "/home" not in page.source and "my nets" not in page.source
    for name in ("a.npz", "b.npz", "c.npz", "x.yaml", "night.png"):
        assert name in page.text


def test_the_error_of_a_failed_trial_is_in_grid_and_list(report):
    page = report([trial(), failed("pool=max", "The loss is nan.")])
    assert page.text.count("The loss is nan.") == 2
    assert "No picture The loss is nan. pool = max" in page.text
    assert "Failed trials pool = max The loss is nan." in page.text


def test_a_missing_picture_is_reported_as_an_error(report, tmp_path):
    report([trial(), trial("pool=max")])
    (tmp_path / "pool=max.png").unlink()
    records = [trial(), trial("pool=max")]
    page = Page(write_report(tmp_path, about(), records, []))
    assert page.text.count("pool=max.png: No such file") == 2
    assert str(tmp_path) not in page.source


def test_an_experiment_without_records_has_a_page_but_no_sheet(report, tmp_path):
    for name in ("contact_sheet.png", "results.png"):
        (tmp_path / name).write_bytes(b"of before")
    page = report([])
    assert "How to repeat this experiment" in page.text and "Pictures" not in page.text
    assert [path.name for path in tmp_path.iterdir()] == ["report.html"]


def test_a_full_disk_keeps_the_previous_page(report, tmp_path, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    report([trial()])
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}
    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(OSError, match="No space left"):
        write_report(tmp_path, about(), [trial()], [])
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_the_same_records_make_the_same_page(report):
    records = [trial(), trial("pool=max")]
    assert report(records).source == report(records).source


def test_rows_are_repeats_columns_are_values_gaps_are_none():
    records = [
        trial(f"pool={pool},seed={seed}", axes={"pool": pool}, repeats={"seed": seed})
        for seed, pool in (("0", "avg"), ("0", "max"), ("1", "max"))
    ]
    rows = grid_rows(records)
    assert list(rows) == ["seed = 0", "seed = 1"]
    assert rows["seed = 0"] == records[:2]
    assert rows["seed = 1"] == [None, records[2]]


def test_a_large_grid_has_its_last_axis_for_columns():
    records = [trial(f"net={net},size={size}") for net in "ab" for size in "wxyz"]
    rows = grid_rows(records)
    assert rows == {"net = a": records[:4], "net = b": records[4:]}
    assert grid_rows(records[:4]) == {"": records[:4]}


def test_trials_of_the_same_labels_are_all_shown():
    records = [trial(trial="soft"), trial(trial="hard")]
    assert grid_rows(records) == {"": records}


def test_a_trial_without_axes_is_labelled_by_its_name():
    base = trial(
        trial="stylised,base,seed=0", part="stylised", axes={}, repeats={"seed": "0"}
    )
    assert trial_label(base) == "base"
    assert trial_label(base | {"trial": "stylised,seed=0"}) == "stylised,seed=0"
    assert trial_label(trial("pool=avg,net=vgg16")) == "pool = avg, net = vgg16"


def test_scores_in_the_rules_are_shown_first():
    scores = dict.fromkeys(["loss", "style", "style/conv1_1", "tv", "tv_energy"], "")
    rules = [verdict(value="tv_energy")]
    assert relevant_scores(scores, rules) == ["tv_energy", "loss", "style"]
    rules = [verdict(value="style/conv1_1")]
    assert relevant_scores(scores, rules) == ["style/conv1_1", "loss", "style"]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "0"),
        (150, "150"),
        (12345.0, "12345"),
        (-2.0, "-2"),
        (None, "–"),
        (0.12, "0.120"),
        (12.345, "12.3"),
        (999.6, "1000"),
        (0.00123, "0.00123"),
        (123456.7, "123000"),
        (1234567.0, "1.23e6"),
        (0.00012345, "1.23e-4"),
        (float("nan"), "–"),
        (float("inf"), "∞"),
        (-float("inf"), "−∞"),
    ],
)
def test_a_number_has_three_significant_digits(value, text):
    assert short_number(value) == text


def test_a_label_breaks_between_its_pairs_and_is_escaped():
    assert label_markup("a = <b>, c = /home/me/d.npz") == (
        '<span class="pair">a = &lt;b&gt;,</span> <span class="pair">c = d.npz</span>'
    )


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ({"conv3_1": 1.0, "conv4_1": 0.5}, "conv3_1:1, conv4_1:0.5"),
        ({}, "none"),
        (None, "none"),
        ([1, 2.5], "1, 2.5"),
        ([{"picture": "a.jpg", "size": 64, "crop": None}], "a.jpg (size 64)"),
        (True, "True"),
    ],
)
def test_options_are_formatted_as_on_the_command_line(value, text):
    assert option_text(value) == text


def tables(records, scores=None):
    return {t["title"]: t for t in all_tables(records, scores or about()["scores"])}


def test_scores_have_a_row_for_each_trial_in_groups_by_part():
    records = [trial(part="a"), trial("pool=max", part="b", scores={"roughness": 2.0})]
    table = tables(records)["Scores"]
    assert [text for text, _ in table["columns"]] == [
        "steps",
        "seconds",
        "loss",
        "style distance",
        "roughness",
    ]
    assert table["groups"] == {
        "a": [("pool = avg", [2, 1.5, 3.0, 0.5, 12.345])],
        "b": [("pool = max", [2, 1.5, 3.0, None, 2.0])],
    }


def test_scores_of_layers_have_a_separate_table():
    assert "Scores by layer" not in tables([trial()])
    both = tables([trial(scores={"style_distance/conv1_1": 0.25})])
    assert "0.25" not in str(both["Scores"])
    table = both["Scores by layer"]
    assert table["columns"] == [("style distance conv1_1", "the same at conv1_1")]
    assert table["groups"] == {"": [("pool = avg", [0.25])]}


def test_weights_have_a_table_if_trials_differ_in_them():
    other = trial("pool=max", weights={"style/conv1_1": 50.0, "tv": 1.0})
    assert "Loss weights" not in tables([trial(), trial("pool=max")])
    table = tables([trial(), other])["Loss weights"]
    assert [text for text, _ in table["columns"]] == ["style conv1_1", "tv"]
    assert [row[1] for row in table["groups"][""]] == [[200.0, None], [50.0, 1.0]]


def test_initial_losses_have_rows_of_layers(report):
    first = {"conv1_1": {"content": 0.0, "style": 8.0}}
    second = first | {"conv2_1": {"content": 5.0, "style": 6.0}}
    records = [
        trial("init=content", kind="table", picture=None, curve={}, table=first),
        trial("init=noise", kind="table", picture=None, curve={}, table=second),
    ]
    table = tables(records)["Initial losses of each layer"]
    assert table["spans"] == [("init = content", 2), ("init = noise", 2)]
    assert table["groups"][""] == [
        ("conv1_1", [0.0, 8.0, 0.0, 8.0]),
        ("conv2_1", [None, None, 5.0, 6.0]),
    ]
    page = report(records)
    assert "conv2_1 – – 5 6" in page.text and "Loss curves" not in page.text


def test_options_that_differ_are_shown_on_hover(report):
    options = {"pool": "max", "style_layers": {"conv1_1": 2.0}}
    page = report([trial(options=options)])
    assert "pool max style_layers conv1_1:2" in page.text
    captions = [found.get("data-caption") for _, found in page.elements]
    assert "pool = avg\npool: max, style_layers: conv1_1:2" in captions


def drawn(body):
    """Return `(path data, colour)` of every line of a chart."""
    return re.findall(r'<path d="([^"]*)" clip[^>]*stroke: (var[^;]*);', body)


def test_repeats_share_a_line_style_and_other_lines_do_not():
    curve = ([0, 1, 2], [9, 5, 3])
    lines = drawn(draw_chart([[curve, curve], [curve]], "x"))
    assert [colour for _, colour in lines] == [
        "var(--line-0)",
        "var(--line-0)",
        "var(--line-1)",
    ]
    assert len({line_style(number) for number in range(24)}) == 24
    assert legend_swatch(1) == ("var(--line-1)", "6.4 2.56")


def test_a_log_axis_leaves_out_values_it_cannot_show():
    steps = [0, 1, 2, 3]
    ((path, _),) = drawn(draw_chart([[(steps, [0, 4, 2, 1])]], "x"))
    assert len(re.findall("[ML]", path)) == 3
    for value in (0, -1, float("nan"), float("inf")):
        assert draw_chart([[(steps, [value] * 4)]], "x") is None
    assert draw_chart([], "x") is None


@pytest.mark.parametrize(
    "values", [[5.0], [5.0, 5.0], [1e-9, 1e12], [1000.0, 1001.0], [1e6, 1.3e6]]
)
def test_a_chart_of_any_range_has_different_numbers_on_its_axis(values):
    body = draw_chart([[(list(range(len(values))), values)]], "x")
    texts = re.findall("<text [^>]*text-anchor: end[^>]*>([^<]*)<", body)
    assert len(texts) >= 2 and len(set(texts)) == len(texts)


def test_a_chart_is_reproducible_and_its_ids_are_unique():
    lines = [[([0, 1], [2.0, 1.0])]]
    assert draw_chart(lines, "x") == draw_chart(lines, "x")
    ids = [set(re.findall('id="([^"]*)"', draw_chart(lines, salt))) for salt in "xy"]
    assert ids[0] and not ids[0] & ids[1]


def test_a_loss_equal_to_the_total_is_not_drawn_twice(report):
    curve = {"step": [0, 1], "loss": [2.0, 1.0], "content": [0, 0], "style": [2.0, 1.0]}
    page = report([trial(curve=curve)])
    assert "Total loss" in page.text and "Style loss, weighted" not in page.text
    page = report([trial()])
    assert "Style loss, weighted" in page.text


def test_each_pair_has_charts_with_the_rest_of_its_own_falls(report):
    records = [
        trial(f"pool={pool},pair={pair}", axes={"pool": pool}, repeats={"pair": pair})
        for pair in ("a+b", "c+d")
        for pool in ("avg", "max")
    ]
    page = report(records)
    assert page.text.count("Total loss over steps") == 2
    assert "Total loss over steps, c and d" in page.text
    steps, rest = own_fall(trial()["curve"])
    # From 9 to 3 by way of 5; the last, 0, is not on a logarithmic axis.
    assert list(steps) == [0, 1, 2]
    np.testing.assert_allclose(rest, [1, 1 / 3, np.nan])


def test_an_embedded_picture_is_small_with_the_same_colors():
    pixels = np.linspace(0, 1, 700 * 30 * 3).reshape(30, 700, 3).astype("float32")
    uri = data_uri(thumbnail(pixels))
    data = base64.b64decode(uri.removeprefix("data:image/jpeg;base64,"))
    image = Image.open(io.BytesIO(data))
    assert image.size == (640, 27)
    small = np.asarray(thumbnail(pixels), float)
    assert np.abs(np.asarray(image, float) - small).mean() < 4
    assert thumbnail(pixels[:, :100]).size == (100, 30)


def test_noise_can_be_embedded():
    noise = np.random.default_rng(0).uniform(0, 1, (300, 400, 3))
    assert len(data_uri(thumbnail(noise))) > 100_000


def test_a_contact_sheet_has_five_columns_of_labelled_pictures(tmp_path):
    red = Image.new("RGB", (640, 320), (200, 0, 0))
    path = tmp_path / "sheet.png"
    write_contact_sheet(path, [(f"number {n}", red) for n in range(6)])
    sheet = 255 * load_picture(path).pixels
    cell = 160 + 6 + 22  # picture, gap, one line of text
    assert sheet.shape == (
        SHEET_GAP + 2 * (cell + SHEET_GAP),
        SHEET_GAP + 5 * (SHEET_CELL + SHEET_GAP),
        3,
    )
    np.testing.assert_allclose(sheet[SHEET_GAP, SHEET_GAP], [200, 0, 0], atol=1)
    np.testing.assert_allclose(
        sheet[SHEET_GAP + 159, SHEET_GAP + 319], [200, 0, 0], atol=1
    )
    np.testing.assert_allclose(
        sheet[SHEET_GAP + cell + SHEET_GAP, SHEET_GAP + 336], 255, atol=1
    )
    text = sheet[SHEET_GAP + 160 : SHEET_GAP + cell, SHEET_GAP : SHEET_GAP + SHEET_CELL]
    assert text.min() < 100 and (text > 250).all(axis=2).mean() > 0.8


def test_the_strip_has_first_middle_and_last_result(tmp_path):
    colours = [(51 * n, 0, 0) for n in range(5)]
    images = [Image.new("RGB", (48, 24), colour) for colour in colours]
    write_result_strip(tmp_path / "strip.png", images)
    strip = 255 * load_picture(tmp_path / "strip.png").pixels
    assert strip.shape == (240, 728, 3)
    np.testing.assert_allclose(strip[120, [10, 300, 700], 0], [0, 102, 204], atol=1)


def test_a_small_picture_is_enlarged_in_the_contact_sheet(tmp_path):
    path = tmp_path / "sheet.png"
    write_contact_sheet(path, [("small", Image.new("RGB", (64, 32)))])
    sheet = load_picture(path).pixels
    assert sheet.shape[0] == SHEET_GAP + 160 + 6 + 22 + SHEET_GAP
    assert (sheet[SHEET_GAP : SHEET_GAP + 160, SHEET_GAP:-SHEET_GAP] == 0).all()


def test_a_long_label_is_wrapped_within_its_cell(tmp_path):
    path = tmp_path / "sheet.png"
    heights = []
    for words in ("short", "a long label " * 8, "x" * 100):
        write_contact_sheet(path, [(words, Image.new("RGB", (64, 64)))])
        sheet = load_picture(path).pixels
        heights.append(sheet.shape[0])
        assert (sheet[:, :SHEET_GAP] == 1).all() and (sheet[:, -SHEET_GAP:] == 1).all()
    assert heights[0] < heights[1] and heights[0] < heights[2]


def test_the_sheet_shows_the_originals_before_the_results(report, tmp_path):
    originals = {
        "content a": np.zeros((16, 16, 3)),
        "style b": np.ones((16, 16, 3)) / 2,
    }
    report([trial(), failed("pool=max", "x")], pictures=originals)
    sheet = load_picture(tmp_path / "contact_sheet.png").pixels
    assert sheet.shape[1] == SHEET_GAP + 3 * (SHEET_CELL + SHEET_GAP)
    middles = [
        sheet[SHEET_GAP + 4, SHEET_GAP + column * (SHEET_CELL + SHEET_GAP) + 160]
        for column in (0, 1)
    ]
    np.testing.assert_allclose(middles, [[0] * 3, [0.5] * 3], atol=0.01)


def test_the_index_has_a_card_and_the_verdicts_of_each_report(tmp_path):
    open_claim = verdict(verdict="cannot tell", number=None, spread=[], claim="odd")
    card = {"name": "08_pooling", "title": "Pooling", "question": "Which?"}
    reports = [
        card
        | {
            "href": "08 pooling/report.html",
            "strip": "08 pooling/results.png",
            "verdicts": [verdict(), verdict(), open_claim],
        },
        card | {"href": "9/report.html", "strip": None, "verdicts": [], "name": "9"},
    ]
    path = write_index_page(tmp_path, reports)
    assert path == tmp_path / "index.html"
    page = Page(path)
    assert page.open == []
    assert set(page.values("a", "href")) == {
        "08%20pooling/report.html",
        "9/report.html",
    }
    assert page.values("img", "src") == ["08%20pooling/results.png"]
    assert page.values("img", "alt") == ["Results of Pooling"]
    assert "2 reports, 3 claims" in page.text
    assert "✓ 2 confirmed ? 1 cannot tell" in page.text
    assert "08_pooling ? cannot tell odd –" in page.text
    assert not re.search(r"https?:|javascript:", page.source)


def test_a_smoke_test_says_so_in_report_and_index(report, tmp_path):
    words = "Smoke test (--quick): 6 steps at 96 px."
    assert f"No verdicts. {words}" in report([trial()], smoke_test=words).text
    card = {"name": "08", "title": "Pooling", "question": "?", "strip": None}
    card |= {"href": "8/report.html", "verdicts": [], "smoke_test": words}
    assert f"No verdicts. {words}" in Page(write_index_page(tmp_path, [card])).text


def test_reports_need_no_tensorflow():
    code = (
        "import sys, kstyle.experiments.reporting.report;"
        "print({'keras', 'tensorflow'} & {*sys.modules})"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout == "set()\n", done.stderr
