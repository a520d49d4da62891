"""Findings: quantities worked out by hand on small records, checks and verdicts."""

import math
import re

import numpy as np
import pytest
import yaml

from kstyle.errors import ConfigError
from kstyle.experiments.definition.experiment_file import read_experiment
from kstyle.experiments.findings.quantities import QUANTITIES, spearman
from kstyle.experiments.findings.rules import Finding, check_findings, parse_rule
from kstyle.experiments.findings.verdicts import judge_finding
from kstyle.experiments.records import new_record

SCORES = ("sharp", "style_distance", "style_distance/conv5_1")
FILE = """
axes: {pool: [avg, max], size: [1, 2, 3]}
parts:
  losses: {kind: table, axes: {init: [content, noise]}}
  pastiche: {content_weight: 0}
  stylised: {}
  alone: {axes: {style_scale: [0.5, 1.0]}}
repeats: {seed: [0, 1]}
"""


@pytest.fixture
def experiment(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text(FILE)
    return read_experiment(path)


def record(**keys):
    """Return a finished record; its curve is made from `loss`."""
    loss = keys.pop("loss", [8.0, 4.0, 2.0])
    empty = {"part": "", "label": "", "axes": {}, "repeats": {}}
    empty |= {"status": "finished", "scores": {}}
    curve = {"step": [*range(len(loss))], "loss": loss, "style": [x / 2 for x in loss]}
    return empty | {"curve": curve, "table": None} | keys


def pools(values, **keys):
    """Return a record for each item of `{pool: value of the score sharp}`."""
    return [
        record(axes={"pool": pool}, scores={"sharp": value}, **keys)
        for pool, value in values.items()
    ]


def no_distance(*_):
    raise AssertionError("the quantity needs no picture")


def verdict(
    quantity, arguments, records, distance=no_distance, confirmed="> 1", part=None
):
    """Return the verdict on a finding about one quantity."""
    finding = Finding("x", quantity, arguments, confirmed, part)
    return judge_finding(finding, records, distance)


def number(*arguments, **keys):
    return verdict(*arguments, **keys)["number"]


def of_to(of, to, **keys):
    return {"value": "sharp", "of": {"pool": of}, "to": {"pool": to}, **keys}


def test_a_ratio_is_one_value_over_another():
    records = pools({"avg": 2.0, "max": 6.0})
    assert number("ratio", of_to("max", "avg"), records) == 3


@pytest.mark.parametrize(
    ("against", "expected"),
    [({}, 1.5), ({"against": "min"}, 3), ({"against": "max"}, 1)],
)
def test_a_ratio_to_several_is_to_their_mean_least_or_largest(against, expected):
    records = pools({"a": 2.0, "b": 6.0, "c": 6.0})
    rule = of_to("c", ["a", "b"], **against)
    assert number("ratio", rule, records) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("start/loss", 2),
        ("end/loss", 3),
        ("start/style", 2),
        ("end/style", 3),
        ("left/loss", 1.5),
    ],
)
def test_a_value_can_be_the_first_or_last_of_a_curve(value, expected):
    records = [
        record(axes={"pool": "avg"}, loss=[8.0, 2.0]),
        record(axes={"pool": "max"}, loss=[16.0, 6.0]),
    ]
    rule = of_to("max", "avg") | {"value": value}
    assert number("ratio", rule, records) == expected


