"""``reconcile drift``."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated, Final

import typer

from reconciler.cli.options import (
    DriftFormat,
    Envs,
    OnlyChanges,
    Sandbox,
    VarFiles,
    Vars,
    Verbose,
    variables,
)
from reconciler.cli.outputs import DriftFormats, Output, Outputs
from reconciler.cli.root import COMMANDS, STYLE, examples
from reconciler.cli.signals import interruptible
from reconciler.cli.terminal import Terminal, colour
from reconciler.model.problems import Problem
from reconciler.operations import session
from reconciler.operations.drift import fleet
from reconciler.operations.session import timestamp
from reconciler.render import drift_html, drift_json, drift_markdown, drift_sarif, drift_text, junit, text
from reconciler.render.drift_view import Checked, Report
from reconciler.render.failure import Failure
from reconciler.render.view import masked

APP: Final = typer.Typer(**STYLE)


@APP.command(
    help=COMMANDS["drift"],
    epilog=examples(
        "reconcile drift prod",
        "reconcile drift --all --format markdown=drift.md --format junit=drift.xml",
    ),
)
def drift(
    ctx: typer.Context,
    envs: Envs = None,
    every: Annotated[bool, typer.Option("--all", help="Check every environment under environments/.")] = False,
    output: DriftFormats = None,
    ignore_transient: Annotated[
        bool, typer.Option("--ignore-transient", help="Leave out resources that AWS is still changing.")
    ] = False,
    parallelism: Annotated[
        int,
        typer.Option(
            "--parallelism", min=1, max=16, help="Maximum number of environments of one account checked at a time."
        ),
    ] = fleet.PARALLELISM,
    only_changes: OnlyChanges = False,
    var: Vars = None,
    var_file: VarFiles = None,
    verbose: Verbose = False,
    sandbox: Sandbox = False,
) -> None:
    """Check environments, and print one report. Exits with 2 where there is drift, 1 where there are errors."""
    terminal: Terminal = ctx.obj
    terminal.verbose = verbose
    outputs = Outputs.of(ctx, output, formats=DriftFormat)
    outputs.fail = _failed
    cwd = Path.cwd()
    locations, wrong = session.locate_all(envs or (), cwd, every=every)
    settings = fleet.Settings(
        environ=os.environ,
        given=variables(var, var_file),
        cwd=cwd,
        endpoint=lambda env: session.sandbox_endpoint(env, os.environ, asked=sandbox),
        parallelism=parallelism,
        ignore_transient=ignore_transient,
        whole=outputs.has(DriftFormat.json) and not only_changes,
    )
    progress = _Progress(terminal, len(locations))
    with interruptible():
        found = fleet.check_all(locations, settings, progress.done)
    report = Report(environments=tuple(found), problems=masked(wrong, terminal.mask), at=timestamp())
    outputs.deliver(lambda one: _rendered(report, one, only_changes=only_changes, verbose=verbose))
    raise typer.Exit(fleet.exit_code_of(found, errors=bool(wrong)))


class _Progress:
    """A line on stderr for each environment that is done, where there are several."""

    def __init__(self, terminal: Terminal, total: int) -> None:
        self.terminal, self.total, self.count = terminal, total, 0

    def done(self, one: Checked) -> None:
        """Print the line of one environment."""
        self.count += 1
        if self.total > 1:
            number = f"{self.count:>{len(str(self.total))}}/{self.total}"
            self.terminal.note(f"{timestamp()} {number} {one.title}: {one.result} ({one.took:.1f} s)")


def _rendered(report: Report, output: Output, *, only_changes: bool, verbose: bool) -> str:
    match output.format.value:
        case "json":
            return drift_json.report(report, only_changes=only_changes)
        case "markdown":
            return drift_markdown.report(report)
        case "html":
            return drift_html.report(report)
        case "junit":
            return junit.report(report)
        case "sarif":
            return drift_sarif.report(report)
    paint = text.Paint(colour=not output.file and colour(sys.stdout))
    return drift_text.report(report, paint, verbose=verbose)


def _failed(name: str, failure: Failure) -> str:
    """The report of a command that failed before it checked anything."""
    problems: tuple[Problem, ...] = masked(failure.problems, failure.mask)
    report = Report(problems=problems, at=failure.timestamp)
    return _rendered(report, Output(DriftFormat(name), Path(os.devnull)), only_changes=False, verbose=False)
