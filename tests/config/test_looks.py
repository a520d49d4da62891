"""Looks and strengths: what they mean in plain options, and what has priority."""

import pytest

from kstyle import StyleConfig
from kstyle.config.looks import (
    LOOKS,
    NORMALIZED_STYLE_LAYERS,
    PLAIN_STYLE_LAYERS,
    TV_WEIGHTS,
    override_options,
    strength_style_weight,
)
from kstyle.errors import ConfigError


def test_the_default_is_the_balanced_look():
    assert StyleConfig() == StyleConfig(look="balanced")
    assert StyleConfig().style_weight == LOOKS["balanced"] == 100


def test_looks_go_from_the_photograph_to_the_painting():
    weights = [StyleConfig(look=look).style_weight for look in LOOKS]
    assert list(LOOKS) == ["faithful", "balanced", "painterly", "pastiche"]
    assert weights == sorted(weights) == [30, 100, 300, 3000]


@pytest.mark.parametrize(
    "strength, weight",
    [(0, 30), (1 / 3, 100), (2 / 3, 300), (1, 3000), (0.5, 173.2), ("0", 30)],
)
def test_strength_passes_through_the_looks(strength, weight):
    assert StyleConfig(strength=strength).style_weight == weight


def test_strength_always_grows():
    weights = [strength_style_weight(k / 20) for k in range(21)]
    assert weights == sorted(set(weights))


def test_a_single_option_has_priority_over_a_look():
    assert StyleConfig(look="painterly", style_weight=5).style_weight == 5
    assert StyleConfig(strength=1, style_weight=5).style_weight == 5


@pytest.mark.parametrize("options", [{"look": "pastiche"}, {"strength": 0.9}])
def test_a_config_with_a_look_is_read_back_equal(options):
    config = StyleConfig(**options)
    assert StyleConfig.from_yaml(config.to_yaml()) == config


def test_a_strength_takes_the_place_of_a_look():
    assert StyleConfig(look="faithful", strength=1).style_weight == 3000


def test_a_later_look_replaces_an_earlier_weight():
    config = StyleConfig(strength=0.5)
    assert config.replace(look="pastiche") == StyleConfig(look="pastiche")
    text = StyleConfig(style_weight=7).to_yaml()
    assert StyleConfig.from_yaml(text, strength=0).style_weight == 30
    assert override_options({"style_weight": 7}, {"size": 9})["style_weight"] == 7


@pytest.mark.parametrize(
    "options, message",
    [
        ({"look": "bold"}, "^look: .*'bold'"),
        ({"strength": 1.1}, "^strength: "),
        ({"strength": "much"}, "^strength: "),
        ({"strength": True}, "^strength: "),
    ],
)
def test_a_wrong_look_is_refused(options, message):
    with pytest.raises(ConfigError, match=message):
        StyleConfig(**options)


def test_weights_that_are_given_are_not_normalized():
    config = StyleConfig(style_layers="conv3_1:2")
    assert (config.style_weights, config.style_layers) == (None, {"conv3_1": 2})
    assert config.style_growth == 0
    assert StyleConfig().replace(style_layers="conv3_1:2") == config


def test_shares_of_normalized_losses_can_be_given():
    options = {"style_layers": "conv3_1:2", "style_weights": "normalized"}
    config = StyleConfig(**options)
    assert (config.style_weights, config.style_growth) == ("normalized", 1)


@pytest.mark.parametrize("method", [None, "none", "equal-loss", "init-loss:3"])
def test_other_methods_begin_with_plain_weights(method):
    config = StyleConfig(style_weights=method)
    assert config.style_layers == PLAIN_STYLE_LAYERS
    assert config.style_growth == 0
    assert StyleConfig().replace(style_weights=method) == config
    assert StyleConfig(style_weights="auto").style_layers == NORMALIZED_STYLE_LAYERS


def test_the_old_defaults_are_recognised_without_the_growth():
    assert "style_growth" not in StyleConfig(style_weights=None).result_options()
    assert StyleConfig().result_options()["style_growth"] == 1


MIXED = "gram,conv2_1=covariance,conv3_1=covariance"


