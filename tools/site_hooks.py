"""Hooks of mkdocs.yml: the pages that are made from the code.

`<!-- options: GROUP -->` becomes the table of a group of `StyleConfig`'s options,
`<!-- public names -->` the docstring of each public name, and `<!-- notebook: NAME -->`
the cells of that notebook in docs/notebooks/ with their results.
"""

import importlib
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import kstyle
import kstyle.experiments
from kstyle.cli.grouped_help import OPTION_GROUPS
from kstyle.cli.options import (
    PICTURE_ARGUMENTS,
    SHORT_FLAGS,
    STRUCTURED_OPTIONS,
    flag_name,
)
from kstyle.cli.stylize import stylize_command
from kstyle.config.option_types import option_text
from kstyle.config.style_config import StyleConfig, option_flag

ROOT = Path(__file__).parents[1]
NOTEBOOKS = ROOT / "docs" / "notebooks"
TOP_DOCUMENTS = ("CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md")
# The public names of `kstyle`, in the order of the page: each is in one list, which a
# test compares with `kstyle.__all__`.
API_SECTIONS = {
    "Whole runs": ("stylize", "stylize_batch", "StyleConfig", "StyleResult")
    + ("BatchOutcome", "plan_scales", "score", "write_timelapse"),
    "Pictures": ("load_picture", "save_picture", "Picture", "read_metadata"),
    "The network": ("build_extractor", "build_model_extractor", "load_weights")
    + ("layer_table",),
    "Losses": ("loss_terms", "LossTerm", "TermLoss", "gram_matrix", "total_variation"),
    "Losses by name": ("StatisticLoss", "GramLoss", "CovarianceLoss", "MeanStdLoss")
    + ("WassersteinLoss", "SlicedWassersteinLoss", "RelaxedEMDLoss", "NearestLoss")
    + ("PaletteLoss", "ContentLoss", "SelfSimilarityLoss"),
    "The model and its optimisers": ("StyleTransfer", "LBFGS", "make_optimizer"),
}
# Classes whose methods are part of what is documented.
METHODS = {
    "StyleConfig": ("replace", "to_yaml", "from_yaml", "layers"),
    "TermLoss": ("represent", "call"),
    "StyleTransfer": ("compile", "fit", "evaluate", "reset", "pixels")
    + ("measure_losses", "evaluate_losses", "gradient_norms"),
    "Picture": ("resized",),
}


def on_config(config: Any) -> Any:
    """Fail the build where a public name is not on the page, or has no docstring."""
    check_public_names()
    return config


def on_files(files: Any, config: Any) -> Any:
    """Add the documents that lie at the top of the repository."""
    from mkdocs.structure.files import File

    for name in TOP_DOCUMENTS:
        text = (ROOT / name).read_text(encoding="utf-8").replace("](docs/", "](")
        files.append(File.generated(config, name, content=text))
    return files


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Replace the marks of a page by what is made from the code."""
    markdown = re.sub(r"\]\(\.\./(?=[A-Z]+\.md)", "](", markdown)
    for group in OPTION_GROUPS:
        mark = f"<!-- options: {group} -->"
        if mark in markdown:
            markdown = markdown.replace(mark, group_table(group))
    if "<!-- public names -->" in markdown:
        markdown = markdown.replace("<!-- public names -->", api_sections())
    return re.sub(r"<!-- notebook: (\w+) -->", notebook_cells, markdown)


def notebook_cells(mark: re.Match) -> str:
    """Return the cells of a notebook as Markdown."""
    path = NOTEBOOKS / f"{mark[1]}.ipynb"
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    return "\n\n".join(part for cell in cells for part in cell_parts(cell))


def cell_parts(cell: dict[str, Any]) -> Iterator[str]:
    """Yield the source of a cell, and what it showed: a picture, a table or text."""
    source = "".join(cell["source"])
    if cell["cell_type"] == "markdown":
        yield source
        return
    yield f"```python\n{source}\n```"
    for output in cell["outputs"]:
        data = {key: "".join(value) for key, value in output.get("data", {}).items()}
        kind = next((k for k in ("image/png", "image/gif") if k in data), None)
        if kind:
            picture = data[kind].replace("\n", "")
            yield f'<img alt="Result of the cell" src="data:{kind};base64,{picture}">'
        elif "text/html" in data:
            # Without its class a table is one of the theme's, which can be scrolled.
            plain = r'<style.*?</style>|\n\s*| border="1" class="dataframe"'
            yield re.sub(plain, "", data["text/html"], flags=re.S)
        else:
            text = data.get("text/plain") or "".join(output.get("text", ""))
            yield f"```text\n{text.rstrip()}\n```"


def group_table(group: str) -> str:
    """Return the table of one group's options: flag, variable, default, meaning."""
    rows = [
        "| option | default | meaning |",
        "|---|---|---|",
        *(
            option_row(name)
            for name in StyleConfig.model_fields
            if option_flag(name, "group") == group
        ),
        *(
            f"| `{'`, `'.join(option.opts)}` | | {escape(option.help or '')} |"
            for option in stylize_command.params
            if getattr(option, "group", None) == group
            and option.name not in StyleConfig.model_fields
        ),
    ]
    return "\n".join(rows)


