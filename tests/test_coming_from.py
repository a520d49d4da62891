"""docs/coming_from.md: the command line takes what its tables say to type."""

import re
import shlex

import click
import pytest
from pages import PAGES, ROOT

from kstyle.cli.main import cli
from kstyle.cli.options import make_config, merge_options
from kstyle.cli.region_command import regions_command
from kstyle.cli.stylize import stylize_command
from kstyle.errors import ConfigError

PROGRAMS = (
    "neural-style and neural-style-pt",
    "style-transfer-pytorch",
    "pastiche",
    "pystiche's command",
    "The Keras example",
    "TensorFlow's tutorial",
    "Controls that none of them has",
)
# What users of these programs look for, as it is typed.
CONTROLS = (
    "--size --content-size --style-size --style-scale --style-crop --content-crop "
    "--look --strength --content-layers --style-layers --content-weight --style-weight "
    "--tv-weight --tv-loss --palette-weight --content-loss --finish --blend --region "
    "--content-map --style-map --init --optimizer --learning-rate --steps --scales "
    "--seed --pool --padding --net --weights --preprocess --snapshot-every -o "
    "--quality --device --convention --style-weights --content-weights --style-growth "
    "--iterations"
).split()
VALUES = (
    *(f"--style-loss {name}" for name in "gram covariance mean-std".split()),
    *(f"--style-loss {name}" for name in "wasserstein sliced emd nearest".split()),
    *(f"--color {name}" for name in "keep match exact".split()),
    "kstyle regions ",
)


def tables(text):
    """`(title above it, rows of cells with their head)` of each table of a page."""
    for part in re.split(r"^#+ ", text, flags=re.MULTILINE):
        title, _, body = part.partition("\n")
        for table in re.findall(r"^\|(?:.+\n?)+", body, flags=re.MULTILINE):
            lines = [line.strip().strip("|").split("|") for line in table.splitlines()]
            yield title, [[cell.strip() for cell in line] for line in lines]


def rows_for_kstyle():
    """`(title, what to type)` of each row of a table with a column `kstyle`; the cells
    after it are notes on it."""
    for title, (head, _, *rows) in tables(PAGES["coming_from.md"]):
        if "kstyle" in head:
            column = head.index("kstyle")
            for row in rows:
                assert len(row) == len(head), row
                yield title, row[column:]


def spans_to_type(cells):
    """The code of some cells that is an option or a command of kstyle."""
    code = re.findall(r"`([^`]+)`", " ".join(cells))
    return [each for each in code if re.match(r"-|kstyle |stylize ", each)]


ROWS = list(rows_for_kstyle())
TYPED = sorted({each for _, cells in ROWS for each in spans_to_type(cells)})
TAKES_A_VALUE = {
    name
    for option in stylize_command.params
    if isinstance(option, click.Option) and not option.is_flag
    for name in option.opts
}


def check(typed):
    """Read options, or a command, as `kstyle` does, without running it."""
    words = shlex.split(typed.removeprefix("kstyle "))
    command, context = cli, click.Context(cli, info_name="kstyle")
    if typed == "kstyle --version":
        assert "--version" in {name for each in cli.params for name in each.opts}
        return
    if words[0].startswith("-"):
        words = ["stylize", *words]
    while isinstance(command, click.Group):
        name, command, words = command.resolve_command(context, words)
    try:
        context = command.make_context(name, words, parent=context)
    except click.exceptions.Exit:  # of --help-all
        return
    if command in (stylize_command, regions_command):
        file = context.params["config_file"]
        make_config(merge_options(context, file), file)


# A note may name an option without a value.
@pytest.mark.parametrize("typed", [each for each in TYPED if each not in TAKES_A_VALUE])
def test_what_a_table_says_to_type_is_taken(typed, monkeypatch):
    monkeypatch.chdir(ROOT)
    check(typed)


@pytest.mark.parametrize("wrong", ["--no-such 1", "--pool l2", "kstyle no-such"])
def test_an_option_or_value_that_is_not_there_is_refused(wrong):
    with pytest.raises((click.UsageError, ConfigError)):
        check(wrong)


def test_every_row_says_what_to_type_or_none():
    for title, cells in ROWS:
        typed = spans_to_type(cells[:1])
        assert typed or cells[0] == "none", (title, cells)
        assert TAKES_A_VALUE.isdisjoint(typed), (title, cells)


def test_the_tables_have_every_control():
    named = {word for each in TYPED for word in each.split()}
    assert [option for option in CONTROLS if option not in named] == []
    for value in VALUES:
        assert any(value in f"{each} " for each in TYPED), value


def test_every_program_has_a_table_of_its_options():
    titles = [title for title, _ in ROWS]
    for program in PROGRAMS:
        assert titles.count(program) >= 10, program
