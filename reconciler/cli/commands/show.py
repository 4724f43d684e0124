"""``reconcile show``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Final

import typer

from reconciler.cli.options import OnlyChanges, Verbose
from reconciler.cli.outputs import Outputs, PlanFormats
from reconciler.cli.root import COMMANDS, STYLE, examples
from reconciler.cli.terminal import Terminal
from reconciler.model.exit_codes import CHANGES, OK
from reconciler.model.when_used import when_used

with when_used():
    from reconciler.cli import reporting
    from reconciler.operations import saved_plan, shown_plan

APP: Final = typer.Typer(**STYLE)


@APP.command(
    help=COMMANDS["show"],
    epilog=examples("reconcile show prod.plan", "reconcile show prod.plan --format html=plan.html"),
)
def show(
    ctx: typer.Context,
    file: Annotated[str, typer.Argument(metavar="PLAN-FILE", help="A plan saved with --out.", show_default=False)],
    output: PlanFormats = None,
    detailed_exitcode: Annotated[
        bool, typer.Option("--detailed-exitcode", help="Exit with 2 when there are changes.")
    ] = False,
    only_changes: OnlyChanges = False,
    verbose: Verbose = False,
) -> None:
    """Print a saved plan."""
    terminal: Terminal = ctx.obj
    terminal.verbose = verbose
    path = Path(file)
    outputs = Outputs.of(ctx, output, [path])
    shown = shown_plan.of(saved_plan.read(path), path)
    view = shown.view()
    terminal.root, terminal.environment = view.root, view.environment
    if shown.problems and not terminal.as_json:
        terminal.problems(shown.problems)
    at = f" at commit {view.facts['commit']}" if view.facts.get("commit") else ""
    terminal.note(f"planned {view.facts.get('planned', '')}{at}")
    reporting.show(terminal, outputs, shown, only_changes=only_changes)
    raise typer.Exit(CHANGES if detailed_exitcode and any(one.verb != "noop" for one in view.entries) else OK)
