"""A corpus of broken and unusual files: one sentence, exit code 1 or 2, no files.

Importing TensorFlow raises an error in these tests: input is refused without it.
"""

import os
import re
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from bad_pictures import FORMATS, REFUSED, USABLE, valid
from bad_texts import CONFIGS, EXPERIMENTS, WEIGHTS, YAML
from click.testing import CliRunner

import kstyle
from kstyle.cli.common import MAX_MESSAGE_LENGTH
from kstyle.cli.main import cli
from kstyle.runs.job import make_run_folder

SECONDS = 5


def entries(*tables):
    return [pytest.param(*v, id=k) for table in tables for k, v in table.items()]


@pytest.fixture
def place(tmp_path, monkeypatch):
    """Make a current folder with a good picture and unusual files."""
    monkeypatch.chdir(tmp_path)
    valid(Path("good.png"), "png")
    Path("words.txt").write_text("only words")
    Path("folder.png").mkdir()
    os.mkfifo("pipe")
    Path("loop").symlink_to("loop")
    # Its import then raises an `ImportError`, of which the sentence tells.
    monkeypatch.setitem(sys.modules, "tensorflow", None)
    return tmp_path


def refusal(place, *words):
    """Run `kstyle WORDS`, check how it ends, and return its one sentence."""
    before = {path: path.lstat().st_mtime_ns for path in place.rglob("*")}
    begun = time.perf_counter()
    result = CliRunner().invoke(cli, list(map(str, words)))
    assert time.perf_counter() - begun < SECONDS
    assert result.exit_code in (1, 2), result.output
    assert isinstance(result.exception, SystemExit), repr(result.exception)
    assert result.stdout == ""
    (line,) = result.stderr.splitlines()
    assert line.startswith("Error: ") and line.isprintable()
    assert not line.startswith("Error: TensorFlow cannot be loaded")
    assert len(line) <= MAX_MESSAGE_LENGTH
    assert {path: path.lstat().st_mtime_ns for path in place.rglob("*")} == before
    return line


def test_the_corpus_has_at_least_150_entries():
    tables = (REFUSED, USABLE, CONFIGS, EXPERIMENTS, WEIGHTS, YAML)
    assert sum(map(len, tables)) >= 150


@pytest.mark.parametrize(("make", "expected"), entries(REFUSED))
def test_a_bad_picture_is_refused_by_its_name(make, expected, place):
    make(place / "bad.png")
    line = refusal(place, "stylize", "bad.png", "good.png", "-o", "out.png")
    assert line.startswith("Error: bad.png") and re.search(expected, line)


@pytest.mark.parametrize(("make", "size"), entries(USABLE))
def test_a_strange_picture_is_read(make, size, tmp_path):
    make(tmp_path / "strange.png")
    picture = kstyle.load_picture(tmp_path / "strange.png")
    assert picture.size == size
    assert picture.pixels.dtype == np.float32 and picture.pixels.shape[2] == 3
    assert 0 <= picture.pixels.min() and picture.pixels.max() <= 1


@pytest.mark.parametrize("suffix", FORMATS)
@pytest.mark.parametrize("name", ["no suffix", "a.txt", "a.jpg", "A.PNG", "a.b..png"])
def test_the_name_of_a_picture_says_nothing_of_its_type(suffix, name, tmp_path):
    path = valid(tmp_path / name, suffix)
    assert kstyle.load_picture(path).size == (48, 64)


NAMES = (
    "花と月.png",
    "Ünï cødé.png",
    "\N{DANCER} .png",
    "-.png",
    "a" * 251 + ".png",
    "<script>.png",
    "a\"b'c.png",
    "a;rm -rf.png",
    "$(touch x).png",
    " .png",
    "%s",
    "new\nline.png",
    "tab\t.png",
    os.fsdecode(b"no utf-8 \xff.png"),
)


