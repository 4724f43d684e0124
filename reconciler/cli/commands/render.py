"""``reconcile render``."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

import typer

from reconciler.cli.options import Env, VarFiles, Vars, variables
from reconciler.cli.root import COMMANDS, STYLE, examples
from reconciler.cli.terminal import Terminal
from reconciler.model.when_used import when_used

with when_used():
    from reconciler.operations import session, show_config

APP: Final = typer.Typer(**STYLE)


@APP.command(help=COMMANDS["render"], epilog=examples("reconcile render prod"))
def render(ctx: typer.Context, env: Env = None, var: Vars = None, var_file: VarFiles = None) -> None:
    """Print the merged environment with the source of each value."""
    terminal: Terminal = ctx.obj
    given = variables(var, var_file)
    location = session.locate(env, Path.cwd())
    terminal.root = location.root
    shown, mask = show_config.show(location, os.environ, given)
    terminal.mask |= mask
    terminal.result(shown)
