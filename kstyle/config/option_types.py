"""The types of the options' values: how they may be written, and what is refused."""

import contextlib
import difflib
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Annotated, Any, Literal

import pydantic
from PIL import Image
from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    ValidatorFunctionWrapHandler,
    WrapValidator,
)
from pydantic.fields import FieldInfo

from kstyle.errors import ConfigError
from kstyle.images.picture import Picture
from kstyle.networks.registry import canonical_net


def parse_layers(value: Any) -> Any:
    """Parse `"conv3_1:2,conv4_1"`, a list of such parts, or `{layer: weight}`."""
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


def parse_loss_names(value: Any) -> Any:
    """Write a list of parts, or a mapping `{layer: loss}`, as "LAYER=LOSS,...".

    A list may have a name alone among them, for the layers that are not named.
    """
    if isinstance(value, dict):
        value = [f"{layer}={name}" for layer, name in value.items()]
    if isinstance(value, (list, tuple)):
        value = ",".join(str(part) for part in value)
    return value


def parse_numbers(value: Any) -> Any:
    """Parse numbers as `"2,1"` or a list; `None`, "" and "none" are `None`."""
    if isinstance(value, str) and value not in ("", "none"):
        value = [part.strip() for part in value.split(",")]
    elif isinstance(value, (int, float)):
        value = [value]
    return empty_as_none(value)


def parse_scales(value: Any) -> Any:
    """Parse `"auto"`, a count, or long edges as `"128,256,512"` or a list."""
    if isinstance(value, str) and value != "auto":
        value = [part.strip() for part in value.split(",")]
        value = value[0] if len(value) == 1 else value
    return no_bool(value)


def empty_as_none(value: Any) -> Any:
    """Return `None` for "" and "none"."""
    return None if value in ("", "none") else no_bool(value)


def as_path_text(value: Any) -> Any:
    """Return the text of a `pathlib.Path`; other values stay as they are.

    Raises: ConfigError: it is a picture in memory, which a config cannot hold.
    """
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    if isinstance(value, (Picture, Image.Image)) or hasattr(value, "__array__"):
        raise ConfigError(
            f"A StyleConfig holds paths, not pictures in memory ({type(value).__name__}"
            "). Give that to kstyle.stylize: stylize(config, content=picture)."
        )
    return value


def as_optional_path_text(value: Any) -> Any:
    """Return `None` for "", which `as_path_text` leaves as it is."""
    text = as_path_text(value)
    return None if isinstance(text, str) and not text else text


def no_bool(value: Any) -> Any:
    """Refuse a bool: YAML reads `yes` and `on` as true, which Python takes for 1."""
    if isinstance(value, bool):
        raise ValueError("give a number, not yes or no")
    return value


def check_device_text(value: str) -> str:
    """Return a device's name, checked. Raises: ValueError: it is none."""
    if not re.fullmatch(r"auto|cpu|gpu(:[0-9]{1,3})?", value):
        raise ValueError("give auto, cpu, gpu or gpu:N")
    return value


def check_net(value: str) -> str:
    """Return a network's name as kstyle has it. Raises: ConfigError: it is none."""
    with named_option("net"):
        return canonical_net(value)


def parse_interval(value: str) -> tuple[str, float]:
    """Parse "50" to `("steps", 50)`, "60s" to `("seconds", 60.0)`; 0 means never.

    Raises: ValueError: it is neither.
    """
    found = re.fullmatch(r"(\d+)|(\d+(?:\.\d+)?) ?s", value)
    if found is None:
        raise ValueError("give steps as '50', seconds as '60s', or '0' for never")
    steps, seconds = found.groups()
    return ("steps", int(steps)) if steps else ("seconds", float(seconds))


def as_interval(value: Any) -> str:
    """Return an interval as text, checked; YAML reads steps as a number."""
    text = str(no_bool(value)).strip()
    parse_interval(text)
    return text


def parse_off(value: Any) -> Any:
    """Return "off" for false, which is what YAML reads for a bare `off`."""
    return "off" if value is False else no_bool(value)


def as_integer(value: Any) -> Any:
    """Convert the text of a whole number, as a flag or the environment gives it."""
    return int(value) if isinstance(value, str) and value.isdecimal() else value


def one_of(forms: str) -> WrapValidator:
    """Return a validator that names all `forms` where a value fits none of the types.

    pydantic would name each of them on its own.
    """

    def validate(value: Any, handler: ValidatorFunctionWrapHandler) -> Any:
        try:
            return handler(value)
        except pydantic.ValidationError:
            raise ValueError(f"give {forms}") from None

    return WrapValidator(validate)


MAX_EDGE = 65_535  # pixels
MIN_TILE = 128  # pixels