@pytest.mark.parametrize(("above", "expected"), [(1.0, math.inf), (0.0, None)])
def test_a_ratio_to_zero_is_infinite_or_unknown(above, expected):
    records = pools({"avg": 0.0, "max": above})
    assert number("ratio", of_to("max", "avg"), records) == expected


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([1, 2, 3, 4], 1),
        ([4, 3, 2, 1], -1),
        ([1, 10, 100], 1),
        ([1, 3, 2, 4], 0.8),  # 1 - 6 (1 + 1) / (4 (16 - 1))
        ([2, 1, 4, 3], 0.6),  # 1 - 6 * 4 / 60
        ([1, 1, 2], math.sqrt(3) / 2),  # ranks 0.5 0.5 2: 1.5 / sqrt(1.5 * 2)
        ([1, 2, 2, 3], math.sqrt(0.9)),  # ranks 0 1.5 1.5 3: 4.5 / sqrt(4.5 * 5)
        ([1, 2, 2, 1], 0),
        ([5, 5, 5], 0),
    ],
)
def test_spearman_is_the_correlation_of_ranks_with_shared_ties(values, expected):
    assert spearman(values) == pytest.approx(expected, abs=1e-12)


def test_a_trend_follows_the_order_of_the_labels():
    records = pools({"c": 3.0, "a": 1.0, "b": 2.0})
    rule = {"value": "sharp", "along": "pool", "labels": ["a", "b", "c"]}
    assert number("trend", rule, records) == pytest.approx(1)
    rule |= {"labels": ["c", "b", "a"]}
    assert number("trend", rule, records) == pytest.approx(-1)


def by_name(distances):
    """Return a distance function from `{"ab": number}`, for both orders of a pair."""

    def distance(measure, first, second):
        assert measure == "style"
        return distances["".join(sorted(r["axes"]["pool"] for r in (first, second)))]

    return distance


def test_a_difference_is_a_distance_or_a_ratio_of_two():
    records = pools({"a": 0, "b": 0, "c": 0})
    distance = by_name({"ab": 6.0, "bc": 4.0})
    rule = {"measure": "style", "between": [{"pool": "b"}, {"pool": "a"}]}
    assert number("difference", rule, records, distance) == 6
    rule |= {"relative_to": [{"pool": "b"}, {"pool": "c"}]}
    assert number("difference", rule, records, distance) == 1.5


def test_apart_is_least_distance_over_largest_among_the_others():
    records = pools({"a": 0, "b": 0, "c": 0, "x": 0})
    near = {"ax": 5.0, "bx": 6.0, "cx": 9.0}
    among = {"ab": 1.0, "ac": 2.0, "bc": 4.0}
    rule = {
        "measure": "style",
        "of": {"pool": "x"},
        "others": {"pool": ["a", "b", "c"]},
    }
    assert number("apart", rule, records, by_name(near | among)) == 1.25


@pytest.mark.parametrize(
    ("loss", "factor", "expected"),
    [
        ([8.0, 2.1, 1.0, 1.0, 1.0], {}, 0.25),  # below 2.2 at step 1; the other at 4
        ([9.0, 8.0, 7.0, 6.0, 5.0], {}, math.inf),
        ([9.0, 8.0, 7.0, 6.0, 5.0], {"factor": 3}, 1.5),  # 6.0: at step 3 against 2
        ([2.0, 2.0, 2.0, 2.0, 2.0], {}, 0),
    ],
)
def test_reach_is_steps_to_the_others_loss_over_its_own(loss, factor, expected):
    records = [
        record(axes={"pool": "avg"}, loss=loss),
        record(axes={"pool": "max"}, loss=[8.0, 7.0, 5.0, 4.0, 2.0]),
    ]
    rule = {"of": {"pool": "avg"}, "to": {"pool": "max"}, **factor}
    assert number("reach", rule, records) == expected


def test_reach_counts_steps_and_not_rows():
    second = record(axes={"pool": "max"}, loss=[8.0, 2.0])
    second["curve"]["step"] = [0, 10]
    first = record(axes={"pool": "avg"}, loss=[8.0, 4.0, 2.0])
    first["curve"]["step"] = [0, 10, 40]
    rule = {"of": {"pool": "avg"}, "to": {"pool": "max"}}
    assert number("reach", rule, [first, second]) == 4


def table_record():
    table = {
        "conv1_1": {"content": 2.0, "style": 30.0},
        "conv2_1": {"content": 3.0, "style": 60.0},
        "conv3_1": {"content": 5.0, "style": 10.0},
    }
    return record(axes={"init": "noise"}, table=table, curve={})


