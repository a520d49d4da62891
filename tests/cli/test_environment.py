"""Environment variables: switches, wrong values, names that no option has."""

import pytest
from click.testing import CliRunner

import kstyle
from kstyle.cli.main import cli


def invoke(*words, **env):
    return CliRunner().invoke(cli, list(map(str, words)), env=env)


@pytest.fixture
def words(small_run):
    """The words of a small `kstyle stylize`."""
    options = dict(small_run)
    pictures = options.pop("content"), options.pop("style")
    flags = [x for k, v in options.items() for x in (f"--{k.replace('_', '-')}", v)]
    return ["stylize", *pictures, *flags]


def test_the_quiet_switch_can_be_a_variable(words):
    result = invoke(*words, KSTYLE_QUIET="1")
    assert (result.exit_code, result.stderr) == (0, "")
    assert kstyle.load_picture(result.stdout.strip()).size == (12, 18)


def test_the_dry_run_switch_can_be_a_variable(words, tmp_path):
    result = invoke(*words, KSTYLE_DRY_RUN="yes")
    assert "in all: 4 steps" in result.stdout
    assert not (tmp_path / "logs").exists()


def test_the_overwrite_switch_can_be_a_variable(words, random_picture, tmp_path):
    output = tmp_path / "out.png"
    kstyle.save_picture(output, random_picture(2, 2))
    words = [*words, "-o", output, "--dry-run"]
    assert "--overwrite" in invoke(*words, KSTYLE_OVERWRITE="0").stderr
    assert invoke(*words, KSTYLE_OVERWRITE="1").exit_code == 0


def test_the_config_file_can_be_named_by_a_variable(words, tmp_path):
    file = tmp_path / "some.yaml"
    file.write_text("steps: many")
    words = [word for word in words if word not in ("--steps", 4)]
    result = invoke(*words, KSTYLE_CONFIG=str(file))
    assert f"{file}: steps: input should be" in result.stderr


def test_an_argument_overrides_the_variable_of_a_folder(words):
    result = invoke(*words, "--dry-run", KSTYLE_CONTENT_DIR="nowhere")
    assert result.exit_code == 0, result.stderr


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("KSTYLE_OVERWRITE", "maybe"),
        ("KSTYLE_LOG_GRADIENTS", "maybe"),
        ("KSTYLE_NET", "vgg17"),
        ("KSTYLE_SIZE", "large"),
    ],
)
def test_a_wrong_value_names_its_variable(name, value):
    result = invoke("stylize", **{name: value})
    assert result.exit_code == 2
    assert name in result.stderr and value in result.stderr


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("KSTYLE_STEPZ", "Did you mean KSTYLE_STEPS?"),
        ("KSTYLE_OVERWRITTEN", "Did you mean KSTYLE_OVERWRITE?"),
        ("KSTYLE_", "lists the options."),
        ("KSTYLE_X\n", "KSTYLE_X\\n. `kstyle stylize --help-all` lists"),
    ],
)
def test_an_unknown_variable_gets_one_warning(name, hint):
    result = invoke("samples", **{name: "1"})
    assert result.exit_code == 0
    (line,) = result.stderr.splitlines()
    assert line.startswith("warning: no option reads the variable KSTYLE_")
    assert hint in line


def test_known_and_foreign_variables_get_no_warning():
    result = invoke("samples", KSTYLE_STEPS="3", KSTYLE_QUIET="1", KSTYLEX="1")
    assert result.stderr == ""
