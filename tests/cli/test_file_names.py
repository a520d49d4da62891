"""File names that are not UTF-8, and UTF-8 names in a process without UTF-8."""

import json
import os
import subprocess
import sys

import pytest
import yaml
from click.testing import CliRunner

import kstyle
from kstyle.cli.main import cli

pytestmark = pytest.mark.skipif(
    sys.platform != "linux", reason="other file systems refuse or change such names"
)

LATIN = os.fsdecode(b"na\xefve.png")  # Latin-1


def invoke(*words):
    return CliRunner().invoke(cli, list(map(str, words)))


@pytest.fixture
def latin_run(small_run, tmp_path):
    """Options of a small run whose content and output have names in Latin-1."""
    content = tmp_path / "in" / LATIN
    content.parent.mkdir()
    os.rename(small_run["content"], content)
    options = {"content": str(content), "output": str(tmp_path / LATIN), "steps": 1}
    return small_run | options


def write_config(path, options):
    path.write_text(kstyle.StyleConfig(**options).to_yaml())
    return path


def test_names_that_are_not_utf_8_are_used(latin_run, tmp_path):
    config = write_config(tmp_path / "config.yaml", latin_run)
    result = invoke("stylize", "--config", config)
    assert result.exit_code == 0, result.output
    assert "na\\udcefve.png (18 x 12" in result.stdout
    assert kstyle.load_picture(latin_run["output"]).size == (12, 18)
    (folder,) = (tmp_path / "logs").iterdir()
    record = json.loads((folder / "run.json").read_text())
    assert record["config"]["content"] == latin_run["content"]
    assert invoke("verify", folder).exit_code == 0


def test_an_experiment_uses_names_that_are_not_utf_8(pools, latin_run, tmp_path):
    path = pools(base={"content": latin_run["content"], "steps": 0})
    result = invoke("experiment", "run", path, "--logdir", tmp_path / "logs", "-q")
    assert result.exit_code == 0, result.output
    assert (tmp_path / "logs" / "pools" / "report.html").exists()


def test_a_run_folder_that_is_not_utf_8_is_refused_at_once(
    small_run, tmp_path, monkeypatch
):
    monkeypatch.setitem(sys.modules, "tensorflow", None)
    logs = tmp_path / os.fsdecode(b"logs\xe9")
    config = tmp_path / "config.yaml"
    config.write_text(yaml.safe_dump(small_run | {"logdir": str(logs)}))
    commands = (
        ("stylize", "--config", config),
        ("experiment", "run", "08", "--logdir", logs),
    )
    for words in commands:
        result = invoke(*words)
        assert result.exit_code == 2
        assert "is not UTF-8" in result.stderr and "--logdir" in result.stderr
        assert not logs.exists()


def test_utf_8_names_work_in_a_process_without_utf_8(small_run, tmp_path):
    output = tmp_path / "Ölbild.png"
    options = small_run | {"output": str(output), "steps": 1}
    config = write_config(tmp_path / "config.yaml", options | {"output": None})
    done = subprocess.run(
        [sys.executable, "-m", "kstyle", "stylize", "--config", config, "-o", output],
        env=os.environ
        | {"LC_ALL": "POSIX", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
        capture_output=True,
    )
    assert done.returncode == 0, done.stderr
    assert kstyle.load_picture(output).size == (12, 18)
