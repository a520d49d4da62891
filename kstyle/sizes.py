"""The sizes of a run: of its style picture, and of its scales. Arithmetic only."""

from kstyle.deep import MAX_PIXELS
from kstyle.errors import ConfigError
from kstyle.layers import minimum_size
from kstyle.resize import fit_long_edge, scaled
from kstyle.schedule import plan_scales


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
    wanted = (config.size, config.steps, config.scales, config.scale_steps)
    scales = plan_scales(*wanted, config.precision)
    least = minimum_size(config.net, config.layers(), config.padding)

    def sizes(edge):
        shapes = fit_long_edge(content, edge), style_size(config, style, edge)
        return dict(zip(("content", "style"), shapes, strict=True))

    if config.scales == "auto":
        fits = [min(map(min, sizes(s.edge).values())) >= least for s in scales]
        scales = scales[fits.index(True) if any(fits) else -1 :]
    for edge in (scale.edge for scale in scales):
        for name, (height, width) in sizes(edge).items():
            if height * width > MAX_PIXELS:
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
