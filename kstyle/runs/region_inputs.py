"""Read the masks of a run's regions: grey pictures, alpha, colour-coded maps.

What the files have in them is the same for every content of a batch; `fit_regions`
makes the regions of one content of it.
"""

import dataclasses
import logging
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from kstyle.config.style_config import StyleConfig
from kstyle.config.style_source import ALPHA, REGION_WORDS, REST, StyleSource
from kstyle.errors import ConfigError
from kstyle.images.masks import (
    COLOR_DISTANCE,
    LEAST_PEAK,
    LEAST_WEIGHT,
    check_opaque,
    check_peak,
    check_proportions,
    color_masks,
    color_name,
    main_colors,
    read_grey_mask,
    resize_mask,
)
from kstyle.images.picture import crop
from kstyle.images.reading import picture_size
from kstyle.planning.regions import Region
from kstyle.planning.scales import Size
from kstyle.runs.option_pictures import LoadPicture, load_or_word

log = logging.getLogger("kstyle")


@dataclasses.dataclass(frozen=True, eq=False)
class RegionMasks:
    """What the masks and maps of a run have in them, whatever the content is.

    of_content: `{region: (height, width) in [0, 1]}` of each mask, by its path, or of
        each colour of the content's map that a style's map has, by its name.
    of_styles: for maps, `{colour: mask}` of the parts of each style, cropped as it.
    """

    of_content: Mapping[str, np.ndarray]
    of_styles: tuple[Mapping[str, np.ndarray], ...] = ()


def read_masks(config: StyleConfig, load: LoadPicture) -> RegionMasks:
    """Read the masks and maps of a run that has regions.

    load: reads a picture file.
    Raises: ConfigError, ImageError: one of them cannot be used.
    """
    if config.content_map is not None:
        return read_map_masks(config, config.content_map, load)
    return RegionMasks(
        {
            word: read_grey_mask(
                load_or_word(word, load, "region", REGION_WORDS), mask_name(word)
            )
            for word in region_words(config)
            if word not in REGION_WORDS
        }
    )


def mask_files(config: StyleConfig) -> tuple[str, ...]:
    """List the paths that `read_masks` reads, those of styles with a map as well."""
    if config.content_map is None:
        words = region_words(config)
        return tuple(word for word in words if word not in REGION_WORDS)
    styles = config.style_sources()
    maps = [path for style in styles for path in (style.map or "", style.picture)]
    return config.content_map, *maps


def region_words(config: StyleConfig) -> tuple[str, ...]:
    """List the different values of `region` of the styles."""
    words = [style.region or "" for style in config.style_sources()]
    return tuple(dict.fromkeys(words))


def mask_name(word: str) -> str:
    """Return what messages call the mask of a `region` that is a path."""
    return f"the region {word}"


def check_regions_of_layers(config: StyleConfig) -> None:
    """Refuse `region_layers` of a run without regions. Raises: ConfigError."""
    if config.region_layers and not config.has_regions():
        raise ConfigError(
            f"region_layers: {', '.join(config.region_layers)} has layers, and there "
            "are no regions. Give a region or content_map, or leave region_layers out.",
            option="region_layers",
        )


def check_region_names(config: StyleConfig, masks: RegionMasks) -> None:
    """Refuse layers that are given for a region that there is not.

    Raises: ConfigError.
    """
    if config.content_map is None:
        names = list(region_names(config).values())
    else:
        names = list(masks.of_content)
    for name in config.region_layers:
        if name not in names:
            raise ConfigError(
                f"region_layers: there is no region {name!r}. The regions are "
                f"{', '.join(names)}.",
                option="region_layers",
            )


def fit_regions(
    config: StyleConfig, masks: RegionMasks, alpha: np.ndarray | None
) -> tuple[Region, ...]:
    """Make the regions of the content of a run, of which only the header is read.

    masks: those of the run. alpha: of the content, cropped, if it has one; only for
        the region "alpha".
    Raises: ConfigError, ImageError: a mask does not fit the content.
    """
    size = picture_size(config.content)
    if config.content_map is not None:
        return mapped_regions(config, config.content_map, masks, size)
    return grey_regions(config, masks, size, alpha)


def grey_regions(
    config: StyleConfig, masks: RegionMasks, size: Size, alpha: np.ndarray | None
) -> tuple[Region, ...]:
    """Make a region of each different `region` of the styles, which are blended in it.

    size: (height, width) of the content. Other arguments and errors: as `fit_regions`.
    """
    names = region_names(config)
    fitted = {
        word: alpha_mask(alpha)
        if word == ALPHA
        else region_mask(word, masks.of_content[word], size, config.content_crop)
        for word in names
        if word != REST
    }
    if REST in names:
        left = 1 - np.sum(list(fitted.values()), axis=0)
        if left.max() < LEAST_PEAK:
            raise ConfigError(
                f"region {REST}: the other regions cover the whole picture.",
                option="region",
            )
        fitted[REST] = np.where(left > LEAST_WEIGHT, left, 0).astype("float32")
    styles, shares = config.style_sources(), config.style_shares()
    regions = []
    for word, mask in fitted.items():
        members = tuple(n for n, each in enumerate(styles) if each.region == word)
        regions.append(blended_region(names[word], mask, members, shares))
    return tuple(regions)


def region_names(config: StyleConfig) -> dict[str, str]:
    """Return `{region: its unique name}` of the styles, "rest" last."""
    words = sorted(region_words(config), key=lambda word: word == REST)
    names = unique_names([Path(word).stem for word in words])
    return dict(zip(words, names, strict=True))


