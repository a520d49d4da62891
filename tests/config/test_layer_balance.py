"""Solved layer weights: each rule with numbers that can be worked out by hand."""

import math

import pytest

from kstyle.config.layer_balance import (
    BalanceMethod,
    balance_gradients,
    equalized_weights,
    normalize_content_weights,
    normalize_layer_weights,
    parse_balance_method,
    parse_content_method,
    round_weights,
    solve_content_weight,
    solve_kind,
    solve_layer_weights,
)
from kstyle.errors import ConfigError

ONES = {"conv1_1": 1.0, "conv2_1": 1.0}


def solve(method, style, content=None, layers=ONES, content_layers=None, weight=3.0):
    """Solve for two style layers of weight 1 and one content layer."""
    weights, content_weight = solve_layer_weights(
        method,
        style_layers={"style": layers},
        content_layers={"conv1_2": 1.0} if content_layers is None else content_layers,
        style_weight=weight,
        style_values={"style": style},
        content_values={"conv1_2": 1.0} if content is None else content,
    )
    options = {"style_layers": weights["style"]}
    return (
        options
        if content_weight is None
        else {**options, "content_weight": content_weight}
    )


@pytest.mark.parametrize(
    ("text", "name", "number"),
    [
        ("init-loss:1000", "init-loss", 1000.0),
        ("init-loss:1e-3", "init-loss", 0.001),
        ("equal-loss", "equal-loss", None),
        ("equal-loss:0.8", "equal-loss", 0.8),
        ("equal-gradient", "equal-gradient", None),
        ("equal-gradient:.5", "equal-gradient", 0.5),
        ("auto", "normalized", None),
        ("normalized", "normalized", None),
    ],
)
def test_a_method_is_a_name_and_a_number(text, name, number):
    assert parse_balance_method(text) == BalanceMethod(name, number)


@pytest.mark.parametrize(
    "text",
    [
        *("", "equal", "Equal-loss", "auto:0.5", "loss:0.5", "0.8", ":0.8"),
        *("init-loss", "init-loss:", "init-loss:0", "init-loss:-1", "init-loss:inf"),
        *("equal-loss:", "equal-loss:0", "equal-loss:1", "equal-loss:nan"),
        *("equal-gradient:x", "equal-gradient:-0.5", "equal-gradient:0.5:0.5"),
    ],
)
def test_another_text_is_refused_with_the_forms_and_an_example(text):
    with pytest.raises(ConfigError) as caught:
        parse_balance_method(text)
    message = str(caught.value)
    assert message.startswith(f"style_weights: {text!r} is not a method.")
    assert "init-loss:LOSS, equal-loss[:SHARE] or equal-gradient[:SHARE]" in message
    assert "normalized" in message
    assert "such as equal-loss:0.8" in message
    assert "\n" not in message


@pytest.mark.parametrize("text", ["equal-loss", "equal-gradient:0.8", "init-loss:2"])
def test_a_method_is_written_as_it_is_typed(text):
    assert str(parse_balance_method(text)) == text


def test_equalised_layers_have_equal_parts_of_the_old_sum():
    # 1 * 2 + 1 * 6 = 8: each 4.
    weights = equalized_weights({"a": 1.0, "b": 1.0}, {"a": 2.0, "b": 6.0})
    assert weights == pytest.approx({"a": 2.0, "b": 2 / 3})
    # 3 * 2 + 1 * 6 = 12: each 6.
    weights = equalized_weights({"a": 3.0, "b": 1.0}, {"a": 2.0, "b": 6.0})
    assert weights == pytest.approx({"a": 3.0, "b": 1.0})


def test_a_layer_of_weight_zero_keeps_it_and_shares_in_nothing():
    given, values = {"a": 1.0, "off": 0.0, "b": 1.0}, {"a": 2.0, "off": 0.0, "b": 6.0}
    weights = solve_kind("style", BalanceMethod("equal-loss", None), given, 1.0, values)
    assert weights == {"a": 2.0, "off": 0.0, "b": 0.666667}
    assert list(weights) == list(given)


@pytest.mark.parametrize("kind", ["style", "content"])
@pytest.mark.parametrize("weights", [{}, {"a": 0.0}])
def test_a_kind_without_a_weight_is_refused(kind, weights):
    method = BalanceMethod("equal-loss", None)
    with pytest.raises(ConfigError, match=f"no {kind} layer has a weight"):
        solve_kind(kind, method, weights, 1.0, {"a": 1.0})


