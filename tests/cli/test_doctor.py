"""`kstyle doctor`: the problems it finds on a machine, and what it says to do."""

import dataclasses

import pytest
from click.testing import CliRunner

from kstyle.cli import doctor
from kstyle.cli.doctor import MachineFacts
from kstyle.cli.main import cli
from kstyle.hardware.tensorflow_setup import load_tensorflow

TENSORFLOW = {"devices": ["CPU:0"], "gpus": 0, "cuda": True, "onednn": True}
HEALTHY = MachineFacts(
    versions={"Python": "3.11", "keras": "3.10"},
    cpu="a processor",
    cores=2,
    cpu_flags={"AVX2": True, "AMX": None},
    free_memory=2_500_000_000,
    has_nvidia=False,
    weights=[{"net": "vgg16", "present": True, "intact": True}],
    tensorflow=TENSORFLOW,
    peaks={"float32": 100.0, "bfloat16": 150.0},
)
# Changes of a healthy machine: words of the advice, and whether kstyle cannot run.
PROBLEMS = {
    "unseen GPU": ({"has_nvidia": True}, "tensorflow[and-cuda]", False),
    "oneDNN off": (
        {"tensorflow": TENSORFLOW | {"onednn": False}},
        "TF_ENABLE_ONEDNN_OPTS=1",
        False,
    ),
    "damaged weights": (
        {"weights": [{"net": "vgg16", "present": True, "intact": False}]},
        "vgg16 are damaged: pip install --force-reinstall kstyle",
        True,
    ),
    "missing package": ({"versions": {"pillow": None}}, "pip install pillow", True),
    "broken TensorFlow": (
        {"tensorflow": "ImportError: no AVX", "peaks": {}},
        "(ImportError: no AVX): pip install --force-reinstall tensorflow",
        True,
    ),
}


def test_a_healthy_machine_has_no_problems(capsys):
    assert doctor.print_machine_report(HEALTHY) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[-1] == "problems: none"
    for name, value in (("AMX", "unknown"), ("memory free", "2.5 GB")):
        assert f"{name + ':':18} {value}" in lines


@pytest.mark.parametrize("case", PROBLEMS)
def test_a_problem_is_one_line_with_what_to_do(case, capsys):
    changes, advice, broken = PROBLEMS[case]
    code = doctor.print_machine_report(dataclasses.replace(HEALTHY, **changes))
    out = capsys.readouterr().out
    (line,) = (x for x in out.splitlines() if x.startswith("problem: "))
    assert advice in line
    assert "problems: none" not in out
    assert code == int(broken)


def test_a_gpu_in_use_needs_no_onednn():
    seen = TENSORFLOW | {"gpus": 1, "onednn": False}
    facts = dataclasses.replace(HEALTHY, has_nvidia=True, tensorflow=seen)
    assert doctor.find_problems(facts) == []


def test_slow_bfloat16_is_a_note_and_no_problem():
    slow = dataclasses.replace(HEALTHY, peaks={"float32": 2.0, "bfloat16": 1.0})
    assert doctor.find_notes(slow) == [
        "bfloat16 is slower than float32 here: keep float32"
    ]
    assert doctor.find_problems(slow) == []
    assert doctor.find_notes(HEALTHY) == []


def test_the_facts_are_those_of_this_machine():
    facts = doctor.examine_machine(load_tensorflow, matrix_size=32)
    assert facts.tensorflow["devices"][0] == "CPU:0"
    assert set(facts.peaks) == {"float32", "bfloat16"}
    assert min(facts.peaks.values()) > 0
    assert [row["intact"] for row in facts.weights] == [True, True, True]
    assert facts.cores >= 1 and facts.versions["keras"]


def test_a_gpu_multiplies_larger_matrices():
    assert doctor.default_matrix_size(gpus=1) > doctor.default_matrix_size(gpus=0)


def test_a_tensorflow_that_does_not_load_is_a_fact():
    def fail():
        raise ImportError("no AVX\nmore")

    facts = doctor.examine_machine(fail)
    assert (facts.tensorflow, facts.peaks) == ("ImportError: no AVX", {})
    assert doctor.find_problems(facts)[-1].broken


def test_the_command_prints_facts_and_problems():
    result = CliRunner().invoke(cli, ["doctor"])
    assert result.exit_code in (0, 1)  # 1: kstyle itself is not installed
    assert fact_names(result.stdout) >= {"processor", "devices", "vgg16 weights"}


def fact_names(text):
    """The names before the first colon of each line."""
    return {line.partition(":")[0] for line in text.splitlines()}