@pytest.mark.parametrize(
    ("among", "kind", "expected"),
    [
        (["conv1_1", "conv2_1", "conv3_1"], {}, 0.1),
        (["conv1_1", "conv3_1"], {}, 0.25),
        (["conv1_1", "conv2_1", "conv3_1"], {"kind": "content"}, 0.5),
    ],
)
def test_a_share_is_of_the_losses_of_some_layers(among, kind, expected):
    rule = {"of": {"init": "noise"}, "layer": "conv3_1", "among": among, **kind}
    assert number("share", rule, [table_record()]) == expected


def test_a_share_of_a_missing_layer_is_undecided():
    rule = {
        "of": {"init": "noise"},
        "layer": "conv1_1",
        "among": ["conv1_1", "conv5_1"],
    }
    assert verdict("share", rule, [table_record()])["verdict"] == "cannot tell"


def test_selections_distinguish_parts():
    records = pools({"avg": 1.0, "max": 2.0}, part="pastiche")
    records += pools({"avg": 1.0, "max": 8.0}, part="stylised")
    rule = of_to("max", "avg")
    assert number("ratio", rule, records, part="pastiche") == 2
    assert number("ratio", rule, records, part="stylised") == 8
    across = {"part": "stylised", "pool": "max"}, {"part": "pastiche", "pool": "max"}
    rule = {"value": "sharp", "of": across[0], "to": across[1]}
    assert number("ratio", rule, records) == 4
    assert number("ratio", rule, records, part="pastiche") == 4


def test_a_trial_without_the_axis_is_not_selected():
    records = [*pools({"avg": 1.0, "max": 2.0}), record(scores={"sharp": 50.0})]
    assert number("ratio", of_to("max", "avg"), records) == 2


def test_the_number_is_the_median_over_the_repeats():
    records = pools({"avg": 1.0, "max": 5.0}, repeats={"seed": "0"})
    records += pools({"avg": 2.0, "max": 4.0}, repeats={"seed": "1"})
    records += pools({"avg": 1.0, "max": 3.0}, repeats={"seed": "2"})
    found = verdict("ratio", of_to("max", "avg"), records)
    assert (found["spread"], found["number"]) == ([5, 2, 3], 3)


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([2.0, 3.0], "confirmed"),
        ([0.5, 0.1], "not confirmed"),
        ([2.0, 0.5], "cannot tell"),
        ([1.0], "not confirmed"),  # above 1 means above
        ([], "cannot tell"),
    ],
)
def test_confirmed_means_the_rule_is_true_in_every_repeat(values, expected):
    records = []
    for seed, value in enumerate(values):
        records += pools({"avg": 1.0, "max": value}, repeats={"seed": str(seed)})
    assert verdict("ratio", of_to("max", "avg"), records)["verdict"] == expected


def test_the_median_of_infinite_numbers_is_infinite():
    records = []
    for seed in "01":
        repeat = {"seed": seed}
        records += pools({"avg": 0.0, "max": 1.0}, repeats=repeat)
    found = verdict("ratio", of_to("max", "avg"), records)
    assert (found["number"], found["verdict"]) == (math.inf, "confirmed")


def failed(records, pool):
    """Return the records with the one of `pool` as that of a failed trial."""
    lost = {"status": "failed", "scores": {}, "curve": {}, "table": None}
    return [r | lost if r["axes"]["pool"] == pool else r for r in records]


SELECTING = {
    "ratio": of_to("a", ["b", "c"], against="max"),
    "trend": {"value": "sharp", "along": "pool", "labels": ["a", "b", "c"]},
    "difference": {"measure": "style", "between": [{"pool": "a"}, {"pool": "b"}]},
    "apart": {"measure": "style", "of": {"pool": "a"}, "others": {"pool": ["b", "c"]}},
    "reach": {"of": {"pool": "a"}, "to": {"pool": "b"}},
    "share": {"of": {"pool": "b"}, "layer": "conv1_1", "among": ["conv1_1"]},
}


