"""Pictures and weights that several runs read, each from its file once."""

from kstyle.images import reading
from kstyle.images.picture import crop, resize
from kstyle.images.samples import picture_file
from kstyle.lru_cache import LRUCache
from kstyle.networks.registry import get_architecture
from kstyle.networks.weights import load_weights
from kstyle.planning.scales import usable_scales
from kstyle.runs.provenance import file_hash


def read_pictures(config, shelf=None):
    """The content `Picture`, the style's pixels, the init file's, and the scales.

    Raises: ConfigError, ImageError: a picture cannot be used, or not for these layers.
    """
    read = shelf.picture if shelf else reading.load_picture
    content, style, start = read(config.content), read_style(config, shelf), None
    if config.has_init_file():
        start = read(config.init)
    return content, style, start, usable_scales(config, content.size, style.shape[:2])


def read_style(config, shelf=None):
    """The pixels of the style picture, cropped: `(height, width, 3)`."""
    read = shelf.picture if shelf else reading.load_picture
    style = read(config.style).pixels
    return style if config.style_crop is None else crop(style, config.style_crop)


def load_config_weights(config, shelf=None):
    """The checked weights of the convolutions that the run needs."""
    architecture = get_architecture(config.net)
    layers = architecture.layer_names if config.all_losses else config.layers()
    convs = [layer.name for layer in architecture.trunk(layers) if layer.is_conv]
    load = shelf.weights if shelf else load_weights
    return load(config.net, config.weights, convs)


MAX_PICTURE_BYTES = 2**28  # bytes: a painting of 20 megapixels, or a hundred small ones
MAX_STYLE_BYTES = 2**26  # bytes: of paintings, as large as the results
MAX_WEIGHT_SETS = 2  # a VGG19 down to conv5_1 is 50 MB


class InputCache:
    """What was read last, by its file's hash: a file that has changed is read anew."""

    def __init__(self):
        self.pictures = LRUCache(
            MAX_PICTURE_BYTES, lambda picture: picture.pixels.nbytes
        )
        self.sizes = LRUCache(MAX_STYLE_BYTES, lambda pair: pair[1].nbytes)
        self.loaded = LRUCache(MAX_WEIGHT_SETS)

    def picture(self, path):
        """As `images.load_picture`."""
        key = str(path), file_hash(picture_file(path))
        return self.pictures.get(key, lambda: reading.load_picture(path))

    def resized(self, pixels, size):
        """As `resize.resize`, of an array that nobody changes."""

        def make():
            # The array as well, so that no other can have its id.
            return pixels, resize(pixels, size)

        return self.sizes.get((id(pixels), size), make)[1]

    def weights(self, net, source, layers):
        """As `weights.load_weights`."""
        key = net, source, tuple(layers), source != "builtin" and file_hash(source)
        return self.loaded.get(key, lambda: load_weights(net, source, layers))
