"""Help of a command with many options: the basic ones first, all of them in groups."""

import typing
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import click

from kstyle.config.style_config import OptionGroup

OPTION_GROUPS: tuple[str, ...] = typing.get_args(OptionGroup)
SHOWS_ALL = "kstyle.shows_all_options"  # key in a context's `meta`
FLAGS_WIDTH = 26  # longest flags, in characters, that have their text beside them


class GroupedCommand(click.Command):
    """A command whose `--help` has the basic options and whose `--help-all` has all.

    An option is listed where its attributes `group` and `is_basic` say; an option
    without a group, as `--help`, comes last.

    basic_options: names of the options that `--help` has, in place of `is_basic`.
    help_texts: `{name: text}` of options that mean something else in this command.
    """

    def __init__(
        self,
        *args: Any,
        basic_options: Collection[str] = (),
        help_texts: Mapping[str, str] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(*args, **kwargs)
        self.basic_options = basic_options
        texts = help_texts or {}
        for option in self.params:
            if isinstance(option, click.Option) and option.name in texts:
                option.help = texts[option.name]

    def get_params(self, ctx: click.Context) -> list[click.Parameter]:
        """List the command's parameters, with `--help-all` before `--help`."""
        *params, help_option = super().get_params(ctx)
        full = click.Option(
            ["--help-all"],
            is_flag=True,
            is_eager=True,
            expose_value=False,
            callback=print_full_help,
            help="show all options, in groups, and exit",
        )
        return [*params, full, help_option]

    def format_options(
        self, ctx: click.Context, formatter: click.HelpFormatter
    ) -> None:
        """Write the basic options as one list, or all of them group by group."""
        groups = group_options(self.get_params(ctx))
        if ctx.meta.get(SHOWS_ALL):
            for name, options in groups.items():
                write_options(ctx, formatter, name, options)
            return
        options = [option for group in groups.values() for option in group]
        basic = [option for option in options if self.is_basic(option)]
        write_options(ctx, formatter, "Options", basic)
        left = len(options) - len(basic)
        formatter.write_paragraph()
        formatter.write_text(
            f"{ctx.command_path} --help-all shows {left} more options: "
            f"{', '.join(OPTION_GROUPS)}."
        )

    def is_basic(self, option: click.Option) -> bool:
        """Return whether `--help` lists an option."""
        has_no_group = getattr(option, "group", None) is None
        if self.basic_options:
            return has_no_group or option.name in self.basic_options
        return getattr(option, "is_basic", has_no_group)


def print_full_help(ctx: click.Context, option: click.Parameter, value: bool) -> None:
    """Print the help with all options and exit, if `--help-all` was given."""
    if value and not ctx.resilient_parsing:
        ctx.meta[SHOWS_ALL] = True
        click.echo(ctx.get_help(), color=ctx.color)
        ctx.exit()


def group_options(params: Sequence[click.Parameter]) -> dict[str, list[click.Option]]:
    """Sort options by their groups; "Help" has those that are in none."""
    groups: dict[str, list[click.Option]] = {name: [] for name in OPTION_GROUPS}
    groups["Help"] = []
    for option in params:
        if isinstance(option, click.Option):
            groups[getattr(option, "group", None) or "Help"].append(option)
    return groups


def write_options(
    ctx: click.Context,
    formatter: click.HelpFormatter,
    title: str,
    options: Sequence[click.Option],
) -> None:
    """Write the lines of some options under a title."""
    found = [option.get_help_record(ctx) for option in options]
    records = [record for record in found if record]  # a hidden option has none
    if records:
        with formatter.section(title):
            formatter.write_dl(records, col_max=FLAGS_WIDTH)
