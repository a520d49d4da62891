"""The losses of a result's file, to be held against those that its run recorded."""

from kstyle.errors import ConfigError
from kstyle.images import load_picture
from kstyle.job import Job, config_weights, read_pictures, result_path
from kstyle.losses import build_terms
from kstyle.shared import Shared
from kstyle.start import transfer

TOLERANCE = 0.01  # of the total loss: what rounding to 8 bits may change


def losses_of_result(record):
    """`{"loss", tag, "raw/" + tag: float}` of the picture file of a run's record.

    Raises: ConfigError: it is not of the run's size; ImageError, WeightsError.
    """
    config, folder = record["config"], record["folder"]
    content, style, start, scales = read_pictures(config)
    weights, path = config_weights(config), result_path(config, folder)
    job = Job(config, content, style, start, weights, scales, folder, path, config)
    picture, wanted = load_picture(path), job.content_at(config.size).shape[:2]
    if picture.size != wanted:
        raise ConfigError(
            f"{path} is {picture.size}, and the run's result was {wanted} (height, "
            "width). It is not the picture of this run."
        )
    terms = build_terms(config)
    model = transfer(job, config.size, Shared(), terms, picture.pixels)
    return {name: float(value) for name, value in model.measure().items()}