@pytest.mark.parametrize("method", ["init-loss:1", "equal-loss", "equal-gradient:0.8"])
@pytest.mark.parametrize("value", [0.0, math.inf, math.nan])
def test_a_layer_without_a_finite_loss_is_refused_by_name(method, value):
    style = {"conv1_1": 1.0, "conv2_1": value}
    with pytest.raises(ConfigError, match=f"layer conv2_1 starts .*value {value:g}"):
        solve(parse_balance_method(method), style)


@pytest.mark.parametrize("name", ["equal-loss", "equal-gradient"])
def test_without_a_share_the_content_keeps_its_weight(name):
    style = {"conv1_1": 2.0, "conv2_1": 6.0}
    options = solve(BalanceMethod(name, None), style, content={"conv1_2": 0.0})
    assert options == {"style_layers": {"conv1_1": 2.0, "conv2_1": 0.666667}}


@pytest.mark.parametrize("name", ["equal-loss", "equal-gradient"])
def test_with_a_share_content_gets_what_style_leaves(name):
    style, content = {"conv1_1": 2.0, "conv2_1": 6.0}, {"conv1_2": 5.0}
    options = solve(
        BalanceMethod(name, 0.8), style, content, content_layers={"conv1_2": 2.0}
    )
    # Style carries 3 * (4 + 4) = 24, a share of 0.8 of 30; content 0.6 * 2 * 5 = 6.
    assert options["style_layers"] == {"conv1_1": 2.0, "conv2_1": 0.666667}
    assert options["content_weight"] == pytest.approx(0.6, rel=1e-6)


def test_the_share_counts_every_content_layer_with_its_weight():
    content = {"conv1_1": 3.0, "conv1_2": 50.0, "conv2_1": 4.0}
    layers = {"conv1_1": 2.0, "conv1_2": 0.0, "conv2_1": 1.0}
    # 3 * 10 = 30 is half; the other half is 2 * 3 + 0 + 1 * 4 = 10 times 3.
    options = solve(
        BalanceMethod("equal-loss", 0.5),
        {"conv1_1": 10.0},
        content,
        layers={"conv1_1": 1.0},
        content_layers=layers,
    )
    assert options["content_weight"] == 3.0


def test_the_content_weight_gives_style_its_share():
    assert solve_content_weight(0.8, 24.0, 10.0) == 0.6


@pytest.mark.parametrize("content", [0.0, math.nan])
def test_a_content_without_a_loss_can_have_no_share(content):
    with pytest.raises(ConfigError, match="the content has no loss"):
        solve_content_weight(0.8, 24.0, content)


def test_a_style_of_weight_zero_can_have_no_share():
    style = {"conv1_1": 2.0, "conv2_1": 6.0}
    with pytest.raises(ConfigError, match="style_weight is 0"):
        solve(BalanceMethod("equal-loss", 0.8), style, weight=0.0)


def test_init_loss_lets_what_is_below_it_start_there():
    layers = {"conv1_1": 5.0, "conv1_2": 7.0, "conv2_1": 9.0}
    style = {"conv1_1": 2.0, "conv1_2": 4.0, "conv2_1": 6.0}
    # Times the style weight of 3: 6, 12 and 18. 2 * 6 = 12.
    options = solve(BalanceMethod("init-loss", 12.0), style, layers=layers)
    assert options == {"style_layers": {"conv1_1": 2.0, "conv1_2": 7.0, "conv2_1": 9.0}}


def test_init_loss_of_content_counts_the_content_weight():
    method = parse_content_method("init-loss:40", "noise")
    layers = {"conv2_2": 1.0, "conv3_1": 1.0, "off": 0.0}
    values = {"conv2_2": 6.0, "conv3_1": 2.0, "off": 1.0}
    # Times 8: 48 and 16; 2.5 * 16 = 40.
    solved = solve_kind("content", method, layers, 8.0, values)
    assert solved == {"conv2_2": 1.0, "conv3_1": 2.5, "off": 0.0}


def test_init_loss_of_a_kind_of_weight_zero_is_refused():
    style = {"conv1_1": 1.0, "conv2_1": 1.0}
    with pytest.raises(ConfigError, match="style_weight is 0"):
        solve(BalanceMethod("init-loss", 4.0), style, weight=0)