@pytest.mark.parametrize("name", NAMES, ids=ascii)
def test_a_picture_of_any_name_gives_a_run_folder(name, tmp_path):
    path = valid(tmp_path / name, "png")
    assert kstyle.load_picture(path).size == (48, 64)
    logs = str(tmp_path / "logs")
    config = kstyle.StyleConfig(content=str(path), style=str(path), logdir=logs)
    folder = make_run_folder(config)
    assert folder.parent == tmp_path / "logs"
    text = (folder / "config.yaml").read_text(encoding="utf-8")
    assert kstyle.StyleConfig.from_yaml(text) == config


@pytest.mark.parametrize("name", NAMES, ids=ascii)
def test_a_bad_picture_of_any_name_is_refused_in_one_line(name, place):
    (place / name).write_text("only words")
    refusal(place, "stylize", "--", f"./{name}", "good.png")


@pytest.mark.parametrize("option", ["--config", "--weights", "--init"])
def test_what_is_no_file_is_refused_wherever_one_is_named(option, place):
    for name in ("pipe", "loop", "folder.png", "/dev/zero", "nowhere", "a" * 300):
        assert name in refusal(place, "stylize", "good.png", "good.png", option, name)


def test_a_file_without_permission_is_refused(place):
    if os.geteuid() == 0:
        pytest.skip("root may read every file")
    for name in ("a.png", "a.yaml", "a.npz"):
        (place / name).touch(0)
        os.truncate(name, 9)
    refusal(place, "stylize", "a.png")
    refusal(place, "stylize", "good.png", "good.png", "--config", "a.yaml")
    refusal(place, "stylize", "good.png", "good.png", "--weights", "a.npz")


@pytest.mark.parametrize(("text", "expected"), entries(YAML, CONFIGS))
def test_a_bad_config_is_refused(text, expected, place):
    write(place / "bad.yaml", text)
    words = ["--weights", "builtin"] if "weights" not in str(text) else []
    line = refusal(place, "stylize", "--config", "bad.yaml", *words)
    assert re.search(expected, line)


@pytest.mark.parametrize(("text", "expected"), entries(YAML, EXPERIMENTS))
def test_a_bad_experiment_is_refused_by_its_name(text, expected, place):
    write(place / "bad.yaml", text)
    line = refusal(place, "experiment", "run", "bad.yaml", "--list")
    assert "bad.yaml" in line or "trial" in line
    assert re.search(expected, line)


@pytest.mark.parametrize("name", WEIGHTS)
def test_bad_weights_are_refused_by_their_name(name, place):
    blob, expected = WEIGHTS[name]
    Path(name).write_bytes(blob)
    layers = "--content-layers", "conv1_1", "--style-layers", "conv1_1"
    pictures = "good.png", "good.png"
    line = refusal(place, "stylize", *pictures, *layers, "--weights", name)
    assert name in line and re.search(expected, line)


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_the_whole_corpus_takes_less_than_a_gigabyte(tmp_path):
    code = (
        "import pathlib, re, sys\n"
        "sys.path[:0] = sys.argv[1:]\n"
        "import bad_pictures, bad_texts\n"
        "from kstyle.errors import KStyleError\n"
        "from kstyle import load_picture, load_weights\n"
        "def attempt(read, *words):\n"
        "    try: read(*words)\n"
        "    except KStyleError: pass\n"
        "tables = bad_pictures.REFUSED, bad_pictures.USABLE\n"
        "for n, (make, _) in enumerate(each for t in tables for each in t.values()):\n"
        "    make(pathlib.Path(f'{n}.png'))\n"
        "    attempt(load_picture, f'{n}.png')\n"
        "for name, (blob, _) in bad_texts.WEIGHTS.items():\n"
        "    pathlib.Path(name).write_bytes(blob)\n"
        "    attempt(load_weights, 'vgg16', name, ['conv1_1'])\n"
        # `ru_maxrss` would have the memory of the process that started this one in it.
        "status = pathlib.Path('/proc/self/status').read_text()\n"
        "print(re.search(r'VmHWM:\\s+(\\d+) kB', status)[1])\n"
    )
    here, package = Path(__file__).parents[1], Path(kstyle.__file__).parents[1]
    out = subprocess.run(
        [sys.executable, "-c", code, here, package],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert int(out) * 1024 < 1e9
    assert not (tmp_path / "trapped").exists()  # nothing was unpickled


def write(path, text):
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
