"""Read the pictures and weights of a run; keep those that several runs share."""

import dataclasses
import os

import numpy as np

from kstyle.config.style_config import INIT_WORDS, StyleConfig
from kstyle.errors import ConfigError
from kstyle.files import file_hash
from kstyle.hardware.host import require_package
from kstyle.images import reading
from kstyle.images.color_transfer import match_color
from kstyle.images.picture import Picture, crop, crop_box, resize
from kstyle.images.samples import picture_file
from kstyle.lru_cache import LRUCache
from kstyle.networks.registry import get_architecture
from kstyle.networks.weights import NetWeights, load_weights, weights_hash
from kstyle.planning.regions import Region
from kstyle.planning.scales import Size
from kstyle.runs.option_pictures import load_or_word
from kstyle.runs.region_inputs import (
    RegionMasks,
    check_region_names,
    check_regions_of_layers,
    fit_regions,
    mask_files,
    read_masks,
)

MAX_PICTURE_BYTES = 2**28  # a painting of 20 megapixels, or a hundred small ones
MAX_STYLE_BYTES = 2**26  # of style pictures resized to the scales
MAX_MASK_SETS = 4  # of all regions of a run; a batch has one, or one for each style
MAX_WEIGHT_SETS = 2  # a VGG19 down to conv5_1 is 50 MB

# Values of the option `color` with which the style gets the colours of the content
# before the run. With "keep", so that a dark painting makes no dark picture.
MATCHED = ("match", "keep")


class InputCache:
    """The pictures and weights read last; a file that has changed is read again."""

    def __init__(self) -> None:
        self.pictures: LRUCache[Picture] = LRUCache(
            MAX_PICTURE_BYTES, lambda picture: picture.pixels.nbytes
        )
        self.resized: LRUCache[tuple[np.ndarray, np.ndarray]] = LRUCache(
            MAX_STYLE_BYTES, lambda pair: pair[1].nbytes
        )
        self.masks: LRUCache[RegionMasks] = LRUCache(MAX_MASK_SETS)
        self.weights: LRUCache[NetWeights] = LRUCache(MAX_WEIGHT_SETS)

    def load_picture(self, path: str) -> Picture:
        """Read a picture, as `images.reading.load_picture`."""
        key = str(path), file_hash(picture_file(path))
        return self.pictures.get(key, lambda: reading.load_picture(path))

    def resize(self, pixels: np.ndarray, size: Size) -> np.ndarray:
        """Resample `pixels` as `images.picture.resize`; the array must not change."""

        def make() -> tuple[np.ndarray, np.ndarray]:
            # The array is kept as well, so that no other array can get its id.
            return pixels, resize(pixels, size)

        return self.resized.get((id(pixels), size), make)[1]

    def load_masks(self, config: StyleConfig) -> RegionMasks:
        """Read the masks and maps of a run that has regions, as `read_masks`.

        Raises: ConfigError: also if `region_layers` names another region.
        """
        files = mask_files(config)
        crops = tuple(style.crop for style in config.style_sources())
        key = files, crops, tuple(file_hash(picture_file(path)) for path in files)
        masks = self.masks.get(key, lambda: read_masks(config, self.load_picture))
        check_region_names(config, masks)
        return masks

    def load_weights(
        self, net: str, source: str, layers: tuple[str, ...], preprocess: str
    ) -> NetWeights:
        """Read weights, as `networks.weights.load_weights`."""
        key = net, source, layers, preprocess, weights_hash(net, source)
        return self.weights.get(
            key, lambda: load_weights(net, source, layers, preprocess)
        )


@dataclasses.dataclass(frozen=True)
class InputPictures:
    """The pictures of a run at full size.

    content: cropped. styles: each `(height, width, 3)` in [0, 1], cropped, and with
        the colours of the content where the option `color` is one of `MATCHED`. init:
        the initial picture if it is a file. regions: of the content; none where the
        style applies to all of it.
    """

    content: Picture
    styles: tuple[np.ndarray, ...]
    init: Picture | None = None
    regions: tuple[Region, ...] = ()

    @property
    def sizes(self) -> tuple[Size, ...]:
        """(height, width) of the content and of each style."""
        return self.content.size, *(style.shape[:2] for style in self.styles)


