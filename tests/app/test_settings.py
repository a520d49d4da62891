"""The choices of the page, and what they make."""

import math

import pytest

import kstyle
from kstyle.app.messages import Ready
from kstyle.app.settings import PaintSettings, forecast, sample_settings
from kstyle.errors import ConfigError

PAIR = {"content": "sample:coffee", "style": "sample:night"}


def test_choices_make_the_config_of_the_same_flags(tmp_path):
    config = PaintSettings(
        **PAIR, look="painterly", size=256, color="keep", effort="quick"
    ).config(tmp_path)
    assert config == kstyle.StyleConfig(
        **PAIR,
        look="painterly",
        size=256,
        color="keep",
        steps=20,
        scale_steps=20,
        logdir=str(tmp_path),
    )


def test_a_strength_replaces_the_look(tmp_path):
    settings = PaintSettings(**PAIR, strength=1.0, more="steps: 7\npool: max")
    config = settings.config(tmp_path)
    assert config.style_weight == 3000
    assert (config.steps, config.scale_steps, config.pool) == (7, 60, "max")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"content": ""}, "Choose a photograph"),
        ({"style": ""}, "Choose a painting"),
        ({"more": "sise: 3"}, "size"),
        ({"more": "output: /tmp/x.png"}, "not an option of the app"),
        ({"more": "content: x.png"}, "not an option of the app"),
        ({"more": "init: /etc/passwd"}, "uploaded pictures only"),
        ({"more": "weights: /etc/passwd"}, "uploaded pictures only"),
        ({"more": "steps: !!python/object:os.system x"}, "YAML"),
    ],
)
def test_what_the_page_may_not_choose_is_refused(tmp_path, changes, message):
    with pytest.raises(ConfigError, match=message):
        PaintSettings(**(PAIR | changes)).config(tmp_path)


def test_two_paintings_are_mixed_or_have_regions(tmp_path):
    mixed = PaintSettings(**PAIR, second="sample:window", share=0.25).config(tmp_path)
    assert [style.picture for style in mixed.styles] == [
        "sample:night",
        "sample:window",
    ]
    assert mixed.blend == (0.75, 0.25)
    split = PaintSettings(**PAIR, second="sample:window", mask="m.png").config(tmp_path)
    assert [style.region for style in split.styles] == ["rest", "m.png"]
    assert split.blend is None


def test_one_painting_may_have_a_region(tmp_path):
    config = PaintSettings(**PAIR, mask="m.png").config(tmp_path)
    assert (config.style, config.region) == ("sample:night", "m.png")


def test_the_first_picture_is_small_and_of_samples(tmp_path):
    config = sample_settings().config(tmp_path)
    assert (config.content, config.style) == ("sample:coffee", "sample:night")
    assert config.size == 256


WINDOW = {"picture": "sample:window"}


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"styles": [{"picture": "sample:night"}, WINDOW], "blend": [0.7, 0.3]},
        {"region": "m.png"},
        {
            "styles": [
                {"picture": "sample:night", "region": "rest"},
                WINDOW | {"region": "m.png"},
            ]
        },
        {"look": "pastiche", "size": 256},
        {"strength": 0.4, "color": "match"},
        {"steps": 20, "scale_steps": 20},
        {"steps": 33, "pool": "max", "scales": [64, 128], "tv_weight": 7.0},
        {"style_layers": {"conv2_1": 3.0}},
        {"style_weight": 55.0},
    ],
)
def test_settings_of_a_run_repeat_it(tmp_path, options):
    config = kstyle.StyleConfig(**PAIR, **options, logdir=str(tmp_path))
    assert PaintSettings.from_config(config).config(tmp_path) == config


def test_weights_that_a_run_has_solved_are_solved_again(tmp_path):
    config = kstyle.StyleConfig(**PAIR, logdir=str(tmp_path))
    solved = config.replace(
        content_layers=config.content_layers,
        style_layers=dict.fromkeys(config.style_layers, 7.0),
        style_growth=1.0,
        style_loss=config.style_loss,
        tv_loss=config.tv_loss,
        tv_weight=config.tv_weight,
        precision="bfloat16",
    )
    assert PaintSettings.from_config(solved).config(tmp_path) == config


def machine(available=8_000_000_000):
    """A machine that takes a hundredth of a second for a GFLOP."""
    return Ready("float32", {"float32": 0.01}, available)


def test_a_forecast_has_size_steps_time_and_memory(tmp_path):
    config = PaintSettings(**PAIR, size=192, effort="quick").config(tmp_path)
    found = forecast(config, machine())
    assert found.size == (128, 192)  # coffee is 3 : 2
    assert found.estimate.steps == 40  # at 128 and at 192 px
    assert 5 < found.estimate.seconds < 50
    assert found.shortage is None and found.fitted is None


def test_before_the_machine_is_measured_the_time_is_unknown(tmp_path):
    found = forecast(PaintSettings(**PAIR).config(tmp_path), None)
    assert math.isnan(found.estimate.seconds)
    assert found.estimate.bytes > 0 and found.available_bytes is None


def test_a_forecast_says_what_is_changed_to_fit(tmp_path):
    config = PaintSettings(**PAIR, size=1024).config(tmp_path)
    whole = forecast(config, machine()).estimate.bytes
    assert "history" in forecast(config, machine(whole - 1)).fitted
    assert "are free" in forecast(config, machine(900_000_000)).shortage