@pytest.mark.parametrize(
    "text", ["auto", "equal-loss:0.5", "equal-gradient:", "init-loss"]
)
def test_a_method_that_is_not_of_content_is_refused(text):
    with pytest.raises(ConfigError, match="content_weights: .* is not a method"):
        parse_content_method(text, "noise")


def test_content_as_init_has_no_loss_to_raise():
    with pytest.raises(ConfigError, match="at init content the content loss is 0"):
        parse_content_method("init-loss:5", "content")
    assert parse_content_method("equal-loss", "content").number is None


def test_solved_numbers_have_six_digits():
    assert round_weights({"a": 200 / 3, "b": 1e-9 / 3}) == {
        "a": 66.6667,
        "b": 3.33333e-10,
    }


# ---------------------------------------------------------------- normalized weights


def normalized(edge=512, **changes):
    """The weights of two layers whose losses without features are 8 and 0.5."""
    values = {
        "style_layers": {"conv1_1": 1.0, "conv2_1": 3.0},
        "content_layers": {"conv4_2": 2.0},
        "style_values": {"conv1_1": 8.0, "conv2_1": 0.5},
        "content_values": {"conv4_2": 4.0},
    } | changes
    style, content = values.pop("style_layers"), values.pop("content_layers")
    return normalize_layer_weights(style, content, edge=edge, **values)


def test_normalized_weights_divide_by_the_loss_without_features():
    assert normalized() == {"conv1_1": 1.0, "conv2_1": 48.0}  # 1 x 8 / 8, 3 x 8 / 0.5


def test_normalized_weights_grow_with_the_size():
    assert normalized(edge=1024) == {"conv1_1": 2.0, "conv2_1": 96.0}


def test_twice_the_features_keep_the_proportion():
    # Four times the content's loss, sixteen times the style's.
    style, content = {"conv1_1": 128.0, "conv2_1": 8.0}, {"conv4_2": 16.0}
    weights = normalized(style_values=style, content_values=content)
    for layer, before in normalized().items():
        share = weights[layer] * style[layer] / 16
        assert share == before * {"conv1_1": 8.0, "conv2_1": 0.5}[layer] / 4


def test_without_content_a_typical_loss_takes_its_place():
    weights = normalized(content_layers={}, content_values={})
    assert weights == {"conv1_1": 5e4 / 8, "conv2_1": 3 * 5e4 / 0.5}


def test_a_layer_without_features_keeps_its_weight():
    weights = normalized(style_values={"conv1_1": 0.0, "conv2_1": 0.5})
    assert weights["conv1_1"] == 1.0


def test_content_without_features_gets_the_typical_loss():
    weights = normalize_content_weights({"a": 1.0, "b": 3.0}, {"a": 10.0, "b": 30.0})
    assert weights == {"a": 500.0, "b": 1500.0}  # 5e4 / (1 x 10 + 3 x 30)
    assert normalize_content_weights({"a": 2.0}, {"a": 0.0}) == {"a": 2.0}


def test_gradients_are_in_proportion_to_the_shares():
    shares = {"a": 1.0, "b": 2.0, "c": 0.0, "d": 1.0}
    norms = {"a": 10.0, "b": 1000.0, "c": 0.0, "d": 0.0}
    weights = {"a": 4.0, "b": 8.0, "c": 5.0, "d": 7.0}
    balanced = balance_gradients(weights, norms, shares)
    # a: x 0.1 k, b: x 0.002 k, with (1 x 0.1 + 2 x 0.002) k = 3.
    assert balanced["a"] == pytest.approx(4 * 0.1 * 3 / 0.104, rel=1e-5)
    assert balanced["b"] == pytest.approx(8 * 0.002 * 3 / 0.104, rel=1e-5)
    assert (balanced["c"], balanced["d"]) == (5, 7)
    assert balance_gradients(weights, dict.fromkeys(shares, 0.0), shares) == weights


def test_a_layer_that_hardly_pulls_leaves_the_others_their_gradients():
    shares, norms = {"a": 1.0, "b": 1.0}, {"b": 30.0, "a": 0.1}
    # a counts as 30 / 3: its factor 1/10 is 3 times that of b, and both add up to 2.
    balanced = balance_gradients(dict.fromkeys(shares, 1.0), norms, shares)
    assert balanced == {"a": 1.5, "b": 0.5}
