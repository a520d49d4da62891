"""What a user chooses on the page, and the `StyleConfig` that it makes."""

import dataclasses
import math
from pathlib import Path
from typing import Any

import yaml

from kstyle.app.messages import Ready
from kstyle.config.looks import (
    DEFAULT_LOOK,
    NORMALIZED_GROWTH,
    NORMALIZED_STYLE_LAYERS,
)
from kstyle.config.strict_yaml import read_options
from kstyle.config.style_config import FITTED_OPTIONS, StyleConfig
from kstyle.config.style_source import REGION_WORDS, REST
from kstyle.errors import ConfigError
from kstyle.images.picture import crop_box
from kstyle.images.reading import picture_size
from kstyle.planning.estimates import Estimate, cost_model, estimate_run
from kstyle.planning.memory_fit import fit_memory
from kstyle.planning.scales import Size, plan_scales_of_run

# Steps at the full size and at each coarser one.
EFFORTS = {"quick": 20, "normal": 60, "thorough": 200}
APP_SIZES = (192, 256, 384, 512, 768, 1024, 1536, 2048)  # long edges offered, px
# Options that the places of the page stand for.
STYLE_OPTIONS = ("style", "styles", "blend", "region", "content_map", "style_map")
OWN_STEPS = "own"  # the effort of a run with other steps
FIRST_SIZE = 256  # of the picture for somebody who wants to see one first, px
# Options that belong to the page or the machine, not to a picture.
APP_OPTIONS = ("logdir", "output", "device", "all_losses")


@dataclasses.dataclass
class PaintSettings:
    """The choices of the page.

    content, style: paths, or `sample:NAME`; "" before one is chosen. second: another
    painting, or "". share: that of the second one, where both are mixed. mask: a grey
    picture of where the second painting applies and the first does not; of a single
    painting, where that applies and the photograph stays elsewhere. strength: in place
    of the look, 0 to 1. effort: a key of `EFFORTS`, or `OWN_STEPS` if
    `more` has them.
    more: other options, as YAML.
    """

    content: str = ""
    style: str = ""
    second: str = ""
    share: float = 0.5
    mask: str = ""
    look: str = DEFAULT_LOOK
    strength: float | None = None
    size: int = 512
    color: str = "style"
    effort: str = "normal"
    more: str = ""

    def config(self, logdir: str | Path) -> StyleConfig:
        """Return the config of these choices; options in `more` have priority.

        Raises: ConfigError: a picture is missing, or an option is not valid.
        """
        if not self.content or not self.style:
            missing = "photograph" if not self.content else "painting"
            raise ConfigError(f"Choose a {missing} first.")
        options: dict[str, Any] = {
            "content": self.content,
            **self.style_options(),
            "size": self.size,
            "color": self.color,
            "logdir": str(logdir),
        }
        if self.strength is None:
            options["look"] = self.look
        else:
            options["strength"] = self.strength
        if self.effort in EFFORTS:
            options["steps"] = options["scale_steps"] = EFFORTS[self.effort]
        more = read_options(self.more) if self.more.strip() else {}
        for name in ("content", *STYLE_OPTIONS, *APP_OPTIONS):
            if name in more:
                raise ConfigError(
                    f"{name} is not an option of the app. Leave it out.", option=name
                )
        config = StyleConfig(**{**options, **more})
        own = {self.content, self.style, self.second, self.mask}
        others = set(config.input_files()) - own
        if others:
            raise ConfigError(
                f"The app reads uploaded pictures only, not {', '.join(others)}. Use "
                "kstyle stylize for other files."
            )
        return config

    def style_options(self) -> dict[str, Any]:
        """Return the options of the paintings and of where they apply."""
        if not self.second:
            region = {"region": self.mask} if self.mask else {}
            return {"style": self.style, **region}
        first, second = {"picture": self.style}, {"picture": self.second}
        if self.mask:
            regions = {"region": REST}, {"region": self.mask}
            return {"styles": [first | regions[0], second | regions[1]]}
        return {"styles": [first, second], "blend": [1 - self.share, self.share]}

    @classmethod
    def from_config(cls, config: StyleConfig) -> "PaintSettings":
        """Return the choices that repeat a run.

        Weights that were solved at its start are solved again; everything else that
        differs from the defaults is in `more`. Of more than two paintings the others
        are left out.
        """
        sources = config.style_sources()
        found = cls(
            content=config.content,
            style=sources[0].picture,
            look=config.look,
            strength=config.strength,
            size=config.size,
            color=config.color,
        )
        names = [
            name
            for name, count in EFFORTS.items()
            if config.steps == config.scale_steps == count
        ]
        found.effort = names[0] if names else OWN_STEPS
        if len(sources) > 1:
            found.second = sources[1].picture
            found.share = round(config.style_shares()[1], 2)
        region = sources[-1].region if len(sources) < 3 else None
        if region is not None and region not in REGION_WORDS:
            found.mask = region
        left_out = {*APP_OPTIONS, *STYLE_OPTIONS, *FITTED_OPTIONS, "precision"}
        if has_default_layers(config):
            left_out |= {"style_layers", "style_weights"}
        base = found.config(config.logdir).model_dump(mode="json")
        options = {
            name: value
            for name, value in config.model_dump(mode="json").items()
            if name not in left_out and value != base[name]
        }
        if options:
            found.more = yaml.safe_dump(options, sort_keys=False)
        return found


