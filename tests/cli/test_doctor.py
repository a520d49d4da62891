"""What `kstyle doctor` finds wrong and says to do about it."""

import types

import pytest
from click.testing import CliRunner

from kstyle.cli import info
from kstyle.cli.main import cli
from kstyle.hardware import devices
from kstyle.planning import calibration

SEEN = {"devices": ["CPU:0"], "gpus": 0, "cuda": True, "onednn": True}
FINE = {
    "versions": {"Python": "3.11", "keras": "3.10"},
    "cpu": "a processor",
    "cores": 2,
    "flags": {"AVX2": True, "AMX": None},
    "memory": 2_500_000_000,
    "nvidia": False,
    "weights": [{"net": "vgg16", "present": True, "intact": True}],
    "peaks": {"float32": 100.0, "bfloat16": 150.0},
    "tensorflow": SEEN,
}
# What is changed of a machine that is fine: words of the advice, whether it is broken.
WRONG = {
    "a gpu unseen": ({"nvidia": True}, "tensorflow[and-cuda]", False),
    "onednn off": (
        {"tensorflow": SEEN | {"onednn": False}},
        "TF_ENABLE_ONEDNN_OPTS=1",
        False,
    ),
    "damaged weights": (
        {"weights": [{"net": "vgg16", "present": True, "intact": False}]},
        "vgg16 are damaged: pip install --force-reinstall kstyle",
        True,
    ),
    "a package absent": ({"versions": {"pillow": None}}, "pip install pillow", True),
    "tensorflow broken": (
        {"tensorflow": "ImportError: no AVX", "peaks": {}},
        "(ImportError: no AVX): pip install --force-reinstall tensorflow",
        True,
    ),
}


def run_doctor(monkeypatch, facts):
    monkeypatch.setattr("kstyle.cli.info.examine_machine", lambda load: facts)
    return CliRunner().invoke(cli, ["doctor"])


def test_a_machine_that_is_fine_has_no_problems(monkeypatch):
    result = run_doctor(monkeypatch, FINE)
    assert result.exit_code == 0
    lines = result.stdout.splitlines()
    assert lines[-1] == "problems: none"
    for name, value in (("AMX", "unknown"), ("memory free", "2.5 GB")):
        assert f"{name + ':':18} {value}" in lines


@pytest.mark.parametrize("case", WRONG)
def test_what_is_wrong_is_told_in_one_line_with_what_to_do(case, monkeypatch):
    changes, advice, broken = WRONG[case]
    result = run_doctor(monkeypatch, FINE | changes)
    (line,) = (x for x in result.stdout.splitlines() if x.startswith("problem: "))
    assert advice in line
    assert "problems: none" not in result.stdout
    assert result.exit_code == int(broken)


def test_a_gpu_in_use_needs_neither_onednn_nor_another_tensorflow():
    seen = SEEN | {"gpus": 1, "onednn": False}
    assert info.find_problems(FINE | {"nvidia": True, "tensorflow": seen}) == []


def test_slow_bfloat16_is_noted_but_is_no_problem():
    slow = FINE | {"peaks": {"float32": 2.0, "bfloat16": 1.0}}
    assert info.find_notes(slow) == [
        "bfloat16 is slower than float32 here: keep float32"
    ]
    assert info.find_notes(FINE) == info.find_problems(slow) == []


def test_the_facts_are_those_of_this_machine(monkeypatch):
    monkeypatch.setattr(info, "PEAK_SIZE", 32)
    facts = info.examine_machine(lambda: devices)
    assert set(facts) == set(FINE)
    assert facts["tensorflow"]["devices"][0] == "CPU:0"
    assert facts["peaks"]["float32"] > 0
    assert [row["intact"] for row in facts["weights"]] == [True, True]


def test_a_gpu_is_given_a_product_that_is_worth_its_while(monkeypatch):
    sizes = []
    monkeypatch.setattr(devices, "tensorflow_facts", lambda: SEEN | {"gpus": 1})
    monkeypatch.setattr(devices, "matmul_peak", lambda kind, n, rounds: sizes.append(n))
    info.examine_machine(lambda: devices)
    assert sizes == [info.GPU_PEAK_SIZE] * 2


def test_a_tensorflow_that_does_not_load_is_a_fact_and_no_crash():
    def load():
        raise ImportError("no AVX\nmore")

    facts = info.examine_machine(load)
    assert facts["tensorflow"] == "ImportError: no AVX"
    assert facts["peaks"] == {}


def test_a_matrix_product_is_timed_in_the_type_that_is_asked_for(monkeypatch):
    ticks = iter([0.0, 2.0, 10.0, 11.0])  # rounds of 2 s and of 1 s
    clock = types.SimpleNamespace(perf_counter=lambda: next(ticks))
    monkeypatch.setattr(devices, "time", clock)
    found = calibration.matmul_peak("bfloat16", size=8, rounds=2)
    assert found == pytest.approx(2 * 8**3 / 1e9)
