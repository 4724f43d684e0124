"""``reconcile completion``: commands, options, environments and addresses, in bash, zsh and fish."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Final

import typer
from typer.completion import shell_complete

from reconciler.cli.root import COMMANDS, COMPLETE, STYLE, register_shells

APP: Final = typer.Typer(**STYLE)


class Shell(StrEnum):
    """The shells with completion."""

    bash = "bash"
    zsh = "zsh"
    fish = "fish"


@APP.command(
    help=COMMANDS["completion"],
    epilog='Examples: eval "$(reconcile completion bash)"    '
    "reconcile completion fish > ~/.config/fish/completions/reconcile.fish",
)
def completion(
    ctx: typer.Context,
    shell: Annotated[Shell, typer.Argument(metavar="SHELL", help="bash, zsh or fish.", show_default=False)],
) -> None:
    """Print the completion script for ``shell``."""
    register_shells()
    shell_complete(ctx.find_root().command, {}, "reconcile", COMPLETE, f"source_{shell.value}")
