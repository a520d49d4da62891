"""The light modules, which every check before a run imports, load no TensorFlow."""

import subprocess
import sys

LIGHT = """
import kstyle.cli.main
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
"""
HEAVY = ("tensorflow", "keras", "tensorboard", "h5py", "matplotlib", "scipy", "ray")


def test_light_modules_load_no_heavy_package():
    code = f"{LIGHT}\nimport sys\nprint(sorted(set({HEAVY}) & set(sys.modules)))"
    done = subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, text=True
    )
    assert done.stdout.strip() == "[]"