def blended_region(
    name: str,
    mask: np.ndarray,
    styles: tuple[int, ...],
    shares: Sequence[float],
    style_masks: tuple[np.ndarray | None, ...] | None = None,
) -> Region:
    """Make a region in which some of the styles are blended. shares: of all styles."""
    total = sum(shares[n] for n in styles)
    own = tuple(shares[n] / total for n in styles)
    return Region(name, mask, styles, own, style_masks or (None,) * len(styles))


def alpha_mask(alpha: np.ndarray | None) -> np.ndarray:
    """Return the mask of the region "alpha".

    Raises: ConfigError, ImageError: as `fit_regions`.
    """
    if alpha is None:
        raise ConfigError(
            f"region {ALPHA}: the content picture has no transparency. Give it an "
            "alpha channel, or a grey picture as --region.",
            option="region",
        )
    check_not_empty(ALPHA, alpha)
    check_peak(alpha, "the alpha of the content picture")
    return alpha


def region_mask(
    word: str, mask: np.ndarray, size: Size, content_crop: str | None
) -> np.ndarray:
    """Return the mask of a `region` that is a path, cropped as the content.

    size: (height, width) of the content.
    Raises: ConfigError, ImageError: as `fit_regions`.
    """
    check_proportions(mask.shape, size, mask_name(word), "content picture")
    mask = fit_mask(mask, size, content_crop)
    check_not_empty(word, mask)
    return mask


def check_not_empty(word: str, mask: np.ndarray) -> None:
    """Refuse a region of which the crop of the content has nothing.

    Raises: ConfigError.
    """
    if not mask.any():
        raise ConfigError(
            f"region {word}: nothing of it is in the content picture, or in the part "
            "that content_crop keeps.",
            option="region",
        )


def fit_mask(mask: np.ndarray, size: Size, crop_text: str | None) -> np.ndarray:
    """Resample a mask to the (height, width) `size` of its picture, and crop it."""
    if mask.shape != tuple(size):
        mask = resize_mask(mask, size)
    return mask if crop_text is None else crop(mask, crop_text)


def read_map_masks(
    config: StyleConfig, content_map: str, load: LoadPicture
) -> RegionMasks:
    """Read the parts of the content's map and of the styles' maps, by their colours.

    Raises: ConfigError, ImageError: as `read_masks`.
    """
    pixels = read_map(content_map, load)
    colors = main_colors(pixels)
    of_styles = tuple(
        style_map_masks(style, colors, load) for style in config.style_sources()
    )
    masks = {
        color_name(color): mask
        for color, mask in zip(colors, color_masks(pixels, colors), strict=True)
    }
    missing = [name for name in masks if not any(name in found for found in of_styles)]
    if len(missing) == len(masks):
        raise ConfigError(
            f"content_map: none of its colours ({', '.join(missing)}) is in a style's "
            "map. Draw both in the same colours.",
            option="content_map",
        )
    for name in missing:
        log.warning(
            "No map of a style has the colour %s of %s: the photograph stays there.",
            name,
            content_map,
        )
        del masks[name]
    return RegionMasks(masks, of_styles)


def mapped_regions(
    config: StyleConfig, content_map: str, masks: RegionMasks, size: Size
) -> tuple[Region, ...]:
    """Make a region of each colour that the content's map and a style's map share.

    size: (height, width) of the content. Other arguments and errors: as `fit_regions`.
    """
    shares, regions = config.style_shares(), []
    for name, mask in masks.of_content.items():
        check_proportions(mask.shape, size, map_name(content_map), "content picture")
        fitted = fit_mask(mask, size, config.content_crop)
        if fitted.any():
            members = [n for n, found in enumerate(masks.of_styles) if name in found]
            own = tuple(masks.of_styles[n][name] for n in members)
            regions.append(blended_region(name, fitted, tuple(members), shares, own))
    if not regions:
        raise ConfigError(
            "content_map: no part that has a style is in the content picture as it is "
            "cropped.",
            option="content_map",
        )
    return tuple(regions)


def read_map(path: str, load: LoadPicture) -> np.ndarray:
    """Return the pixels of a colour-coded map: `(height, width, 3)` in [0, 1].

    Raises: ImageError: it cannot be read, or has transparency.
    """
    found = load(path)
    check_opaque(found, map_name(path))
    return found.pixels


def map_name(path: str) -> str:
    """Return what messages call a colour-coded map."""
    return f"the map {path}"


def style_map_masks(
    style: StyleSource, colors: np.ndarray, load: LoadPicture
) -> dict[str, np.ndarray]:
    """Return `{name of a colour: mask}` of the parts of a style, cropped as it.

    colors: those of the content's map, of which each names the nearest of this map.
    """
    path, size = style.map or "", picture_size(style.picture)
    pixels = read_map(path, load)
    check_proportions(pixels.shape[:2], size, map_name(path), "style picture")
    own = main_colors(pixels)
    masks = color_masks(pixels, own)
    found: dict[str, np.ndarray] = {}
    for color in colors:
        distances = np.linalg.norm(own - color, axis=1)
        nearest = int(distances.argmin())
        if distances[nearest] < COLOR_DISTANCE:
            mask = fit_mask(masks[nearest], size, style.crop)
            if mask.any():
                found[color_name(color)] = mask
    return found


def unique_names(words: Sequence[str]) -> list[str]:
    """Return a name for each word that is safe in a tag, with numbers where needed."""
    found: list[str] = []
    for word in words:
        safe = re.sub(r"[^\w.-]", "_", word)[:24] or "region"
        name, number = safe, 2
        while name in found:
            name, number = f"{safe}_{number}", number + 1
        found.append(name)
    return found
