"""`kstyle completion`: completion of commands, options and file names in a shell."""

import os
from pathlib import Path

import click
from click.shell_completion import (
    BashComplete,
    CompletionItem,
    ShellComplete,
    get_completion_class,
)

from kstyle.images.samples import sample_names

SHELLS = ("bash", "zsh", "fish")
COMPLETION_VARIABLE = "_KSTYLE_COMPLETE"  # what click reads
# click's script with two changes. bash splits a line at colons, so `sample:co` arrives
# as three words: they are joined again, and the completion is what follows the last
# colon. Files have priority over the names of samples where both begin like the word.
BASH_SCRIPT = r"""
%(complete_func)s() {
    local IFS=$'\n'
    local response completion type value word prefix="" cword=0 i words=()

    for i in "${!COMP_WORDS[@]}"; do
        word=${COMP_WORDS[i]}
        if (( i > 0 )) && [[ $word == : || ${words[-1]} == *: ]]; then
            words[-1]+=$word
        else
            words+=("$word")
        fi
        (( i == COMP_CWORD )) && cword=$(( ${#words[@]} - 1 ))
    done
    word=${words[cword]}
    [[ $word == *:* ]] && prefix=${word%%"${word##*:}"}

    response=$(env COMP_WORDS="${words[*]}" COMP_CWORD=$cword \
        %(complete_var)s=bash_complete $1)

    for completion in $response; do
        IFS=',' read type value <<< "$completion"

        if [[ $type == 'dir' ]]; then
            COMPREPLY=()
            compopt -o dirnames
        elif [[ $type == 'file' ]]; then
            COMPREPLY=()
            compopt -o default
            [[ -n $(compgen -f -- "$word") ]] && return 0
        elif [[ $type == 'plain' ]]; then
            COMPREPLY+=("${value#"$prefix"}")
        fi
    done

    return 0
}

complete -o nosort -F %(complete_func)s %(prog_name)s
"""


class BashScript(BashComplete):
    """Prints `BASH_SCRIPT`."""

    source_template = BASH_SCRIPT


@click.command("completion")
@click.argument("shell", type=click.Choice(SHELLS), required=False)
@click.pass_context
def completion_command(context: click.Context, shell: str | None) -> None:
    """Print the script that completes kstyle's commands in a shell.

    Without SHELL it is that of $SHELL. To have it in every new shell, add to

    \b
    ~/.bashrc                   eval "$(kstyle completion bash)"
    ~/.zshrc, after compinit    eval "$(kstyle completion zsh)"
    ~/.config/fish/config.fish  kstyle completion fish | source
    """
    name = shell or Path(os.environ.get("SHELL", "")).name
    shell_class: type[ShellComplete] | None = BashScript
    if name != "bash":
        shell_class = get_completion_class(name) if name in SHELLS else None
    if shell_class is None:
        raise click.UsageError(
            f"$SHELL is {name!r}, and there is completion for {', '.join(SHELLS)}. "
            "Name one of them.",
            context,
        )
    command = context.find_root().command
    script = shell_class(command, {}, "kstyle", COMPLETION_VARIABLE).source()
    click.echo(script)


def complete_picture(
    ctx: click.Context, param: click.Parameter, incomplete: str
) -> list[CompletionItem]:
    """List the samples that begin as the word does; the shell adds the files."""
    names = [f"sample:{name}" for name in sample_names()] if incomplete else []
    fitting = [CompletionItem(name) for name in names if name.startswith(incomplete)]
    return [CompletionItem(incomplete, type="file"), *fitting]


def complete_file(
    ctx: click.Context, param: click.Parameter, incomplete: str
) -> list[CompletionItem]:
    """Leave a file's name to the shell."""
    return [CompletionItem(incomplete, type="file")]


def complete_folder(
    ctx: click.Context, param: click.Parameter, incomplete: str
) -> list[CompletionItem]:
    """Leave a folder's name to the shell."""
    return [CompletionItem(incomplete, type="dir")]
