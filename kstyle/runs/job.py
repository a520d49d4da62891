"""Everything about a run that can be read and checked before TensorFlow is loaded."""

import contextlib
import dataclasses
import datetime
import logging
import math
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from kstyle.config.strict_yaml import read_config_file
from kstyle.config.style_config import FITTED_OPTIONS, StyleConfig
from kstyle.errors import ConfigError, ImageError
from kstyle.files import (
    check_no_web_address,
    file_hash,
    is_web_address,
    lock_folder,
    new_folder,
    remove_leftovers,
    write_text,
)
from kstyle.hardware.machine import THIS_MACHINE, Machine
from kstyle.hardware.precision import explain_precision, resolve_precision
from kstyle.images import writing
from kstyle.images.color_transfer import keep_color, match_palette
from kstyle.images.masks import resize_mask
from kstyle.images.picture import Picture, resize
from kstyle.images.region_overlay import overlay_regions
from kstyle.losses.conventions import (
    CONVENTIONS,
    REFERENCE,
    LayerSize,
    reference_layer_weights,
    reference_tv_weight,
)
from kstyle.networks.registry import get_architecture
from kstyle.networks.weights import NetWeights
from kstyle.planning.memory_fit import fit_memory, tile_after_memory_error
from kstyle.planning.regions import (
    Region,
    RegionAtScale,
    coverage,
    plan_regions,
    skipped_layers,
)
from kstyle.planning.scales import ScalePlan, Size, plan_scales_of_run
from kstyle.runs import checkpoint_file
from kstyle.runs.checkpoint_file import RunState
from kstyle.runs.inputs import (
    InputCache,
    InputPictures,
    check_output_is_no_input,
    check_packages,
    load_config_weights,
    read_pictures,
)
from kstyle.runs.provenance import read_run, result_hash

MAX_RESIZED_BYTES = 2**28  # of a resized picture; a larger one is not kept
# Letters of a picture's name in a folder's. Two names in 4-byte letters still fit the
# 255 bytes that a folder's name can have.
MAX_STEM = 24


