"""``reconcile validate``."""

from __future__ import annotations

from typing import Annotated, Final

import typer

from reconciler.cli import reporting
from reconciler.cli.options import Format, FormatOption, VarFiles, Vars, environments, variables
from reconciler.cli.root import COMMANDS, STYLE
from reconciler.cli.terminal import Terminal, plural
from reconciler.model.exit_codes import ERROR, OK
from reconciler.model.problems import Problem, Problems, ordered

APP: Final = typer.Typer(**STYLE)


@APP.command(help=COMMANDS["validate"], epilog="Example: reconcile validate environments/retry-strategies --strict")
def validate(
    ctx: typer.Context,
    envs: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="ENV",
            help="Directories, files, or names under environments/.",
            show_default=False,
            autocompletion=environments,
        ),
    ] = None,
    output: FormatOption = Format.text,
    strict: Annotated[bool, typer.Option("--strict", help="Treat warnings as errors; notes are not affected.")] = False,
    var: Vars = None,
    var_file: VarFiles = None,
) -> None:
    """Check environments, and print their problems."""
    terminal: Terminal = ctx.obj
    terminal.as_json = output is Format.json
    given = variables(var, var_file)
    found: list[Problem] = []
    count = 0
    targets: list[str | None] = [*envs] if envs else [None]
    for env in targets:
        try:
            loaded = reporting.read(terminal, env, strict=False, given=given)
            problems = ordered(loaded.warnings)
            count += len(loaded.env.resources)
        except Problems as error:
            problems = ordered(error.problems)
        found += problems
        if problems and not terminal.as_json:
            terminal.problems(problems)
    errors, notes = sum(not problem.warning for problem in found), sum(problem.note for problem in found)
    if terminal.as_json:
        terminal.problems(found)
    else:
        summary = f"{plural(errors, 'error')}, {plural(len(found) - errors - notes, 'warning')}"
        summary += f", {plural(notes, 'note')}" if notes else ""
        summary = summary if found else "no problems"
        terminal.result(summary if errors else f"{plural(count, 'resource')}: {summary}")
    bad = len(found) > notes if strict else bool(errors)
    raise typer.Exit(ERROR if bad else OK)
