"""Everything about a run that can be read and checked before TensorFlow is loaded."""

import dataclasses
import datetime
from pathlib import Path

import numpy as np

from kstyle import images, saving
from kstyle.config import StyleConfig
from kstyle.errors import ConfigError
from kstyle.files import new_folder, write_text
from kstyle.layers import layer_names, minimum_size, trunk
from kstyle.resize import crop, fit_long_edge, resize, scaled
from kstyle.schedule import Scale, plan_scales
from kstyle.weights import NetWeights, load_weights


@dataclasses.dataclass(frozen=True)
class Job:
    """A checked run: its config, pictures at full size, scales and folder.

    `style`: `(height, width, 3)`, already cropped. `start`: the init picture, if it is
    a file. `folder`: the run's own, already made. `output`: where the result goes.
    """

    config: StyleConfig
    content: images.Picture
    style: np.ndarray
    start: images.Picture | None
    weights: NetWeights
    scales: tuple[Scale, ...]
    folder: Path
    output: Path

    def content_at(self, edge):
        """The content with its long edge at `edge` pixels: `(height, width, 3)`."""
        return resize(self.content.pixels, fit_long_edge(self.content.size, edge))

    def style_at(self, edge):
        """The style picture for a result of `edge` pixels, its own shape kept."""
        return resize(self.style, style_size(self.config, self.style.shape[:2], edge))


def prepare(config, *, overwrite=False, folder=None):
    """Read pictures and weights, check all that can be checked, make the folder.

    overwrite: whether an existing `config.output` may be replaced.
    folder: the run's own; by default a new one in `config.logdir`.
    Raises: ConfigError, ImageError, WeightsError: with the one sentence that the user
        needs. In that case nothing was written.
    """
    content, style, start, scales = read_pictures(config)
    if config.output is not None:
        has_alpha = content.alpha is not None
        saving.check_writable(
            config.output, bits=config.bits, alpha=has_alpha, overwrite=overwrite
        )
    weights = config_weights(config)
    folder = make_folder(config, folder)
    output = Path(config.output) if config.output else folder / "result.png"
    return Job(config, content, style, start, weights, scales, folder, output)


def read_pictures(config):
    """The content `Picture`, the style's pixels, the init file's, and the scales.

    Raises: ConfigError, ImageError: a picture cannot be used, or not for these layers.
    """
    content = images.load_picture(config.content)
    style = images.load_picture(config.style).pixels
    if config.style_crop is not None:
        style = crop(style, config.style_crop)
    start = None
    if config.init not in ("content", "noise"):
        start = images.load_picture(config.init)
    return content, style, start, usable_scales(config, content.size, style.shape[:2])


def config_weights(config):
    """The checked weights of the convolutions that the run needs."""
    layers = layer_names(config.net) if config.all_losses else config.layers()
    convs = [n for n in trunk(config.net, layers) if n.startswith("conv")]
    return load_weights(config.net, config.weights, convs)


def style_size(config, size, edge):
    """(height, width) of a style picture of `size` for a result of long `edge`.

    The same part of the picture is seen at every scale of a run: what is asked for
    at `config.size` shrinks with the scale.
    """
    if config.style_size is None:
        factor = min(1, config.size / max(size))
    elif config.style_size == "original":
        factor = 1
    else:
        factor = config.style_size / min(size)
    factor *= config.style_scale * edge / config.size
    return scaled(size, factor)  # rounded once, so not distorted


def usable_scales(config, content, style):
    """The scales of the run for pictures of those sizes, (height, width) each.

    "auto" begins where the pictures are large enough for the layers; scales that were
    asked for are refused where they are not.
    """
    scales = plan_scales(config.size, config.steps, config.scales, config.scale_steps)
    least = minimum_size(config.net, config.layers(), config.padding)

    def sizes(edge):
        shapes = fit_long_edge(content, edge), style_size(config, style, edge)
        return dict(zip(("content", "style"), shapes, strict=True))

    if config.scales == "auto":
        fits = [min(map(min, sizes(s.edge).values())) >= least for s in scales]
        scales = scales[fits.index(True) if any(fits) else -1 :]
    for edge in (scale.edge for scale in scales):
        for name, (height, width) in sizes(edge).items():
            if height * width > images.deep.MAX_PIXELS:
                raise ConfigError(
                    f"The {name} picture would be {width} x {height} pixels at scale "
                    f"{edge}. Use a smaller size, style_size or style_scale."
                )
            if min(height, width) < least:
                raise ConfigError(
                    f"The {name} picture is {width} x {height} pixels at scale "
                    f"{edge}, but these layers with {config.padding} padding "
                    f"need {least} each way. Use a larger size or shallower layers."
                )
    return scales


def make_folder(config, folder=None):
    """The run's folder, new unless given, with the resolved config in it."""
    now = datetime.datetime.now().strftime("%Y%m%d-%H%M%S")
    names = (stem(config.content), stem(config.style), config.net)
    try:
        if folder is None:
            folder = new_folder(config.logdir, "-".join((now, *names)))
        Path(folder).mkdir(parents=True, exist_ok=True)
        write_text(Path(folder) / "config.yaml", config.to_yaml())
    except (OSError, ValueError) as error:  # ValueError: a NUL in the name
        raise ConfigError(
            f"Cannot make a run's folder in {str(folder or config.logdir)!r}: "
            f"{getattr(error, 'strerror', None) or error}. Name another with --logdir."
        ) from None
    return Path(folder)


def stem(path):
    """A short name of the picture `path` that is safe in a folder's name."""
    # Two of them in 4-byte letters still fit the 255 bytes of a folder's name.
    name = Path(path.removeprefix("sample:")).stem[:24]
    return "".join(c if c.isalnum() or c in "._" else "_" for c in name)
