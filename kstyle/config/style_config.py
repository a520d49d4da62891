"""`StyleConfig`: every option of a run, its default and its limits, in one place.

The command line, YAML files, experiments and the record of a run all take their keys,
defaults and help texts from the fields below.
"""

from typing import Annotated, Literal

import pydantic
import yaml
from pydantic import BeforeValidator, Field

from kstyle.config.layer_balance import METHOD_FORMS, parse_balance_method
from kstyle.config.option_types import (
    Average,
    Count,
    DeviceOption,
    EdgeLength,
    FitOption,
    IntervalOption,
    LayerWeights,
    Natural,
    Positive,
    ScalesOption,
    TileOption,
    Weight,
    as_integer,
    empty_as_none,
    explain_validation,
)
from kstyle.config.strict_yaml import read_options
from kstyle.errors import ConfigError
from kstyle.images.picture import parse_crop
from kstyle.networks.vgg import check_layers

SAMPLE_CONTENT = "sample:coffee"
SAMPLE_STYLE = "sample:night"


class StyleConfig(pydantic.BaseModel):
    """One run of `stylize`. Frozen, and checked when made (`ConfigError`)."""

    model_config = pydantic.ConfigDict(
        extra="forbid", frozen=True, validate_default=True, hide_input_in_errors=False
    )

    content: str = Field(
        SAMPLE_CONTENT, description="photograph: a file or sample:NAME"
    )
    style: str = Field(SAMPLE_STYLE, description="painting: a file or sample:NAME")
    output: str | None = Field(
        None,
        description="where the picture goes; default: result.png in the run's folder",
    )
    net: Literal["vgg16", "vgg19"] = Field(
        "vgg19", description="the network that looks"
    )
    pool: Literal["avg", "max"] = Field("avg", description="pooling of the network")
    padding: Literal["same", "valid", "reflect", "replicate"] = Field(
        "replicate", description="padding of its convolutions"
    )
    weights: str = Field(
        "builtin", description="builtin, keras (keras.applications' file) or a file"
    )
    content_layers: LayerWeights = Field(
        {"conv4_2": 1.0}, description="layers that keep the content, as conv4_2:1"
    )
    style_layers: LayerWeights = Field(
        # Judged by eye. With equal weights conv4_1 is 95 % of the initial loss of the
        # samples at 128 px, and on them colours went astray.
        {"conv1_1": 20, "conv2_1": 4, "conv3_1": 2, "conv4_1": 0.3, "conv5_1": 20},
        description="layers that carry the style, as conv3_1:2,conv4_1:0.5",
    )
    style_weights: Annotated[str | None, BeforeValidator(empty_as_none)] = Field(
        None, description=f"solve the layers' weights at the start: {METHOD_FORMS}"
    )
    content_weight: Weight = Field(8.0, description="weight of the content")
    style_weight: Weight = Field(100.0, description="weight of the style")
    tv_weight: Weight = Field(120.0, description="weight of the total variation")
    init: str = Field("content", description="start from: content, noise or a file")
    precision: Literal["auto", "float32", "bfloat16", "mixed"] = Field(
        "auto",
        description="of the network: float32, bfloat16, mixed (bfloat16 with the last "
        "steps in float32) or auto (bfloat16 where that is fast, or float32)",
    )
    optimizer: Literal["lbfgs", "adam"] = Field("lbfgs", description="the optimiser")
    learning_rate: Positive | None = Field(
        None,
        description="adam: grey levels of 0..255 (default 5); lbfgs: factor (or 1)",
    )
    parameterization: Literal["pixels", "pyramid", "fourier"] = Field(
        # Judged on four pairs: forms and colours come sooner, fewer dots are left.
        "pyramid",
        description="what moves: the picture's pixels, the levels of a pyramid or "
        "frequencies",
    )
    average: Average = Field(
        0.0,
        description="adam: end a scale at the moving average of its pictures, each "
        "counting this much of the next; 0: at the last",
    )
    history: Count = Field(
        10, description="lbfgs: pairs of steps that it keeps, each two more pictures"
    )
    steps: Natural = Field(
        60, description="steps at the last scale, one evaluation of the loss each"
    )
    size: EdgeLength = Field(512, description="long edge of the result in pixels")
    tile: TileOption = Field(
        "off",
        description="less memory, the same result: off, whole (features are computed "
        "again, not kept), or in tiles: their edge in pixels from 128 up",
    )
    fit: FitOption = Field(
        "auto",
        description="where memory would not do: auto (fewer L-BFGS pairs, then --tile) "
        "or off (refuse)",
    )
    scales: ScalesOption = Field(
        "auto", description="coarse to fine: auto, how many, or long edges a,b,c"
    )
    scale_steps: Count = Field(60, description="steps at each coarser scale")
    stop_when_still: Positive | None = Field(
        None,
        description="end a scale when the mean change of 50 steps is below this many "
        "grey levels of 0..255",
    )
    time_limit: Positive | None = Field(
        None,
        description="seconds for all steps; the scales share them as the steps would",
    )
    style_size: Annotated[
        Literal["original"] | EdgeLength | None, BeforeValidator(empty_as_none)
    ] = Field(
        None,
        description="short edge of the style picture in pixels, or original; "
        "default: its long edge is --size, never enlarged",
    )
    style_crop: Annotated[str | None, BeforeValidator(empty_as_none)] = Field(
        None,
        description="part of the style picture: left, center, right (a square) or "
        "X,Y,W,H in pixels or per cent",
    )
    style_scale: Annotated[Positive, Field(le=1000)] = Field(
        1.0, description="factor on the style picture's size"
    )
    seed: Annotated[Natural, Field(lt=2**32)] = Field(
        0, description="of the noise init"
    )
    device: DeviceOption = Field(
        "auto", description="where it is computed: auto, cpu, gpu or gpu:N"
    )
    logdir: str = Field("logs", description="folder that the run's folder is made in")
    report_every: Count = Field(
        10, description="steps from one logged row of losses to the next"
    )
    snapshot_every: Natural = Field(
        50, description="steps from one saved picture to the next; 0: none"
    )
    checkpoint_every: IntervalOption = Field(
        "60s",
        description="from one saved state to the next, for kstyle resume: steps (50), "
        "seconds (60s), or 0 for never",
    )
    log_gradients: bool = Field(
        False, description="log each term's gradient norm (a backward pass a term)"
    )
    all_losses: bool = Field(
        False, description="first print the unweighted losses of every layer"
    )
    bits: Annotated[Literal[8, 16], BeforeValidator(as_integer)] = Field(
        8, description="per channel of the result (PNG, TIFF)"
    )
    quality: Annotated[Count, Field(le=100)] = Field(
        95, description="of a JPEG or WebP result"
    )

    def __init__(self, **options):
        try:
            super().__init__(**options)
        except pydantic.ValidationError as error:
            raise ConfigError(
                explain_validation(error, type(self).model_fields)
            ) from None

    @pydantic.model_validator(mode="after")
    def _check(self):
        check_layers(self.net, (*self.content_layers, *self.style_layers))
        if not self.layers():
            raise ConfigError("No layers: give content_layers or style_layers.")
        if not self.wants_something():
            raise ConfigError("Every weight is 0. Give content, style or tv a weight.")
        if self.average and self.optimizer != "adam":
            raise ConfigError("average is Adam's. Leave it out, or use optimizer adam.")
        if self.style_crop is not None:
            parse_crop(self.style_crop)
        if self.style_weights is not None:
            parse_balance_method(self.style_weights)
        return self

    def layers(self):
        """Every layer that some loss looks at."""
        return tuple(dict.fromkeys((*self.content_layers, *self.style_layers)))

    def wants_something(self):
        """Whether there is anything to optimise: some weight that is not 0."""
        content = self.content_weight * max(self.content_layers.values(), default=0)
        style = self.style_weight * max(self.style_layers.values(), default=0)
        return max(content, style, self.tv_weight) > 0

    def replace(self, **changes):
        """A checked copy with `changes`."""
        return type(self)(**{**self.model_dump(), **changes})

    def to_yaml(self):
        """Every option as YAML that `from_yaml` reads back to an equal config."""
        return yaml.safe_dump(self.model_dump(mode="json"), sort_keys=False)

    @classmethod
    def from_yaml(cls, text, **overrides):
        """The config of a YAML mapping `text`, with `overrides` before it."""
        return cls(**{**read_options(text), **overrides})
