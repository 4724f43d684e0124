"""``reconcile plan``."""

from __future__ import annotations

from dataclasses import replace as changed
from pathlib import Path
from typing import Annotated, Final

import typer

from reconciler.cli import reporting
from reconciler.cli.options import (
    Adopt,
    Allow,
    Env,
    Excludes,
    OnlyChanges,
    PlanFormat,
    PlanFormatOption,
    Refreshes,
    Replaces,
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
from reconciler.model.exit_codes import CHANGES, ERROR, OK
from reconciler.operations import pipeline, saved_plan, saved_variables
from reconciler.operations.session import timestamp

APP: Final = typer.Typer(**STYLE)


@APP.command(
    help=COMMANDS["plan"], epilog=examples("reconcile plan --detailed-exitcode", "reconcile plan prod --out prod.plan")
)
def plan(
    ctx: typer.Context,
    env: Env = None,
    output: PlanFormatOption = PlanFormat.text,
    out: Annotated[Path | None, typer.Option("--out", metavar="FILE", help="Save the plan for apply.")] = None,
    detailed_exitcode: Annotated[
        bool, typer.Option("--detailed-exitcode", help="Exit with 2 when there are changes.")
    ] = False,
    target: Targets = None,
    exclude: Excludes = None,
    replace: Replaces = None,
    refresh_images: Refreshes = None,
    destroy: Annotated[bool, typer.Option("--destroy", help="Plan to delete what the environment owns.")] = False,
    adopt: Adopt = False,
    allow_deletions: Allow = None,
    only_changes: OnlyChanges = False,
    var: Vars = None,
    var_file: VarFiles = None,
    verbose: Verbose = False,
    sandbox: Sandbox = False,
) -> None:
    """Print the plan of an environment, and save it to ``out``."""
    terminal: Terminal = ctx.obj
    terminal.as_json, terminal.verbose = output is PlanFormat.json, verbose
    if out:
        saved_plan.check_place(out)
    given = variables(var, var_file)
    options = plan_options(
        target=target,
        exclude=exclude,
        replace=replace,
        refresh=refresh_images,
        adopt=adopt,
        destroy=destroy,
        allow=allow_deletions,
    )
    with interruptible():
        account = reporting.connect(terminal, env, strict=not destroy, sandbox=sandbox, given=given)
        made = reporting.make_plan(terminal, account, options, output.value)
    reporting.show(terminal, made, only_changes=only_changes, output=output.value, advice=account.loaded.warnings)
    if made.errored:
        raise typer.Exit(ERROR)
    if out:
        where = saved_plan.place_of(account.env.name, account.loaded.location.target, Path.cwd())
        document = pipeline.document(made, timestamp=timestamp())
        saved_plan.write(
            out,
            document,
            where=where,
            options=changed(options, kept=made.kept),
            variables=saved_variables.to_save(account.env, made.mask),
        )
        name = terminal.mask.line(str(out))
        terminal.note(f"Saved the plan to {name}; apply it with: reconcile apply {terminal.shell_quoted(out)}")
    raise typer.Exit(CHANGES if detailed_exitcode and made.plan.applyable else OK)
