"""The options of `kstyle stylize`, made from the fields of `StyleConfig`.

So a flag, an environment variable and a YAML key are one thing with one help text and
one default, and none can be forgotten.
"""

import typing

import click
from click.core import ParameterSource

from kstyle.config.strict_yaml import read_config_file
from kstyle.config.style_config import StyleConfig
from kstyle.errors import ConfigError

PICTURE_ARGUMENTS = ("content", "style")
SHORT_FLAGS = {"output": "-o"}


def config_options(command):
    """Decorate `command` with an option for every field of `StyleConfig`."""
    for name, field in reversed(StyleConfig.model_fields.items()):
        if name not in PICTURE_ARGUMENTS:
            command = field_option(name, field)(command)
    return command


def field_option(name, field):
    """The click option of one field: `--style-size`, `$KSTYLE_STYLE_SIZE`."""
    flag = f"--{name.replace('_', '-')}"
    help_text = field.description
    settings = {"default": None, "envvar": f"KSTYLE_{name.upper()}"}
    if isinstance(field.default, bool):
        flag = f"{flag}/--no-{name.replace('_', '-')}"
    else:
        settings |= {
            "type": click_type(field.annotation),
            "metavar": option_metavar(field),
        }
        if field.default is not None:
            help_text += f"  [default: {format_value(field.default)}]"
    flags = [flag, SHORT_FLAGS[name]] if name in SHORT_FLAGS else [flag]
    return click.option(*flags, help=help_text, **settings)


def click_type(annotation):
    """A choice where the field is one; the config checks everything else."""
    choices = typing.get_args(annotation)
    if typing.get_origin(annotation) is typing.Literal:
        return click.Choice([str(choice) for choice in choices])
    return str


def option_metavar(field):
    """What stands for the value in the help: the choices, or a word for the type."""
    if typing.get_origin(field.annotation) is typing.Literal:
        return None
    kinds = {int: "N", float: "X"}
    return kinds.get(type(field.default), "TEXT")


def format_value(value):
    """A default as it would be typed."""
    if isinstance(value, dict):
        return ",".join(f"{k}:{v:g}" if v != 1 else k for k, v in value.items())
    return f"{value:g}" if isinstance(value, float) else str(value)


def merge_options(context, config_file):
    """Flags before environment before the YAML file; defaults are the config's own."""
    given = read_config_file(config_file) if config_file else {}
    for source in (ParameterSource.ENVIRONMENT, ParameterSource.COMMANDLINE):
        for name, value in context.params.items():
            if name in StyleConfig.model_fields and value is not None:
                if context.get_parameter_source(name) is source:
                    given[name] = value
    return given


def merge_pictures(context, options, content_dir, styles):
    """The options with one picture each for content and style, as `StyleConfig` has
    them: what a flag names stands before all but an argument, which it contradicts.

    content_dir, styles: of `--content-dir` and of `--style`.
    Raises: ConfigError: a flag and an argument of the command name the same thing.
    """
    flags = {
        "content": ("--content-dir", content_dir),
        "style": ("--style", " ".join(styles)),
    }
    chosen = dict(options)
    for name, (flag, value) in flags.items():
        source = context.get_parameter_source(name)
        if value and source is ParameterSource.COMMANDLINE:
            raise ConfigError(
                f"{flag} {value} stands in place of {name.upper()}, but there is "
                f"{options[name]!r} as well. Name paintings with --style then."
            )
        if value:
            chosen.pop(name, None)
    if styles:
        chosen["style"] = styles[0]
    return chosen
