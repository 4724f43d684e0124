"""``reconcile validate``."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Final

import typer

from reconciler.cli.options import Envs, FindingsFormat, VarFiles, Vars, variables
from reconciler.cli.root import COMMANDS, STYLE, examples
from reconciler.cli.terminal import Terminal, colour, plural
from reconciler.config.files import displayed_from
from reconciler.config.given import Given
from reconciler.model.exit_codes import ERROR, OK
from reconciler.model.problems import Problem, Problems, ordered
from reconciler.operations import session
from reconciler.operations.session import Location
from reconciler.render import findings, text

APP: Final = typer.Typer(**STYLE)


@APP.command(
    help=COMMANDS["validate"],
    epilog=examples(
        "reconcile validate", "reconcile validate prod --strict", "reconcile validate --all --format github"
    ),
)
def validate(
    ctx: typer.Context,
    envs: Envs = None,
    every: Annotated[bool, typer.Option("--all", help="Check every environment under environments/.")] = False,
    output: Annotated[
        FindingsFormat, typer.Option("--format", help="How the findings are printed.")
    ] = FindingsFormat.text,
    strict: Annotated[bool, typer.Option("--strict", help="Treat warnings as errors; notes are not affected.")] = False,
    var: Vars = None,
    var_file: VarFiles = None,
) -> None:
    """Check environments, and print their problems."""
    terminal: Terminal = ctx.obj
    terminal.as_json = output is FindingsFormat.json
    given = variables(var, var_file)
    cwd = Path.cwd()
    # code hosts take paths from the top of the repository, people and editors from where they are
    seen_from = cwd if output in (FindingsFormat.text, FindingsFormat.json) else session.repository(cwd)
    count = 0
    try:
        locations, found = session.locate_all(envs or (), cwd, every=every)
    except Problems as error:
        locations, found = [], [*error.problems]
    for location in locations:
        resources, problems = _checked(terminal, location, seen_from, given)
        count += resources
        found += problems
    shown = _without_repeats(found)
    errors, notes = sum(not problem.warning for problem in shown), sum(problem.note for problem in shown)
    match output:
        case FindingsFormat.text:
            where = f" in {len(locations)} environments" if len(locations) > 1 else ""
            _print(terminal, shown, f"{plural(count, 'resource')}{where}", errors, notes)
        case FindingsFormat.json:
            terminal.problems(found)
        case FindingsFormat.github:
            if shown:
                terminal.result(findings.github(shown, terminal.mask))
        case FindingsFormat.gitlab:
            terminal.result(findings.gitlab(shown, terminal.mask))
        case FindingsFormat.sarif:
            terminal.result(findings.sarif(shown, terminal.mask))
    bad = len(shown) > notes if strict else bool(errors)
    raise typer.Exit(ERROR if bad else OK)


def _checked(
    terminal: Terminal, location: Location, seen_from: Path, given: Mapping[str, Given]
) -> tuple[int, Sequence[Problem]]:
    """The number of resources of an environment, and its problems with paths from ``seen_from``."""
    count, problems = 0, ordered(())
    try:
        loaded = session.read(location, os.environ, strict=False, given=given)
        terminal.mask |= loaded.mask
        count, problems = len(loaded.env.resources), ordered(loaded.warnings)
    except Problems as error:
        problems = error.problems
    return count, displayed_from(problems, location.target, seen_from)


def _without_repeats(found: Sequence[Problem]) -> list[Problem]:
    """The problems, those of a base that several environments share once, with the names of the environments."""
    concerned: dict[Problem, list[str]] = {}
    for problem in found:
        concerned.setdefault(replace(problem, environment=""), []).append(problem.environment)
    return [
        replace(problem, message=f"{problem.message} (in {', '.join(names)})") if len(names) > 1 else problem
        for problem, names in concerned.items()
    ]


def _print(terminal: Terminal, shown: Sequence[Problem], checked: str, errors: int, notes: int) -> None:
    if shown:
        terminal.result(text.problems(shown, terminal.mask, text.Paint(colour=colour(sys.stdout))))
    summary = f"{plural(errors, 'error')}, {plural(len(shown) - errors - notes, 'warning')}"
    summary += f", {plural(notes, 'note')}" if notes else ""
    summary = summary if shown else "no problems"
    terminal.result(summary if errors else f"{checked}: {summary}")
