"""Finishes: `--finish NAME[:STEPS]`, steps with other losses after the last scale."""

from collections.abc import Iterable
from typing import NamedTuple

from kstyle.errors import ConfigError
from kstyle.networks.registry import get_architecture

FINISH_NAMES = ("nearest",)
FINISH_STEPS = 60  # more change little (docs/gallery.md)


class Finish(NamedTuple):
    """The name of a finish and the number of its steps."""

    name: str
    steps: int


def parse_finish(text: str) -> Finish:
    """Parse NAME or NAME:STEPS.

    Raises: ConfigError: there is no such finish, or STEPS is no number above 0.
    """
    name, colon, number = text.partition(":")
    usable = name in FINISH_NAMES and (not colon or number.isdecimal())
    steps = int(number) if usable and colon else FINISH_STEPS
    if not usable or not steps:
        raise ConfigError(
            f"finish: {text!r} is not a finish. Expected nearest or nearest:STEPS, "
            "with at least one step, such as nearest:100."
        )
    return Finish(name, steps)


def pulled_layers(net: str, layers: Iterable[str]) -> set[str]:
    """Return the layers whose style losses a finish replaces.

    layers: of the network, those whose style loss has a weight.

    All but the first, the nearest to the pixels, unless it is the only one: its
    statistic keeps the colours and the contrast. A nearest feature may be the same one
    for many positions, and with all layers pictures became pale.
    """
    ordered = sorted(layers, key=get_architecture(net).layer_names.index)
    return set(ordered[1:] or ordered)