def check_packages(config: StyleConfig) -> None:
    """Raise `ConfigError` if the run needs an extra that is not installed."""
    if config.optimizer == "scipy":
        require_package("scipy", "scipy", "optimizer scipy")


def read_pictures(
    config: StyleConfig, inputs: InputCache | None = None
) -> InputPictures:
    """Read the pictures that `config` names.

    inputs: the cache of several runs. Raises: ConfigError: the crop is outside the
        picture; ImageError: a picture cannot be read.
    """
    load = inputs.load_picture if inputs else reading.load_picture
    content = read_content(config.content, config.content_crop, inputs)
    styles = [
        read_style(style.picture, style.crop, inputs)
        for style in config.style_sources()
    ]
    if config.color in MATCHED:
        styles = [match_color(style, content.pixels, content.alpha) for style in styles]
    return InputPictures(
        content=content,
        styles=tuple(styles),
        init=(
            load_or_word(config.init, load, "init", INIT_WORDS)
            if config.has_init_file()
            else None
        ),
        regions=read_regions(config, content.alpha, inputs),
    )


def read_regions(
    config: StyleConfig, alpha: np.ndarray | None, inputs: InputCache | None = None
) -> tuple[Region, ...]:
    """Read the regions of a run; none where the style applies to the whole picture.

    alpha: of the content, cropped, if it has one.
    Raises: ConfigError, ImageError: a mask cannot be used, or there are
        `region_layers` and no regions.
    """
    check_regions_of_layers(config)
    if not config.has_regions():
        return ()
    masks = (inputs or InputCache()).load_masks(config)
    return fit_regions(config, masks, alpha)


def read_content(
    path: str, content_crop: str | None, inputs: InputCache | None = None
) -> Picture:
    """Read a content picture, cropped."""
    load = inputs.load_picture if inputs else reading.load_picture
    content = load(path)
    return content if content_crop is None else content.cropped(content_crop)


def read_content_size(path: str, content_crop: str | None) -> Size:
    """Return (height, width) of a content, cropped; only its header is read."""
    size = reading.picture_size(path)
    if content_crop is None:
        return size
    top, left, bottom, right = crop_box(content_crop, size)
    return bottom - top, right - left


def read_style(
    path: str, style_crop: str | None, inputs: InputCache | None = None
) -> np.ndarray:
    """Read the pixels of a style picture, cropped: `(height, width, 3)`."""
    load = inputs.load_picture if inputs else reading.load_picture
    style = load(path).pixels
    if style_crop is None:
        return style
    try:
        return crop(style, style_crop)
    except ConfigError as error:
        raise ConfigError(f"style_crop: {path}: {error}", option="style_crop") from None


def check_output_is_no_input(config: StyleConfig, output: str) -> None:
    """Refuse an output that is a picture which the run reads. Raises: ConfigError.

    It would be lost, and the run could not be resumed.
    """
    for name, path in config.picture_options().items():
        both = picture_file(path), output
        if all(os.path.exists(each) for each in both) and os.path.samefile(*both):
            raise ConfigError(
                f"output: {output} is the {name} picture of this run, which the result "
                "would replace. Name another file.",
                option="output",
            )


def load_config_weights(
    config: StyleConfig, inputs: InputCache | None = None
) -> NetWeights:
    """Read the weights of the layers that the run needs.

    Raises: WeightsError: they cannot be read, or are not those of the network.
    """
    architecture = get_architecture(config.net)
    layers = config.layers()
    if config.all_losses:
        layers = tuple(dict.fromkeys((*architecture.main_layers, *layers)))
    needed = architecture.layers_with_weights(layers)
    load = inputs.load_weights if inputs else load_weights
    return load(config.net, config.weights, needed, config.preprocess)
