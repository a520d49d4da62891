"""Whether a run fits into the memory that is free; what would fit; how to make it."""

import itertools
import logging

from kstyle.errors import ConfigError
from kstyle.hardware.host import free_memory, gpu_memory, may_use_gpu, resident_memory
from kstyle.planning.estimates import peak_bytes

HISTORY_FALLBACKS = (
    5,
    3,
)  # of L-BFGS, tried in this order before recomputation and tiles
# Tried in this order: recomputation alone, and in tiles; larger ones cost less.
TILE_FALLBACKS = ("whole", 1024, 512, 256)
RETRY_MARGIN = 0.8  # of an estimate that did not hold
RESUME_ADVICE = (
    "A run that goes on keeps its size and its pairs: end other programs, or remove "
    "state.npz from its folder to start again."
)


def fit_memory(config, content_size, style_size, *, begun=False):
    """The config as it was if it fits or `fit` is off; or one that fits.

    Tried in turn: fewer pairs of L-BFGS, then recomputation, then tiles, and each of
    these with fewer pairs.
    content_size, style_size: (height, width) of the pictures as loaded.
    begun: whether it is that of a run which goes on: its pairs are kept then.
    Raises: ConfigError: the run needs more memory than there is, however it is done.
    """
    short = memory_shortage(config, content_size, style_size)
    if short is None:
        return config
    for changes in memory_fallbacks(config, begun) if config.fit == "auto" else ():
        smaller = config.replace(**changes)
        short = memory_shortage(smaller, content_size, style_size)
        if short is None:
            words = " and ".join(f"--{key} {value}" for key, value in changes.items())
            message = "The memory that is free does not suffice: going on with %s."
            logging.getLogger("kstyle").warning(message, words)
            return smaller
    if begun:
        short += f" {RESUME_ADVICE}"
    raise ConfigError(short)


def memory_fallbacks(config, begun=False):
    """The options that need less memory than the config's, in the order to be tried;
    of a run that has `begun`, those with which it can go on."""
    pairs = [{}]
    if config.optimizer == "lbfgs" and not begun:
        pairs += [{"history": n} for n in HISTORY_FALLBACKS if n < config.history]
    edges = [{}]
    if config.tile == "off":
        edges += [{"tile": edge} for edge in TILE_FALLBACKS]
    return [edge | few for edge, few in itertools.product(edges, pairs)][1:]


def memory_shortage(config, content_size, style_size):
    """What is short and what would fit, as a sentence; `None` where the run fits, or
    where it is not known what is free."""
    room = available_bytes(config)
    if room is None:
        return None
    need = peak_bytes(config, content_size, style_size)
    if need <= room:
        return None
    advice = size_advice(config, content_size, style_size, room)
    if config.fit == "off":
        advice += " Or leave out --fit off."
    tiles = f" with --tile {config.tile}" if config.tile != "off" else ""
    return (
        f"A result of {config.size} px needs about {need / 1e9:.1f} GB of memory"
        f"{tiles}, but {room / 1e9:.1f} GB are free. {advice}"
    )


def available_bytes(config):
    """Bytes that the process may come to hold, on the GPU if it is to use one; `None`
    where that is unknown."""
    if may_use_gpu(config.device):
        from kstyle.hardware import devices

        number = devices.gpu_number(config.device)
        if number is not None:
            return gpu_memory(number)
    free = free_memory()
    if free is None:
        return None
    return free + resident_memory()  # what it has already is counted in an estimate


def size_advice(config, content_size, style_size, room):
    """The largest size whose run fits into `room` bytes, as a sentence."""
    fits = largest_fitting_size(config, content_size, style_size, room)
    if fits is None:
        return "No --size fits: use a smaller --style-size, or end other programs."
    return f"The largest --size that fits is {fits}."


def out_of_memory_advice(config, content_size, style_size):
    """What to say where memory ended although the estimate was that it would do."""
    need = peak_bytes(config, content_size, style_size)
    room = RETRY_MARGIN * min(need, available_bytes(config) or need)
    advice = size_advice(config, content_size, style_size, room)
    if config.tile == "off":
        advice += f" Or work in tiles: --tile {TILE_FALLBACKS[2]}."
    return f"The memory did not suffice for a result of {config.size} px. {advice}"


def largest_fitting_size(config, content_size, style_size, room):
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
