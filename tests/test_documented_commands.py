"""Every `kstyle ...` in a shell block of the documentation runs, at a small size."""

import importlib.util
import shutil

import keras
import numpy as np
import pytest
from click.testing import CliRunner
from pages import PAGES, ROOT, shell_commands
from PIL import Image

from kstyle.cli.main import cli
from kstyle.config.style_config import StyleConfig
from kstyle.runs.pipeline import stylize

pytestmark = pytest.mark.site

SMALL = ["--size", "120", "--steps", "1", "--scales", "1", "--overwrite"]
PICTURES = "tower waves night photo painting other portrait cubist town".split()
PICTURES += ["stata", "wave"]
MASKS = ["face", "person", "sky", "tower-mask"]
# A server that does not end, and votes of people on a run that is not there.
NOT_RUN = [["app"], ["experiment", "report"]]
if importlib.util.find_spec("av") is None:
    NOT_RUN.append("timelapse logs/RUN -o film.mp4".split())


def draw(path, mode="RGB", size=(120, 96)):
    """A picture of two halves, with some noise where it has colours."""
    pixels = np.zeros((size[1], size[0], 3), np.uint8)
    pixels[:, size[0] // 2 :] = 255
    if mode != "L":
        noise = np.random.default_rng(0).integers(0, 200, pixels.shape)
        pixels = (pixels // 8 + noise).astype(np.uint8)
    image = Image.fromarray(pixels).convert(mode)
    if mode == "RGBA":
        half = Image.new("L", size, 0)
        half.paste(255, (0, 0, size[0] // 2, size[1]))
        image.putalpha(half)
    path.parent.mkdir(exist_ok=True)
    image.save(path)


def small_network(path):
    """A file of a model that begins with the conversion from 0..255."""
    inputs = keras.Input((None, None, 3))
    scaled = keras.layers.Rescaling(1 / 127.5, -1)(inputs)
    first = keras.layers.Conv2D(4, 3, padding="same", name="first")(scaled)
    pooled = keras.layers.MaxPooling2D(2, name="pooled")(first)
    last = keras.layers.Conv2D(8, 3, padding="same", name="last")(pooled)
    keras.Model(inputs, last).save(path)


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """A folder with all files that the commands name."""
    folder = tmp_path_factory.mktemp("commands")
    for name in PICTURES:
        draw(folder / f"{name}.jpg")
    for name in ("holiday/1.jpg", "paintings/1.jpg", "stills/00001.png"):
        draw(folder / name)
    for name in ("cat", "result", "other_program"):
        draw(folder / f"{name}.png")
    for name in MASKS:
        draw(folder / f"{name}.png", "L")
    for name in ("town-map", "night-map"):
        draw(folder / f"{name}.png", "L")
    draw(folder / "cutout.png", "RGBA")
    for name in ("astronaut-mask", "astronaut-cutout", "coffee-map", "window-map"):
        shutil.copy(ROOT / "docs" / "gallery" / f"{name}.png", folder)
    shutil.copytree(ROOT / "configs", folder / "configs")
    (experiment,) = PAGES["researchers.md"].split("```yaml\n")[1:]
    (folder / "smooth.yaml").write_text(experiment.partition("```")[0])
    for name in ("mine.keras", "lite0.keras"):
        small_network(folder / name)
    network = keras.applications.InceptionV3(include_top=False, weights=None)
    network.save_weights(folder / "inception.weights.h5")
    config = StyleConfig(size=64, scales=1, steps=2, snapshot_every=1)
    result = stylize(config.replace(logdir=str(folder / "logs")), verbose=0)
    result.folder.rename(folder / "logs" / "RUN")
    return folder


def made_small(words):
    """The words of a command, with options that make it end in seconds."""
    if words[0] == "stylize":
        words = [*words, *SMALL]
        if "--iterations" in words:
            words += ["--iterations", "1"]
        if "inception_v3" in words and "--weights" not in words:
            words += ["--weights", "random"]  # in place of a download
    elif words[:2] == ["experiment", "run"] and "--list" not in words:
        words = [*words, "--dry-run"]
    return words


@pytest.mark.parametrize("page", [p for p in PAGES if any(shell_commands(PAGES[p]))])
def test_the_commands_of_a_page_run(page, files, tmp_path, monkeypatch):
    shutil.copytree(files, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    for words in shell_commands(PAGES[page]):
        if words and not any(words[: len(start)] == start for start in NOT_RUN):
            ended = CliRunner().invoke(cli, made_small(words))
            assert ended.exit_code == 0, f"kstyle {' '.join(words)}\n{ended.output}"
