"""Environment variables: `KSTYLE_` and the name of an option."""

import difflib
from collections.abc import Iterator, Mapping

import click

PREFIX = "KSTYLE_"


def variable_name(option: str) -> str:
    """Return the environment variable of an option: `style_size`, KSTYLE_STYLE_SIZE."""
    return f"{PREFIX}{option.upper()}"


def known_variables(command: click.Command) -> set[str]:
    """Return the environment variables of a command and of all commands below it."""
    known = {
        parameter.envvar
        for parameter in command.params
        if isinstance(parameter.envvar, str)
    }
    if isinstance(command, click.Group):
        known = known.union(*map(known_variables, command.commands.values()))
    return known


def unknown_variable_warnings(
    command: click.Command, environment: Mapping[str, str]
) -> Iterator[str]:
    """Yield a line for each `KSTYLE_...` that no option of `command` reads."""
    names = sorted(name for name in environment if name.startswith(PREFIX))
    if not names:  # the commands are not imported then
        return
    known = {name.removeprefix(PREFIX) for name in known_variables(command)}
    for name in names:
        option = name.removeprefix(PREFIX)
        if option not in known:
            close = difflib.get_close_matches(option, sorted(known), n=1)
            hint = (
                f"Did you mean {PREFIX}{close[0]}?"
                if close
                else "`kstyle stylize --help-all` lists the options."
            )
            yield f"warning: no option reads the variable {ascii(name)[1:-1]}. {hint}"
