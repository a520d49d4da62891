"""A click group whose commands are imported when they are used."""

import dataclasses
import importlib
from collections.abc import Iterator, Mapping
from typing import Any

import click
from click.shell_completion import CompletionItem

from kstyle.cli import streams


@dataclasses.dataclass(frozen=True)
class LazyCommand:
    """Where a command is defined, and its line in the help of the group.

    module: in `kstyle.cli`. function: the command in it. section: the heading under
    which the help of the group lists it.
    """

    module: str
    function: str
    short_help: str
    section: str = "Commands"

    def load(self) -> click.Command:
        """Import the command."""
        module = importlib.import_module(f"kstyle.cli.{self.module}")
        return getattr(module, self.function)


class LazyCommands(Mapping[str, click.Command]):
    """Commands by name, each imported when it is looked up."""

    def __init__(self, lazy: Mapping[str, LazyCommand]) -> None:
        self.lazy = lazy

    def __getitem__(self, name: str) -> click.Command:
        return self.lazy[name].load()

    def __iter__(self) -> Iterator[str]:
        return iter(self.lazy)

    def __len__(self) -> int:
        return len(self.lazy)


class CommandGroup(click.Group):
    """A group of `LazyCommand`s, whose help imports none of them.

    It reports in one sentence that standard output cannot be written.
    """

    def __init__(self, *, lazy: Mapping[str, LazyCommand], **settings: Any) -> None:
        super().__init__(**settings)
        self.lazy = lazy
        self.commands = LazyCommands(lazy)  # type: ignore[assignment]

    def main(self, *arguments: Any, **settings: Any) -> Any:
        with streams.checked_streams():
            return super().main(*arguments, **settings)

    def format_commands(
        self, ctx: click.Context, formatter: click.HelpFormatter
    ) -> None:
        """Write the lists of commands, section by section, without importing them."""
        sections: dict[str, list[tuple[str, str]]] = {}
        for name, command in self.lazy.items():
            rows = sections.setdefault(command.section, [])
            rows.append((name, command.short_help))
        for title, rows in sections.items():
            with formatter.section(title):
                formatter.write_dl(rows)

    def shell_complete(
        self, ctx: click.Context, incomplete: str
    ) -> list[CompletionItem]:
        """List the commands that begin so, without importing them, and the options."""
        commands = [
            CompletionItem(name, help=command.short_help)
            for name, command in self.lazy.items()
            if name.startswith(incomplete)
        ]
        return commands + click.Command.shell_complete(self, ctx, incomplete)
