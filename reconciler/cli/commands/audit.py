"""``reconcile audit``."""

from __future__ import annotations

import os
import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Final

import typer

from reconciler.cli.options import Sandbox
from reconciler.cli.root import COMMANDS, STYLE, examples
from reconciler.cli.signals import interruptible
from reconciler.cli.terminal import Terminal, colour
from reconciler.model.audit import AuditReport
from reconciler.model.exit_codes import CHANGES, ERROR, OK
from reconciler.model.when_used import when_used
from reconciler.operations.timestamps import timestamp

with when_used():
    from reconciler.operations.audit import command
    from reconciler.render import audit as rendered
    from reconciler.render import json as as_json
    from reconciler.render.text import Paint

APP: Final = typer.Typer(**STYLE)


class AuditFormat(StrEnum):
    """How the findings are printed."""

    text = "text"
    json = "json"
    markdown = "markdown"
    sarif = "sarif"


@APP.command(
    help=COMMANDS["audit"],
    epilog=examples(
        "reconcile audit",
        "reconcile audit --region eu-west-1 --format markdown > audit.md",
        "reconcile audit --format json | jq '.findings[] | select(.severity == \"error\")'",
        "reconcile permissions --for audit > audit-policy.json",
    ),
)
def audit(
    ctx: typer.Context,
    output: Annotated[AuditFormat, typer.Option("--format", help="How the findings are printed.")] = AuditFormat.text,
    region: Annotated[
        str | None,
        typer.Option("--region", metavar="REGION", help="The Region to audit, by default that of the AWS set-up."),
    ] = None,
    profile: Annotated[
        str | None,
        typer.Option("--profile", metavar="NAME", help="The profile with the credentials, as in the AWS CLI."),
    ] = None,
    strict: Annotated[bool, typer.Option("--strict", help="Exit with 2 for advice, too.")] = False,
    sandbox: Sandbox = False,
) -> None:
    """Print what in the account's AWS Batch is broken, unowned or risky; exit 2 for errors and warnings."""
    terminal: Terminal = ctx.obj
    terminal.as_json = output is AuditFormat.json
    with interruptible():
        session = command.connect(os.environ, region=region, profile=profile, sandbox=sandbox)
        terminal.mask |= session.mask
        report = command.run(session, Path.cwd())
    terminal.result(_shown(terminal, report, output))
    raise typer.Exit(_exit_code(report, strict=strict))


def _shown(terminal: Terminal, report: AuditReport, output: AuditFormat) -> str:
    mask = terminal.mask
    match output:
        case AuditFormat.json:
            return as_json.dumps(rendered.document(report, mask, timestamp=timestamp()), indent=2)
        case AuditFormat.markdown:
            return rendered.markdown(report, mask)
        case AuditFormat.sarif:
            return rendered.sarif(report, mask)
    return rendered.text(report, mask, Paint(colour=colour(sys.stdout)))


def _exit_code(report: AuditReport, *, strict: bool) -> int:
    """An incomplete report is an error: that it has no findings would say nothing."""
    if report.unread:
        return ERROR
    found = report.count("error") + report.count("warning") + (report.count("advice") if strict else 0)
    return CHANGES if found else OK
