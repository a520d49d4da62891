"""The Python example, the commands, the configs and the public names of the README."""

import re
from pathlib import Path

import keras
import numpy as np
import pytest

import kstyle
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
    assert history[-1] < 0.2 * float(variables["model"].initial_losses["loss"])
    assert list(tmp_path.glob("logs/api/train/events*"))
    painted = kstyle.load_picture(tmp_path / "coffee.png")
    assert painted.size == (160, 240)
    assert np.abs(painted.pixels - variables["content"]).mean() > 0.02


def test_the_two_commands_are_in_the_form_that_ci_runs():
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


def test_public_names_are_listed_and_can_be_imported():
    for name in kstyle.__all__:
        assert getattr(kstyle, name) is not None
    assert issubclass(kstyle.StyleTransfer, keras.Model)
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        kstyle.nothing  # noqa: B018
