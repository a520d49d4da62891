"""`StyleConfig`: every option of a run, its default and its limits, in one place.

The command line, YAML files, experiments and the record of a run all take their keys,
defaults and help texts from the fields below.
"""

from typing import Annotated, Any, Literal, Self, cast

import pydantic
import yaml
from pydantic import BeforeValidator, Field
from pydantic.config import JsonDict

from kstyle.config.finishes import FINISH_STEPS
from kstyle.config.layer_balance import (
    CONTENT_METHOD_FORMS,
    METHOD_FORMS,
    NORMALIZED,
)
from kstyle.config.looks import (
    DEFAULT_LOOK,
    DEFAULT_NET,
    LOOKS,
    NORMALIZED_CONTENT_LAYERS,
    NORMALIZED_STYLE_LAYERS,
    PLAIN_STYLE_LOSS,
    TV_WEIGHTS,
    LookName,
    implied_options,
    override_options,
)
from kstyle.config.option_checks import (
    check_balance,
    check_blend,
    check_built_in_network,
    check_crops,
    check_finish,
    check_keras_network,
    check_layers,
    check_losses,
    check_optimizer,
    check_region_layers,
    known_layers,
)
from kstyle.config.option_types import (
    Average,
    Count,
    CropText,
    DeviceOption,
    EdgeLength,
    FinishText,
    FitOption,
    Growth,
    IntervalOption,
    LayerWeights,
    LossNames,
    Natural,
    NetworkName,
    OptionalPathText,
    OptionalText,
    PathText,
    Positive,
    ScalesOption,
    Shares,
    ShortEdgeOption,
    Strength,
    TileOption,
    Weight,
    as_integer,
    named_option,
    one_of,
    validation_error,
)
from kstyle.config.strict_yaml import read_options
from kstyle.config.style_source import (
    REGION_WORDS,
    StyleSource,
    blend_shares,
    check_regions,
    fold_styles,
)
from kstyle.errors import ConfigError
from kstyle.losses.names import (
    CONTENT_LOSS_NAMES,
    STYLE_LOSS_NAMES,
    expand_loss_layers,
)
from kstyle.networks.registry import (
    NET_FORMS,
    get_architecture,
    is_built_in,
    is_model_file,
)
from kstyle.networks.weights import is_random

OptionGroup = Literal[
    "Pictures",
    "Style",
    "Network",
    "Loss",
    "Optimisation",
    "Memory",
    "Output",
    "Watching",
]
SAMPLE_CONTENT = "sample:coffee"
SAMPLE_STYLE = "sample:night"
INIT_WORDS = ("content", "noise")  # values of `init` that are no files


def option(
    default: Any,
    description: str,
    *,
    group: OptionGroup,
    is_basic: bool = False,
    affects_result: bool = True,
    is_path: bool = False,
    is_fitted: bool = False,
    is_later: bool = False,
) -> Any:
    """Declare an option, with what the rest of the package needs to know of it.

    group: where the help and the reference list it.
    is_basic: whether the short help lists it, for someone who has just begun.
    affects_result: whether another value gives another picture. A finished trial of
        an experiment is recognised by the options that do.
    is_path: whether the value can be the path of a file or folder.
    is_fitted: whether the value is changed where the run needs more memory than is
        free.
    is_later: whether the option was added after the first trials were recorded. While
        it has its default, which must mean what was done before, a trial's fingerprint
        leaves it out, so that those trials are recognised.
    """
    flags: JsonDict = {
        "group": group,
        "is_basic": is_basic,
        "affects_result": affects_result,
        "is_path": is_path,
        "is_fitted": is_fitted,
        "is_later": is_later,
    }
    return Field(default, description=description, json_schema_extra=flags)


