"""Whether a run fits into the memory that is free, if need be in tiles; what would."""

import logging

from kstyle.errors import ConfigError
from kstyle.estimates import peak_bytes
from kstyle.machine import free_memory, may_use_gpu, resident_memory

TILES = (1024, 512, 256)  # px, tried in this order: larger ones cost less


def fit_memory(config, content_size, style_size):
    """The config with an edge of tiles, if "auto" has to choose one; or as it was.

    content_size, style_size: (height, width) of the pictures as loaded.
    Raises: ConfigError: the run needs more memory than there is, in tiles too.
    """
    short = shortage(config, content_size, style_size)
    if short is None:
        return config
    for edge in TILES if config.tile == "auto" else ():
        tiled = config.replace(tile=edge)
        short = shortage(tiled, content_size, style_size)
        if short is None:
            message = "The memory that is free asks for tiles of %d px (--tile)."
            logging.getLogger("kstyle").warning(message, edge)
            return tiled
    raise ConfigError(short)


def shortage(config, content_size, style_size):
    """What is short and what would fit, as a sentence; `None` where the run fits.

    Where there may be a GPU nothing is said: its memory is not known beforehand.
    """
    free = free_memory()
    if free is None or may_use_gpu(config.device):
        return None
    room = free + resident_memory()  # what the process has already is counted in both
    need = peak_bytes(config, content_size, style_size)
    if need <= room:
        return None
    fits = largest_size(config, content_size, style_size, room)
    advice = f"The largest --size that fits is {fits}."
    if fits is None:
        advice = "No --size fits: use a smaller --style-size, or end other programs."
    if config.tile == "off":
        advice += " Or leave out --tile off."
    tiles = f" in tiles of {config.tile} px" if isinstance(config.tile, int) else ""
    return (
        f"A result of {config.size} px needs about {need / 1e9:.1f} GB of memory"
        f"{tiles}, but {room / 1e9:.1f} GB are free. {advice}"
    )


def largest_size(config, content_size, style_size, room):
    """The largest `size` below the config's whose run fits into `room` bytes.

    `None` where none does. Scales that were asked for by their edges become "auto".
    """

    def fits(size):
        scales = "auto" if isinstance(config.scales, tuple) else config.scales
        try:
            smaller = config.replace(size=size, scales=scales)
            return peak_bytes(smaller, content_size, style_size) <= room
        except ConfigError:  # too small for the layers; a larger one may do
            return True

    low, high = 0, config.size  # what fits, and what does not
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if fits(middle) else (low, middle)
    try:
        peak_bytes(config.replace(size=low, scales=1), content_size, style_size)
    except ConfigError:
        return None
    return low
