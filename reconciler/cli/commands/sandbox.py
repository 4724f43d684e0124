"""``reconcile sandbox``: an account on this machine."""

from __future__ import annotations

from typing import Annotated

import typer

from reconciler.cli.exit_codes import ERROR
from reconciler.cli.reporting import no_sandbox
from reconciler.model.problems import Problem, Problems
from reconciler.sandbox import process

COMMANDS = typer.Typer(
    help="An AWS account on this machine to try all of this against.", no_args_is_help=True, rich_markup_mode=None
)


@COMMANDS.command("start", epilog='Example: eval "$(reconcile sandbox start --speed 100)"')
def sandbox_start(
    port: Annotated[int, typer.Option("--port", min=0, max=65535, help="0: any free one.")] = 0,
    speed: Annotated[float, typer.Option("--speed", min=0.001, help="Seconds that pass in one second.")] = 1.0,
) -> None:
    """Start it, and print the export lines that point a shell at it."""
    try:
        handle = process.start(port=port, speed=speed)
        process.control(handle.url, "clock", {"speed": speed})  # one that ran already may have another
    except process.SandboxError as error:
        message, _, hint = str(error).partition(": ")
        raise Problems([Problem(code="no-sandbox", message=message, hint=hint)]) from error
    typer.echo(f"The sandbox runs at {handle.url} (process {handle.pid}).", err=True)
    for line in process.exports(handle.url):
        typer.echo(line)


@COMMANDS.command("stop")
def sandbox_stop() -> None:
    """Stop it; the account is gone with it."""
    stopped = process.stop()
    typer.echo("Stopped." if stopped else "It was not running.", err=True)


@COMMANDS.command("status")
def sandbox_status() -> None:
    """Tell whether it runs, and where; exit code 1 when it does not."""
    handle = process.status()
    if handle is None:
        typer.echo("The sandbox is not running; start it with `reconcile sandbox start`.")
        raise typer.Exit(ERROR)
    typer.echo(f"The sandbox runs at {handle.url} (process {handle.pid}).")


@COMMANDS.command("reset")
def sandbox_reset() -> None:
    """Empty the account."""
    if process.status() is None:
        raise Problems([no_sandbox()])
    process.reset()
    typer.echo("The account is empty.", err=True)
