"""``reconcile completion``: commands, options, environments and addresses, in bash, zsh and fish."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Final

import typer
from typer.completion import shell_complete

from reconciler.cli.root import COMMANDS, COMPLETE, STYLE, examples, register_shells

# bash makes three words of `--target=jobQ`; typer's own script would complete the last as another argument. What has
# quotes in it (an address) is offered in quotes, unless the word begins with one.
BASH: Final = r"""
_reconcile_completion() {
    local IFS=$'\n' words=() at last
    for ((at = 0; at <= COMP_CWORD; at++)); do
        last=${#words[@]}
        if [[ ${COMP_WORDS[at]} == "=" && $last -gt 0 && ${words[last - 1]} == --* ]]; then
            if ((at == COMP_CWORD)); then words+=(""); fi
        else
            words+=("${COMP_WORDS[at]}")
        fi
    done
    COMPREPLY=( $( env COMP_WORDS="${words[*]}" COMP_CWORD=$((${#words[@]} - 1)) \
                   %(variable)s=complete_bash $1 ) )
    if [[ ${COMP_WORDS[COMP_CWORD]} != [\"\']* ]]; then
        for at in "${!COMPREPLY[@]}"; do
            if [[ ${COMPREPLY[at]} == *\"* ]]; then COMPREPLY[at]="'${COMPREPLY[at]}'"; fi
        done
    fi
    return 0
}

complete -o default -F _reconcile_completion reconcile
"""

APP: Final = typer.Typer(**STYLE)


class Shell(StrEnum):
    """The shells with completion."""

    bash = "bash"
    zsh = "zsh"
    fish = "fish"


@APP.command(
    help=COMMANDS["completion"],
    epilog=examples(
        'eval "$(reconcile completion bash)"', "reconcile completion fish > ~/.config/fish/completions/reconcile.fish"
    ),
)
def completion(
    ctx: typer.Context,
    shell: Annotated[Shell, typer.Argument(metavar="SHELL", help="bash, zsh or fish.", show_default=False)],
) -> None:
    """Print the completion script for ``shell``."""
    if shell is Shell.bash:
        typer.echo(BASH % {"variable": COMPLETE})
        return
    register_shells()
    shell_complete(ctx.find_root().command, {}, "reconcile", COMPLETE, f"source_{shell.value}")
