"""``reconcile schema``."""

from __future__ import annotations

import json
from typing import Annotated, Final

import typer

from reconciler.cli.root import COMMANDS, STYLE, examples
from reconciler.cli.terminal import Terminal
from reconciler.model import problem_codes as codes
from reconciler.model.problems import Problem, Problems, did_you_mean
from reconciler.schema import registry

APP: Final = typer.Typer(**STYLE)


def _sections(incomplete: str) -> list[str]:
    return [section for section in registry.sections() if section.startswith(incomplete)]


@APP.command(help=COMMANDS["schema"], epilog=examples("reconcile schema jobQueues"))
def schema(
    ctx: typer.Context,
    section: Annotated[
        str | None,
        typer.Argument(
            metavar="SECTION",
            help="A section, as written in YAML; all of them if omitted.",
            show_default=False,
            autocompletion=_sections,
        ),
    ] = None,
) -> None:
    """Print the JSON Schema of ``section``, or of an environment."""
    terminal: Terminal = ctx.obj
    known = registry.sections()
    if section is not None and section not in known:
        hint = did_you_mean(section, known) or f"one of {', '.join(known)}"
        raise Problems([Problem(code=codes.UNKNOWN_SECTION, message=f'there is no section "{section}"', hint=hint)])
    terminal.result(json.dumps(registry.published(section), indent=2, ensure_ascii=False))
