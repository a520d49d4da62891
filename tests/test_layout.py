"""Light modules load no TensorFlow, and a top-level name has one home."""

import ast
import collections
import subprocess
import sys
from pathlib import Path

import kstyle

LIGHT = """
import kstyle.app.state
import kstyle.cli.doctor
import kstyle.cli.experiment_commands
import kstyle.cli.info
import kstyle.cli.run_commands
import kstyle.cli.stylize
import kstyle.config.style_config
import kstyle.experiments.findings.verdicts
import kstyle.experiments.plans
import kstyle.experiments.execution.ray
import kstyle.files
import kstyle.images.writing
import kstyle.lru_cache
import kstyle.networks.weights
import kstyle.planning.memory_fit
import kstyle.runs.batch_plan
import kstyle.runs.checkpoint_file
import kstyle.runs.job
import kstyle.runs.provenance
import kstyle.tensorboard_plugin.names
"""
HEAVY = (
    "tensorflow",
    "keras",
    "tensorboard",
    "h5py",
    "matplotlib",
    "scipy",
    "ray",
    "nicegui",
)


def test_light_modules_load_no_heavy_package():
    code = f"{LIGHT}\nimport sys\nprint(sorted(set({HEAVY}) & set(sys.modules)))"
    done = subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, text=True
    )
    assert done.stdout.strip() == "[]"


def test_tensorboard_starts_without_tensorflow_for_the_plugin():
    heavy = set(HEAVY) - {"tensorboard"} | {"pydantic", "PIL", "yaml"}
    code = (
        "import sys, tensorboard.default, tensorboard.data.provider\n"
        "before = set(sys.modules)\n"
        "import kstyle.tensorboard_plugin.plugin\n"
        f"print(sorted({heavy} & (set(sys.modules) - before)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, text=True
    )
    assert done.stdout.strip() == "[]"


def top_level_names(path):
    """The public functions, classes and constants that a module defines."""
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            yield node.name
        elif isinstance(node, ast.Assign):
            yield from (t.id for t in node.targets if isinstance(t, ast.Name))


def test_a_top_level_name_has_one_home():
    homes = collections.defaultdict(set)
    for path in Path(kstyle.__file__).parent.rglob("*.py"):
        for name in top_level_names(path):
            homes[name].add(path.name)
    several = {name for name, places in homes.items() if len(places) > 1}
    # Every module may have a logger, and private names that begin with "_".
    assert {name for name in several if name[0] != "_"} - {"log"} == set()
