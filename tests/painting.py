"""A run for the tests of threads; a module that a spawned process can import."""

import threading

from kstyle.config.style_config import StyleConfig
from kstyle.runs.pipeline import stylize


def paint(options):
    """The pixels of a run, and whether it was in the main thread."""
    main = threading.current_thread() is threading.main_thread()
    return stylize(StyleConfig(**options)).picture.pixels, main
