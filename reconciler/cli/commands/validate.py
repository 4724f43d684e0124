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
from reconciler.config.files import displayed_from, name_of
from reconciler.config.given import Given
from reconciler.model import problem_codes as codes
from reconciler.model.exit_codes import ERROR, OK
from reconciler.model.problems import Problem, Problems, ordered
from reconciler.model.when_used import when_used

with when_used():
    from reconciler.config import discovery
    from reconciler.operations import same_names, session
    from reconciler.operations.session import Location
    from reconciler.render import findings, text
    from reconciler.render import json as as_json

APP: Final = typer.Typer(**STYLE)


@APP.command(
    help=COMMANDS["validate"],
    epilog=examples(
        "reconcile validate",
        "reconcile validate prod --strict",
        "reconcile validate --all --format github",
        "reconcile validate --changed-since origin/main --format json",
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
    changed_since: Annotated[
        str | None,
        typer.Option(
            "--changed-since",
            metavar="REF",
            help="Check only the environments that the changes since REF touch (a branch, tag or commit of git).",
        ),
    ] = None,
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
    locations, others, found, deleted = _chosen(envs or (), every, changed_since, var_file or ())
    names = {}
    for location in locations:
        names[location], resources, problems = _checked(terminal, location, seen_from, given)
        count += resources
        found += problems
    found += deleted
    top = session.repository(cwd)
    every_name = names | {location: discovery.name_of_environment(location.target) for location in others}
    for location, problem in same_names.problems(every_name, locations, os.environ, given, top):
        found += displayed_from([problem], location.target, seen_from)
    shown = _without_repeats(found)
    errors, notes = sum(not problem.warning for problem in shown), sum(problem.note for problem in shown)
    match output:
        case FindingsFormat.text:
            where = f" in {len(locations)} environments" if len(locations) > 1 else ""
            checked = f"{plural(count, 'resource')}{where}"
            if changed_since is not None and not locations:
                checked = f"no environment is touched by the changes since {terminal.mask.line(changed_since)}"
            _print(terminal, shown, checked, errors, notes)
        case FindingsFormat.json:
            _document(terminal, found, locations, every_name, seen_from)
        case FindingsFormat.github:
            if shown:
                terminal.result(findings.github(shown, terminal.mask))
        case FindingsFormat.gitlab:
            terminal.result(findings.gitlab(shown, terminal.mask))
        case FindingsFormat.sarif:
            terminal.result(findings.sarif(shown, terminal.mask))
    bad = len(shown) > notes if strict else bool(errors)
    raise typer.Exit(ERROR if bad else OK)


def _chosen(
    envs: Sequence[str], every: bool, ref: str | None, var_files: Sequence[str]
) -> tuple[list[Location], list[Location], list[Problem], list[Problem]]:
    """The environments to check: of those that the user names, or all, those that the changes since ``ref`` touch; and
    the others of them.

    Then the problems of arguments that mean none, and of environments that were deleted since.
    """
    try:
        locations, wrong = session.locate_all(envs, Path.cwd(), every=every)
    except Problems as error:
        locations, wrong = [], [*error.problems]
    if ref is None:
        return locations, [], wrong, []
    from reconciler.operations import changed_since  # noqa: PLC0415

    changes = changed_since.since(ref, Path.cwd())
    # whoever names environments asks about no others
    deleted = [] if envs else changes.deleted(discovery.name_of_environment(where.target) for where in locations)
    if deleted:  # that of the last one leaves none
        wrong = [problem for problem in wrong if problem.code != codes.NO_ENVIRONMENT]
    files = [Path(path) for path in var_files]
    touched = [where for where in locations if changes.touch(where.target, files)]
    return touched, [where for where in locations if where not in touched], wrong, deleted


def _checked(
    terminal: Terminal, location: Location, seen_from: Path, given: Mapping[str, Given]
) -> tuple[str, int, Sequence[Problem]]:
    """Name and number of resources of an environment, and its problems with paths from ``seen_from``."""
    name, count, problems = "", 0, ordered(())
    try:
        loaded = session.read(location, os.environ, strict=False, given=given)
        terminal.mask |= loaded.mask
        name, count, problems = loaded.env.name, len(loaded.env.resources), ordered(loaded.warnings)
    except Problems as error:
        problems = error.problems
        name = next((problem.environment for problem in problems if problem.environment), "")
    return name or name_of(location.target), count, displayed_from(problems, location.target, seen_from)


def _document(
    terminal: Terminal,
    found: Sequence[Problem],
    locations: Sequence[Location],
    names: Mapping[Location, str],
    seen_from: Path,
) -> None:
    """Print the problems, and the environments that were checked, as JSON: ``names`` are also those of others."""
    ids = same_names.ids(names, session.repository(seen_from))
    problems = [as_json.problem(problem, terminal.mask) for problem in found]
    checked = [
        {
            "environment": terminal.mask.line(names[location]),
            "id": terminal.mask.line(ids[location]),
            "path": terminal.mask.line(Path(os.path.relpath(location.target, seen_from)).as_posix()),
        }
        for location in locations
    ]
    terminal.document({"problems": problems, "environments": checked})


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
