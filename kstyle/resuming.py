"""A run's folder before the run goes on: is it unfinished, is it still the same?"""

from pathlib import Path

from kstyle import checkpoints
from kstyle.config import StyleConfig
from kstyle.errors import ConfigError
from kstyle.files import remove_leftovers
from kstyle.job import prepare, result_path
from kstyle.locks import locked
from kstyle.provenance import read_run
from kstyle.yaml_options import read_config_file


def reopen(folder, *, overwrite=False):
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
    with locked(folder):
        remove_leftovers(folder)
        config = StyleConfig(**read_config_file(folder / "config.yaml"))
        state = checkpoints.read_state(folder)
        if ended(folder, config):
            return None, None
        if state is not None:
            state = checkpoints.in_tiles_of(state, config.tile)
            checkpoints.check_origin(state, config, folder)
        job = prepare(config, overwrite=overwrite, folder=folder, state=state)
    return job, state


def ended(folder, config):
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
