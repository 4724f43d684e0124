"""``reconcile destroy``."""

from __future__ import annotations

from typing import Final

import typer

from reconciler.cli.options import (
    AutoApprove,
    Env,
    Excludes,
    Format,
    FormatOption,
    JournalOption,
    NoLock,
    OnError,
    OnErrorOption,
    Parallelism,
    Sandbox,
    Targets,
    VarFiles,
    Vars,
    Verbose,
    plan_options,
    variables,
)
from reconciler.cli.root import COMMANDS, STYLE, examples
from reconciler.cli.signals import interruptible
from reconciler.cli.terminal import Terminal
from reconciler.model.when_used import when_used

with when_used():
    from reconciler.cli import reporting
    from reconciler.operations import apply as applying

APP: Final = typer.Typer(**STYLE)


@APP.command(help=COMMANDS["destroy"], epilog=examples("reconcile destroy scratch --auto-approve"))
def destroy(
    ctx: typer.Context,
    env: Env = None,
    auto_approve: AutoApprove = False,
    parallelism: Parallelism = 16,
    on_error: OnErrorOption = OnError.stop,
    output: FormatOption = Format.text,
    target: Targets = None,
    exclude: Excludes = None,
    journal: JournalOption = None,
    no_lock: NoLock = False,
    var: Vars = None,
    var_file: VarFiles = None,
    verbose: Verbose = False,
    sandbox: Sandbox = False,
) -> None:
    """Delete the resources that an environment owns; exits with the contract's exit code."""
    terminal: Terminal = ctx.obj
    terminal.as_json = terminal.as_lines = output is Format.json
    terminal.verbose = verbose
    given = variables(var, var_file)
    options = plan_options(target=target, exclude=exclude, destroy=True)
    how = applying.ApplyOptions(
        parallelism=parallelism,
        keep_going=on_error is OnError.carry_on,
        lock=not no_lock,
        journal=journal,
    )
    with interruptible() as stop:
        account = reporting.connect(terminal, env, strict=False, sandbox=sandbox, given=given)
        report = reporting.ApplyReport(terminal, auto_approve=auto_approve)
        stop.announce = report.announce
        raise typer.Exit(applying.apply(account, options, how, report, stop))
