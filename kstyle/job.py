"""Everything about a run that can be read and checked before TensorFlow is loaded."""

import dataclasses
import datetime
from pathlib import Path

import numpy as np

from kstyle import checkpoints, images, saving
from kstyle.config import StyleConfig
from kstyle.errors import ConfigError
from kstyle.files import new_folder, write_text
from kstyle.layers import layer_names, trunk
from kstyle.memory import FITTED, fit_memory
from kstyle.precision import explain, resolved
from kstyle.resize import crop, fit_long_edge, resize
from kstyle.schedule import Scale
from kstyle.shelf import Shelf
from kstyle.sizes import style_size, usable_scales
from kstyle.weights import NetWeights, load_weights

KEPT = 2**28  # bytes of a resized picture: a larger one is made anew when needed again


@dataclasses.dataclass(frozen=True)
class Job:
    """A checked run: its config, pictures at full size, scales and folder.

    `style`: `(height, width, 3)`, already cropped. `start`: the init picture, if it is
    a file. `folder`: the run's own, already made. `output`: where the result goes.
    `asked`: the config before weights were solved and memory was fitted. `shelf`: that
    of several runs, which share a style.
    """

    config: StyleConfig
    content: images.Picture
    style: np.ndarray
    start: images.Picture | None
    weights: NetWeights
    scales: tuple[Scale, ...]
    folder: Path
    output: Path
    asked: StyleConfig
    shelf: Shelf | None = None
    resized: dict = dataclasses.field(default_factory=dict, repr=False, compare=False)

    def fitted(self):
        """`{option: value}` of what is not as it was asked for, to fit the memory."""
        now = {name: getattr(self.config, name) for name in FITTED}
        return {k: v for k, v in now.items() if v != getattr(self.asked, k)}

    def content_at(self, edge):
        """The content with its long edge at `edge` pixels: `(height, width, 3)`."""
        size = fit_long_edge(self.content.size, edge)
        return self._at(("content", size), self.content.pixels)

    def style_at(self, edge):
        """The style picture for a result of `edge` pixels, its own shape kept."""
        size = style_size(self.config, self.style.shape[:2], edge)
        make = self.shelf.resized if self.shelf else resize
        return self._at(("style", size), self.style, make)

    def _at(self, key, pixels, make=resize):
        if key in self.resized:
            return self.resized[key]
        found = make(pixels, key[1])
        if found.nbytes <= KEPT:
            self.resized[key] = found
        return found


def prepare(
    config, *, asked=None, overwrite=False, folder=None, shelf=None, state=None
):
    """Read pictures and weights, check all that can be checked, make the folder.

    asked: what `config` was before it was fitted to the memory, if it was.
    overwrite: whether an existing `config.output` may be replaced.
    folder: the run's own; by default a new one in `config.logdir`.
    shelf: the `Shelf` of several runs, so that nothing is read twice.
    state: the `checkpoints.State` of this run that it goes on from: what its start has
        solved and fitted stays as it is.
    Raises: ConfigError, ImageError, WeightsError: with the one sentence that the user
        needs. In that case nothing was written.
    """
    wanted, config = config, resolved(config)
    asked = asked or config
    if state is not None:
        then = state.origin["config"], state.asked
        config, asked = (StyleConfig(**options) for options in then)
    pictures, weights = read_all(config, overwrite=overwrite, shelf=shelf)
    content, style, start, scales = pictures
    sizes = content.size, style.shape[:2]
    config = fit_memory(config, *sizes, begun=state is not None)
    folder = make_folder(config, folder)
    output = result_path(config, folder)
    pictures = content, style, start
    job = Job(config, *pictures, weights, scales, folder, output, asked, shelf)
    if state is not None:
        checkpoints.check_fit(state, job)
    explain(wanted)
    return job


def result_path(config, folder):
    """Where the picture of the run in `folder` goes."""
    return Path(config.output) if config.output else Path(folder) / "result.png"


def read_all(config, *, overwrite=False, shelf=None):
    """What `read_pictures` and `config_weights` return; the output is checked too."""
    pictures = read_pictures(config, shelf)
    if config.output is not None:
        has_alpha = pictures[0].alpha is not None
        saving.check_writable(
            config.output, bits=config.bits, alpha=has_alpha, overwrite=overwrite
        )
    return pictures, config_weights(config, shelf)


def read_pictures(config, shelf=None):
    """The content `Picture`, the style's pixels, the init file's, and the scales.

    Raises: ConfigError, ImageError: a picture cannot be used, or not for these layers.
    """
    read = shelf.picture if shelf else images.load_picture
    content, style, start = read(config.content), read_style(config, shelf), None
    if config.init not in ("content", "noise"):
        start = read(config.init)
    return content, style, start, usable_scales(config, content.size, style.shape[:2])


def read_style(config, shelf=None):
    """The pixels of the style picture, cropped: `(height, width, 3)`."""
    read = shelf.picture if shelf else images.load_picture
    style = read(config.style).pixels
    return style if config.style_crop is None else crop(style, config.style_crop)


def config_weights(config, shelf=None):
    """The checked weights of the convolutions that the run needs."""
    layers = layer_names(config.net) if config.all_losses else config.layers()
    convs = [n for n in trunk(config.net, layers) if n.startswith("conv")]
    load = shelf.weights if shelf else load_weights
    return load(config.net, config.weights, convs)


def make_folder(config, folder=None):
    """The run's folder, new unless given, with the resolved config in it."""
    now = datetime.datetime.now().strftime("%Y%m%d-%H%M%S")
    try:
        if folder is None:
            folder = new_folder(config.logdir, f"{now}-{run_name(config)}")
        Path(folder).mkdir(parents=True, exist_ok=True)
        path, text = Path(folder) / "config.yaml", config.to_yaml()
        # A run that is resumed has it, perhaps under a comment on solved weights.
        if not (path.exists() and path.read_text(encoding="utf-8").endswith(text)):
            write_text(path, text)
    except (OSError, ValueError) as error:  # ValueError: a NUL in the name
        raise ConfigError(
            f"Cannot make a run's folder in {str(folder or config.logdir)!r}: "
            f"{getattr(error, 'strerror', None) or error}. Name another with --logdir."
        ) from None
    return Path(folder)


def run_name(config):
    """What a run's folder is called, its time aside."""
    return "-".join((stem(config.content), stem(config.style), config.net))


def stem(path):
    """A short name of the picture `path` that is safe in a folder's name."""
    # Two of them in 4-byte letters still fit the 255 bytes of a folder's name.
    name = Path(path.removeprefix("sample:")).stem[:24]
    return "".join(c if c.isalnum() or c in "._" else "_" for c in name)
