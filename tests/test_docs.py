"""The documents name files, folders, options and defaults that exist."""

import re
from pathlib import Path

import pytest
from click.testing import CliRunner

from kstyle.cli.main import cli
from kstyle.cli.options import STRUCTURED_OPTIONS
from kstyle.config.style_config import StyleConfig

ROOT = Path(__file__).parents[1]
PLACES = ("*.md", "docs/*.md", "kstyle/data/*/*.md", "tools/*", "benchmarks/*.py")
FOLDERS = "kstyle|tests|configs|docs|tools|benchmarks"
TEXTS = {
    path.relative_to(ROOT).as_posix(): path.read_text("utf-8")
    for place in PLACES
    for path in sorted(ROOT.glob(place))
    if path.is_file()
}
HELP = {"stylize": "--help-all"}
DOCUMENTS = [name for name in TEXTS if name.endswith(".md")]
# Rows of tables whose first cell is a folder of the package, such as `kstyle/losses/`.
FOLDER_ROW = re.compile(r"^\| `(kstyle/[\w/]+/)` \| (.+) \|$", flags=re.MULTILINE)


def rooms(pattern):
    """The folders with Python files under `kstyle/` that match `pattern`."""
    return {
        f"{path.parent.relative_to(ROOT).as_posix()}/"
        for path in ROOT.glob(f"kstyle/{pattern}/__init__.py")
    }


@pytest.mark.parametrize("name", TEXTS)
def test_named_files_exist(name):
    paths = set(re.findall(rf"(?:{FOLDERS})/[\w./*-]*\w/?", TEXTS[name]))
    missing = [path for path in sorted(paths) if not list(ROOT.glob(path))]
    assert missing == []


@pytest.mark.parametrize("name", DOCUMENTS)
def test_links_lead_to_files_and_headings(name):
    for target in re.findall(r"\]\((?!https?:)([^)\s]+)\)", TEXTS[name]):
        file, _, anchor = target.partition("#")
        path = (ROOT / name).parent / file if file else ROOT / name
        assert path.exists(), target
        if anchor:
            titles = re.findall(r"^#+ (.+)$", path.read_text("utf-8"), re.MULTILINE)
            slugs = [
                re.sub(r"[^\w -]", "", t.lower()).replace(" ", "-") for t in titles
            ]
            assert anchor in slugs, target


@pytest.mark.parametrize("name", ["README.md", "docs/architecture.md"])
def test_files_named_beside_a_folder_lie_in_it(name):
    for folder, text in FOLDER_ROW.findall(TEXTS[name]):
        for file in re.findall(r"`(\w+\.py)`", text):
            assert (ROOT / folder / file).is_file(), f"{folder}{file}"


def test_every_folder_is_in_the_maps_and_the_picture():
    top = rooms("*")
    assert top <= {folder for folder, _ in FOLDER_ROW.findall(TEXTS["README.md"])}
    mapped = {folder for folder, _ in FOLDER_ROW.findall(TEXTS["docs/architecture.md"])}
    assert top | rooms("*/*") <= mapped
    picture = (ROOT / "docs/architecture.svg").read_text("utf-8")
    drawn = {f"kstyle/{room}" for room in re.findall(r">(\w+/)<", picture)}
    assert drawn == top - {"kstyle/data/"}


def test_commands_of_the_documents_have_their_options():
    known = ""
    commands = ("stylize", "resume", "layers", "score", "timelapse", "experiment run")
    for command in (*commands, "experiment report", "experiment new"):
        known += (
            CliRunner()
            .invoke(cli, [*command.split(), HELP.get(command, "--help")])
            .output
        )
    for name in ("README.md", "docs/manual.md", "docs/experiments.md"):
        for option in set(re.findall(r"`[^`]*?(--[a-z][a-z-]+)", TEXTS[name])):
            assert option in known or option == "--extra", f"{name}: {option}"


NO_FLAG = {"content", "style", *STRUCTURED_OPTIONS}


def test_the_manual_has_every_option_with_its_default():
    # A row is `| options | default | meaning |`; a default in words is not compared.
    manual = TEXTS["docs/manual.md"]
    rows = dict(re.findall(r"^\| (`-.+?) \|\s*(.*?)\s*\| ", manual, flags=re.MULTILINE))
    defaults = {
        option: default
        for options, default in rows.items()
        for option in re.findall(r"--([a-z-]+)", options)
    }
    config = StyleConfig()
    for field in type(config).model_fields.keys() - NO_FLAG:
        shown, value = defaults[field.replace("_", "-")], getattr(config, field)
        if isinstance(value, dict):
            value = ",".join(f"{layer}:{weight:g}" for layer, weight in value.items())
        if isinstance(value, float):
            value = f"{value:g}"
        if value is not None:
            assert shown == ("off" if value is False else str(value)), field


def test_the_readme_has_the_defaults_of_its_options():
    rows = re.findall(
        r"^\| `--([a-z-]+)` \| (\d+) \|", TEXTS["README.md"], re.MULTILINE
    )
    assert len(rows) >= 5
    for option, default in rows:
        value = getattr(StyleConfig(), option.replace("-", "_"))
        assert f"{value:g}" == default, option
