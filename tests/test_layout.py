"""The modules keep their order: who may import whom, and who may load TensorFlow."""

import ast
from pathlib import Path

import pytest

import kstyle

FOLDER = Path(kstyle.__file__).parent

# Each module and the modules of kstyle that it may import, inside functions as well.
# A module stands below all that it imports, so there can be no cycle.
TABLE = {
    "_version": "",
    "__init__": "_version",
    "errors": "",
    "files": "",
    "icc": "",
    "layers": "errors",
    "resize": "errors",
    "schedule": "errors",
    "deep": "errors icc",
    "images": "deep errors icc resize",
    "saving": "deep errors files icc images",
    "weight_files": "errors",
    "weights": "errors files layers weight_files",
    "yaml_options": "errors",
    "config": "errors layers resize yaml_options",
    "options": "config yaml_options",
    "job": "config errors files images layers resize saving schedule weights",
    "losses": "",
    "extractor": "errors layers weights",
    "optimizers": "errors",
    "model": "losses",
    "callbacks": "errors saving",
    "tensorboard": "callbacks",
    "pipeline": "callbacks extractor images job layers losses model optimizers resize "
    "saving tensorboard",
    "console": "callbacks",
    "cli": "_version config console errors images job layers options pipeline weights",
    "__main__": "cli",
}
# Loaded by `kstyle --help` and by every check before a run.
LIGHT = (
    *("_version", "__init__", "errors", "config", "layers", "schedule", "files"),
    *("icc", "resize", "deep", "images", "saving", "weights", "weight_files", "job"),
    *("yaml_options", "options", "console", "cli", "__main__"),
)
# `cli` only to keep TensorFlow's own messages off the terminal.
NAMES_TENSORFLOW = {
    "callbacks",
    "cli",
    "model",
    "optimizers",
    "pipeline",
    "tensorboard",
}
LONGEST = 220
LONGER = {
    "config": "a field, a help text and a limit for each of thirty options",
}


def source(module):
    return (FOLDER / f"{module}.py").read_text(encoding="utf-8")


def imported(node):
    """Dotted names that a statement or a call of `import_module` imports."""
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if isinstance(node, ast.ImportFrom):
        assert not node.level, "relative imports are not used here"
        if node.module == "kstyle":
            return [f"kstyle.{alias.name}" for alias in node.names]
        return [node.module]
    if isinstance(node, ast.Call) and ast.unparse(node.func).endswith("import_module"):
        return [a.value for a in node.args[:1] if isinstance(a, ast.Constant)]
    return []


def imports(nodes):
    return {name for node in nodes for name in imported(node)}


def of_kstyle(names):
    """The modules of kstyle among dotted names."""
    return {name.split(".")[1] for name in names if name.startswith("kstyle.")}


def at_module_level(tree):
    """The nodes that run when the module is imported: all but function bodies."""
    for node in ast.iter_child_nodes(tree):
        if not isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)):
            yield node
            yield from at_module_level(node)


def test_the_table_names_every_module_and_no_other():
    assert set(TABLE) == {path.stem for path in FOLDER.glob("*.py")}
    assert set(LIGHT) | NAMES_TENSORFLOW | set(LONGER) <= set(TABLE)


def test_the_table_has_no_cycle_and_no_unknown_name():
    above = set()
    for module, allowed in TABLE.items():
        assert set(allowed.split()) <= above, module
        above.add(module)


@pytest.mark.parametrize("module", TABLE)
def test_a_module_imports_only_what_the_table_allows(module):
    names = imports(ast.walk(ast.parse(source(module))))
    assert of_kstyle(names) <= set(TABLE[module].split())
    assert "kstyle" not in names  # the public names are for users


@pytest.mark.parametrize("module", LIGHT)
def test_a_light_module_loads_no_heavy_one(module):
    names = imports(at_module_level(ast.parse(source(module))))
    heavy = {"keras", "tensorflow", "tensorboard", "h5py", "scipy"}
    assert not heavy & {name.split(".")[0] for name in names}
    assert of_kstyle(names) <= set(LIGHT)


@pytest.mark.parametrize("module", sorted(set(TABLE) - NAMES_TENSORFLOW))
def test_tensorflow_is_named_in_few_modules(module):
    names = imports(ast.walk(ast.parse(source(module))))
    assert "tensorflow" not in {name.split(".")[0] for name in names}


@pytest.mark.parametrize("module", TABLE)
def test_a_module_is_short_enough_to_be_read(module):
    assert len(source(module).splitlines()) <= LONGEST


def test_the_checks_see_imports_of_every_form():
    text = (
        "import keras.ops\n"
        "from kstyle import images, _version\n"
        "class C:\n"
        "    import tensorflow\n"
        "def f():\n"
        "    from kstyle.job import prepare\n"
        "    importlib.import_module('kstyle.pipeline')\n"
    )
    tree = ast.parse(text)
    assert of_kstyle(imports(ast.walk(tree))) == {
        "images",
        "_version",
        "job",
        "pipeline",
    }
    assert imports(at_module_level(tree)) == {
        *("keras.ops", "kstyle.images", "kstyle._version", "tensorflow")
    }


def test_every_public_name_lives_in_a_module_of_the_table():
    assert set(kstyle._HOMES.values()) <= set(TABLE)
