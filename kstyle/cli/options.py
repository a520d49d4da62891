"""Options of the commands: one for each field of `StyleConfig`, and shared switches.

The flag, the environment variable and the YAML key of a field have one help text and
one default.
"""

import contextlib
import types
import typing
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import click
from click.core import ParameterSource
from pydantic.fields import FieldInfo

from kstyle.cli.completion import complete_file, complete_picture
from kstyle.cli.environment import variable_name
from kstyle.config.looks import override_options
from kstyle.config.strict_yaml import read_config_file
from kstyle.config.style_config import (
    PATH_OPTIONS,
    OptionGroup,
    StyleConfig,
    option_flag,
)
from kstyle.config.style_source import STYLE_KEYS
from kstyle.errors import ConfigError

PICTURE_ARGUMENTS = ("content", "style")
SHORT_FLAGS = {"output": "-o"}
DEFAULTS = StyleConfig()
# Fields without a flag: mappings are for YAML and Python.
STRUCTURED_OPTIONS = ("styles", "region_layers")

Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]


class VariableOption(click.Option):
    """An option that can be set by its environment variable, which errors then name.

    group, is_basic: where and whether a `GroupedCommand` lists it in its help.
    """

    def __init__(
        self,
        *args: Any,
        group: OptionGroup | None = None,
        is_basic: bool = False,
        **settings: Any,
    ) -> None:
        super().__init__(*args, **settings)
        self.group, self.is_basic = group, is_basic

    def get_error_hint(self, ctx: click.Context | None) -> str:
        source = ctx and self.name and ctx.get_parameter_source(self.name)
        if source is ParameterSource.ENVIRONMENT:
            return f"'{self.envvar}'"
        return super().get_error_hint(ctx)


class WholeText(click.ParamType):
    """Text; that of a variable is one value, also where several can be given."""

    name = "text"

    def split_envvar_value(self, rv: str) -> list[str]:
        return [rv]


def variable_option(*flags: str, name: str, **settings: Any) -> Decorator:
    """Return the decorator of an option that is also set by its variable."""
    return click.option(
        *flags, name, cls=VariableOption, envvar=variable_name(name), **settings
    )


