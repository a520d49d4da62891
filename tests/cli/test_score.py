"""`kstyle score`: a table for people, JSON for programs."""

import json

import pytest
from click.testing import CliRunner

import kstyle
from kstyle.cli.main import cli
from kstyle.cli.score import higher_means, short_names


@pytest.fixture
def command(tmp_path, random_picture):
    """Return the words of a command on two results."""
    for seed, name in enumerate(("content", "style", "a", "b")):
        kstyle.save_picture(tmp_path / f"{name}.png", random_picture(24, 32, seed))
    files = {name: str(tmp_path / f"{name}.png") for name in ("content", "style")}
    results = [str(tmp_path / f"{name}.png") for name in "ab"]
    pair = ["--content", files["content"], "--style", files["style"]]
    return ["score", *results, *pair]


def test_the_table_has_a_column_for_each_result(command):
    done = CliRunner().invoke(cli, command)
    assert done.exit_code == 0, done.output
    lines = done.stdout.splitlines()
    assert "a.png" in lines[1] and "b.png" in lines[1]
    assert sum("32 x 24" in line for line in lines) == 1
    assert any("dists_style" in line and "less similar" in line for line in lines)


def test_json_has_size_and_scores_of_each_result(command):
    done = CliRunner().invoke(cli, [*command, "--json", "--size", "28"])
    first, second = json.loads(done.stdout)
    assert first["result"].endswith("a.png")
    assert (second["height"], second["width"]) == (21, 28)
    assert second["scores"]["dists_content"] > 0
    assert second["scores"]["lpips"] == "NaN"  # 21 pixels are too few for AlexNet


def test_style_given_twice_is_a_mixture(command):
    def scores(*words):
        done = CliRunner().invoke(cli, [*command, "--json", *words])
        assert done.exit_code == 0, done.output
        return json.loads(done.stdout)[0]["scores"]["style_distance"]

    content = command[command.index("--content") + 1]
    first, mixture = scores(), scores("--style", content)
    mostly_first = scores("--style", content, "--blend", "1e9,1")
    assert mixture != pytest.approx(first, rel=1e-3)
    assert mostly_first == pytest.approx(first, rel=1e-3)
    done = CliRunner().invoke(cli, [*command, "--blend", "2,x"])
    assert done.exit_code == 2 and "Received: 2,x" in done.stderr


def test_a_picture_that_is_missing_is_one_sentence(command, tmp_path):
    done = CliRunner().invoke(cli, ["score", str(tmp_path / "none.png"), *command[3:]])
    assert done.exit_code == 1
    assert "none.png" in done.stderr and "Traceback" not in done.stderr


def test_results_of_one_name_are_told_apart_by_their_folder():
    assert short_names(["x/result.png", "y/result.png", "z/c.png"]) == [
        "x/result.png",
        "y/result.png",
        "c.png",
    ]
    assert higher_means("ssim") == "more similar"