@dataclasses.dataclass(frozen=True)
class Job:
    """A checked run: its config, pictures at full size, scales and folder.

    styles: each `(height, width, 3)` in [0, 1], already cropped. init_picture: the
        initial picture if it is a file. folder: of the run, made already. output: the
        path of the result. requested_config: the config before the layer weights were
        solved and the run was fitted to the memory. inputs: the cache of several runs
        with one style. regions: of the content; none where the style applies to all of
        it. max_resized_bytes: of a resized picture that is kept.
    """

    config: StyleConfig
    content: Picture
    styles: tuple[np.ndarray, ...]
    init_picture: Picture | None
    weights: NetWeights
    scales: tuple[ScalePlan, ...]
    folder: Path
    output: Path
    requested_config: StyleConfig
    inputs: InputCache | None = None
    max_resized_bytes: int = MAX_RESIZED_BYTES
    regions: tuple[Region, ...] = ()
    resized: dict[tuple[str | int, Size], np.ndarray] = dataclasses.field(
        default_factory=dict, repr=False, compare=False
    )

    def fitted_options(self) -> dict[str, object]:
        """Map the options that were changed to fit the memory to their values."""
        changed = {name: getattr(self.config, name) for name in FITTED_OPTIONS}
        return {
            name: value
            for name, value in changed.items()
            if value != getattr(self.requested_config, name)
        }

    def content_at(self, size: Size) -> np.ndarray:
        """Return the content resampled to `size`, (height, width)."""
        return self._resized("content", self.content.pixels, size, resize)

    def style_at(self, size: Size, number: int = 0) -> np.ndarray:
        """Return a style resampled to `size`, (height, width). number: from 0."""
        make = self.inputs.resize if self.inputs else resize
        return self._resized(number, self.styles[number], size, make)

    def styles_at(self, scale: ScalePlan) -> list[np.ndarray]:
        """Return every style at its size at `scale`."""
        sizes = enumerate(scale.style_sizes)
        return [self.style_at(size, number) for number, size in sizes]

    def regions_at(self, scale: ScalePlan) -> tuple[RegionAtScale, ...]:
        """Return the regions with the weights of the layers' positions at `scale`."""
        return plan_regions(self.config, self.regions, scale)

    def region_overlay(self, scale: ScalePlan) -> np.ndarray:
        """Return the content at `scale`, tinted by its regions."""
        size = scale.content_size
        masks = [resize_mask(region.mask, size) for region in self.regions]
        return overlay_regions(self.content_at(size), masks)

    def pixel_limits(self, size: Size) -> tuple[np.ndarray, np.ndarray] | None:
        """Return the lowest and highest values of the picture's pixels, of `size`.

        They are as far from the photograph as regions cover a pixel: what is not
        covered keeps it, and at a soft edge the style fades out. `None`: no limits.
        """
        covered = coverage(self.regions, size)
        if covered is None:
            return None
        content = self.content_at(size)
        low, high = (content + sign * covered[..., None] for sign in (-1, 1))
        return np.maximum(low, 0.0), np.minimum(high, 1.0)

    def recolored(self, pixels: np.ndarray) -> np.ndarray:
        """Return a picture of the run with the colours that its option `color` asks
        for, within the `pixel_limits`."""
        height, width = pixels.shape[:2]
        if self.config.color == "keep":
            pixels = keep_color(pixels, self.content_at((height, width)))
        elif self.config.color == "exact":
            pixels = self._with_palettes(pixels)
        else:
            return pixels
        limits = self.pixel_limits((height, width))
        return pixels if limits is None else np.clip(pixels, *limits)

    def _with_palettes(self, pixels: np.ndarray) -> np.ndarray:
        """Return a picture with the palette of the styles, by regions."""
        styles = self.styles_at(self.scales[-1])
        if not self.regions:
            return match_palette(pixels, styles, self.config.style_shares())
        height, width = pixels.shape[:2]
        masks = [resize_mask(each.mask, (height, width)) for each in self.regions]
        total = np.maximum(sum(masks), 1.0)
        result = pixels * (1 - sum(masks) / total)[..., None]
        for region, mask in zip(self.regions, masks, strict=True):
            own = [styles[n] for n in region.styles]
            recolored = match_palette(pixels, own, region.shares, weights=mask)
            result += recolored * (mask / total)[..., None]
        return result

    def _resized(
        self,
        name: str | int,
        pixels: np.ndarray,
        size: Size,
        make: Callable[[np.ndarray, Size], np.ndarray],
    ) -> np.ndarray:
        key = name, size
        if key in self.resized:
            return self.resized[key]
        found = make(pixels, size)
        if found.nbytes <= self.max_resized_bytes:
            self.resized[key] = found
        return found


def prepare(
    config: StyleConfig,
    *,
    requested_config: StyleConfig | None = None,
    overwrite: bool = False,
    folder: str | Path | None = None,
    inputs: InputCache | None = None,
    state: RunState | None = None,
    machine: Machine = THIS_MACHINE,
) -> Job:
    """Read pictures and weights, check all that can be checked, make the folder.

    requested_config: the config before it was fitted to the memory, if it was.
    overwrite: whether an existing `config.output` may be replaced.
    folder: of the run; by default a new one in `config.logdir`.
    inputs: the cache of several runs, so that nothing is read twice.
    state: the checkpoint that this run continues from: the weights that were solved
        and the options that were fitted at its start stay as they are.
    machine: the facts that decide precision and memory.
    Raises: ConfigError, ImageError, WeightsError: with the one sentence that the user
        needs. In that case nothing was written.
    """
    wanted = config.precision
    precision = resolve_precision(wanted, config.device, machine)
    config = config.replace(precision=precision)
    requested_config = requested_config or config
    if state is not None:
        config = StyleConfig(**state.fingerprint["config"])
        requested_config = StyleConfig(**state.requested_options)
    pictures, weights = read_inputs(config, overwrite=overwrite, inputs=inputs)
    available = machine.available_bytes(config.device)
    resumed = state is not None
    config = fit_memory(config, *pictures.sizes, available=available, resumed=resumed)
    scales = plan_scales_of_run(config, *pictures.sizes)
    config = in_reference_convention(config, scales[-1].content_size)
    for sentence in skipped_layers(config, pictures.regions, scales):
        logging.getLogger("kstyle").warning(sentence)
    folder = make_run_folder(config, folder)
    job = Job(
        config=config,
        content=pictures.content,
        styles=pictures.styles,
        regions=pictures.regions,
        init_picture=pictures.init,
        weights=weights,
        scales=scales,
        folder=folder,
        output=result_path(config.output, folder),
        requested_config=requested_config,
        inputs=inputs,
    )
    if state is not None:
        checkpoint_file.check_checkpoint_fits(state, scales, folder)
    explain_precision(wanted, config.device, machine)
    return job


