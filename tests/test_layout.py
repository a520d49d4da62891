"""The modules keep their order: who may import whom, and who may load TensorFlow."""

import ast
from pathlib import Path

import pytest

import kstyle
import kstyle.experiments

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
    "sample_pictures": "errors",
    "images": "deep errors files icc resize sample_pictures",
    "saving": "deep errors files icc images",
    "weight_files": "errors",
    "weights": "errors files layers weight_files",
    "machine": "",
    "doctor": "machine weights",
    "yaml_options": "errors files",
    "auto_weights": "errors",
    "option_types": "errors",
    "config": "auto_weights errors layers option_types resize yaml_options",
    "options": "config errors yaml_options",
    "locks": "errors",
    "fingerprints": "sample_pictures weights",
    "recent": "",
    "shelf": "fingerprints images recent resize sample_pictures weights",
    "variables": "",
    "beginnings": "variables",
    "checkpoints": "errors files fingerprints weight_files",
    "sizes": "deep errors layers resize schedule",
    "graphs": "",
    "products": "graphs",
    "losses": "products",
    "edges": "graphs machine",
    "convolution": "edges graphs machine",
    "extractor": "convolution edges errors layers weights",
    "compact_form": "",
    "parameterizations": "errors",
    "flat": "",
    "lbfgs": "compact_form errors flat parameterizations",
    "optimizers": "errors lbfgs parameterizations",
    "targets": "graphs recent",
    "model": "beginnings convolution graphs losses targets variables",
    "tiles": "",
    "signs": "",
    "stage_layers": "convolution edges extractor layers signs tiles",
    "stage_graphs": "convolution edges extractor graphs layers losses stage_layers "
    "tiles variables",
    "tiling": "extractor layers stage_graphs tiles variables",
    "tiled_model": "graphs losses model stage_graphs targets tiling variables",
    "footprint": "layers tiles",
    "estimates": "extractor footprint layers losses model optimizers resize sizes "
    "tiles",
    "gpus": "errors",
    "memory": "errors estimates gpus machine",
    "devices": "convolution errors gpus memory",
    "precision": "gpus machine",
    "job": "checkpoints config errors files images layers memory precision resize "
    "saving schedule shelf sizes weights",
    "shared": "extractor optimizers recent targets tiled_model",
    "provenance": "checkpoints config errors files machine",
    "resuming": "checkpoints config errors files job locks provenance yaml_options",
    "start": "auto_weights devices files footprint layers losses model optimizers "
    "resize shared tiled_model",
    "callbacks": "saving",
    "stopping": "",
    "interrupts": "",
    "health": "errors",
    "guard": "health",
    "checkpointing": "callbacks checkpoints errors guard option_types stopping "
    "variables",
    "tensorboard": "callbacks files provenance",
    "results": "callbacks guard images losses provenance resize saving start",
    "pipeline": "callbacks checkpointing checkpoints devices errors guard "
    "interrupts job locks losses optimizers provenance resize results shared start "
    "stopping tensorboard",
    "batch_plan": "config errors images job memory precision provenance resize saving "
    "shelf sizes",
    "batch": "batch_plan checkpoints config devices errors job locks pipeline shared",
    "console": "callbacks",
    "loading": "pipeline",
    "cli_common": "errors machine",
    "batch_console": "cli_common console estimates schedule",
    "batch_commands": "batch batch_console batch_plan cli_common devices errors "
    "estimates loading",
    "verifying": "errors images job losses shared start",
    "experiments.__init__": "",
    "experiments.axes": "config errors",
    "experiments.schema": "",
    "experiments.reading": "config errors experiments.axes experiments.schema job "
    "yaml_options",
    "experiments.score_names": "",
    "experiments.scores": "errors experiments.score_names extractor losses",
    "experiments.quantities": "experiments.score_names",
    "experiments.findings": "errors experiments.axes experiments.quantities",
    "experiments.verdicts": "experiments.axes experiments.findings "
    "experiments.quantities",
    "experiments.records": "errors files fingerprints job",
    "experiments.plans": "errors estimates experiments.findings experiments.reading "
    "experiments.records experiments.score_names job precision",
    "experiments.judging": "experiments.score_names experiments.scores images job "
    "recent resize",
    "experiments.sheets": "resize saving",
    "experiments.tables": "",
    "experiments.report": "errors experiments.sheets experiments.tables files images",
    "experiments.dashboards": "experiments.records experiments.tables tensorboard",
    "experiments.summary": "experiments.dashboards experiments.records "
    "experiments.report experiments.score_names experiments.verdicts files images",
    "experiments.executors": "errors experiments.reading experiments.records",
    "experiments.trials": "callbacks checkpoints errors experiments.executors "
    "experiments.judging experiments.records experiments.summary files job losses "
    "pipeline recent shared start",
    "experiments.resources": "errors estimates experiments.plans machine",
    "experiments.processes": "experiments.executors experiments.trials loading",
    "experiments.archives": "errors",
    "experiments.cluster": "_version checkpoints errors experiments.archives "
    "experiments.executors experiments.resources experiments.trials fingerprints "
    "loading",
    "experiments.ray_executor": "checkpoints errors experiments.archives "
    "experiments.cluster experiments.executors machine",
    "experiments.runner": "errors experiments.executors experiments.plans "
    "experiments.processes experiments.ray_executor experiments.records "
    "experiments.resources experiments.summary experiments.trials gpus locks",
    "experiments.console": "console options",
    "experiments.progress": "console experiments.console",
    "experiments.commands": "cli_common devices errors estimates experiments.console "
    "experiments.executors experiments.plans experiments.progress experiments.runner "
    "experiments.trials files loading schedule yaml_options",
    "run_commands": "cli_common console errors experiments.judging job loading "
    "provenance resuming verifying",
    "cli": "_version batch_commands cli_common config console devices doctor errors "
    "estimates experiments.commands job layers loading machine memory options pipeline "
    "precision run_commands sample_pictures shared start weights",
    "__main__": "cli",
}
# Loaded by `kstyle --help` and by every check before a run.
LIGHT = (
    *("_version", "__init__", "errors", "config", "layers", "schedule", "files"),
    *("icc", "resize", "deep", "images", "saving", "weights", "weight_files", "job"),
    *("yaml_options", "options", "console", "cli", "__main__", "auto_weights"),
    *("option_types", "cli_common", "estimates", "experiments.__init__"),
    *("machine", "doctor", "sizes", "memory", "precision"),
    *("experiments.axes", "experiments.schema", "experiments.reading"),
    *("experiments.score_names", "experiments.quantities", "experiments.findings"),
    *("experiments.verdicts", "experiments.records", "experiments.plans"),
    *(
        "experiments.console",
        "experiments.progress",
        "experiments.commands",
        "locks",
        "fingerprints",
    ),
    *("provenance", "checkpoints", "resuming", "run_commands", "tiles"),
    *("footprint", "loading", "experiments.executors", "experiments.resources"),
    *("experiments.processes", "experiments.archives", "experiments.cluster"),
    *("experiments.ray_executor", "recent", "shelf", "batch_plan", "batch_console"),
    *("batch_commands", "sample_pictures"),
)
# `loading` only to keep TensorFlow's own messages off the terminal.
NAMES_TENSORFLOW = {
    "callbacks",
    "compact_form",
    "convolution",
    "devices",
    "edges",
    "experiments.dashboards",
    "gpus",
    "graphs",
    "lbfgs",
    "loading",
    "model",
    "parameterizations",
    "pipeline",
    "products",
    "signs",
    "stage_graphs",
    "stage_layers",
    "tensorboard",
    "tiled_model",
    "variables",
}
LONGEST = 220
LONGER = {
    "config": "a field, a help text and a limit for each of thirty options",
}