@pytest.mark.parametrize("quantity", QUANTITIES)
def test_without_a_needed_trial_a_finding_is_undecided(quantity):
    records = pools({"a": 1.0, "b": 2.0, "c": 3.0})
    for some in (failed(records, "b"), [records[0], records[2]], []):
        found = verdict(quantity, SELECTING[quantity], some, lambda *_: 1.0)
        assert (found["verdict"], found["number"]) == ("cannot tell", None)
        assert found["spread"] == []


def test_a_failed_repeat_has_no_number_and_the_others_have():
    records = failed(pools({"avg": 1.0, "max": 2.0}, repeats={"seed": "0"}), "avg")
    records += pools({"avg": 1.0, "max": 3.0}, repeats={"seed": "1"})
    assert verdict("ratio", of_to("max", "avg"), records)["spread"] == [3]


def test_a_missing_score_leaves_a_finding_undecided():
    records = pools({"avg": 1.0, "max": 2.0})
    for value in ("style_distance", "end/tv"):
        rule = of_to("max", "avg") | {"value": value}
        assert number("ratio", rule, records) is None


def test_a_nan_value_leaves_a_finding_undecided():
    records = pools({"avg": 1.0, "max": math.nan})
    assert verdict("ratio", of_to("max", "avg"), records)["verdict"] == "cannot tell"


def test_numbers_in_a_verdict_are_python_floats():
    records = pools({"avg": np.float32(1), "max": np.float32(2)})
    found = verdict("ratio", of_to("max", "avg"), records)
    assert {type(each) for each in [found["number"], *found["spread"]]} == {float}


COLOUR = {"measure": "colour", "between": [{"init": "content"}, {"init": "noise"}]}


@pytest.mark.parametrize(
    ("quantity", "arguments", "confirmed", "sentence", "unit"),
    [
        (
            "ratio",
            of_to("max", "avg") | {"value": "high_frequency"},
            "> 1.1",
            "high-frequency energy with pool = max is more than 1.1 times that with "
            "pool = avg",
            "times",
        ),
        (
            "ratio",
            of_to("c", ["a", "b"], against="max") | {"value": "end/style"},
            "0.9 .. 1.1",
            "style loss after the last step with pool = c is between 0.9 and 1.1 times "
            "the largest of those with pool = a or b",
            "times",
        ),
        (
            "trend",
            {"value": "chroma", "along": "pool", "labels": ["a", "b", "c"]},
            "< -0.99",
            "chroma falls from pool = a to c: rank correlation less than -0.99",
            "rank correlation; 1 = always grows, −1 = always falls",
        ),
        (
            "difference",
            COLOUR,
            "> 5",
            "the pictures of init = content and of init = noise differ in colour by "
            "more than 5 CIELAB units",
            "CIELAB units; 0 = equal, 2 is just visible",
        ),
        (
            "difference",
            COLOUR | {"relative_to": [{"part": "p"}, {"part": "q"}]},
            "> 2",
            "the pictures of init = content and of init = noise differ in colour more "
            "than 2 times as much as those of p and q",
            "times",
        ),
        (
            "apart",
            {"measure": "style", "of": {"pool": "a"}, "others": {"pool": ["b", "c"]}},
            "> 1.5",
            "the picture with pool = a is more than 1.5 times as far in style from the "
            "others (pool = b or c) as these are from each other",
            "times",
        ),
        (
            "reach",
            {"of": {"pool": "avg"}, "to": {"pool": "max"}},
            "< 0.5",
            "to 1.1 times the final loss of pool = max, pool = avg needs less than 0.5 "
            "times the steps that pool = max needs (losses as they are: only for "
            "trials of the same objective)",
            "times",
        ),
        (
            "share",
            {"of": {"init": "noise"}, "layer": "x", "among": ["x", "y"]},
            "< 0.01",
            "the share of x in the unweighted initial style losses of x, y, with init "
            "= noise, is less than 0.01",
            "of the whole, from 0 to 1",
        ),
    ],
)
def test_a_rule_is_a_sentence_with_a_unit(
    quantity, arguments, confirmed, sentence, unit
):
    found = verdict(quantity, arguments, [], part="stylised", confirmed=confirmed)
    assert found["rule"] == f"In stylised, {sentence}"
    assert (found["unit"], found["confirmed"]) == (unit, confirmed)


