"""``reconcile unlock``."""

from __future__ import annotations

from typing import Final

import typer

from reconciler.cli.options import AutoApprove, Env, Format, FormatOption, Sandbox, VarFiles, Vars, variables
from reconciler.cli.root import COMMANDS, STYLE, examples
from reconciler.cli.signals import interruptible
from reconciler.cli.terminal import Terminal
from reconciler.model import problem_codes as codes
from reconciler.model.exit_codes import ERROR
from reconciler.model.problems import Problem
from reconciler.model.when_used import when_used

with when_used():
    from reconciler.cli import reporting
    from reconciler.operations import session
    from reconciler.render import json as as_json

APP: Final = typer.Typer(**STYLE)


@APP.command(help=COMMANDS["unlock"], epilog=examples("reconcile unlock prod"))
def unlock(
    ctx: typer.Context,
    env: Env = None,
    auto_approve: AutoApprove = False,
    output: FormatOption = Format.text,
    var: Vars = None,
    var_file: VarFiles = None,
    sandbox: Sandbox = False,
) -> None:
    """Show the lock's holder, and break the lock after approval."""
    terminal: Terminal = ctx.obj
    terminal.as_json = output is Format.json

    given = variables(var, var_file)

    def approve(holder: str) -> bool:
        if auto_approve:
            return True
        terminal.note(holder)
        message = "unlock needs approval, but there is no terminal"
        unattended = Problem(code=codes.NOT_APPROVED, message=message, hint="pass --auto-approve")
        return terminal.confirm("Break the lock?", unattended)

    with interruptible():
        account = reporting.connect(terminal, env, strict=False, sandbox=sandbox, given=given)
        broken = session.break_lock(account, approve)
    if broken is None:
        raise typer.Exit(ERROR)
    if terminal.as_json:
        terminal.result(as_json.dumps({"unlocked": broken or None}))
    else:
        terminal.result(broken or f"There is no lock to break: {session.lock_place(account)} is not locked.")
