"""Completion in bash, zsh and fish, each asked by its own means."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from kstyle.cli.main import COMMANDS, cli

# What each shell is told to do with the completions of a line: print them.
ASK = {
    "bash": """
        eval "$(kstyle completion bash)"
        compopt() { echo "file names"; }
        COMP_WORDS=(@WORDS@); COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
        _kstyle_completion kstyle; printf '%s\\n' "${COMPREPLY[@]}"
    """,
    "zsh": """
        autoload -U compinit; compinit -u -d "$HOME/dump"
        eval "$(kstyle completion zsh)"
        _describe() { print -l -- ${(P)3}; }
        compadd() { print -l -- ${(P)@[-1]}; }
        _path_files() { print "file names"; }
        words=(@WORDS@); CURRENT=${#words}
        _kstyle_completion
    """,
    "fish": """
        kstyle completion fish | source
        complete -C "@LINE@"
    """,
}


@pytest.fixture
def complete(tmp_path):
    """A function from a shell and the words of a line to what the shell offers."""
    program = tmp_path / "bin" / "kstyle"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m kstyle "$@"\n')
    program.chmod(0o755)
    (tmp_path / "photo.jpg").touch()

    def ask(shell, *words):
        if shutil.which(shell) is None:
            pytest.skip(f"{shell} is not installed")
        quoted = " ".join(f"'{word}'" for word in words)
        script = (
            ASK[shell].replace("@WORDS@", quoted).replace("@LINE@", " ".join(words))
        )
        environment = os.environ | {
            "PATH": f"{program.parent}:{os.environ['PATH']}",
            "HOME": str(tmp_path),
            "PYTHONPATH": str(Path(__file__).parents[2]),
        }
        done = subprocess.run(
            [shell, "-c", script],
            capture_output=True,
            text=True,
            cwd=tmp_path,
            env=environment,
            timeout=60,
        )
        return done.stdout + done.stderr

    return ask


@pytest.mark.parametrize("shell", ASK)
def test_a_shell_completes_commands_options_and_files(complete, shell):
    assert "stylize" in complete(shell, "kstyle", "sty")
    assert "--style-growth" in complete(shell, "kstyle", "stylize", "--style-g")
    files = complete(shell, "kstyle", "stylize", "pho")
    assert "photo.jpg" in files or "file names" in files


def test_bash_completes_samples_after_its_colon(complete):
    # As bash splits `kstyle stylize sample:co`.
    samples = complete("bash", "kstyle", "stylize", "sample", ":", "co")
    assert samples.splitlines()[-1] == "coffee"
    second = complete("bash", "kstyle", "stylize", "sample", ":", "night", "sam")
    assert "sample:window" in second
    assert "sample" not in complete("bash", "kstyle", "stylize", "pho")


def test_commands_are_completed_without_importing_them():
    code = (
        "import sys\n"
        "from kstyle.cli.main import cli\n"
        "try: cli(prog_name='kstyle')\n"
        "except SystemExit: pass\n"
        "print(sorted({'numpy', 'pydantic', 'yaml'} & set(sys.modules)))\n"
    )
    asked = {
        "_KSTYLE_COMPLETE": "zsh_complete",
        "COMP_WORDS": "kstyle ",
        "COMP_CWORD": "1",
    }
    out = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        env=os.environ | asked,
        timeout=60,
    ).stdout.splitlines()
    assert set(COMMANDS) <= set(out)
    assert out[-1] == "[]"


def test_the_samples_are_completed():
    result = CliRunner().invoke(
        cli,
        [],
        prog_name="kstyle",
        env={
            "_KSTYLE_COMPLETE": "zsh_complete",
            "COMP_WORDS": "kstyle stylize sample\\:co",
            "COMP_CWORD": "2",
        },
    )
    assert "sample\\:coffee" in result.stdout or "sample:coffee" in result.stdout


def test_the_shell_of_the_environment_is_taken():
    env = {"SHELL": "/usr/bin/fish"}
    script = CliRunner().invoke(cli, ["completion"], env=env, prog_name="kstyle")
    assert "complete --no-files --command kstyle" in script.stdout
    refused = CliRunner().invoke(cli, ["completion"], env={"SHELL": "/bin/csh"})
    assert refused.exit_code == 2
    assert "$SHELL is 'csh', and there is completion for bash, zsh" in refused.stderr
