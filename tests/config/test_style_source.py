"""Several styles in the options: lists, mappings, shares and what is refused."""

import pytest

from kstyle.config.style_config import StyleConfig
from kstyle.errors import ConfigError

TWO = [{"picture": "a.jpg", "size": 512}, {"picture": "b.jpg", "size": 256}]


def refusal(**options):
    """The message for options that are refused."""
    with pytest.raises(ConfigError) as caught:
        StyleConfig(**options)
    return str(caught.value)


def test_lists_of_values_are_mappings_of_styles():
    config = StyleConfig(style=["a.jpg", "b.jpg"], style_size=["512", 256])
    assert config == StyleConfig(styles=TWO)
    assert (config.style, config.style_size) == ("a.jpg", None)
    assert StyleConfig.from_yaml(config.to_yaml()) == config


def test_layers_of_regions_take_the_names_that_layers_take():
    regions = {"styles": TWO, "region": ["sky.png", "rest"]}
    config = StyleConfig(**regions, region_layers={"sky": "relu3_1:2,block1_conv1"})
    assert config.region_layers == {"sky": {"conv3_1": 2, "conv1_1": 1}}
    message = refusal(**regions, region_layers={"sky": "conv9_1"})
    assert message.startswith("region_layers: vgg19 has no layer 'conv9_1'")
    message = refusal(**regions, region_layers={"sky": {}})
    assert message.startswith("region_layers: sky has no layers")


def test_one_style_of_a_list_is_the_style():
    config = StyleConfig(styles=[TWO[0]], style_crop=["left"])
    assert config == StyleConfig(style="a.jpg", style_size=512, style_crop="left")
    assert "styles" not in config.result_options()


def test_a_style_has_its_own_values_or_those_of_all():
    config = StyleConfig(styles=[*TWO, "c.jpg"], style_size=99, style_scale=2)
    assert [s.size for s in config.style_sources()] == [512, 256, 99]
    assert [s.scale for s in config.style_sources()] == [2, 2, 2]


def test_a_value_for_all_styles_replaces_their_own():
    config = StyleConfig(styles=[{**style, "region": "a.png"} for style in TWO])
    for changed in (
        config.replace(style_size=99),
        StyleConfig.from_yaml(config.to_yaml(), style_size=99),
    ):
        assert [s.size for s in changed.style_sources()] == [99, 99]
        assert [s.region for s in changed.style_sources()] == ["a.png", "a.png"]
    plain = config.replace(region=None)
    assert [s.region for s in plain.style_sources()] == [None, None]
    each = config.replace(style_size=[7, 8])
    assert [s.size for s in each.style_sources()] == [7, 8]


def test_a_wrong_value_of_a_style_names_it():
    message = refusal(style=["a.jpg", "b.jpg"], style_size=[64, 0])
    assert message.startswith("styles: size of style 2: give a short edge")


def test_an_empty_path_is_as_not_given():
    assert StyleConfig(region="", style_map="", content_map="", output="") == (
        StyleConfig()
    )


def test_shares_of_a_blend_add_up_to_1():
    assert StyleConfig(styles=TWO, blend="3,1").style_shares() == (0.75, 0.25)
    assert StyleConfig(styles=TWO).style_shares() == (0.5, 0.5)
    assert StyleConfig().style_shares() == (1.0,)


def test_another_style_replaces_all_styles_and_their_shares():
    config = StyleConfig(styles=TWO, blend=[1, 2], steps=3)
    assert config.replace(style="c.jpg") == StyleConfig(style="c.jpg", steps=3)
    assert config.replace(styles=["c.jpg", "d.jpg"]).blend is None
    assert config.replace(steps=3) == config


def test_every_style_is_an_input_with_its_own_name():
    config = StyleConfig(content="c.jpg", styles=TWO)
    assert config.picture_options() == {
        "content": "c.jpg",
        "style": "a.jpg",
        "style 2": "b.jpg",
    }


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"blend": "1,2"}, "2 shares for 1 style picture."),
        ({"styles": TWO, "blend": "1"}, "1 share for 2 style pictures."),
        ({"styles": TWO, "blend": "1,2,3"}, "3 shares for 2 style pictures"),
        ({"styles": TWO, "blend": "1,0"}, "blend: give numbers above 0"),
        ({"style": ["a", "b"], "style_size": [1, 2, 3]}, "3 values for 2 style"),
        ({"style_crop": ["left", "right"]}, "2 values for 1 style picture."),
        ({"styles": TWO, "style": "c.jpg"}, "'c.jpg' is given beside styles"),
        ({"styles": [{"size": 3}]}, "a mapping with a picture"),
        ({"styles": "a.jpg"}, "expected a list"),
        ({"styles": [{"picture": "a", "sise": 3}]}, "Did you mean 'size'?"),
        ({"styles": ["a", {"picture": "b", "crop": "top"}]}, "'top' is not a crop"),
    ],
)
def test_styles_that_do_not_fit_are_refused(options, words):
    assert words in refusal(**options)
