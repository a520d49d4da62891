"""Change a run so that it fits into the free memory, or say what would fit."""

import bisect
import itertools
import logging
from collections.abc import Callable
from typing import Any

from kstyle.config.option_types import MIN_TILE
from kstyle.config.style_config import StyleConfig
from kstyle.errors import ConfigError
from kstyle.planning.estimates import cost_model
from kstyle.planning.scales import Size, plan_scales_of_run, result_edge

# Fewer L-BFGS pairs are tried first, then recomputation, then tiles.
HISTORY_FALLBACKS = (5, 3)
TILE_FALLBACKS = ("whole", 1024, 512, 256)
OUT_OF_MEMORY_TILE = 512  # px: edge of the tiles after an out-of-memory error


def fit_memory(
    config: StyleConfig,
    content_size: Size,
    *style_sizes: Size,
    available: int | None,
    resumed: bool = False,
) -> StyleConfig:
    """Return `config`, changed to fit into the memory where it does not and `fit` is
    "auto".

    content_size, style_sizes: (height, width) of the pictures as loaded, the styles
        already cropped. available: bytes that the process may use, from
        `Machine.available_bytes`; `None` where that is unknown: every run fits then.
    resumed: whether the run continues from a checkpoint; its L-BFGS pairs stay.
    Raises: ConfigError: nothing that may be changed makes it fit, or a picture is too
        small for the layers.
    """

    def need(changed: StyleConfig) -> int:
        scales = plan_scales_of_run(changed, content_size, *style_sizes)
        return cost_model(changed).peak_bytes(scales)

    if available is None or need(config) <= available:
        return config
    pairs = 0 if resumed or config.optimizer != "lbfgs" else config.history
    tile = config.possible_tile()
    changes = memory_fallbacks(pairs, tile) if config.fit == "auto" else []
    tried = [config.replace(**change) for change in changes]
    for smaller, change in zip(tried, changes, strict=True):
        if need(smaller) <= available:
            words = " and ".join(f"--{name} {value}" for name, value in change.items())
            logging.getLogger("kstyle").warning(
                "The free memory is too small for this run: continuing with %s.", words
            )
            return smaller
    edge = result_edge(config.size, config.content_size, content_size)
    message = shortage_message([config, *tried][-1], edge, available, need)
    if resumed:
        message += (
            " A resumed run keeps its size and its L-BFGS pairs: end other programs, "
            "or remove state.npz from its folder to start again."
        )
    raise ConfigError(message)


def memory_fallbacks(history: int, tile: str | int | None) -> list[dict[str, Any]]:
    """List changes of options that need less memory, in the order to try them.

    history: the number of L-BFGS pairs that may become fewer. tile: the option, from
        `StyleConfig.possible_tile`.
    """
    pairs: list[dict[str, Any]] = [{"history": n} for n in HISTORY_FALLBACKS]
    fewer = [{}, *(change for change in pairs if change["history"] < history)]
    tiles: list[dict[str, Any]] = [{}]
    tiles += [{"tile": edge} for edge in TILE_FALLBACKS if tile == "off"]
    return [tiled | few for tiled, few in itertools.product(tiles, fewer)][1:]


def shortage_message(
    config: StyleConfig, edge: int, available: int, need: Callable[[StyleConfig], int]
) -> str:
    """Say how much memory is missing and which size would fit.

    edge: long edge of the result in pixels. need: a function from a config to the
        bytes of its run.
    """
    # A smaller size may be below edges that were given.
    scales = "auto" if isinstance(config.scales, tuple) else config.scales

    def need_at(size: int) -> int:
        try:
            return need(config.replace(size=size, content_size=None, scales=scales))
        except ConfigError:  # too small for the layers or their scales
            return 0

    size = bisect.bisect_right(range(edge), available, lo=1, key=need_at) - 1
    advice = f"The largest --size that fits is {size}."
    if not need_at(size):
        advice = "No --size fits: use a smaller --style-size, or end other programs."
    elif config.content_size is not None:
        advice += " Give it in place of --content-size."
    if config.fit == "off":
        advice += " Or leave out --fit off."
    tiles = f" with --tile {config.tile}" if config.tile != "off" else ""
    return (
        f"A result of {edge} px needs about {need(config) / 1e9:.1f} GB of "
        f"memory{tiles}, but {available / 1e9:.1f} GB are free. {advice}"
    )


def tile_after_memory_error(
    fit: str, tile: str | int | None, longest: int
) -> int | None:
    """Return the tile edge in pixels to continue with after an out-of-memory error.

    fit, tile: the options, tile from `StyleConfig.possible_tile`. longest: the longest
        edge of the pictures at the scale that failed. Returns: `None` where `fit` is
        "off", the run has tiles already or can have none, or the pictures are too small
        for tiles.
    """
    edge = min(OUT_OF_MEMORY_TILE, longest // 2)
    if fit == "off" or tile != "off" or edge < MIN_TILE:
        return None
    return edge


def out_of_memory_advice(size: int, tile: str | int | None) -> str:
    """Say what to do after an out-of-memory error in a run with these options."""
    advice = "Use a smaller --size, or end other programs."
    if tile == "off":
        advice += f" Or work in tiles: --tile {OUT_OF_MEMORY_TILE}."
    return f"The memory did not suffice for a result of {size} px. {advice}"