def sample_settings() -> PaintSettings:
    """Return the choices for a first picture: two samples, small."""
    pictures = (StyleConfig.model_fields[name].default for name in ("content", "style"))
    content, style = pictures
    return PaintSettings(content=content, style=style, size=FIRST_SIZE)


def has_default_layers(config: StyleConfig) -> bool:
    """Return whether the weights of a run's style layers were solved from the defaults:
    they are numbers in its record."""
    same_layers = set(config.style_layers) == set(NORMALIZED_STYLE_LAYERS)
    return same_layers and config.style_growth == NORMALIZED_GROWTH


@dataclasses.dataclass(frozen=True)
class RunForecast:
    """What a run will take. size: (height, width) of the result.

    estimate: its `seconds` are NaN before the machine is measured. available_bytes:
    `None`: unknown. shortage: why the memory does not suffice. fitted: the options that
    are changed so that it does, as text.
    """

    size: Size
    estimate: Estimate
    available_bytes: int | None
    shortage: str | None = None
    fitted: str | None = None


def forecast(config: StyleConfig, machine: Ready | None) -> RunForecast:
    """Estimate the time and memory of a run without loading TensorFlow.

    Raises: ConfigError, ImageError: it cannot run.
    """
    content = used_size(config.content, config.content_crop)
    styles = [used_size(style.picture, style.crop) for style in config.style_sources()]
    precision = machine.precision if machine is not None else "float32"
    if config.precision == "auto":
        config = config.replace(precision=precision)
    available = None if machine is None else machine.available_bytes
    shortage = fitted = None
    try:
        changed = fit_memory(config, content, *styles, available=available)
        differing = [n for n in FITTED_OPTIONS if vars(changed)[n] != vars(config)[n]]
        fitted = ", ".join(f"{n} {vars(changed)[n]}" for n in differing) or None
        config = changed
    except ConfigError as error:
        shortage = str(error)
    scales = plan_scales_of_run(config, content, *styles)
    speeds = {} if machine is None else machine.seconds_per_gflop
    slowest = max(speeds.values(), default=math.nan)
    estimate = estimate_run(
        cost_model(config), scales, lambda name: speeds.get(name, slowest)
    )
    return RunForecast(scales[-1].content_size, estimate, available, shortage, fitted)


def used_size(path: str, part: str | None) -> Size:
    """Return `(height, width)` of what a run uses of a picture file. part: the crop."""
    size = picture_size(path)
    if part is None:
        return size
    top, left, bottom, right = crop_box(part, size)
    return bottom - top, right - left