NumberCheck = BeforeValidator(no_bool)
PathText = Annotated[str, BeforeValidator(as_path_text)]
OptionalPathText = Annotated[str | None, BeforeValidator(as_optional_path_text)]
Weight = Annotated[float, NumberCheck, Field(ge=0, allow_inf_nan=False)]
Positive = Annotated[float, NumberCheck, Field(gt=0, allow_inf_nan=False)]
Average = Annotated[float, NumberCheck, Field(ge=0, lt=1)]
Growth = Annotated[float, NumberCheck, Field(ge=0, le=4)]
Strength = Annotated[float, NumberCheck, Field(ge=0, le=1)]
Natural = Annotated[int, NumberCheck, Field(ge=0)]
Count = Annotated[int, NumberCheck, Field(ge=1)]
EdgeLength = Annotated[int, NumberCheck, Field(ge=1, le=MAX_EDGE)]
TileEdge = Annotated[int, NumberCheck, Field(ge=MIN_TILE, le=MAX_EDGE)]
# `one_of` comes last, so that it sees, and names, the value as it was typed.
TileOption = Annotated[
    Literal["off", "whole"] | TileEdge,
    BeforeValidator(parse_off),
    one_of(f"off, whole or an edge from {MIN_TILE} to {MAX_EDGE} pixels"),
]
FitOption = Annotated[Literal["auto", "off"], BeforeValidator(parse_off)]
EdgeLengths = Annotated[tuple[EdgeLength, ...], Field(min_length=1)]
ScalesOption = Annotated[
    Literal["auto"] | EdgeLength | EdgeLengths,
    BeforeValidator(parse_scales),
    one_of("auto, how many, or long edges as 128,256,512"),
]
ShortEdgeOption = Annotated[
    Literal["original"] | EdgeLength | None,
    BeforeValidator(empty_as_none),
    one_of(f"a short edge from 1 to {MAX_EDGE} pixels, or original"),
]
OptionalText = Annotated[str | None, BeforeValidator(empty_as_none)]
CropText = Annotated[
    OptionalText, one_of("left, center, right or X,Y,W,H, as 10,20,300,200")
]
FinishText = Annotated[OptionalText, one_of("nearest or nearest:STEPS, as nearest:100")]
DeviceOption = Annotated[str, AfterValidator(check_device_text)]
MAX_SHARE = 1e9  # so that a sum of shares is finite
Shares = Annotated[
    tuple[Annotated[Positive, Field(le=MAX_SHARE)], ...] | None,
    BeforeValidator(parse_numbers),
    one_of("numbers above 0 and up to 1e9, one for each style, as 2,1"),
]
LayerWeights = Annotated[dict[str, Weight], BeforeValidator(parse_layers)]
NetworkName = Annotated[str, BeforeValidator(as_path_text), AfterValidator(check_net)]
LossNames = Annotated[str, BeforeValidator(parse_loss_names)]
IntervalOption = Annotated[str, BeforeValidator(as_interval)]


def option_text(value: Any) -> str:
    """Format an option's value as on the command line: `conv3_1:2, conv4_1:0.5`.

    Of a style with options, those that are set: `waves.jpg (size 256)`.
    """
    if isinstance(value, dict) and "picture" in value:
        given = {k: v for k, v in value.items() if v is not None and k != "picture"}
        texts = ", ".join(f"{k} {option_text(v)}" for k, v in given.items())
        return f"{value['picture']} ({texts})" if texts else str(value["picture"])
    if isinstance(value, dict):
        return ", ".join(f"{k}:{option_text(v)}" for k, v in value.items()) or "none"
    if isinstance(value, (list, tuple)):
        return ", ".join(map(option_text, value)) or "none"
    if isinstance(value, float):
        return f"{value:g}"
    return "none" if value is None else str(value)


def counted(number: int, noun: str) -> str:
    """Return a number with its noun: "1 share", "2 shares"."""
    return f"{number} {noun if number == 1 else noun + 's'}"


MAX_LISTED_NAMES = 20  # known names in a message


def validation_error(
    error: pydantic.ValidationError, fields: Mapping[str, FieldInfo]
) -> ConfigError:
    """Return the `ConfigError` for the first thing that pydantic found wrong."""
    first = error.errors()[0]
    cause = first.get("ctx", {}).get("error")
    if isinstance(cause, ConfigError):  # raised by a validator of kstyle
        return cause
    place = ".".join(str(part) for part in first["loc"])
    if first["loc"][0] == "styles" and len(first["loc"]) > 2:
        _, number, key, *_ = first["loc"]
        place = f"styles: {key} of style {int(number) + 1}"
    if first["type"] == "extra_forbidden":
        return ConfigError(f"Unknown option {place!r}. {name_hint(place, fields)}")
    name, value = str(first["loc"][0]), first["input"]
    wanted = first["msg"].removeprefix("Value error, ")
    if len({part["loc"] for part in error.errors() if part["loc"][0] == name}) > 1:
        # The value fits none of several types.
        place, wanted = name, f"not a valid value ({fields[name].description})"
    sentence = f"{place}: {wanted[0].lower()}{wanted[1:]}. Received: {value!r}"
    return ConfigError(sentence, option=name)


@contextlib.contextmanager
def named_option(name: str) -> Iterator[None]:
    """Begin the message of a `ConfigError` with the name of the option it is about."""
    try:
        yield
    except ConfigError as error:
        sentence = str(error).removeprefix(f"{name}: ")
        raise ConfigError(f"{name}: {sentence}", option=name) from None


def name_hint(name: str, known: Iterable[str]) -> str:
    """Return a sentence with the known name closest to `name`, or with all known names
    if they are few."""
    names = sorted(known)
    close = difflib.get_close_matches(name, names, n=1)
    if close:
        return f"Did you mean {close[0]!r}?"
    if len(names) > MAX_LISTED_NAMES:
        return "`kstyle stylize --help-all` lists the options."
    return f"Known: {names}."
