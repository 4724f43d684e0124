"""``reconcile sandbox``: an account on this machine."""

from __future__ import annotations

from typing import Annotated, Final

import typer

from reconciler.cli.root import COMMANDS, STYLE, examples
from reconciler.model import problem_codes as codes
from reconciler.model.exit_codes import ERROR
from reconciler.model.problems import Problem, Problems
from reconciler.operations.session import no_sandbox
from reconciler.sandbox import process

_EXAMPLES: Final = examples('eval "$(reconcile sandbox start --speed 100)"', "reconcile sandbox stop")
APP: Final = typer.Typer(help=COMMANDS["sandbox"], epilog=_EXAMPLES, no_args_is_help=True, **STYLE)


@APP.command("start", epilog=examples('eval "$(reconcile sandbox start --speed 100)"'))
def sandbox_start(
    port: Annotated[
        int, typer.Option("--port", min=0, max=65535, help="The port to listen on; 0 for any free one.")
    ] = 0,
    speed: Annotated[
        float,
        typer.Option("--speed", min=0.001, help="Run the sandbox clock N times as fast as real time.", metavar="N"),
    ] = 1.0,
) -> None:
    """Start the sandbox, and print the export lines that point a shell at it."""
    try:
        handle = process.start(port=port, speed=speed)
        process.control(handle.url, "clock", {"speed": speed})  # a sandbox that ran already may have another speed
    except process.SandboxError as error:
        message, _, hint = str(error).partition(": ")
        raise Problems([Problem(code=codes.NO_SANDBOX, message=message, hint=hint)]) from error
    typer.echo(f"The sandbox is running at {handle.url} (process {handle.pid}).", err=True)
    for line in process.exports(handle.url):
        typer.echo(line)


@APP.command("stop", epilog=examples("reconcile sandbox stop"))
def sandbox_stop() -> None:
    """Stop the sandbox and delete its account."""
    stopped = process.stop()
    typer.echo("Stopped." if stopped else "The sandbox was not running.", err=True)


@APP.command("status", epilog=examples("reconcile sandbox status"))
def sandbox_status() -> None:
    """Show whether the sandbox runs and its URL; exit code 1 if it does not."""
    handle = process.status()
    if handle is None:
        typer.echo("The sandbox is not running; start it with `reconcile sandbox start`.")
        raise typer.Exit(ERROR)
    typer.echo(f"The sandbox is running at {handle.url} (process {handle.pid}).")


@APP.command("reset", epilog=examples("reconcile sandbox reset"))
def sandbox_reset() -> None:
    """Delete everything in the sandbox account."""
    if process.status() is None:
        raise Problems([no_sandbox()])
    process.reset()
    typer.echo("The account is empty.", err=True)
