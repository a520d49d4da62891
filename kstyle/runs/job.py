"""Everything about a run that can be read and checked before TensorFlow is loaded."""

import contextlib
import dataclasses
import datetime
from pathlib import Path

import numpy as np

from kstyle.config.strict_yaml import read_config_file
from kstyle.config.style_config import FITTED_OPTIONS, StyleConfig
from kstyle.errors import ConfigError
from kstyle.files import lock_folder, new_folder, remove_leftovers, write_text
from kstyle.hardware.precision import explain_precision, resolve_precision
from kstyle.images import picture, writing
from kstyle.images.picture import fit_long_edge, resize
from kstyle.networks.weights import NetWeights
from kstyle.planning.memory_fit import fit_memory
from kstyle.planning.scales import Scale, style_size_at
from kstyle.runs import checkpoint
from kstyle.runs.inputs import InputCache, load_config_weights, read_pictures
from kstyle.runs.provenance import read_run

MAX_RESIZED_BYTES = (
    2**28
)  # bytes of a resized picture: a larger one is made anew when needed again


@dataclasses.dataclass(frozen=True)
class Job:
    """A checked run: its config, pictures at full size, scales and folder.

    `style`: `(height, width, 3)`, already cropped. `start`: the init picture, if it is
    a file. `folder`: the run's own, already made. `output`: where the result goes.
    `asked`: the config before weights were solved and memory was fitted. `shelf`: that
    of several runs, which share a style.
    """

    config: StyleConfig
    content: picture.Picture
    style: np.ndarray
    start: picture.Picture | None
    weights: NetWeights
    scales: tuple[Scale, ...]
    folder: Path
    output: Path
    asked: StyleConfig
    shelf: InputCache | None = None
    resized: dict = dataclasses.field(default_factory=dict, repr=False, compare=False)

    def fitted(self):
        """`{option: value}` of what is not as it was asked for, to fit the memory."""
        now = {name: getattr(self.config, name) for name in FITTED_OPTIONS}
        return {k: v for k, v in now.items() if v != getattr(self.asked, k)}

    def content_at(self, edge):
        """The content with its long edge at `edge` pixels: `(height, width, 3)`."""
        size = fit_long_edge(self.content.size, edge)
        return self._at(("content", size), self.content.pixels)

    def style_at(self, edge):
        """The style picture for a result of `edge` pixels, its own shape kept."""
        size = style_size_at(self.config, self.style.shape[:2], edge)
        make = self.shelf.resized if self.shelf else resize
        return self._at(("style", size), self.style, make)

    def _at(self, key, pixels, make=resize):
        if key in self.resized:
            return self.resized[key]
        found = make(pixels, key[1])
        if found.nbytes <= MAX_RESIZED_BYTES:
            self.resized[key] = found
        return found


def prepare(
    config, *, asked=None, overwrite=False, folder=None, shelf=None, state=None
):
    """Read pictures and weights, check all that can be checked, make the folder.

    asked: what `config` was before it was fitted to the memory, if it was.
    overwrite: whether an existing `config.output` may be replaced.
    folder: the run's own; by default a new one in `config.logdir`.
    shelf: the `Shelf` of several runs, so that nothing is read twice.
    state: the `checkpoints.State` of this run that it goes on from: what its start has
        solved and fitted stays as it is.
    Raises: ConfigError, ImageError, WeightsError: with the one sentence that the user
        needs. In that case nothing was written.
    """
    wanted, config = config, resolve_precision(config)
    asked = asked or config
    if state is not None:
        then = state.fingerprint["config"], state.requested_options
        config, asked = (StyleConfig(**options) for options in then)
    pictures, weights = read_inputs(config, overwrite=overwrite, shelf=shelf)
    content, style, start, scales = pictures
    sizes = content.size, style.shape[:2]
    config = fit_memory(config, *sizes, begun=state is not None)
    folder = make_run_folder(config, folder)
    output = result_path(config, folder)
    pictures = content, style, start
    job = Job(config, *pictures, weights, scales, folder, output, asked, shelf)
    if state is not None:
        checkpoint.check_checkpoint_fits(state, scales, content.size, folder)
    explain_precision(wanted)
    return job


