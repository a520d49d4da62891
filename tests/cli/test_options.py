"""The order of sources: flag, environment variable, YAML file, default."""

import click
import pytest
from click.testing import CliRunner

from kstyle.cli.options import (
    PICTURE_ARGUMENTS,
    STRUCTURED_OPTIONS,
    config_options,
    format_value,
    merge_options,
)
from kstyle.cli.stylize import stylize_command
from kstyle.config.style_config import StyleConfig

# For each option the same kind of value three times over, as it is typed, and what
# the flag means in the config.
LAYERS = {
    "net": ("vgg16", "vgg19", "vgg16", "vgg16"),
    "steps": ("3", "4", "5", 5),
    "style_weight": ("3.5", "4.5", "5.5", 5.5),
    "learning_rate": ("0.5", "1.5", "2.5", 2.5),
    "style_layers": ("conv1_1:3", "conv1_1:4", "conv1_1:5", {"conv1_1": 5.0}),
    "style_weights": ("auto", "equal-loss", "init-loss:5", "init-loss:5"),
    "scales": ("3", "4", "100,512", (100, 512)),
    "style_size": ("30", "40", "original", "original"),
    "style_crop": ("left", "right", "1,2,3,4", "1,2,3,4"),
    "tile": ("512", "off", "128", 128),
    "fit": ("auto", "auto", "off", "off"),
    "history": ("4", "5", "6", 6),
    "precision": ("float32", "bfloat16", "mixed", "mixed"),
    "bits": ("16", "8", "16", 16),
    "output": ("a.png", "b.png", "c.png", "c.png"),
    "content": ("a.png", "b.png", "c.png", "c.png"),
    "style": ("a.png", "b.png", "c.png", "c.png"),
}


@click.command()
@click.argument("content", required=False, envvar="KSTYLE_CONTENT")
@click.argument("style", required=False, envvar="KSTYLE_STYLE")
@config_options
@click.option("--config", "config_file")
@click.pass_context
def resolve(context, config_file, **_):
    """Print the config of the options."""
    click.echo(StyleConfig(**merge_options(context, config_file)).to_yaml())


