"""`kstyle completion`: completion of commands, options and file names in a shell."""

import os
from pathlib import Path

import click
from click.shell_completion import CompletionItem, get_completion_class

from kstyle.images.samples import sample_names

SHELLS = ("bash", "zsh", "fish")
COMPLETION_VARIABLE = "_KSTYLE_COMPLETE"  # what click reads


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