@pytest.mark.parametrize(
    ("rule", "inside", "outside"),
    [
        ("> 1.1", [1.2, math.inf], [1.1, -2]),
        ("<0.5", [0.4, -1], [0.5, math.inf]),
        ("< -0.79", [-0.8], [-0.79, 0]),
        ("0.9 .. 1.1", [0.9, 1, 1.1], [0.89, 1.11]),
        ("-1..1e2", [-1, 100], [101]),
    ],
)
def test_a_rule_is_a_bound_or_a_range_with_both_ends(rule, inside, outside):
    holds = parse_rule(rule)
    assert [holds(x) for x in inside] == [True] * len(inside)
    assert [holds(x) for x in outside] == [False] * len(outside)


@pytest.mark.parametrize("text", ["", "1.1", ">= 1", "> much", "1 .. ", "2 .. 1", 0.5])
def test_other_rules_are_refused(text):
    with pytest.raises(ConfigError, match="is no rule. Expected '> 1.1', '< 0.5' or"):
        parse_rule(text)


def finding(text):
    """Return a finding from YAML, with default values of its claim and rule."""
    return {"claim": "x", "confirmed": "> 1"} | yaml.safe_load(text)


MAX1, AVG1 = "{pool: max, size: 1}", "{pool: avg, size: 1}"


@pytest.mark.parametrize(
    "text",
    [
        f"part: stylised\nratio: {{value: sharp, of: {MAX1}, to: {AVG1}}}",
        f"part: stylised\nratio: {{value: end/tv, of: {MAX1}, to: {{pool: avg}}}}",
        f"part: stylised\nreach: {{of: {MAX1}, to: {AVG1}, factor: 2}}",
        f"part: stylised\ndifference: {{measure: colour, between: [{MAX1}, {AVG1}]}}",
        "share: {of: {init: noise}, layer: conv1_1, among: [conv1_1, conv2_1]}",
        "trend: {value: sharp, along: style_scale}",
        "ratio: {value: sharp, of: {style_scale: 1.0}, to: {style_scale: 0.5}}",
        "apart: {measure: style, of: {style_scale: 1}, others: {part: stylised}}",
    ],
)
def test_valid_findings_are_accepted(experiment, text):
    (found,) = check_findings([finding(text)], experiment, SCORES)
    assert found.claim == "x"


def test_a_trend_takes_the_labels_of_its_axis_by_default(experiment):
    (found,) = check_findings(
        [finding("trend: {value: sharp, along: style_scale}")], experiment, SCORES
    )
    assert found.arguments["labels"] == ["0.5", "1"]


