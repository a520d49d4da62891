"""`StyleSource`: one of several style pictures, as a mapping of the option `styles`.

`styles: [{picture: a.jpg}, {picture: b.jpg, size: 256}]` can also be written as lists,
`style: [a.jpg, b.jpg]` and `style_size: [512, 256]`, which is what the command line
makes of repeated arguments and options.
"""

import difflib
import os
from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any

import pydantic
from pydantic import Field

from kstyle.config.option_types import (
    CropText,
    OptionalPathText,
    PathText,
    Positive,
    ShortEdgeOption,
    counted,
)
from kstyle.errors import ConfigError

# Options that hold for all styles, and the keys by which one style has its own.
STYLE_KEYS = {
    "style_size": "size",
    "style_crop": "crop",
    "style_scale": "scale",
    "region": "region",
    "style_map": "map",
}
PATH_KEYS = ("picture", "region", "map")  # of a style, whose values can be paths
# Values of `region` that are no files: the content's alpha, and what is left over.
ALPHA, REST = "alpha", "rest"
REGION_WORDS = (ALPHA, REST)
MIXTURE_HINT = (
    " Each --style starts a separate run. To blend styles, name them after CONTENT or, "
    "for a folder of contents, list them under `styles` in a file."
)
EXAMPLE = "styles: [{picture: a.jpg}, {picture: b.jpg, size: 256}]"


class StyleSource(pydantic.BaseModel):
    """One of several style pictures.

    picture: a file or sample:NAME. size, crop, scale, region, map: its own values of
        the options `style_size`, `style_crop`, `style_scale`, `region` and `style_map`;
        `None`: those of the config.
    """

    model_config = pydantic.ConfigDict(extra="forbid", frozen=True)

    picture: PathText
    size: ShortEdgeOption = None
    crop: CropText = None
    scale: Annotated[Positive | None, Field(le=1000)] = None
    region: OptionalPathText = None
    map: OptionalPathText = None


def fold_styles(options: Mapping[str, Any]) -> dict[str, Any]:
    """Return options in which several styles are mappings of `styles`, with the first
    of them as `style`, and one style is `style` alone.

    Raises: ConfigError: styles are named twice, or the values for each style are not as
        many as the styles.
    """
    found = dict(options)
    sources = style_mappings(found)
    count = max(1, len(sources))
    for option, key in STYLE_KEYS.items():
        values = found.get(option)
        if not isinstance(values, (list, tuple)):
            continue
        if len(values) not in (1, count):
            raise ConfigError(
                f"{option}: {counted(len(values), 'value')} for "
                f"{counted(count, 'style picture')}. Give one for all, or one for "
                f"each.{MIXTURE_HINT if count == 1 else ''}",
                option=option,
            )
        del found[option]
        if len(values) == 1:
            found[option] = values[0]
        else:
            for source, value in zip(sources, values, strict=True):
                source[key] = value
    if len(sources) == 1:  # as if it were given without a list
        (only,) = sources
        found["style"] = only["picture"]
        for option, key in STYLE_KEYS.items():
            if only.get(key) is not None:
                found[option] = only[key]
        sources = []
    elif sources:
        found["style"] = sources[0]["picture"]
    if sources or "styles" in found:
        found["styles"] = tuple(sources)
    return found


def style_mappings(options: Mapping[str, Any]) -> list[dict[str, Any]]:
    """List the mappings of several styles; none if `style` is one picture.

    Raises: ConfigError: `style` and `styles` name different pictures, or one of them
        cannot be read.
    """
    style, styles = options.get("style"), options.get("styles")
    if not styles:
        paths = style if isinstance(style, (list, tuple)) else ()
        return [{"picture": path} for path in paths]
    if not isinstance(styles, (list, tuple)):
        raise ConfigError(
            f"styles: expected a list, as {EXAMPLE}. Received: {styles!r}",
            option="styles",
        )
    found = [style_mapping(value) for value in styles]
    first = found[0]["picture"]
    if style is not None and str(style) != str(first):
        raise ConfigError(
            f"style: {style!r} is given beside styles, which begins with {first!r}. "
            "Leave one of the two out.",
            option="style",
        )
    return found


