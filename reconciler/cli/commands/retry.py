"""``reconcile retry``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Final

import typer

from reconciler.cli import reporting
from reconciler.cli.options import Format, FormatOption, VarFiles, Vars, env_and, environments, of_kinds, variables
from reconciler.cli.root import COMMANDS, STYLE, examples
from reconciler.cli.terminal import Terminal
from reconciler.model import problem_codes as codes
from reconciler.model.attempts import Cause
from reconciler.model.exit_codes import ERROR
from reconciler.model.problems import Problem, Problems
from reconciler.operations.jobs import retry_expectations, retry_report
from reconciler.operations.jobs.retry_report import Subject
from reconciler.render import retries as shown
from reconciler.render.retries import Asked, Checked

APP: Final = typer.Typer(**STYLE)


def _definitions(ctx: typer.Context, incomplete: str) -> list[str]:
    """Completes JOB-DEFINITION."""
    return of_kinds(ctx, "retries", incomplete)


def _first_word(ctx: typer.Context, incomplete: str) -> list[str]:
    """Completes ENV; where the environment can be left out, JOB-DEFINITION too."""
    return [*environments(incomplete), *_definitions(ctx, incomplete)]


@APP.command(
    help=COMMANDS["retry"],
    epilog=examples(
        "reconcile retry retry-strategies spot",
        "reconcile retry prod render --outcome host-lost,exit:1,exit:0",
        'reconcile retry prod render --exit-code 137 --reason "OutOfMemoryError: Container killed"',
        "reconcile retry prod render --cause timeout --format json",
        "reconcile retry prod --expect tests/retries.yaml",
    ),
)
def retry(
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
    definition: Annotated[
        str | None,
        typer.Argument(
            metavar="JOB-DEFINITION",
            help="Its key, address or name; may be left out where only one is declared.",
            show_default=False,
            autocompletion=_definitions,
        ),
    ] = None,
    exit_code: Annotated[
        int | None, typer.Option("--exit-code", metavar="N", help="The container's exit code.")
    ] = None,
    reason: Annotated[
        str | None, typer.Option("--reason", metavar="TEXT", help="The container's reason, as AWS writes it.")
    ] = None,
    status_reason: Annotated[
        str | None,
        typer.Option("--status-reason", metavar="TEXT", help="The attempt's statusReason, as AWS writes it."),
    ] = None,
    cause: Annotated[
        Cause | None, typer.Option("--cause", help="An end after which nothing is retried, whatever the rules are.")
    ] = None,
    outcome: Annotated[
        list[str] | None,
        typer.Option(
            "--outcome",
            metavar="NAME[,NAME]...",
            help="A known end, by its name in the table, or exit:N; several are the ends of the attempts in order.",
        ),
    ] = None,
    attempt: Annotated[int, typer.Option("--attempt", metavar="N", min=1, help="The number of the attempt.")] = 1,
    expect: Annotated[
        Path | None,
        typer.Option(
            "--expect", metavar="FILE", help="Compare with the expectations in a YAML file; exit 1 on a difference."
        ),
    ] = None,
    output: FormatOption = Format.text,
    var: Vars = None,
    var_file: VarFiles = None,
) -> None:
    """Show what becomes of a job whose attempt failed: for one end, for several in order, or for all known ends."""
    terminal: Terminal = ctx.obj
    terminal.as_json = output is Format.json
    described = [value for value in (exit_code, reason, status_reason, cause) if value is not None]
    if expect is not None:
        if definition or described or outcome or attempt > 1:
            message = "--expect cannot be combined with JOB-DEFINITION or an end"
            raise Problems([Problem(code=codes.USAGE, message=message, hint="the file names both")])
        cases = retry_expectations.read(expect)
        loaded = reporting.read(terminal, env, strict=False, given=variables(var, var_file))
        root, terminal.root = terminal.root, ""  # problems are in the file of expectations now
        _show_checked(terminal, retry_expectations.check(loaded.env, cases, root))
        return
    env, definition = env_and(env, definition)
    loaded = reporting.read(terminal, env, strict=False, given=variables(var, var_file))
    of = retry_report.subject(loaded.env, definition, terminal.root)
    if described and outcome:
        message = "--outcome cannot be combined with --exit-code, --reason, --status-reason or --cause"
        raise Problems([Problem(code=codes.USAGE, message=message)])
    if described:
        _show_step(terminal, of, retry_report.described(exit_code, reason, status_reason, cause), attempt)
    elif outcome:
        _show_line(
            terminal,
            of,
            [retry_report.named(of.retries, name.strip()) for name in ",".join(outcome).split(",")],
            attempt,
        )
    elif attempt > 1:
        raise Problems(
            [Problem(code=codes.USAGE, message="--attempt needs an end", hint="add --outcome or --exit-code")]
        )
    else:
        table = retry_report.table(of, loaded.warnings)
        if terminal.as_json:
            terminal.document(terminal.mask.value(shown.table_document(table, terminal.root, terminal.environment)))
        else:
            terminal.result(terminal.mask.text(shown.table_text(table, terminal.root)))


def _show_step(terminal: Terminal, of: Subject, asked: Asked, attempt: int) -> None:
    step = retry_report.step(of, asked, attempt)
    if terminal.as_json:
        terminal.document(terminal.mask.value(shown.step_document(step)))
    else:
        terminal.result(terminal.mask.text(shown.step_text(of.address, of.retries, step)))


def _show_line(terminal: Terminal, of: Subject, asked: list[Asked], attempt: int) -> None:
    if len(asked) == 1:
        _show_step(terminal, of, asked[0], attempt)
        return
    line = retry_report.time_line(of, asked, attempt)
    if terminal.as_json:
        terminal.document(terminal.mask.value(shown.time_line_document(line)))
    else:
        terminal.result(terminal.mask.text(shown.time_line_text(line)))


def _show_checked(terminal: Terminal, checked: Sequence[Checked]) -> None:
    if terminal.as_json:
        terminal.document(terminal.mask.value(shown.expectations_document(checked)))
    else:
        terminal.result(terminal.mask.text(shown.expectations_text(checked)))
    if any(one.differences for one in checked):
        raise typer.Exit(ERROR)