def picture_arguments(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the arguments CONTENT and any number of STYLE to a command."""
    style = click.argument(
        "style",
        nargs=-1,
        type=WholeText(),
        metavar="[STYLE]...",
        envvar=variable_name("style"),
        shell_complete=complete_picture,
    )
    content = click.argument(
        "content",
        required=False,
        envvar=variable_name("content"),
        shell_complete=complete_picture,
    )
    return content(style(command))


def config_file_option(is_basic: bool = False) -> Decorator:
    """Return the decorator of `--config`, a YAML file of options.

    is_basic: whether the short help of the command shows it.
    """
    return click.option(
        "--config",
        "config_file",
        cls=VariableOption,
        envvar=variable_name("config"),
        metavar="FILE",
        help="YAML file of options",
        group="Output",
        is_basic=is_basic,
        shell_complete=complete_file,
    )


def overwrite_option(help_text: str) -> Decorator:
    """Return the decorator of `--overwrite`, which every command words for itself."""
    return variable_option(
        "--overwrite", name="overwrite", is_flag=True, help=help_text, group="Output"
    )


def dry_run_option(help_text: str) -> Decorator:
    """Return the decorator of `--dry-run`."""
    return variable_option(
        "--dry-run",
        name="dry_run",
        is_flag=True,
        help=help_text,
        group="Watching",
        is_basic=True,
    )


def quiet_option(help_text: str) -> Decorator:
    """Return the decorator of `--quiet`."""
    return variable_option(
        "--quiet", "-q", name="quiet", is_flag=True, help=help_text, group="Watching"
    )


def config_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Decorate `command` with an option for every field of `StyleConfig`."""
    for name, field in reversed(StyleConfig.model_fields.items()):
        if name not in (*PICTURE_ARGUMENTS, *STRUCTURED_OPTIONS):
            command = field_option(name, field)(command)
    return command


def field_option(name: str, field: FieldInfo) -> Decorator:
    """Return the decorator of a field's option: `--style-size`, $KSTYLE_STYLE_SIZE."""
    flag = flag_name(name)
    help_text = field.description or ""
    place = {key: option_flag(name, key) for key in ("group", "is_basic")}
    if isinstance(field.default, bool):
        flag = f"{flag}/--no-{flag.removeprefix('--')}"
        return variable_option(flag, name=name, default=None, help=help_text, **place)
    default = getattr(DEFAULTS, name)  # of some fields another than `field.default`
    if default is not None:
        help_text += f"  [default: {format_value(default)}]"
    flags = (flag, SHORT_FLAGS[name]) if name in SHORT_FLAGS else (flag,)
    return variable_option(
        *flags,
        name=name,
        default=None,
        multiple=name in STYLE_KEYS,
        type=WholeText() if name in STYLE_KEYS else click_type(field.annotation),
        metavar=option_metavar(name, field.annotation),
        help=help_text,
        shell_complete=field_completion(name),
        **place,
    )


def field_completion(name: str) -> Callable[..., Any] | None:
    """Return what completes the values of a field in a shell; `None`: its choices."""
    if name == "init":
        return complete_picture
    return complete_file if name in PATH_OPTIONS else None


def flag_name(name: str) -> str:
    """Return the flag of a field: `style_size`, --style-size."""
    return f"--{name.replace('_', '-')}"


def click_type(annotation: Any) -> Any:
    """Return a `click.Choice` for a `Literal`; `StyleConfig` checks all other types."""
    if typing.get_origin(annotation) is typing.Literal:
        return click.Choice([str(choice) for choice in typing.get_args(annotation)])
    return str


def option_metavar(name: str, annotation: Any) -> str | None:
    """Return the placeholder of a value in the help; `None`: the choices."""
    if typing.get_origin(annotation) is typing.Literal:
        return None
    if name in PATH_OPTIONS:
        return "FOLDER" if name == "logdir" else "FILE"
    found = value_types(annotation) - {type(None)}
    return {(int,): "N", (float,): "X"}.get(tuple(found), "TEXT")


def value_types(annotation: Any) -> set[Any]:
    """Return the types that an annotation allows, without their constraints."""
    if typing.get_origin(annotation) is typing.Annotated:
        return value_types(typing.get_args(annotation)[0])
    if typing.get_origin(annotation) in (typing.Union, types.UnionType):
        return set().union(*map(value_types, typing.get_args(annotation)))
    return {annotation}


def format_value(value: Any) -> str:
    """Return a value as it is typed on the command line, or much like it.

    What cannot be typed there is `styles` as "PICTURE (region MASK, size 512), …", and
    the layers of regions as "REGION LAYERS, …".
    """
    if isinstance(value, Mapping) and "picture" in value:
        own = [f"{k} {v}" for k, v in value.items() if k != "picture" and v is not None]
        return f"{value['picture']} ({', '.join(own)})" if own else value["picture"]
    if isinstance(value, Mapping):
        if any(isinstance(each, Mapping) for each in value.values()):
            return ", ".join(f"{k} {format_value(v)}" for k, v in value.items())
        return ",".join(f"{k}:{v:g}" if v != 1 else k for k, v in value.items())
    if isinstance(value, (list, tuple)):
        is_long = any(isinstance(each, Mapping) for each in value)
        return (", " if is_long else ",").join(map(format_value, value))
    return f"{value:g}" if isinstance(value, float) else str(value)


def merge_options(context: click.Context, config_file: str | None) -> dict[str, Any]:
    """Return the options that were given: flags override environment variables, which
    override the YAML file."""
    given = read_config_file(config_file) if config_file else {}
    for source in (ParameterSource.ENVIRONMENT, ParameterSource.COMMANDLINE):
        found = {
            name: one_or_several(value)
            for name, value in context.params.items()
            if name in StyleConfig.model_fields
            and name not in STRUCTURED_OPTIONS  # `--style` is a parameter "styles"
            and value not in (None, ())
            and context.get_parameter_source(name) is source
        }
        given = override_options(given, found)
    return given


def one_or_several(value: Any) -> Any:
    """Return the only value of an option that can be repeated, or all of them."""
    return value[0] if isinstance(value, tuple) and len(value) == 1 else value


def merge_pictures(
    context: click.Context,
    options: dict[str, Any],
    content_dir: str | None,
    styles: tuple[str, ...],
) -> dict[str, Any]:
    """Return the options with what `--content-dir` and `--style` replace.

    Raises: ConfigError: an argument of the command names the same thing.
    """
    flags = {
        "content": ("--content-dir", content_dir),
        "style": ("--style", " ".join(styles)),
    }
    chosen = dict(options)
    for name, (flag, value) in flags.items():
        source = context.get_parameter_source(name)
        if value and source is ParameterSource.COMMANDLINE:
            given = format_value(options[name])
            raise ConfigError(
                f"{flag} {value} replaces {name.upper()}, but {given} is given "
                "as well. Name paintings with --style, each in turn, or give a "
                "mixture as `styles` in a file (--config)."
            )
        if value:
            chosen.pop(name, None)
    if styles:
        chosen = override_options(chosen, {"style": styles[0]})
    return chosen


def make_config(options: dict[str, Any], config_file: str | None) -> StyleConfig:
    """Return the config of the options.

    Raises: ConfigError: as `StyleConfig`; it names the file that an unknown key is in.
    """
    try:
        return StyleConfig(**options)
    except ConfigError as error:
        unknown = options.keys() - StyleConfig.model_fields.keys()
        if error.option is None and unknown and config_file:
            raise ConfigError(f"{config_file}: {error}") from None
        raise


@contextlib.contextmanager
def options_as_given(context: click.Context, config_file: str | None) -> Iterator[None]:
    """Name the option of a `ConfigError` as the user gave it.

    By its flag, its environment variable, or its key in the file.
    """
    try:
        yield
    except ConfigError as error:
        if error.option is None:
            raise
        place = given_name(context, error.option, config_file)
        raise ConfigError(place + str(error).removeprefix(error.option)) from None


def given_name(context: click.Context, option: str, config_file: str | None) -> str:
    """Return the name by which the user set an option."""
    source = context.get_parameter_source(option)
    if source is ParameterSource.ENVIRONMENT:
        return variable_name(option)
    if source is ParameterSource.COMMANDLINE:
        return option.upper() if option in PICTURE_ARGUMENTS else flag_name(option)
    return f"{config_file}: {option}" if config_file else option
