"""A Griffe extension of the site: arguments in a docstring become a list."""

import re
from typing import Any

import griffe

# "content, style: ..." at the beginning of a line, also "Raises: ConfigError: ...".
ARGUMENT = re.compile(r"^([a-zA-Z]\w*(?:, \w+)*): (?=\S)", flags=re.MULTILINE)


def list_arguments(text: str) -> str:
    """Return a docstring whose lines `name: text` are entries of a list."""
    lines: list[str] = []
    in_list = False
    for line in text.splitlines():
        found = ARGUMENT.match(line)
        if found and not in_list:
            lines.append("")
        elif in_list and line and not line.startswith(" ") and not found:
            lines.append("")  # a paragraph after the list
        if found:
            line = f"- `{'`, `'.join(found[1].split(', '))}`: {line[found.end() :]}"
        lines.append(line)
        in_list = bool(found) or (in_list and (not line or line.startswith(" ")))
    return "\n".join(lines)


class ArgumentLists(griffe.Extension):
    """Rewrites every docstring that is loaded."""

    def on_instance(self, *, obj: griffe.Object, **_: Any) -> None:
        if obj.docstring is not None:
            obj.docstring.value = list_arguments(obj.docstring.value)