def in_reference_convention(config: StyleConfig, size: Size) -> StyleConfig:
    """Return the config with its weights translated to the convention `reference`.

    size: (height, width) of the result, which factors of some conventions depend on.
    """
    if config.convention == REFERENCE:
        return config
    convention, pixels = CONVENTIONS[config.convention], math.prod(size)
    sizes = {
        row.name: LayerSize(row.height * row.width, row.channels)
        for row in get_architecture(config.net).table(size, config.padding)
    }
    return config.replace(
        convention=REFERENCE,
        style_weights=config.style_weights,
        style_growth=config.style_growth,
        tv_loss=config.tv_loss,
        content_layers=reference_layer_weights(
            convention.content, config.content_layers, sizes, pixels
        ),
        style_layers=reference_layer_weights(
            convention.style, config.style_layers, sizes, pixels
        ),
        tv_weight=reference_tv_weight(convention.tv, config.tv_weight, pixels),
    )


def job_in_tiles(job: Job) -> Job | None:
    """Return the job with tiles, after an out-of-memory error, and write the option to
    its config.yaml.

    Returns: `None` where tiles are not allowed, are there already, or could not help.
    """
    tile = tile_after_memory_error(
        job.config.fit, job.config.possible_tile(), job.scales[-1].longest_edge
    )
    if tile is None:
        return None
    config = job.config.replace(tile=tile)
    sizes = [style.shape[:2] for style in job.styles]
    scales = plan_scales_of_run(config, job.content.size, *sizes)
    make_run_folder(config, job.folder)
    return dataclasses.replace(job, config=config, scales=scales)


def result_path(output: str | None, folder: str | Path) -> Path:
    """Return the path of the picture of the run in `folder`. output: the option."""
    return Path(output) if output else Path(folder) / "result.png"


def read_inputs(
    config: StyleConfig, *, overwrite: bool = False, inputs: InputCache | None = None
) -> tuple[InputPictures, NetWeights]:
    """Read the pictures and weights of `config` and check that its output can be
    written."""
    check_packages(config)
    pictures = read_pictures(config, inputs)
    if config.output is not None:
        check_output_is_no_input(config, config.output)
        has_alpha = pictures.content.alpha is not None
        writing.check_writable(
            config.output, bits=config.bits, alpha=has_alpha, overwrite=overwrite
        )
    return pictures, load_config_weights(config, inputs)


def new_run_folder(logdir: str, name: str) -> Path:
    """Make a new folder in `logdir`, named by the time and `name`, a `run_name`.

    Raises: ConfigError: it cannot be made.
    """
    check_folder_name(logdir)
    now = datetime.datetime.now().strftime("%Y%m%d-%H%M%S")
    with explained_folder_errors(logdir):
        return new_folder(logdir, f"{now}-{name}")


def make_run_folder(config: StyleConfig, folder: str | Path | None = None) -> Path:
    """Make the run's folder, a new one in `logdir` unless given, with config.yaml."""
    if folder is None:
        folder = new_run_folder(config.logdir, run_name(config))
    folder = Path(folder)
    check_folder_name(folder)
    with explained_folder_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
        path, text = folder / "config.yaml", config.to_yaml()
        # A resumed run has it, perhaps under a comment on solved weights.
        if not (path.exists() and path.read_text(encoding="utf-8").endswith(text)):
            write_text(path, text)
    return folder