class StyleConfig(pydantic.BaseModel):
    """Every option of one run, checked (`ConfigError`) and frozen."""

    model_config = pydantic.ConfigDict(
        extra="forbid", frozen=True, validate_default=True, hide_input_in_errors=False
    )

    content: PathText = option(
        SAMPLE_CONTENT,
        "content image: a file or sample:NAME",
        group="Pictures",
        is_path=True,
    )
    style: PathText = option(
        SAMPLE_STYLE,
        "style image: a file or sample:NAME",
        group="Pictures",
        is_path=True,
    )
    styles: tuple[StyleSource, ...] = option(
        (),
        "several style images that are blended, or have a region each, in place of "
        "style: a list of mappings with picture, size, crop and scale",
        group="Pictures",
        is_later=True,
    )
    blend: Shares = option(
        None,
        "shares of several style images, as 2,1; default: equal ones",
        group="Pictures",
        is_later=True,
    )
    region: OptionalPathText = option(
        None,
        "where in the content the style applies: a grey picture, alpha (of the "
        "content) or rest; what no region covers keeps the photograph; once for all "
        "styles or once for each",
        group="Pictures",
        is_path=True,
        is_later=True,
    )
    content_map: OptionalPathText = option(
        None,
        "colour-coded picture of the content's parts, each painted like the parts of "
        "that colour in --style-map",
        group="Pictures",
        is_path=True,
        is_later=True,
    )
    style_map: OptionalPathText = option(
        None,
        "colour-coded picture of the style's parts; of several styles, once for each "
        "or one for all",
        group="Pictures",
        is_path=True,
        is_later=True,
    )
    output: OptionalPathText = option(
        None,
        "file of the result; default: result.png in the run's folder",
        group="Output",
        is_basic=True,
        affects_result=False,
        is_path=True,
    )
    net: NetworkName = option(
        DEFAULT_NET,
        f"feature extraction network: {NET_FORMS}",
        is_path=True,
        group="Network",
    )
    pool: Literal["avg", "max"] = option(
        "avg", "pooling of the network", group="Network"
    )
    padding: Literal["same", "valid", "reflect", "replicate"] = option(
        "replicate", "padding of the convolutions", group="Network"
    )
    weights: PathText = option(
        "builtin",
        "weights of the network: builtin, keras (the file of keras.applications), "
        "random or random:SEED (drawn, not trained), or a file",
        group="Network",
        is_path=True,
    )
    preprocess: Literal["auto", "caffe", "tf", "torch", "none"] = option(
        "auto",
        "input that a network which is not built in expects: caffe (BGR less the "
        "mean), tf (-1..1), torch (less the mean, divided by the deviation), none "
        "(0..255) or auto (known for keras.applications)",
        group="Network",
        is_later=True,
    )
    content_layers: LayerWeights = option(
        NORMALIZED_CONTENT_LAYERS,
        "layers of the content loss, with weights, as conv4_2:1",
        group="Loss",
    )
    look: LookName = option(
        DEFAULT_LOOK,
        "how much of the painting: a weight of the style loss, which --style-weight "
        "replaces",
        group="Style",
        is_basic=True,
        affects_result=False,  # the style weight does
    )
    strength: Strength | None = option(
        None,
        "in place of the look: 0 (faithful) to 1 (pastiche)",
        group="Style",
        is_basic=True,
        affects_result=False,
    )
    style_layers: LayerWeights = option(
        NORMALIZED_STYLE_LAYERS,
        "layers of the style loss, with weights, as conv3_1:2,conv4_1:0.5, which are "
        "not normalized unless --style-weights says so",
        group="Style",
    )
    region_layers: dict[str, LayerWeights] = option(
        {},
        "layers of the style loss of single regions, with weights, in place of "
        "style_layers: {NAME: {conv3_1: 2}}, as normalized weights are solved",
        group="Pictures",
        is_later=True,
    )
    style_weights: Annotated[OptionalText, one_of(f"{METHOD_FORMS} or none")] = option(
        NORMALIZED,
        f"how to compute the style layers' weights at the start: {METHOD_FORMS}, or "
        "none",
        group="Style",
    )
    content_weights: Annotated[OptionalText, one_of(CONTENT_METHOD_FORMS)] = option(
        None,
        "how to compute the content layers' weights from the initial picture: "
        f"{CONTENT_METHOD_FORMS}",
        group="Loss",
        is_later=True,
    )
    convention: Literal[
        "reference", "gatys-paper", "gatys-code", "johnson", "keras-example"
    ] = option(
        "reference",
        "program or paper in whose convention the weights are given",
        group="Loss",
        is_later=True,
    )
    style_loss: LossNames = option(
        PLAIN_STYLE_LOSS,
        "statistic that the style loss compares, for all layers or one, as "
        f"wasserstein,conv1_1=gram: {', '.join(STYLE_LOSS_NAMES)}; gram where style "
        "layers, another network than VGG or weights that are not normalized are given",
        group="Style",
        is_later=True,
    )
    content_loss: LossNames = option(
        "mse",
        "content loss, for all layers or one, as mse,conv4_2=self-similarity: "
        f"{', '.join(CONTENT_LOSS_NAMES)}",
        group="Loss",
        is_later=True,
    )
    content_weight: Weight = option(8.0, "weight of the content loss", group="Loss")
    style_weight: Weight = option(
        LOOKS[DEFAULT_LOOK], "weight of the style loss", group="Style"
    )
    style_growth: Growth = option(
        0.0,
        "exponent g: at a coarser scale of edge E the style loss has (E / size)^g of "
        "its weight; 0 where the layers' weights are not normalized",
        group="Style",
        is_later=True,
    )
    tv_weight: Weight = option(
        TV_WEIGHTS["squared"], "weight of the total variation loss", group="Loss"
    )
    tv_loss: Literal["squared", "charbonnier"] = option(
        "squared",
        "what the total variation sums of the differences of neighbouring pixels: "
        "squared, or charbonnier, which smooths dots and spares contours; squared "
        "where a tv_weight is given without it",
        group="Loss",
        is_later=True,
    )
    palette_weight: Weight = option(
        0.0,
        "weight of the palette: pulls colours of the picture towards those of the "
        "style; 0: only the style layers do",
        group="Loss",
        is_later=True,
    )
    color: Literal["style", "keep", "match", "exact"] = option(
        "style",
        "colours of the result: style (as the loss makes them), keep (hue and chroma "
        "of the content), match (the style image takes the content's colours before "
        "the run) or exact (hue and chroma spread as in the style image)",
        group="Style",
        is_basic=True,
        is_later=True,
    )
    init: PathText = option(
        "content",
        "initial picture: content, noise or a file",
        group="Pictures",
        is_basic=True,
        is_path=True,
    )
    precision: Literal["auto", "float32", "bfloat16", "mixed"] = option(
        "auto",
        "precision of the network: float32, bfloat16, mixed (bfloat16 with the last "
        "steps in float32) or auto (bfloat16 where the machine is fast at it, else "
        "float32)",
        group="Network",
    )
    optimizer: Literal["lbfgs", "adam", "scipy"] = option(
        "lbfgs",
        "optimizer; scipy: SciPy's L-BFGS-B on pixels, for comparison",
        group="Optimisation",
    )
    learning_rate: Positive | None = option(
        None,
        "adam: step size in grey levels of 0..255 (default 5); lbfgs: factor on each "
        "step (default 1)",
        group="Optimisation",
    )
    parameterization: Literal["pixels", "pyramid", "fourier"] = option(
        # Chosen by looking at four pairs: shapes and colours appear in fewer steps,
        # with fewer isolated dots.
        "pyramid",
        "optimised variables: pixels, pyramid levels or Fourier coefficients",
        group="Optimisation",
    )
    average: Average = option(
        0.0,
        "adam: decay of the moving average of the pictures that ends a scale; 0: the "
        "last picture",
        group="Optimisation",
    )
    history: Count = option(
        10,
        "lbfgs, scipy: number of stored pairs of steps and gradient changes; a pair "
        "takes the memory of two pictures (scipy: eight)",
        group="Optimisation",
        is_fitted=True,
    )
    steps: Natural = option(
        60,
        "steps at the last scale, with one evaluation of the losses each",
        group="Optimisation",
        is_basic=True,
    )
    iterations: Count | None = option(
        None,
        "scipy: iterations at which a scale ends if its steps, which are evaluations, "
        "have not ended it",
        group="Optimisation",
        is_later=True,
    )
    size: EdgeLength = option(
        512, "long edge of the result in pixels", group="Pictures", is_basic=True
    )
    content_size: ShortEdgeOption = option(
        None,
        "short edge of the result in pixels, or original (that of the content image), "
        "in place of --size",
        group="Pictures",
        is_later=True,
    )
    content_crop: CropText = option(
        None,
        "part of the content image to use: left, center, right (a square) or X,Y,W,H "
        "in pixels or per cent",
        group="Pictures",
        is_later=True,
    )
    tile: TileOption = option(
        "off",
        "compute in tiles, which takes less memory and gives the same result up to "
        "rounding: off, whole (one tile: features are recomputed, not stored) or the "
        "edge of the tiles in pixels, at least 128",
        group="Memory",
        affects_result=False,
        is_fitted=True,
    )
    fit: FitOption = option(
        "auto",
        "if the run needs more memory than is free: auto (fewer L-BFGS pairs, then "
        "tiles) or off (stop with an error)",
        group="Memory",
    )
    scales: ScalesOption = option(
        "auto",
        "coarse to fine: auto, how many, or long edges a,b,c",
        group="Optimisation",
    )
    scale_steps: Count = option(60, "steps at each coarser scale", group="Optimisation")
    finish: FinishText = option(
        None,
        "steps after the last scale that pull the features of each place to the "
        f"nearest of the style: nearest, or nearest:STEPS (default {FINISH_STEPS})",
        group="Optimisation",
        is_later=True,
    )
    stop_when_still: Positive | None = option(
        None,
        "end a scale when the mean change of a pixel over 50 steps is below this many "
        "grey levels of 0..255",
        group="Optimisation",
    )
    time_limit: Positive | None = option(
        None,
        "seconds for all steps, divided among the scales like the work",
        group="Optimisation",
    )
    style_size: ShortEdgeOption = option(
        None,
        "short edge of the style image in pixels, or original; default: long edge of "
        "the result, at most 3 times its own; of several styles, once for all or once "
        "for each",
        group="Pictures",
    )
    style_crop: CropText = option(
        None,
        "part of the style image to use: left, center, right (a square) or X,Y,W,H in "
        "pixels or per cent; of several styles, once for all or once for each",
        group="Pictures",
    )
    style_scale: Annotated[Positive, Field(le=1000)] = option(
        1.0,
        "factor on the size of the style image; of several styles, once for all or "
        "once for each",
        group="Pictures",
    )
    seed: Annotated[Natural, Field(lt=2**32)] = option(
        0, "random seed of the noise init", group="Pictures"
    )
    device: DeviceOption = option(
        "auto", "device: auto, cpu, gpu or gpu:N", group="Memory", affects_result=False
    )
    logdir: PathText = option(
        "logs",
        "folder for the run's folder",
        group="Output",
        affects_result=False,
        is_path=True,
    )
    report_every: Count = option(
        10,
        "steps between logged rows of losses",
        group="Watching",
        affects_result=False,
    )
    snapshot_every: Natural = option(
        50,
        "steps between saved snapshots; 0: none",
        group="Watching",
        affects_result=False,
    )
    checkpoint_every: IntervalOption = option(
        "60s",
        "interval between checkpoints, for kstyle resume: steps (50), seconds (60s) "
        "or 0 for never",
        group="Output",
        affects_result=False,
    )
    log_gradients: bool = option(
        False,
        "log the gradient norm of each loss term (one backward pass per term)",
        group="Watching",
        affects_result=False,
    )
    all_losses: bool = option(
        False,
        "print the losses of every layer before the first step, unweighted and "
        "weighted",
        group="Watching",
        affects_result=False,
    )
    bits: Annotated[Literal[8, 16], BeforeValidator(as_integer)] = option(
        8,
        "bits per channel of the result (PNG, TIFF)",
        group="Output",
        affects_result=False,
    )
    quality: Annotated[Count, Field(le=100)] = option(
        95,
        "quality of a JPEG, WebP or AVIF result",
        group="Output",
        affects_result=False,
    )

    def __init__(self, **options: Any) -> None:
        try:
            super().__init__(**options)
        except pydantic.ValidationError as error:
            raise validation_error(error, type(self).model_fields) from None

    @pydantic.model_validator(mode="before")
    @classmethod
    def _add_implied(cls, options: dict[str, Any]) -> dict[str, Any]:
        options = fold_styles(options)
        return {**implied_options(options), **options}

    @pydantic.field_validator("content_layers", "style_layers")
    @classmethod
    def _expand_layers(
        cls, value: dict[str, float], info: pydantic.ValidationInfo
    ) -> dict[str, float]:
        if "net" not in info.data:  # it was refused
            return value
        with named_option(str(info.field_name)):
            return get_architecture(info.data["net"]).expand_layers(value)

    @pydantic.field_validator("region_layers")
    @classmethod
    def _expand_region_layers(
        cls, value: dict[str, dict[str, float]], info: pydantic.ValidationInfo
    ) -> dict[str, dict[str, float]]:
        if "net" not in info.data:  # it was refused
            return value
        with named_option("region_layers"):
            return {
                region: known_layers(info.data["net"], layers)
                for region, layers in value.items()
            }

    @pydantic.field_validator("style_loss", "content_loss")
    @classmethod
    def _expand_loss_layers(cls, value: str, info: pydantic.ValidationInfo) -> str:
        name = str(info.field_name)
        layers = info.data.get(name.replace("_loss", "_layers"))
        if "net" not in info.data or layers is None:  # it was refused
            return value
        with named_option(name):
            return expand_loss_layers(
                value, layers, lambda layer: known_layers(info.data["net"], {layer: 1})
            )

    @pydantic.model_validator(mode="after")
    def _check(self) -> Self:
        check_layers(self.net, self.content_layers, self.style_layers)
        check_losses(
            self.style_loss,
            self.style_layers,
            self.content_loss,
            self.content_layers,
            self.tv_loss,
            self.convention,
        )
        if not self.has_weight():
            raise ConfigError("Every weight is 0. Give content, style or tv a weight.")
        check_optimizer(
            self.optimizer,
            average=self.average,
            iterations=self.iterations,
            parameterization=self.parameterization,
            learning_rate=self.learning_rate,
        )
        if is_built_in(self.net):
            check_built_in_network(self.net, self.preprocess)
        else:
            check_keras_network(
                self.net,
                preprocess=self.preprocess,
                weights=self.weights,
                tile=self.tile,
                padding=self.padding,
                pool=self.pool,
            )
        if self.finish is not None:
            check_finish(self.finish, self.style_layers, self.style_weight)
        check_crops(self.content_crop, self.style_crop, [s.crop for s in self.styles])
        check_blend(self.blend, max(1, len(self.styles)))
        check_regions(self.style_sources(), self.content_map, self.blend)
        if self.has_regions():
            check_region_layers(self.style_layers, self.region_layers)
        check_balance(self.style_weights, self.content_weights, self.init)
        return self

    def possible_tile(self) -> str | int | None:
        """Return the option `tile`; `None` where the network has no tiles."""
        return self.tile if is_built_in(self.net) else None

    def layers(self) -> tuple[str, ...]:
        """List every layer that has a loss, each once."""
        return tuple(dict.fromkeys((*self.content_layers, *self.style_layers)))

    def has_weight(self) -> bool:
        """Return whether some loss has a weight that is not 0."""
        content = self.content_weight * max(self.content_layers.values(), default=0)
        style = self.style_weight * max(self.style_layers.values(), default=0)
        return max(content, style, self.palette_weight, self.tv_weight) > 0

    def has_weights_to_solve(self) -> bool:
        """Return whether weights of layers are to be solved at the start of the run."""
        return self.style_weights is not None or self.content_weights is not None

    def has_init_file(self) -> bool:
        """Return whether `init` is a file, not the content or noise."""
        return self.init not in INIT_WORDS

    def style_sources(self) -> tuple[StyleSource, ...]:
        """Return all styles, each with the size, crop and scale that it has."""
        styles = self.styles or (StyleSource(picture=self.style),)
        return tuple(
            StyleSource(
                picture=style.picture,
                size=self.style_size if style.size is None else style.size,
                crop=self.style_crop if style.crop is None else style.crop,
                scale=self.style_scale if style.scale is None else style.scale,
                region=style.region or self.region,
                map=style.map or self.style_map,
            )
            for style in styles
        )

    def has_regions(self) -> bool:
        """Return whether styles apply to regions of the content."""
        first = self.style_sources()[0]
        return first.region is not None or self.content_map is not None

    def layers_of_region(self, name: str) -> dict[str, float]:
        """Return the layers of the style loss of a region, with weights."""
        return self.region_layers.get(name, self.style_layers)

    def style_shares(self) -> tuple[float, ...]:
        """Return the share of each of `style_sources`; they add up to 1."""
        return blend_shares(self.blend, max(1, len(self.styles)))

    def picture_options(self) -> dict[str, str]:
        """Map the names of the pictures to their paths: "content", "style", "style 2"
        and so on, "region", "style map" and "content map" where there are files, and
        "init" where it is one."""
        found = {"content": self.content}
        for number, style in enumerate(self.style_sources(), start=1):
            suffix = f" {number}" if number > 1 else ""
            found[f"style{suffix}"] = style.picture
            if style.region and style.region not in (*REGION_WORDS, *found.values()):
                found[f"region{suffix}"] = style.region
            if style.map:
                found[f"style map{suffix}"] = style.map
        if self.content_map:
            found["content map"] = self.content_map
        if self.has_init_file():
            found["init"] = self.init
        return found

    def input_files(self) -> list[str]:
        """List the paths of the files that the run reads, samples and built-in
        weights left out."""
        pictures = self.picture_options().values()
        files = [path for path in pictures if not path.startswith("sample:")]
        is_file = self.weights not in ("builtin", "keras")
        is_file = is_file and not is_random(self.weights)
        files += [self.net] * is_model_file(self.net)
        return files + [self.weights] * is_file

    def result_options(self) -> dict[str, Any]:
        """Map the options that decide the result to their values, as JSON has them.

        Options that are `is_later` are left out where they have their default.
        """
        options = self.model_dump(mode="json", exclude=BOOKKEEPING_OPTIONS)
        fields = type(self).model_fields
        return {
            name: value
            for name, value in options.items()
            if name not in LATER_OPTIONS or getattr(self, name) != fields[name].default
        }

    def replace(self, **changes: Any) -> Self:
        """Return a checked copy with `changes`."""
        return type(self)(**override_options(self.model_dump(), changes))

    def to_yaml(self) -> str:
        """Write every option as YAML that `from_yaml` reads back to an equal config."""
        return yaml.safe_dump(self.model_dump(mode="json"), sort_keys=False)

    @classmethod
    def from_yaml(cls, text: str, **overrides: Any) -> Self:
        """Read the config of a YAML mapping `text`; `overrides` take precedence."""
        return cls(**override_options(read_options(text), overrides))


def option_flag(name: str, flag: str) -> Any:
    """Return what `option` was given for the keyword `flag` of the field `name`."""
    return cast(JsonDict, StyleConfig.model_fields[name].json_schema_extra)[flag]


def options_where(flag: str, value: bool = True) -> tuple[str, ...]:
    """List the options whose flag, a keyword of `option`, is `value`."""
    return tuple(
        name for name in StyleConfig.model_fields if option_flag(name, flag) is value
    )


# Where something is computed or written and how often, but not what.
BOOKKEEPING_OPTIONS = set(options_where("affects_result", False))
PATH_OPTIONS = options_where("is_path")
FITTED_OPTIONS = options_where("is_fitted")
LATER_OPTIONS = options_where("is_later")
