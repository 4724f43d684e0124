"""``reconcile why``."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated, Final

import typer

from reconciler.cli import reporting
from reconciler.cli.options import Format, FormatOption, Sandbox, VarFiles, Vars, addresses, environments, variables
from reconciler.cli.root import COMMANDS, STYLE, examples
from reconciler.cli.signals import interruptible
from reconciler.cli.terminal import Terminal, colour
from reconciler.config import files
from reconciler.config.expressions import address
from reconciler.model import problem_codes as codes
from reconciler.model.exit_codes import CHANGES
from reconciler.model.problems import Problem, Problems
from reconciler.operations.session import Session
from reconciler.render import diagnosis as shown
from reconciler.render.text import Paint

APP: Final = typer.Typer(**STYLE)


def _subjects(ctx: typer.Context, incomplete: str) -> list[str]:
    """Completes ADDRESS, with those that can be asked about."""
    from reconciler.kinds import discover  # noqa: PLC0415  (only completion needs it here)

    ours = {section for section, kind in discover().items() if kind.diagnosis is not None}
    known = [found for found in map(address, addresses(ctx, "")) if found is not None and found.section in ours]
    return [name for one in known for name in (str(one), one.name) if name.startswith(incomplete)]


def _first_word(ctx: typer.Context, incomplete: str) -> list[str]:
    """Completes ENV; where the environment can be left out, ADDRESS too."""
    return [*environments(incomplete), *_subjects(ctx, incomplete)]


@APP.command(
    help=COMMANDS["why"],
    epilog=examples(
        "reconcile why prod 1f7c2a90-0c1d-4a4e-9b1e-5c2f0a7d3e11",
        "reconcile why prod jobQueues.main",
        "reconcile why prod computeEnvironments.gpu --format json",
        "reconcile why 1f7c2a90-0c1d-4a4e-9b1e-5c2f0a7d3e11:12",
        "reconcile permissions prod --for why",
    ),
)
def why(
    ctx: typer.Context,
    env: Annotated[
        str | None,
        typer.Argument(
            metavar="ENV",
            help="A directory, a file, or a name under environments/; may be left out, as in other commands.",
            show_default=False,
            autocompletion=_first_word,
        ),
    ] = None,
    subject: Annotated[
        str | None,
        typer.Argument(
            metavar="ADDRESS|JOB-ID",
            help="A job id (ID:2 is a child of an array, ID#0 a node) or name, an address, or the name of a queue, an "
            "environment or a definition (its latest job that failed or waits).",
            show_default=False,
            autocompletion=_subjects,
        ),
    ] = None,
    output: FormatOption = Format.text,
    sandbox: Sandbox = False,
    var: Vars = None,
    var_file: VarFiles = None,
) -> None:
    """Show why a job, a queue or an environment does not work, and what to change; exit 2 if that is unknown."""
    from reconciler.operations.diagnosis import diagnose  # noqa: PLC0415  (as boto3, which it needs)

    terminal: Terminal = ctx.obj
    terminal.as_json = output is Format.json
    env, subject = (None, env) if subject is None else (env, subject)
    if subject is None:
        message = "no subject given"
        raise Problems([Problem(code=codes.USAGE, message=message, hint="give a job id, an address, or a name")])
    with interruptible():
        session = _connect(terminal, env, var, var_file, sandbox=sandbox)
        found = diagnose.diagnose(session, subject)
    if terminal.as_json:
        terminal.document(terminal.mask.value(shown.document(found)))
    else:
        terminal.result(shown.text(found, terminal.mask, Paint(colour=colour(sys.stdout))))
    if found.unknown:
        raise typer.Exit(CHANGES)


def _connect(
    terminal: Terminal, env: str | None, var: list[str] | None, var_file: list[str] | None, *, sandbox: bool
) -> Session:
    """The account of the environment; without one, where there are several or none, that of the credentials."""
    if env is None and not (var or var_file) and not _only_environment():
        from reconciler.operations.audit import command  # noqa: PLC0415  (few need it)

        session = command.connect(os.environ, region=None, profile=None, sandbox=sandbox)
        terminal.mask |= session.mask
        return session
    return reporting.connect(terminal, env, strict=False, sandbox=sandbox, given=variables(var, var_file))


def _only_environment() -> bool:
    """Whether the environment may be left out."""
    cwd = Path.cwd()
    return files.is_environment(cwd) or len(files.environments(cwd)) == 1