def check_logdir(logdir: str) -> None:
    """Check that a run's folder can be made in `logdir`; nothing is changed.

    Raises: ConfigError: it cannot.
    """
    check_folder_name(logdir)
    try:
        writing.check_target(Path(logdir) / "run")
    except ImageError as error:
        raise ConfigError(f"logdir: {error}", option="logdir") from None


def check_folder_name(folder: str | Path) -> None:
    """Raise `ConfigError` for a folder into which TensorFlow cannot write events."""
    if is_web_address(folder):
        raise ConfigError(f"{folder} is a web address. Name a folder with --logdir.")
    try:
        str(folder).encode("utf-8")
    except UnicodeEncodeError:
        raise ConfigError(
            f"The name of the folder {str(folder)!r} is not UTF-8, and TensorFlow "
            "writes its event files only to such. Name another with --logdir."
        ) from None


@contextlib.contextmanager
def explained_folder_errors(folder: str | Path) -> Iterator[None]:
    """Turn an error of the file system into a `ConfigError` that names `folder`."""
    try:
        yield
    except (OSError, ValueError) as error:  # ValueError: a NUL in the name
        raise ConfigError(
            f"Cannot make a run's folder in {str(folder)!r}: "
            f"{getattr(error, 'strerror', None) or error}. Name another with --logdir."
        ) from None


def run_name(config: StyleConfig) -> str:
    """Return the name of a run's folder without its time."""
    return f"{safe_stem(config.content)}-{style_name(config)}-{safe_stem(config.net)}"


def style_name(config: StyleConfig) -> str:
    """Return a short name of the style, or of several as a+b, safe as a folder's."""
    names = [safe_stem(style.picture) for style in config.style_sources()]
    return "+".join(names)[:MAX_STEM]


def safe_stem(path: str) -> str:
    """Return a short name of the picture `path` that is safe as a folder's name."""
    name = Path(path.removeprefix("sample:")).stem[:MAX_STEM]
    return "".join(c if c.isalnum() or c in "._" else "_" for c in name)


def reopen_run(
    folder: str | Path, *, overwrite: bool = False, machine: Machine = THIS_MACHINE
) -> tuple[Job | None, RunState | None]:
    """Return the job and the checkpoint with which to continue the run in `folder`.

    The job is `None` where the run is finished; the checkpoint is `None` where there
    is none yet, and the run starts again in its folder.
    overwrite: whether an existing `config.output` may be replaced, also if it is not
        the file that this run has written. machine: as for `prepare`.
    Raises: ConfigError, ImageError, WeightsError: the folder is not a run's or is in
        use, or its options, pictures or weights are not those of the checkpoint.
    """
    check_no_web_address(folder)
    folder = Path(folder)
    if not (folder / "config.yaml").is_file():
        raise ConfigError(
            f"{folder} is not a run's folder: it has no config.yaml. Name one of logs/."
        )
    with lock_folder(folder):
        remove_leftovers(folder)
        config = StyleConfig(**read_config_file(folder / "config.yaml"))
        state = checkpoint_file.read_checkpoint(folder)
        if is_ended(folder, config):
            return None, None
        if state is not None:
            state = checkpoint_file.with_tile_option(state, config.tile)
            checkpoint_file.check_fingerprint(state, config, folder)
        overwrite = overwrite or has_written_output(folder, config.output)
        job = prepare(
            config, overwrite=overwrite, folder=folder, state=state, machine=machine
        )
    return job, state


def has_written_output(folder: Path, output: str | None) -> bool:
    """Return whether `output` is the file that the run in `folder` has written, as
    Ctrl-C makes it do."""
    if output is None:
        return False
    return result_hash(folder) == file_hash(output)


def is_ended(folder: Path, config: StyleConfig) -> bool:
    """Return whether the run in `folder` has ended and its result is there.

    Raises: ConfigError: it has diverged, as it would again.
    """
    try:
        record = read_run(folder)
    except ConfigError:  # it has not begun
        return False
    path = result_path(config.output, folder)
    if record["config"] != config or not path.exists():
        return False
    if record["exit"] == "diverged":
        raise ConfigError(
            f"{folder} has diverged, as it would again. Its best picture is {path}. "
            "Start another run, with a smaller --learning-rate or smaller weights."
        )
    return record["exit"] == "finished"
