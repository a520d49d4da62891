"""Options from YAML, read strictly: safe, no tags or aliases, no key given twice."""

import re
from collections.abc import Hashable
from pathlib import Path

import yaml

from kstyle.errors import ConfigError
from kstyle.files import why_unreadable

MAX_YAML_DEPTH = 50  # brackets within each other
MAX_YAML_BYTES = (
    2**16
)  # bytes, which take a second; kstyle's own files have 3000 at most


class StrictLoader(yaml.SafeLoader):
    """Safe YAML in which a key given twice is an error and not a surprise.

    An alias is one too: a few lines of them can stand for more text than fits memory.
    And a tag, even a safe one: PyYAML trips over `!!int ''` and `!!timestamp x`.
    """

    def compose_node(self, parent, index):
        if self.check_event(yaml.AliasEvent):
            raise ConfigError("A config has no aliases (*name). Write the value out.")
        if (tag := self.peek_event().tag) is not None:
            raise ConfigError(f"This is not YAML of a config: it has a tag ({tag!r}).")
        return super().compose_node(parent, index)

    def construct_mapping(self, node, deep=False):
        seen = set()
        for key in (self.construct_object(key, deep=True) for key, _ in node.value):
            if not isinstance(key, Hashable):
                continue  # refused just below
            if key in seen:
                raise ConfigError(f"The key {key!r} is given twice. Keep one of them.")
            seen.add(key)
        return super().construct_mapping(node, deep)

    def construct_integer(self, node):
        number = self.construct_yaml_int(node)
        if abs(number) >= 2**64:  # Python will not print one of 5000 digits
            raise ConfigError("A number of 2^64 or more is of no use. Write less.")
        return number


StrictLoader.add_constructor("tag:yaml.org,2002:int", StrictLoader.construct_integer)


def check_depth(text):
    """Refuse many brackets within each other, on which PyYAML would spend minutes."""
    depth = deepest = 0
    for bracket in re.findall(r"[][{}]", text):
        depth += 1 if bracket in "[{" else -1
        deepest = max(deepest, depth)
    if deepest > MAX_YAML_DEPTH:
        raise ConfigError(f"This is not YAML of a config: {deepest} brackets deep.")


def read_yaml(text):
    """What YAML `text` says. Raises: ConfigError: it is not YAML that kstyle reads."""
    check_depth(text)
    try:
        return yaml.load(text, StrictLoader)  # noqa: S506 - it is a SafeLoader
    except ConfigError:
        raise
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise ConfigError(f"This is not YAML: {' '.join(str(error).split())}") from None


def read_options(text):
    """The options in YAML `text`, a mapping; not yet checked."""
    options = read_yaml(text)
    if options is None:
        return {}
    if not isinstance(options, dict):
        kind = type(options).__name__
        raise ConfigError(f"A config is a mapping like 'net: vgg19'. This is a {kind}.")
    return {str(key): value for key, value in options.items()}


def read_config_file(path):
    """The options in the YAML file `path`."""
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
