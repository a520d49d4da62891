"""Read the masks of a run's regions: grey pictures, alpha, colour-coded maps."""

import logging
import re
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from kstyle.config.style_config import StyleConfig
from kstyle.config.style_source import ALPHA, REST, StyleSource
from kstyle.errors import ConfigError
from kstyle.images.masks import (
    COLOR_DISTANCE,
    LEAST_WEIGHT,
    check_opaque,
    check_proportions,
    color_masks,
    color_name,
    main_colors,
    read_grey_mask,
    resize_mask,
)
from kstyle.images.picture import Picture, crop
from kstyle.images.reading import picture_size
from kstyle.planning.regions import Region
from kstyle.planning.scales import Size

log = logging.getLogger("kstyle")
LoadPicture = Callable[[str], Picture]


def read_regions(
    config: StyleConfig, content: Picture, load: LoadPicture
) -> tuple[Region, ...]:
    """Read the regions of a run; none where the style applies to the whole picture.

    content: the content picture, cropped. load: reads a picture file.
    Raises: ConfigError, ImageError: a mask cannot be used.
    """
    if not config.has_regions():
        return ()
    if config.content_map is None:
        regions = grey_regions(config, content, load)
    else:
        regions = mapped_regions(config, config.content_map, load)
    names = [region.name for region in regions]
    for name in config.region_layers:
        if name not in names:
            raise ConfigError(
                f"region_layers: there is no region {name!r}. The regions are "
                f"{', '.join(names)}.",
                option="region_layers",
            )
    return regions


def grey_regions(
    config: StyleConfig, content: Picture, load: LoadPicture
) -> tuple[Region, ...]:
    """Make a region of each different `region` of the styles, which are blended in it.

    Raises: ConfigError, ImageError: as `read_regions`.
    """
    styles, shares = config.style_sources(), config.style_shares()
    words = [style.region or "" for style in styles]
    masks = {
        word: region_mask(word, config, content, load)
        for word in dict.fromkeys(words)
        if word != REST
    }
    if REST in words:
        left = 1 - sum(masks.values())
        masks[REST] = np.where(left > LEAST_WEIGHT, left, 0).astype("float32")
        if not masks[REST].any():
            raise ConfigError(
                f"region {REST}: the other regions cover the whole picture.",
                option="region",
            )
    names = unique_names([Path(word).stem for word in masks])
    regions = []
    for name, (word, mask) in zip(names, masks.items(), strict=True):
        members = tuple(n for n, each in enumerate(words) if each == word)
        regions.append(blended_region(name, mask, members, shares))
    return tuple(regions)


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


def region_mask(
    word: str, config: StyleConfig, content: Picture, load: LoadPicture
) -> np.ndarray:
    """Return the mask of a `region` that is not "rest", cropped as the content.

    Raises: ConfigError, ImageError: as `read_regions`.
    """
    if word == ALPHA:
        if content.alpha is None:
            raise ConfigError(
                f"region {ALPHA}: the content picture has no transparency. Give it an "
                "alpha channel, or a grey picture as --region.",
                option="region",
            )
        mask = content.alpha
    else:
        name = f"the region {word}"
        mask = read_grey_mask(load(word), name)
        size = picture_size(config.content)
        check_proportions(mask.shape, size, name, "content picture")
        mask = fit_mask(mask, size, config.content_crop)
    if not mask.any():
        raise ConfigError(
            f"region {word}: nothing of it is in the content picture as it is cropped.",
            option="region",
        )
    return mask


def fit_mask(mask: np.ndarray, size: Size, crop_text: str | None) -> np.ndarray:
    """Resample a mask to the (height, width) `size` of its picture, and crop it."""
    if mask.shape != tuple(size):
        mask = resize_mask(mask, size)
    return mask if crop_text is None else crop(mask, crop_text)


def mapped_regions(
    config: StyleConfig, content_map: str, load: LoadPicture
) -> tuple[Region, ...]:
    """Make a region of each colour that the content's map and a style's map share.

    Raises: ConfigError, ImageError: as `read_regions`.
    """
    shares = config.style_shares()
    pixels, size = read_map(content_map, config.content, "content picture", load)
    colors = main_colors(pixels)
    masks = color_masks(pixels, colors)
    of_styles = [
        style_map_masks(style, colors, load) for style in config.style_sources()
    ]
    regions, missing = [], []
    for color, mask in zip(colors, masks, strict=True):
        name = color_name(color)
        members = tuple(n for n, found in enumerate(of_styles) if name in found)
        fitted = fit_mask(mask, size, config.content_crop)
        if not members:
            missing.append(name)
        elif fitted.any():
            own = tuple(of_styles[n][name] for n in members)
            regions.append(blended_region(name, fitted, members, shares, own))
    if not regions:
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
    return tuple(regions)


def read_map(
    path: str, picture: str, of: str, load: LoadPicture
) -> tuple[np.ndarray, Size]:
    """Return the pixels of the colour-coded map of a picture, and the picture's size.

    Raises: ImageError: it has transparency, or other proportions than the picture.
    """
    found, size, name = load(path), picture_size(picture), f"the map {path}"
    check_opaque(found, name)
    check_proportions(found.size, size, name, of)
    return found.pixels, size


def style_map_masks(
    style: StyleSource, colors: np.ndarray, load: LoadPicture
) -> dict[str, np.ndarray]:
    """Return `{name of a colour: mask}` of the parts of a style, cropped as it.

    colors: those of the content's map, of which each names the nearest of this map.
    """
    pixels, size = read_map(style.map or "", style.picture, "style picture", load)
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