@pytest.mark.parametrize(
    "options, expected",
    [
        ({}, MIXED),
        ({"look": "pastiche"}, MIXED),
        ({"net": "vgg16"}, MIXED),
        ({"net": "alexnet"}, "gram"),
        ({"style_layers": "conv3_1:2"}, "gram"),
        ({"style_layers": "conv3_1:2", "style_weights": "normalized"}, "gram"),
        ({"style_weights": "none"}, "gram"),
        ({"style_loss": "wasserstein"}, "wasserstein"),
    ],
)
def test_the_statistics_follow_from_the_layers(options, expected):
    config = StyleConfig(**options)
    assert config.style_loss == expected
    assert StyleConfig().replace(**options) == config
    assert StyleConfig.from_yaml(config.to_yaml()) == config


def test_a_chosen_statistic_stays():
    changed = StyleConfig(style_loss="gram").replace(net="vgg16", size=64)
    assert changed.style_loss == "gram"
    changed = StyleConfig(style_loss="sliced").replace(style_weights="none")
    assert changed.style_loss == "sliced"


FINE, COARSE = {"conv4_2": 0.5, "conv3_2": 2}, {"conv4_2": 1}


@pytest.mark.parametrize(
    "options, expected",
    [
        ({}, FINE),
        ({"look": "painterly", "content_weight": 4}, FINE),
        ({"style_weights": "none"}, COARSE),
        ({"style_layers": "conv3_1"}, COARSE),
        ({"content_loss": "self-similarity"}, COARSE),
        ({"content_layers": "conv3_1"}, {"conv3_1": 1}),
        (
            {"convention": "gatys-code", "content_weight": 1, "style_weight": 1},
            COARSE,
        ),
    ],
)
def test_the_content_layers_follow_from_the_style(options, expected):
    config = StyleConfig(**options)
    assert config.content_layers == expected
    assert StyleConfig().replace(**options) == config
    assert StyleConfig.from_yaml(config.to_yaml()) == config


@pytest.mark.parametrize("look", [{"look": "painterly"}, {"strength": 0.2}])
@pytest.mark.parametrize("plain", [{"style_layers": "conv3_1"}, {"style_weights": ""}])
def test_a_look_of_plain_weights_is_refused(look, plain):
    with pytest.raises(ConfigError, match=f"{list(look)[0]} .*style_weights normal"):
        StyleConfig(**look, **plain)
    assert StyleConfig(**look, **plain, style_weight=9).style_weight == 9


def test_a_look_of_weights_that_a_run_has_solved_is_a_style_weight():
    solved = StyleConfig().replace(style_layers="conv3_1:25", style_growth=1.0)
    assert solved.style_weights is None
    painted = solved.replace(look="painterly")
    assert painted == solved.replace(style_weight=300, look="painterly")
    assert painted.style_weight == 300 and painted.style_layers == {"conv3_1": 25}


def total_variation_options(config):
    return config.tv_loss, config.tv_weight


@pytest.mark.parametrize(
    "options, expected",
    [
        ({}, ("charbonnier", TV_WEIGHTS["charbonnier"])),
        ({"tv_weight": 7}, ("squared", 7)),
        ({"tv_loss": "squared"}, ("squared", 120)),
        ({"tv_loss": "charbonnier", "tv_weight": 7}, ("charbonnier", 7)),
        ({"style_weights": "none"}, ("squared", 120)),
        ({"style_layers": "conv3_1:2"}, ("squared", 120)),
        (
            {"style_weights": "none", "tv_loss": "charbonnier"},
            ("charbonnier", TV_WEIGHTS["charbonnier"]),
        ),
    ],
)
def test_the_total_variation_follows_from_the_weights(options, expected):
    config = StyleConfig(**options)
    assert total_variation_options(config) == expected
    assert StyleConfig().replace(**options) == config
    assert StyleConfig.from_yaml(config.to_yaml()) == config


def test_a_chosen_total_variation_stays():
    config = StyleConfig(tv_loss="charbonnier", tv_weight=7)
    changed = config.replace(style_weights="none")
    assert total_variation_options(changed) == ("charbonnier", 7)
    changed = override_options({"tv_loss": "charbonnier"}, {"tv_weight": 9})
    assert changed == {"tv_loss": "charbonnier", "tv_weight": 9}
