"""Change a run so that it fits into the free memory, or say what would fit."""

import itertools
import logging
from typing import Any

from kstyle.config.style_config import StyleConfig
from kstyle.errors import ConfigError
from kstyle.planning.estimates import peak_bytes
from kstyle.planning.scales import Size, plan_scales_of_run

# Tried in this order: fewer L-BFGS pairs, then recomputation, then tiles.
HISTORY_FALLBACKS = (5, 3)
TILE_FALLBACKS = ("whole", 1024, 512, 256)
OUT_OF_MEMORY_TILE = 512  # px: edge of the tiles after an out-of-memory error
MIN_TILE = 128  # px
RESUME_ADVICE = (
    "A resumed run keeps its size and its L-BFGS pairs: end other programs, or remove "
    "state.npz from its folder to start again."
)


def fit_memory(
    config: StyleConfig,
    content_size: Size,
    style_size: Size,
    available: int | None,
    *,
    resumed: bool = False,
) -> StyleConfig:
    """Return `config`, changed to fit into the memory where it does not and `fit` is
    "auto".

    content_size, style_size: (height, width) of the pictures as loaded, the style
        already cropped. available: bytes that the process may use, from
        `Machine.available_bytes`; `None` where that is unknown: every run fits then.
    resumed: whether the run continues from a checkpoint; its L-BFGS pairs stay.
    Raises: ConfigError: nothing that may be changed makes it fit, or a picture is too
        small for the layers.
    """
    shortage = memory_shortage(config, content_size, style_size, available)
    if shortage is None:
        return config
    for changes in memory_fallbacks(config, resumed) if config.fit == "auto" else ():
        smaller = config.replace(**changes)
        shortage = memory_shortage(smaller, content_size, style_size, available)
        if shortage is None:
            words = " and ".join(f"--{key} {value}" for key, value in changes.items())
            message = "The free memory is too small for this run: continuing with %s."
            logging.getLogger("kstyle").warning(message, words)
            return smaller
    raise ConfigError(f"{shortage} {RESUME_ADVICE}" if resumed else shortage)


def memory_fallbacks(
    config: StyleConfig, resumed: bool = False
) -> list[dict[str, Any]]:
    """List changes of options that need less memory, in the order to try them."""
    pairs: list[dict[str, Any]] = [{}]
    if config.optimizer == "lbfgs" and not resumed:
        pairs += [{"history": n} for n in HISTORY_FALLBACKS if n < config.history]
    tiles: list[dict[str, Any]] = [{}]
    if config.tile == "off":
        tiles += [{"tile": tile} for tile in TILE_FALLBACKS]
    return [tile | few for tile, few in itertools.product(tiles, pairs)][1:]


def memory_shortage(
    config: StyleConfig, content_size: Size, style_size: Size, available: int | None
) -> str | None:
    """Say in a sentence how much memory is missing and which size would fit.

    Arguments as for `fit_memory`. Returns: `None` where the run fits, or where it is
    unknown how much memory is free.
    """
    if available is None:
        return None
    need = peak_bytes(config, plan_scales_of_run(config, content_size, style_size))
    if need <= available:
        return None
    size = largest_fitting_size(config, content_size, style_size, available)
    if size is None:
        advice = "No --size fits: use a smaller --style-size, or end other programs."
    else:
        advice = f"The largest --size that fits is {size}."
    if config.fit == "off":
        advice += " Or leave out --fit off."
    tiles = f" with --tile {config.tile}" if config.tile != "off" else ""
    return (
        f"A result of {config.size} px needs about {need / 1e9:.1f} GB of memory"
        f"{tiles}, but {available / 1e9:.1f} GB are free. {advice}"
    )


def largest_fitting_size(
    config: StyleConfig, content_size: Size, style_size: Size, available: int
) -> int | None:
    """Return the largest `size` below the config's whose run fits; `None` if none does.

    Scales given as edges are replaced by "auto".
    """
    if isinstance(config.scales, tuple):
        config = config.replace(scales="auto")

    def need(size: int) -> int:
        smaller = config.replace(size=size)
        return peak_bytes(
            smaller, plan_scales_of_run(smaller, content_size, style_size)
        )

    fitting, low, high = None, 1, config.size - 1
    while low <= high:
        middle = (low + high) // 2
        try:
            fits = need(middle) <= available
        except ConfigError:  # too small for the layers or their scales
            low = middle + 1
            continue
        if fits:
            fitting, low = middle, middle + 1
        else:
            high = middle - 1
    return fitting


def tile_after_memory_error(fit: str, tile: str | int, longest: int) -> int | None:
    """Return the tile edge in pixels to continue with after an out-of-memory error.

    fit, tile: the options. longest: the longest edge of the pictures at the scale that
        failed. Returns: `None` where `fit` is "off", the run has tiles already, or the
        pictures are too small for tiles.
    """
    edge = min(OUT_OF_MEMORY_TILE, longest // 2)
    if fit == "off" or tile != "off" or edge < MIN_TILE:
        return None
    return edge


def out_of_memory_advice(size: int, tile: str | int) -> str:
    """Say what to do after an out-of-memory error in a run with these options."""
    advice = "Use a smaller --size, or end other programs."
    if tile == "off":
        advice += f" Or work in tiles: --tile {OUT_OF_MEMORY_TILE}."
    return f"The memory did not suffice for a result of {size} px. {advice}"