def source(module):
    path = FOLDER / f"{module.replace('.', '/')}.py"
    return path.read_text(encoding="utf-8")


def modules():
    """The dotted names of all modules, without `kstyle.`."""
    paths = [path.relative_to(FOLDER) for path in FOLDER.rglob("*.py")]
    return {".".join(path.with_suffix("").parts) for path in paths}


def imported(node):
    """Dotted names that a statement or a call of `import_module` imports."""
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if isinstance(node, ast.ImportFrom):
        assert not node.level, "relative imports are not used here"
        if node.module in ("kstyle", "kstyle.experiments"):
            return [f"{node.module}.{alias.name}" for alias in node.names]
        return [node.module]
    if isinstance(node, ast.Call) and ast.unparse(node.func).endswith("import_module"):
        return [a.value for a in node.args[:1] if isinstance(a, ast.Constant)]
    return []


def imports(nodes):
    return {name for node in nodes for name in imported(node)}


def of_kstyle(names):
    """The modules of kstyle among dotted names."""
    return {
        name.removeprefix("kstyle.") for name in names if name.startswith("kstyle.")
    }


def at_module_level(tree):
    """The nodes that run when the module is imported: all but function bodies."""
    for node in ast.iter_child_nodes(tree):
        if not isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)):
            yield node
            yield from at_module_level(node)


def test_the_table_names_every_module_and_no_other():
    assert set(TABLE) == modules()
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
    heavy = {"keras", "tensorflow", "tensorboard", "h5py", "scipy", "ray"}
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
    inside = {f"experiments.{home}" for home in kstyle.experiments._HOMES.values()}
    assert inside <= set(TABLE)


@pytest.mark.parametrize("module", sorted(set(TABLE) - {"experiments.ray_executor"}))
def test_ray_is_named_in_one_module(module):
    names = imports(ast.walk(ast.parse(source(module))))
    assert "ray" not in {name.split(".")[0] for name in names}
