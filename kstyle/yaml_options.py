"""Options from YAML, read strictly: safe, no aliases, no key given twice."""

from pathlib import Path

import yaml

from kstyle.errors import ConfigError


class StrictLoader(yaml.SafeLoader):
    """Safe YAML in which a key given twice is an error and not a surprise.

    An alias is one too: a few lines of them can stand for more text than fits memory.
    """

    def compose_node(self, parent, index):
        if self.check_event(yaml.AliasEvent):
            raise ConfigError("A config has no aliases (*name). Write the value out.")
        return super().compose_node(parent, index)

    def construct_mapping(self, node, deep=False):
        keys = [self.construct_object(key, deep=True) for key, _ in node.value]
        for key in keys:
            if keys.count(key) > 1:
                raise ConfigError(f"The key {key!r} is given twice. Keep one of them.")
        return super().construct_mapping(node, deep)


def read_options(text):
    """The options in YAML `text`, a mapping; not yet checked."""
    try:
        options = yaml.load(text, StrictLoader)  # noqa: S506 - it is a SafeLoader
    except ConfigError:
        raise
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise ConfigError(f"This is not YAML: {' '.join(str(error).split())}") from None
    if options is None:
        return {}
    if not isinstance(options, dict):
        kind = type(options).__name__
        raise ConfigError(f"A config is a mapping like 'net: vgg19'. This is a {kind}.")
    return {str(key): value for key, value in options.items()}


def read_config_file(path):
    """The options in the YAML file `path`."""
    try:
        return read_options(Path(path).read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"Cannot read the config {str(path)!r}: {error}") from None
    except ConfigError as error:
        raise ConfigError(f"{path}: {error}") from None
