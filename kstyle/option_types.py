"""The kinds of values that options take, and how a flag or YAML spells them."""

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field


def parse_layers(value):
    """`"conv3_1:2,conv4_1"`, a list of such, or a mapping, to `{layer: weight}`."""
    if isinstance(value, dict):
        return value
    if isinstance(value, str):
        value = [part for part in value.split(",") if part.strip()]
    if not isinstance(value, (list, tuple)):
        raise ValueError("give layers as 'conv3_1:2,conv4_1' or as a mapping")
    layers = {}
    for part in value:
        name, _, weight = str(part).strip().partition(":")
        if name in layers:
            raise ValueError(f"layer {name!r} is named twice")
        layers[name] = weight or 1.0
    return layers


def parse_scales(value):
    """`"auto"`, a count, or long edges as `"128,256,512"` or a list."""
    if isinstance(value, str) and value != "auto":
        value = [part.strip() for part in value.split(",")]
        value = value[0] if len(value) == 1 else value
    return no_bool(value)


def empty_as_none(value):
    return None if value in ("", "none") else no_bool(value)


def no_bool(value):
    """YAML reads `yes` and `on` as true, which Python would take for 1."""
    if isinstance(value, bool):
        raise ValueError("give a number, not yes or no")
    return value


def parse_tile(value):
    """YAML reads a bare `off` as false."""
    return "off" if value is False else no_bool(value)


def as_integer(value):
    """A choice among numbers, also as a flag or the environment spells it."""
    return int(value) if isinstance(value, str) and value.isdecimal() else value


Number = BeforeValidator(no_bool)
Weight = Annotated[float, Number, Field(ge=0, allow_inf_nan=False)]
Positive = Annotated[float, Number, Field(gt=0, allow_inf_nan=False)]
Natural = Annotated[int, Number, Field(ge=0)]
Count = Annotated[int, Number, Field(ge=1)]
Edge = Annotated[int, Number, Field(ge=1, le=65_535)]
TileEdge = Annotated[int, Number, Field(ge=128, le=65_535)]
Tile = Annotated[Literal["auto", "off"] | TileEdge, BeforeValidator(parse_tile)]
Edges = Annotated[tuple[Edge, ...], Field(min_length=1)]
Scales = Annotated[Literal["auto"] | Edge | Edges, BeforeValidator(parse_scales)]
Layers = Annotated[dict[str, Weight], BeforeValidator(parse_layers)]
