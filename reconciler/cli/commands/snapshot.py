"""``reconcile snapshot``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Final

import typer

from reconciler.cli.options import Env, Sandbox, VarFiles, Vars, variables
from reconciler.cli.root import COMMANDS, STYLE, examples
from reconciler.cli.signals import interruptible
from reconciler.cli.terminal import Terminal
from reconciler.model.when_used import when_used

with when_used():
    from reconciler.cli import reporting
    from reconciler.operations import snapshots

APP: Final = typer.Typer(**STYLE)


@APP.command(
    help=COMMANDS["snapshot"],
    epilog=examples("reconcile snapshot prod --out prod.snapshot", "reconcile plan prod --snapshot prod.snapshot"),
)
def snapshot(
    ctx: typer.Context,
    env: Env = None,
    out: Annotated[
        Path, typer.Option("--out", metavar="FILE", help="Where the snapshot is written.", show_default=False)
    ] = ...,  # type: ignore[assignment]
    var: Vars = None,
    var_file: VarFiles = None,
    sandbox: Sandbox = False,
) -> None:
    """Write what planning an environment reads to ``out``."""
    terminal: Terminal = ctx.obj
    snapshots.check_place(out)
    with interruptible():
        account = reporting.connect(terminal, env, strict=True, sandbox=sandbox, given=variables(var, var_file))
        count = snapshots.take(account, out)
    name, where = terminal.mask.line(str(out)), f"{account.env.name} in account {account.scope.account}"
    terminal.note(f"Recorded {count} replies about {terminal.mask.line(where)}, without secrets, in {name}.")
    terminal.note(
        f"Plan from it with: reconcile plan {terminal.shell_quoted(env or '.')} --snapshot {terminal.shell_quoted(out)}"
    )
