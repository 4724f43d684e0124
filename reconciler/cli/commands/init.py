"""``reconcile init``."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Final

import typer

from reconciler.cli.root import COMMANDS, STYLE, examples
from reconciler.cli.terminal import Terminal
from reconciler.model import problem_codes as codes
from reconciler.model.problems import Problem, Problems
from reconciler.model.when_used import when_used
from reconciler.render.findings import PAGES

with when_used():
    from reconciler.operations import pipelines, scaffold, session

APP: Final = typer.Typer(**STYLE)


class CodeHost(StrEnum):
    """A host whose pipelines are written."""

    github = "github"
    gitlab = "gitlab"


def _templates(incomplete: str) -> list[str]:
    return [name for name in scaffold.templates() if name.startswith(incomplete)]


@APP.command(
    help=COMMANDS["init"],
    epilog=examples(
        "reconcile init my-cluster --template retry-strategies", "reconcile init --list", "reconcile init --ci github"
    ),
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
    host: Annotated[
        CodeHost | None,
        typer.Option(
            "--ci",
            metavar="HOST",
            help="Write pipelines for github or gitlab instead, at the top of the repository or in DIR; existing files "
            "are kept.",
        ),
    ] = None,
) -> None:
    """Write a template to ``directory``, or list the templates; or write pipelines."""
    terminal: Terminal = ctx.obj
    if host is not None:
        _pipelines(terminal, host.value, directory or session.repository(Path.cwd()))
        return
    if show:
        for name, about in scaffold.templates().items():
            terminal.result(f"{name:<20} {about}")
        return
    if directory is None:
        raise Problems([Problem(code=codes.USAGE, message="no directory given", hint="reconcile init DIR")])
    for path in scaffold.write(directory, template):
        terminal.note(f"wrote {terminal.mask.line(str(path))}")
    terminal.result(f"next: reconcile validate {terminal.shell_quoted(directory)}")


def _pipelines(terminal: Terminal, host: str, root: Path) -> None:
    """Write the pipelines, and say what is left to do."""
    done = pipelines.write(root, host)
    for path in done.new:
        terminal.note(f"wrote {terminal.mask.line(str(path))}")
    for path in done.equal:
        terminal.note(f"kept {terminal.mask.line(str(path))}: it is up to date")
    for path in done.others:
        terminal.note(f"kept {terminal.mask.line(str(path))}: it exists, with other content")
    for what in done.edit:
        terminal.note(f"check: {what}")
    main = root / ".gitlab-ci.yml"
    if main in done.others:
        terminal.note(f"add to {terminal.mask.line(str(main))}: include: [{{local: .gitlab/reconcile.yml}}]")
    terminal.result(f"next: the roles, their policies and the settings that they need: {PAGES}pipelines.md")
