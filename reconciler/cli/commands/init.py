"""``reconcile init``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Final

import typer

from reconciler.cli.root import COMMANDS, STYLE, examples
from reconciler.cli.terminal import Terminal
from reconciler.model import problem_codes as codes
from reconciler.model.problems import Problem, Problems
from reconciler.operations import scaffold

APP: Final = typer.Typer(**STYLE)


def _templates(incomplete: str) -> list[str]:
    return [name for name in scaffold.templates() if name.startswith(incomplete)]


@APP.command(
    help=COMMANDS["init"],
    epilog=examples("reconcile init my-cluster --template retry-strategies", "reconcile init --list"),
)
def init(
    ctx: typer.Context,
    directory: Annotated[
        Path | None, typer.Argument(metavar="DIR", help="The directory to write it to.", show_default=False)
    ] = None,
    template: Annotated[
        str, typer.Option("--template", metavar="NAME", help="Template to start from.", autocompletion=_templates)
    ] = "minimal",
    show: Annotated[bool, typer.Option("--list", help="Show the templates.")] = False,
) -> None:
    """Write a template to ``directory``, or list the templates."""
    terminal: Terminal = ctx.obj
    if show:
        for name, about in scaffold.templates().items():
            terminal.result(f"{name:<20} {about}")
        return
    if directory is None:
        raise Problems([Problem(code=codes.USAGE, message="no directory given", hint="reconcile init DIR")])
    for path in scaffold.write(directory, template):
        terminal.note(f"wrote {terminal.mask.line(str(path))}")
    terminal.result(f"next: reconcile validate {terminal.shell_quoted(directory)}")
