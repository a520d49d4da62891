"""Pictures in memory as the content, style and start of runs and batches."""

import os
from pathlib import Path

import keras
import numpy as np
import pytest
from PIL import Image

import kstyle
from kstyle.errors import ConfigError, ImageError
from kstyle.runs.job import reopen_run
from kstyle.runs.pipeline import run_job
from kstyle.runs.provenance import read_run


@pytest.fixture
def options(small_run):
    """Options of a small run, without its pictures, which are samples then."""
    return {k: v for k, v in small_run.items() if k not in ("content", "style")}


class InterruptAtStep2(keras.callbacks.Callback):
    """Raises what Ctrl-C raises, once."""

    def on_train_batch_end(self, batch, logs=None):
        if self.model.global_step == 2:
            raise KeyboardInterrupt


def bytes_of(picture):
    """A picture of floats in [0, 1] as uint8."""
    return np.rint(255 * picture).astype("uint8")


def test_arrays_give_the_pixels_of_their_files(small_run, options, random_picture):
    from_files = kstyle.stylize(kstyle.StyleConfig(**small_run))
    content, style = bytes_of(random_picture(16, 24)), random_picture(14, 18, seed=1)
    result = kstyle.stylize(
        kstyle.StyleConfig(**options),
        content=content,
        style=Image.fromarray(bytes_of(style)),
    )
    np.testing.assert_array_equal(result.picture.pixels, from_files.picture.pixels)
    assert {"content.png", "style.png"} <= set(os.listdir(result.folder))


def test_a_run_of_arrays_is_resumed_to_the_same_bits(options, random_picture):
    pictures = {
        "content": random_picture(16, 24),
        "style": kstyle.Picture(random_picture(14, 18, seed=1)),
        "init": random_picture(16, 24, seed=2),
    }
    config = kstyle.StyleConfig(**options, checkpoint_every=1)
    whole = kstyle.stylize(config, **pictures)
    result = kstyle.stylize(config, [InterruptAtStep2()], **pictures)
    assert result.interrupted
    record = read_run(result.folder)
    assert record["config"].init == str(result.folder / "init.png")
    assert set(record["pictures"]) == {"content", "style", "init"}
    job, state = reopen_run(result.folder)
    again = run_job(job, state=state)
    np.testing.assert_array_equal(again.picture.pixels, whole.picture.pixels)


@pytest.mark.parametrize("bad", ["picture", "output"])
def test_a_refused_run_leaves_no_folder(options, random_picture, tmp_path, bad):
    style = random_picture(14, 18) * (300 if bad == "picture" else 1)
    if bad == "output":
        options["output"] = str(tmp_path / "result.nonsense")
    with pytest.raises((ImageError, ConfigError)):
        kstyle.stylize(
            kstyle.StyleConfig(**options), content=random_picture(16, 24), style=style
        )
    logs = Path(options["logdir"])
    assert not logs.exists() or not os.listdir(logs)


def test_stylize_takes_paths_in_place_of_the_config_s(small_run, options):
    result = kstyle.stylize(
        kstyle.StyleConfig(**options),
        content=Path(small_run["content"]),
        style=small_run["style"],
        init="noise",
    )
    config = read_run(result.folder)["config"]
    assert (config.content, config.init) == (small_run["content"], "noise")


def test_what_is_no_config_is_refused():
    with pytest.raises(ConfigError, match="first argument is a StyleConfig.*a str"):
        kstyle.stylize("photo.jpg", "painting.jpg")


def test_a_batch_of_arrays_knows_its_results_again(options, random_picture, tmp_path):
    contents = np.stack([random_picture(16, 24, seed=seed) for seed in (0, 1)])
    arguments = kstyle.StyleConfig(**options), contents, random_picture(14, 18, seed=2)
    output = tmp_path / "painted"
    first = kstyle.stylize_batch(*arguments, output=output)
    assert [outcome.status for outcome in first] == ["finished"] * 2
    second = kstyle.stylize_batch(*arguments, output=output)
    assert [outcome.status for outcome in second] == ["there"] * 2
