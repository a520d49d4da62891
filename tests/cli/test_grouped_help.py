"""The help of `stylize`: ten options first, all of them in groups on demand."""

import re

import click
import pytest
from click.testing import CliRunner

from kstyle.cli.grouped_help import OPTION_GROUPS, GroupedCommand
from kstyle.cli.main import COMMANDS, cli
from kstyle.cli.options import STRUCTURED_OPTIONS, VariableOption
from kstyle.cli.stylize import stylize_command
from kstyle.config.style_config import StyleConfig, option_flag


def help_of(*words, width=80):
    """What `kstyle WORDS` prints in a terminal of `width` columns."""
    result = CliRunner().invoke(cli, words, terminal_width=width)
    assert result.exit_code == 0, result.output
    return result.stdout


def listed(text):
    """`{heading: [long flags in its list]}` of a help text."""
    sections = re.split(r"^(\w[\w ]*):$", text, flags=re.MULTILINE)[1:]
    return {
        title: re.findall(r"^  (?:-\w, )?(?:--?[\w-]+, )?--([\w-]+)", rows, re.M)
        for title, rows in zip(sections[::2], sections[1::2], strict=True)
    }


def test_the_short_help_has_ten_options_and_names_the_long_one():
    text = help_of("stylize", "--help")
    basic = listed(text)["Options"]
    assert len(basic) == 10 + len(["help-all", "help"])
    assert {"look", "size", "steps", "output"} <= set(basic)
    assert re.search(r"stylize --help-all shows \d+ more options", text)


def test_the_help_of_regions_has_the_options_of_regions():
    text = help_of("regions", "--help")
    basic = listed(text)["Options"]
    assert {"region", "content-map", "style-map", "output"} <= set(basic)
    assert not {"look", "steps", "color"} & set(basic)
    assert "[default: regions.png]" in " ".join(text.split())


NO_FLAG = {"content", "style", *STRUCTURED_OPTIONS}


def test_the_long_help_has_each_field_in_its_group():
    sections = listed(help_of("stylize", "--help-all"))
    assert [*sections][: len(OPTION_GROUPS)] == list(OPTION_GROUPS)
    for name in StyleConfig.model_fields.keys() - NO_FLAG:
        flag = name.replace("_", "-")
        flags = sections[option_flag(name, "group")]
        assert any(f == flag for f in flags) or f"{flag}" in " ".join(flags), name


def test_no_option_of_stylize_is_without_a_group():
    for option in stylize_command.params:
        if isinstance(option, click.Option):
            assert option.group in OPTION_GROUPS, option.name


@pytest.mark.parametrize("words", [["--help"], *([n, "--help"] for n in COMMANDS)])
def test_help_fits_into_80_columns(words):
    assert max(map(len, help_of(*words).splitlines())) <= 80


def test_the_long_help_fits_and_ends_with_examples():
    lines = help_of("stylize", "--help-all").splitlines()
    assert max(map(len, lines)) <= 80
    assert lines[lines.index("  Examples:") + 1].startswith("    kstyle stylize ")


def test_commands_are_listed_under_their_headings():
    text = help_of("--help")
    assert re.search(r"^Paint:\n  stylize ", text, flags=re.MULTILINE)
    assert re.search(r"^Information:\n  doctor ", text, flags=re.MULTILINE)


def test_an_option_without_a_group_comes_last():
    @click.command(cls=GroupedCommand)
    @click.option("--plain", is_flag=True)
    @click.option("--size", cls=VariableOption, group="Pictures")
    def command():
        pass

    full = listed(CliRunner().invoke(command, ["--help-all"]).stdout)
    assert full == {"Pictures": ["size"], "Help": ["plain", "help-all", "help"]}
    short = listed(CliRunner().invoke(command, ["--help"]).stdout)
    assert short == {"Options": ["plain", "help-all", "help"]}


@pytest.mark.parametrize(
    ("flag", "metavar"),
    [
        ("--steps", "N"),
        ("--strength", "X"),
        ("--iterations", "N"),
        ("--output", "FILE"),
    ],
)
def test_the_placeholder_of_a_value_says_its_type(flag, metavar):
    assert re.search(rf"{flag} {metavar}\b", help_of("stylize", "--help-all"))