def style_mapping(value: Any) -> dict[str, Any]:
    """Return one of `styles` as a mapping with known keys; a path is its picture.

    Raises: ConfigError: it is neither, or its keys are others.
    """
    if isinstance(value, StyleSource):
        return value.model_dump()
    if isinstance(value, (str, os.PathLike)):
        return {"picture": value}
    if not isinstance(value, Mapping) or "picture" not in value:
        raise ConfigError(
            f"styles: expected a mapping with a picture, as {EXAMPLE}. Received: "
            f"{value!r}",
            option="styles",
        )
    for key in value:
        if key not in StyleSource.model_fields:
            known = list(StyleSource.model_fields)
            close = difflib.get_close_matches(str(key), known, n=1)
            hint = f"Did you mean {close[0]!r}?" if close else f"Known: {known}."
            raise ConfigError(f"styles: unknown key {key!r}. {hint}", option="styles")
    return dict(value)


def check_regions(
    styles: Sequence[StyleSource],
    content_map: str | None,
    blend: Sequence[float] | None,
) -> None:
    """Refuse regions and maps of styles that do not go together.

    Raises: ConfigError.
    """
    regions = [style.region for style in styles]
    maps = [style.map for style in styles]
    if content_map is not None and any(regions):
        raise ConfigError(
            "region: the content_map says where each style applies. Leave one of the "
            "two out.",
            option="region",
        )
    if (content_map is not None or any(maps)) and not (content_map and all(maps)):
        given, missing = "content_map", "style_map"
        if not content_map:
            given, missing = missing, given
        raise ConfigError(
            f"{given} and {missing} go together: one picture in the shape of the "
            "content, and one in that of each style, in the same colours.",
            option=given,
        )
    if any(regions) and not all(regions):
        number = regions.index(None) + 1
        raise ConfigError(
            f"region: style {number} has none, and others have. Give each style one; "
            f"{REST} is what the others leave over.",
            option="region",
        )
    if REST in regions and set(regions) == {REST}:
        raise ConfigError(
            f"region: {REST} is what other regions leave over, and there is none.",
            option="region",
        )
    if blend is not None and all(regions) and len(set(regions)) == len(regions):
        raise ConfigError(
            "blend: each style has another region, so nothing is blended. Give "
            "styles the same region, or leave blend out.",
            option="blend",
        )


def without_replaced_styles(
    options: Mapping[str, Any], changes: Mapping[str, Any]
) -> dict[str, Any]:
    """Return `options` without what names the styles, if `changes` name others, and
    without the styles' own values of an option that `changes` set for all.

    The shares of a blend go with the styles that they were given for.
    Raises: ConfigError: one of the `styles` cannot be read.
    """
    if not {"style", "styles"} & set(changes):
        keys = {key for option, key in STYLE_KEYS.items() if option in changes}
        if not (keys and options.get("styles")):
            return dict(options)
        kept = [
            {key: value for key, value in source.items() if key not in keys}
            for source in style_mappings({"styles": options["styles"]})
        ]
        return {**options, "styles": kept}
    replaced = {"style", "styles"}
    if options.get("styles") or isinstance(options.get("style"), (list, tuple)):
        replaced.add("blend")
    return {name: value for name, value in options.items() if name not in replaced}


def without_shares_of_styles(options: Mapping[str, Any]) -> dict[str, Any]:
    """Return `options` without a blend and lists with a value for each style, if they
    name one style only: they are then for styles that are chosen later."""
    if options.get("styles") or isinstance(options.get("style"), (list, tuple)):
        return dict(options)
    return {
        name: value
        for name, value in options.items()
        if name != "blend"
        and not (name in STYLE_KEYS and isinstance(value, (list, tuple)))
    }


def map_style_paths(
    styles: Sequence[Mapping[str, Any]], function: Callable[[str], str]
) -> list[dict[str, Any]]:
    """Return the mappings of `styles`, as JSON has them, with other paths."""
    return [
        {k: function(v) if k in PATH_KEYS and v else v for k, v in style.items()}
        for style in styles
    ]


def blend_shares(blend: Sequence[float] | None, count: int) -> tuple[float, ...]:
    """Return the shares of `count` styles, which add up to 1. blend: the option."""
    weights = [1.0] * count if blend is None else blend
    return tuple(weight / sum(weights) for weight in weights)
