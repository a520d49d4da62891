"""Pictures and weights that several runs read, each from its file once."""

from kstyle import images
from kstyle.fingerprints import file_hash
from kstyle.recent import Recent
from kstyle.resize import resize
from kstyle.sample_pictures import picture_file
from kstyle.weights import load_weights

PICTURES = 2**28  # bytes: a painting of 20 megapixels, or a hundred small ones
SIZES = 2**26  # bytes: of paintings, as large as the results
WEIGHTS = 2  # a VGG19 down to conv5_1 is 50 MB


class Shelf:
    """What was read last, by its file's hash: a file that has changed is read anew."""

    def __init__(self):
        self.pictures = Recent(PICTURES, lambda picture: picture.pixels.nbytes)
        self.sizes = Recent(SIZES, lambda pair: pair[1].nbytes)
        self.loaded = Recent(WEIGHTS)

    def picture(self, path):
        """As `images.load_picture`."""
        key = str(path), file_hash(picture_file(path))
        return self.pictures.get(key, lambda: images.load_picture(path))

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