def result_path(config, folder):
    """Where the picture of the run in `folder` goes."""
    return Path(config.output) if config.output else Path(folder) / "result.png"


def read_inputs(config, *, overwrite=False, shelf=None):
    """What `read_pictures` and `config_weights` return; the output is checked too."""
    pictures = read_pictures(config, shelf)
    if config.output is not None:
        has_alpha = pictures[0].alpha is not None
        writing.check_writable(
            config.output, bits=config.bits, alpha=has_alpha, overwrite=overwrite
        )
    return pictures, load_config_weights(config, shelf)


def new_run_folder(config):
    """Make a new folder in `config.logdir`, named by the time and the pictures.

    Raises: ConfigError: it cannot be made.
    """
    now = datetime.datetime.now().strftime("%Y%m%d-%H%M%S")
    with explained_folder_errors(config.logdir):
        return new_folder(config.logdir, f"{now}-{run_name(config)}")


def make_run_folder(config, folder=None):
    """The run's folder, new unless given, with the resolved config in it."""
    folder = Path(folder or new_run_folder(config))
    with explained_folder_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
        path, text = folder / "config.yaml", config.to_yaml()
        # A run that is resumed has it, perhaps under a comment on solved weights.
        if not (path.exists() and path.read_text(encoding="utf-8").endswith(text)):
            write_text(path, text)
    return folder


@contextlib.contextmanager
def explained_folder_errors(folder):
    """Turn an error of the file system into a `ConfigError` that names `folder`."""
    try:
        yield
    except (OSError, ValueError) as error:  # ValueError: a NUL in the name
        raise ConfigError(
            f"Cannot make a run's folder in {str(folder)!r}: "
            f"{getattr(error, 'strerror', None) or error}. Name another with --logdir."
        ) from None


def run_name(config):
    """What a run's folder is called, its time aside."""
    return "-".join((safe_stem(config.content), safe_stem(config.style), config.net))


def safe_stem(path):
    """A short name of the picture `path` that is safe in a folder's name."""
    # Two of them in 4-byte letters still fit the 255 bytes of a folder's name.
    name = Path(path.removeprefix("sample:")).stem[:24]
    return "".join(c if c.isalnum() or c in "._" else "_" for c in name)


def reopen_run(folder, *, overwrite=False):
    """The `(job, state)` with which `pipeline.run` goes on in a run's `folder`.

    The job is `None` where the run is finished; the state is `None` where there is no
    checkpoint yet, and the run starts again in its folder.
    overwrite: whether the run may replace an existing `config.output`.
    Raises: ConfigError, ImageError, WeightsError: the folder is no run's, is in use,
        or its checkpoint, options, pictures or weights are not those of the run.
    """
    folder = Path(folder)
    if not (folder / "config.yaml").is_file():
        raise ConfigError(
            f"{folder} is not a run's folder: it has no config.yaml. Name one of logs/."
        )
    with lock_folder(folder):
        remove_leftovers(folder)
        config = StyleConfig(**read_config_file(folder / "config.yaml"))
        state = checkpoint.read_checkpoint(folder)
        if is_ended(folder, config):
            return None, None
        if state is not None:
            state = checkpoint.with_tile_option(state, config.tile)
            checkpoint.check_fingerprint(state, config, folder)
        job = prepare(config, overwrite=overwrite, folder=folder, state=state)
    return job, state


def is_ended(folder, config):
    """Whether the run in `folder` has come to its end, and its result is there.

    Raises: ConfigError: it has diverged, as it would again.
    """
    try:
        record = read_run(folder)
    except ConfigError:  # it has not begun
        return False
    path = result_path(config, folder)
    if record["config"] != config or not path.exists():
        return False
    if record["exit"] == "diverged":
        raise ConfigError(
            f"{folder} has diverged, as it would again. Its best picture is {path}. "
            "Start another run, with a smaller --learning-rate or smaller weights."
        )
    return record["exit"] == "finished"