def config(*arguments, env=None):
    """Return the `StyleConfig` of a command line and an environment."""
    result = CliRunner().invoke(resolve, arguments, env=env, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return StyleConfig.from_yaml(result.stdout)


def arguments_for(name, value):
    """Return the words that set an option; pictures are positional arguments."""
    if name == "style":
        return ["sample:chelsea", value]
    return [value] if name == "content" else [f"--{name.replace('_', '-')}", value]


@pytest.mark.parametrize("name", LAYERS)
def test_flag_beats_environment_beats_yaml_beats_default(name, tmp_path):
    low, middle, high, meant = LAYERS[name]
    file = tmp_path / "some.yaml"
    file.write_text(f"{name}: {low}\n")
    from_file, env = ["--config", str(file)], {f"KSTYLE_{name.upper()}": middle}
    flag = arguments_for(name, high)

    def value(*arguments, env=None):
        return getattr(config(*arguments, env=env), name)

    assert value() == getattr(StyleConfig(), name)
    assert value(*from_file) == getattr(StyleConfig(**{name: yaml_value(low)}), name)
    assert value(*from_file, env=env) == getattr(StyleConfig(**{name: middle}), name)
    assert value(env=env) == getattr(StyleConfig(**{name: middle}), name)
    assert value(*flag, *from_file, env=env) == meant
    assert value(*flag) == meant


def yaml_value(text):
    """Return `text` as YAML reads it: digits as a number."""
    return int(text) if text.isdecimal() else text


def test_a_switch_can_be_turned_off_again_at_every_level(tmp_path):
    file = tmp_path / "some.yaml"
    file.write_text("log_gradients: true\n")
    from_file, off = ["--config", str(file)], {"KSTYLE_LOG_GRADIENTS": "0"}
    assert config(*from_file).log_gradients is True
    assert config(*from_file, env=off).log_gradients is False
    assert config(*from_file, "--log-gradients", env=off).log_gradients is True
    assert config(*from_file, "--no-log-gradients").log_gradients is False


def test_a_flag_that_says_the_default_still_beats_the_file(tmp_path):
    file = tmp_path / "some.yaml"
    file.write_text("steps: 3\nsize: 64\n")
    result = config("--config", str(file), "--steps", str(StyleConfig().steps))
    assert result == StyleConfig(size=64)


def test_a_look_beats_a_files_style_weight_and_not_a_flags(tmp_path):
    file = tmp_path / "some.yaml"
    file.write_text("style_weight: 7\n")
    from_file = ["--config", str(file)]
    assert config(*from_file, "--look", "painterly") == StyleConfig(look="painterly")
    assert config(*from_file, env={"KSTYLE_STRENGTH": "0"}).style_weight == 30
    both = [*from_file, "--look", "painterly", "--style-weight", "8"]
    assert config(*both).style_weight == 8


def test_an_empty_environment_variable_counts_as_unset():
    assert config(env={"KSTYLE_STEPS": "", "KSTYLE_LOGDIR": ""}) == StyleConfig()


@pytest.mark.parametrize(
    "name", [n for n in StyleConfig.model_fields if n not in STRUCTURED_OPTIONS]
)
def test_every_field_has_an_option_a_variable_and_a_help_text(name):
    (parameter,) = [p for p in stylize_command.params if p.name == name]
    assert parameter.envvar == f"KSTYLE_{name.upper()}"
    if name in PICTURE_ARGUMENTS:
        assert isinstance(parameter, click.Argument)
        assert f"{name.upper()} (a " in stylize_command.help
    else:
        assert f"--{name.replace('_', '-')}" in parameter.opts
        assert parameter.default is None  # `StyleConfig` has the only default
        assert StyleConfig.model_fields[name].description in parameter.help


def test_the_help_shows_the_defaults_of_the_config():
    # Long ones are broken over lines, so blanks do not count.
    output = "".join(CliRunner().invoke(stylize_command, ["--help-all"]).stdout.split())
    defaults = StyleConfig()
    # The default of `style_growth` depends on other options.
    names = ("style_layers", "steps", "style_weight", "style_growth", "logdir")
    for name in (*names, "scales"):
        value = format_value(getattr(defaults, name))
        help_text = StyleConfig.model_fields[name].description
        assert "".join(f"{help_text}[default:{value}]".split()) in output
    assert "[avg|max]" in output


def test_readable_values_can_be_typed_back():
    layers = {"conv1_1": 1.0, "conv2_1": 0.5}
    assert format_value(layers) == "conv1_1,conv2_1:0.5"
    assert StyleConfig(style_layers=format_value(layers)).style_layers == layers
    assert format_value(200.0) == "200"
    assert format_value((3.0, 1.0)) == "3,1"


def test_styles_and_regions_are_shown_in_few_words():
    regions = {"style": ["a.jpg", "b.jpg"], "region": ["sky.png", "rest"]}
    config = StyleConfig(**regions, region_layers={"sky": "conv1_1:2"})
    for mode in ("python", "json"):
        shown = config.model_dump(mode=mode)
        expected = "a.jpg (region sky.png), b.jpg (region rest)"
        assert format_value(shown["styles"]) == expected
        assert format_value(shown["region_layers"]) == "sky conv1_1:2"
    assert format_value(({"picture": "a.jpg", "size": None},)) == "a.jpg"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--content-map", "m.png"], "--content-map and style_map go together: "),
        (["--style-map", "m.png"], "--style-map and content_map go together: "),
        (["--preprocess", "caffe"], "--preprocess: vgg19 is built in, "),
    ],
)
def test_a_message_begins_with_the_flag_in_place_of_the_name(words, message):
    result = CliRunner().invoke(stylize_command, [*words, "--dry-run"])
    assert result.exit_code == 2
    assert result.stderr.startswith(f"Error: {message}")


def test_an_unknown_choice_is_a_usage_error_that_lists_all():
    result = CliRunner().invoke(resolve, ["--pool", "mean"])
    assert result.exit_code == 2
    assert "'avg', 'max'" in result.stderr
