"""The README tells the truth: its Python runs, its map and its options exist."""

import re
from pathlib import Path

import keras
import numpy as np
import pytest
from click.testing import CliRunner

import kstyle
from kstyle.cli.main import cli
from kstyle.config.strict_yaml import read_config_file
from kstyle.config.style_config import StyleConfig

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")


@pytest.mark.end_to_end
def test_the_python_of_the_readme_paints_a_picture(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (code,) = re.findall(r"```python\n(.*?)```", README, flags=re.DOTALL)
    variables = {}
    exec(compile(code, "README.md", "exec"), variables)  # noqa: S102
    assert 8 <= len(code.strip().splitlines()) <= 14  # "about ten lines"
    history = variables["model"].history.history["loss"]
    assert len(history) == 4
    assert history[-1] < 0.2 * float(variables["model"].first_look["loss"])
    assert list(tmp_path.glob("logs/api/train/events*"))
    painted = kstyle.load_picture(tmp_path / "coffee.png")
    assert painted.size == (160, 240)
    assert np.abs(painted.pixels - variables["content"]).mean() > 0.02


def test_the_map_of_modules_names_every_module_and_no_other():
    paths = (ROOT / "kstyle").rglob("[!_]*.py")
    modules = {path.stem for path in paths} | {"experiments"}
    section = README.split("## The modules")[1].split("`benchmarks/`")[0]
    rows = [line.split("|")[1] for line in section.splitlines() if line[:2] == "| "]
    assert set(re.findall(r"`(\w+)`", " ".join(rows))) == modules


def test_every_option_of_the_readme_exists():
    text = CliRunner().invoke(cli, ["stylize", "--help"]).output
    for words in ("layers", "weights", "samples", "experiment run", "experiment new"):
        text += CliRunner().invoke(cli, [*words.split(), "--help"]).output
    for option in set(re.findall(r"--[a-z][a-z-]+", README)) - {"--logdir"}:
        assert option in text, option


def test_the_defaults_in_the_table_are_those_of_the_config():
    config = StyleConfig()
    weights = (config.style_weight, config.content_weight, config.tv_weight)
    assert f"| {', '.join(f'{w:g}' for w in weights)} |" in README
    assert f"| {config.steps}, {config.scale_steps} |" in README
    assert f"| {config.size} | long edge" in README
    assert f"| {config.net}, {config.pool}, {config.padding} |" in README


def test_the_two_commands_are_there_as_ci_looks_for_them():
    assert re.search(
        r'^pip install "\.\[test\]" && pytest$', README, flags=re.MULTILINE
    )
    assert re.search(r"^pip install \. && kstyle stylize$", README, flags=re.MULTILINE)


@pytest.mark.parametrize("name", ["reference", "quick", "quality"])
def test_the_configs_are_valid_and_every_line_is_explained(name):
    path = ROOT / "configs" / f"{name}.yaml"
    StyleConfig(**read_config_file(path))
    lines = path.read_text(encoding="utf-8").splitlines()
    options = [line for line in lines if line and line[0] not in "# "]
    explained = [line for line in options if "#" in line]
    assert len(explained) >= 0.7 * len(options)


def test_public_names_are_listed_and_can_be_had():
    for name in kstyle.__all__:
        assert getattr(kstyle, name) is not None
    assert issubclass(kstyle.StyleTransfer, keras.Model)
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        kstyle.nothing  # noqa: B018