def test_labels_in_findings_can_be_numbers_or_null(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text("axes: {style_crop: [left, null], tv_weight: [0, 1.0]}")
    text = "{style_crop: null, tv_weight: 1}"
    ratio = f"ratio: {{value: sharp, of: {text}, to: {{style_crop: [left, null]}}}}"
    (found,) = check_findings([finding(ratio)], read_experiment(path), SCORES)
    records = [
        record(axes={"style_crop": crop, "tv_weight": tv}, scores={"sharp": value})
        for crop, tv, value in (
            ("left", "0", 2.0),
            ("left", "1", 2.0),
            ("none", "0", 2.0),
            ("none", "1", 6.0),
        )
    ]
    assert (
        judge_finding(found, records, no_distance)["number"] == 2
    )  # 6 / mean(2 2 2 6)


TRIALS = """
parts:
  listed:
    trials:
      - {name: soft, pool: avg}
      - {name: softer, pool: avg, tv_weight: 0}
  single: {mode: one-at-a-time, axes: {pool: [max]}}
repeats: {seed: [0, 1]}
"""


def test_a_selection_can_name_a_listed_trial(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text(TRIALS)
    experiment = read_experiment(path)
    text = "ratio: {value: sharp, of: {trial: softer}, to: {trial: [soft, base]}}"
    (found,) = check_findings([finding(text)], experiment, SCORES)
    records = [
        new_record("mine", t) | {"status": "finished", "scores": {"sharp": value}}
        for t, value in zip(experiment.trials, (2, 6, 3, 9, 4, 0, 1, 0), strict=True)
    ]
    # By seed: soft and softer 2 6, 3 9; base and pool=max 4 0, 1 0.
    assert [r["label"] for r in records[:6]] == ["soft", "softer"] * 2 + ["base", ""]
    result = judge_finding(found, records, no_distance)
    assert result["spread"] == [6 / 3, 9 / 2]
    assert result["rule"].endswith(
        "with softer is more than 1 times the mean of those with soft or base"
    )
    along = finding("trend: {value: sharp, along: trial, labels: [softer, soft]}")
    (found,) = check_findings([along], experiment, SCORES)
    assert judge_finding(found, records, no_distance)["number"] == pytest.approx(-1)
    for wanted, sentence in (
        (
            "{trial: hard}",
            "trial has no value 'hard'. It has ['soft', 'softer', 'base'",
        ),
        ("{pool: avg}", "one trial is meant, and {'pool': 'avg'} has ['listed,soft,"),
    ):
        text = f"reach: {{of: {wanted}, to: {{trial: soft}}}}"
        with pytest.raises(ConfigError, match=re.escape(sentence)):
            check_findings([finding(text)], experiment, SCORES)


def ratio(inside):
    return f"part: stylised\nratio: {{{inside}}}"


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("claim: x", "Give one quantity of ['ratio', 'trend', "),
        ("ratio: {}\ntrend: {}", "Received: ['ratio', 'trend']."),
        ("ratio: {}\nnote: 1", "Unknown key 'note'. It may have ['claim', 'confirmed'"),
        ("ratio: 3", "ratio is a mapping. Received: 3."),
        ("ratio: {value: sharp, of: {}}", "The key 'to' is missing."),
        ("reach: {of: {}, to: {}, at: 1}", "Unknown key 'at'. It may have ['factor', "),
        ("ratio: {}\nconfirmed: 1", "1 is no rule."),
        (
            ratio(f"value: shrap, of: {MAX1}, to: {AVG1}"),
            "Unknown value 'shrap'. Did you mean 'sharp'?",
        ),
        (
            ratio(f"value: end/stile, of: {MAX1}, to: {AVG1}"),
            "Unknown value 'end/stile'. Did you mean 'end/style'?",
        ),
        (
            ratio(f"value: sharp, of: {MAX1}, to: {AVG1}, against: [mean]"),
            "Unknown against ['mean']. ",
        ),
        (
            f"difference: {{measure: hue, between: [{MAX1}, {AVG1}]}}",
            "Unknown measure 'hue'. Known: ['style', 'colour'].",
        ),
        (
            f"difference: {{measure: style, between: {MAX1}}}",
            "between takes two selections: ",
        ),
        (
            f"difference: {{measure: style, between: [{MAX1}]}}",
            "between takes two selections: ",
        ),
        (
            "share: {of: {init: noise}, layer: conv1_1, among: [conv2_1]}",
            "Unknown layer 'conv1_1'. ",
        ),
        (
            "share: {of: {init: noise}, layer: conv1_1, among: conv1_1}",
            "Unknown layer 'conv1_1'. ",
        ),
        (
            "share: {of: {init: noise}, layer: a, among: [a], kind: tv}",
            "Unknown kind 'tv'. Known: ['style', 'content'].",
        ),
        (
            f"part: stylised\nreach: {{of: {MAX1}, to: {AVG1}, factor: much}}",
            "factor is a number above 0. Received: 'much'.",
        ),
        (
            f"part: stylised\nreach: {{of: {MAX1}, to: {AVG1}, factor: 0}}",
            "factor is a number above 0. Received: 0.",
        ),
        (
            ratio(f"value: sharp, of: {{poll: max}}, to: {AVG1}"),
            "Unknown axis 'poll'. There are ['init', 'pool', 'size', ",
        ),
        (
            ratio(f"value: sharp, of: {{seed: 0}}, to: {AVG1}"),
            "Unknown axis 'seed'. There are ['init', 'pool', 'size', ",
        ),
        (
            ratio(f"value: sharp, of: {{pool: min}}, to: {AVG1}"),
            "pool has no value 'min'. It has ['avg', 'max'].",
        ),
        (
            ratio(f"value: sharp, of: max, to: {AVG1}"),
            "A selection is {axis: label}. Received: 'max'.",
        ),
        (
            f"part: painted\nreach: {{of: {MAX1}, to: {AVG1}}}",
            "part has no value 'painted'. It has ['losses', 'pastiche', 'stylised', ",
        ),
        (
            f"reach: {{of: {MAX1}, to: {AVG1}}}",
            "of: one trial is meant, and {'pool': 'max', 'size': 1} has ['pastiche,",
        ),
        (
            f"part: stylised\nreach: {{of: {MAX1}, to: {{pool: avg}}}}",
            "to: one trial is meant, and {'part': 'stylised', 'pool': 'avg'} has [",
        ),
        (
            f"part: losses\nreach: {{of: {MAX1}, to: {AVG1}}}",
            "of: no trial has {'part': 'losses', 'pool': 'max', 'size': '1'}.",
        ),
        (
            ratio(f"value: sharp, of: {MAX1}, to: {{pool: []}}"),
            "to: there are too few trials, [].",
        ),
        (
            f"part: stylised\napart: {{measure: style, of: {MAX1}, others: {AVG1}}}",
            "others: there are too few trials, ['stylised,pool=avg,size=1,seed=0'].",
        ),
        (
            "part: stylised\ntrend: {value: sharp, along: size}",
            "along: one trial is meant, and {'part': 'stylised', 'size': '1'} has [",
        ),
        (
            "part: stylised\ntrend: {value: sharp, along: size, labels: [1]}",
            "A trend needs two labels. There are ['1'].",
        ),
        ("trend: {value: sharp, along: sise}", "Unknown axis 'sise'. There are ['init"),
        ("trend: {value: sharp, along: [size]}", """Unknown axis "['size']". There"""),
        (
            "trend: {value: sharp, along: size, labels: [1, 9]}",
            "size has no value '9'. It has ['1', '2', '3'].",
        ),
        (
            "reach: {of: {init: noise}, to: {init: content}}",
            "of: 'losses,init=noise,seed=0' has no picture for a reach.",
        ),
        (
            f"part: stylised\nshare: {{of: {MAX1}, layer: a, among: [a]}}",
            "of: 'stylised,pool=max,size=1,seed=0' has no table for a share.",
        ),
    ],
)
def test_invalid_findings_are_refused(experiment, text, sentence):
    with pytest.raises(ConfigError) as caught:
        check_findings([finding(text)], experiment, SCORES)
    assert str(caught.value).startswith("finding 'x': ")
    assert sentence in str(caught.value)


def test_a_finding_without_a_claim_is_quoted_in_the_error(experiment):
    with pytest.raises(
        ConfigError, match=r"finding \{'ratio': \{\}\}: .*'claim' is mis"
    ):
        check_findings([{"ratio": {}}], experiment, SCORES)