def option_row(name: str) -> str:
    """Return the row of a field of `StyleConfig`."""
    field = StyleConfig.model_fields[name]
    shown = [flag_name(name)]
    if name in PICTURE_ARGUMENTS:
        shown = [name.upper()]
    elif name in STRUCTURED_OPTIONS:  # in a YAML file
        shown = [f"{name}:"]
    elif name in SHORT_FLAGS:
        shown = [SHORT_FLAGS[name], *shown]
    value = getattr(StyleConfig(), name)
    default = "" if value in (None, (), {}) else f"`{option_text(value)}`"
    return f"| `{'`, `'.join(shown)}` | {default} | {escape(field.description or '')} |"


def escape(text: str) -> str:
    """Return a help text as a cell of a table; flags in it are set as code."""
    text = text.replace("|", "\\|").replace("<", "&lt;")
    return re.sub(r"(?<![\w`-])(--[a-z][a-z-]+)", r"`\1`", text)


def api_sections() -> str:
    """Return the mkdocstrings blocks of all public names."""
    parts = []
    for title, names in API_SECTIONS.items():
        parts.append(f"## {title}")
        parts += [api_block(f"{home_of(kstyle, name)}.{name}", name) for name in names]
    parts.append("## Experiments")
    for name in kstyle.experiments.__all__:
        home = home_of(kstyle.experiments, name)
        parts.append(api_block(f"{home}.{name}", name))
    return "\n\n".join(parts)


def check_public_names() -> None:
    """Raise `ValueError` for a public name that is not documented."""
    listed = {name for names in API_SECTIONS.values() for name in names}
    missing = set(kstyle._HOMES) ^ listed
    if missing:
        raise ValueError(f"Not in both kstyle and API_SECTIONS: {sorted(missing)}")
    for package, names in (
        (kstyle, listed),
        (kstyle.experiments, kstyle.experiments.__all__),
    ):
        for name in sorted(names):
            if not (getattr(package, name).__doc__ or "").strip():
                raise ValueError(f"{package.__name__}.{name} has no docstring.")


def api_block(path: str, name: str) -> str:
    """Return the mkdocstrings block of one object, with the methods it documents."""
    members = "".join(f"\n        - {method}" for method in METHODS.get(name, ()))
    members = members or " []"
    return f"::: {path}\n    options:\n      members:{members}"


def home_of(package: Any, name: str) -> str:
    """Return the module that defines a public name.

    Raises: AttributeError: there is no such name, so the build fails.
    """
    home = importlib.import_module(f"{package.__name__}.{package._HOMES[name]}")
    getattr(home, name)
    return home.__name__
