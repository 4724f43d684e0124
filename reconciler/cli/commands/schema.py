"""``reconcile schema``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Final

import typer

from reconciler.cli.root import COMMANDS, STYLE, examples
from reconciler.cli.terminal import Terminal
from reconciler.model import problem_codes as codes
from reconciler.model.problems import Problem, Problems, did_you_mean
from reconciler.operations import editor_schema
from reconciler.schema import registry

TESTS: Final = "tests"  # files with tests, which are no section
APP: Final = typer.Typer(**STYLE)


def _sections(incomplete: str) -> list[str]:
    return [section for section in (*registry.sections(), TESTS) if section.startswith(incomplete)]


@APP.command(help=COMMANDS["schema"], epilog=examples("reconcile schema jobQueues", "reconcile schema --write"))
def schema(
    ctx: typer.Context,
    section: Annotated[
        str | None,
        typer.Argument(
            metavar="SECTION",
            help="A section, as written in YAML, or tests; all sections if omitted.",
            show_default=False,
            autocompletion=_sections,
        ),
    ] = None,
    write: Annotated[
        bool,
        typer.Option(
            "--write",
            help=f"Write it to {editor_schema.DIRECTORY}/ at the top of this project, and let its files refer to it.",
        ),
    ] = False,
) -> None:
    """Print the JSON Schema of ``section``, or of an environment; or write it for the editors of this project."""
    terminal: Terminal = ctx.obj
    if write:
        if section is not None:
            hint = "leave the section out: editors use the schema of all sections"
            raise Problems([Problem(code=codes.USAGE, message="--write cannot be combined with SECTION", hint=hint)])
        for path in editor_schema.write(Path()):
            terminal.note(f"wrote {terminal.mask.line(str(path))}")
        return
    if section == TESTS:
        terminal.result(json.dumps(registry.published_tests(), indent=2, ensure_ascii=False))
        return
    known = registry.sections()
    if section is not None and section not in known:
        hint = did_you_mean(section, known) or f"one of {', '.join(known)}"
        raise Problems([Problem(code=codes.UNKNOWN_SECTION, message=f'there is no section "{section}"', hint=hint)])
    terminal.result(json.dumps(registry.published(section), indent=2, ensure_ascii=False))
