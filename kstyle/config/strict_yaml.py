"""Read options from YAML strictly: safe, no tags or aliases, no duplicate keys."""

import re
from collections.abc import Hashable
from pathlib import Path
from typing import Any

import yaml

from kstyle.errors import ConfigError
from kstyle.files import why_unreadable

MAX_YAML_DEPTH = 50  # brackets within each other
MAX_YAML_BYTES = 2**16  # they take a second to read; kstyle's own files have 3000


class StrictLoader(yaml.SafeLoader):
    """A safe loader that refuses duplicate keys, aliases and tags.

    A few lines of aliases can expand to more text than fits into memory. PyYAML fails
    at some safe tags, such as `!!int ''` and `!!timestamp x`.
    """

    def compose_node(self, parent: Any, index: Any) -> Any:
        if self.check_event(yaml.AliasEvent):
            raise ConfigError("A config has no aliases (*name). Write the value out.")
        if (tag := self.peek_event().tag) is not None:
            raise ConfigError(f"This is not YAML of a config: it has a tag ({tag!r}).")
        return super().compose_node(parent, index)

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:
        seen = set()
        for key in (self.construct_object(key, deep=True) for key, _ in node.value):
            if not isinstance(key, Hashable):
                continue  # refused just below
            if key in seen:
                raise ConfigError(f"The key {key!r} is given twice. Keep one of them.")
            seen.add(key)
        return super().construct_mapping(node, deep)

    def construct_integer(self, node: Any) -> int:
        number = self.construct_yaml_int(node)
        if abs(number) >= 2**64:  # Python will not print one of 5000 digits
            raise ConfigError("A number of 2^64 or more is of no use. Write less.")
        return number


StrictLoader.add_constructor("tag:yaml.org,2002:int", StrictLoader.construct_integer)


def check_depth(text: str) -> None:
    """Refuse deeply nested brackets, which take PyYAML minutes."""
    depth = deepest = 0
    for bracket in re.findall(r"[][{}]", text):
        depth += 1 if bracket in "[{" else -1
        deepest = max(deepest, depth)
    if deepest > MAX_YAML_DEPTH:
        raise ConfigError(f"This is not YAML of a config: {deepest} brackets deep.")


def read_yaml(text: str) -> Any:
    """Parse YAML `text`. Raises: ConfigError: it is not YAML, or not strict."""
    check_depth(text)
    try:
        return yaml.load(text, StrictLoader)  # noqa: S506 - it is a SafeLoader
    except ConfigError:
        raise
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise ConfigError(f"This is not YAML: {' '.join(str(error).split())}") from None


def read_options(text: str) -> dict[str, Any]:
    """Read the options of the YAML mapping `text`, unchecked."""
    options = read_yaml(text)
    if options is None:
        return {}
    if not isinstance(options, dict):
        kind = type(options).__name__
        raise ConfigError(f"A config is a mapping like 'net: vgg19'. This is a {kind}.")
    return {str(key): value for key, value in options.items()}


def read_config_file(path: str | Path) -> dict[str, Any]:
    """Read the options of the YAML file `path`, unchecked."""
    try:
        if reason := why_unreadable(path):
            raise OSError(reason)
        if Path(path).stat().st_size > MAX_YAML_BYTES:
            raise OSError(f"it has more than {MAX_YAML_BYTES} bytes")
        return read_options(Path(path).read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"Cannot read the config {str(path)!r}: {error}") from None
    except ConfigError as error:
        raise ConfigError(f"{path}: {error}") from None
