"""``reconcile sandbox``: an account on this machine."""

from __future__ import annotations

import os
import re
from typing import Annotated, Final

import typer

from reconciler.cli.commands import sandbox_messages, sandbox_verbs
from reconciler.cli.root import COMMANDS, STYLE, examples
from reconciler.model import problem_codes as codes
from reconciler.model.exit_codes import ERROR, INTERRUPTED
from reconciler.model.problems import Problem, Problems
from reconciler.operations.session import no_sandbox
from reconciler.sandbox import process

_EXAMPLES: Final = examples('eval "$(reconcile sandbox start --speed 100)"', "reconcile sandbox stop")
APP: Final = typer.Typer(help=COMMANDS["sandbox"], epilog=_EXAMPLES, no_args_is_help=True, **STYLE)

sandbox_verbs.add_to(APP)
sandbox_messages.add_to(APP)


def _account(value: str | None) -> str | None:
    if value is not None and not re.fullmatch(r"[0-9]{12}", value):
        raise typer.BadParameter("an account has twelve digits")
    return value


def _region(value: str | None) -> str | None:
    if value is not None and not re.fullmatch(r"[a-z]{2,}(-[a-z]+)+-[0-9]+", value):
        raise typer.BadParameter("a Region looks like eu-west-1")
    return value


@APP.command(
    "start",
    epilog=examples(
        'eval "$(reconcile sandbox start --speed 100)"',
        'eval "$(reconcile sandbox start --account 111122223333 --region us-east-1)"',
    ),
)
def sandbox_start(
    port: Annotated[
        int, typer.Option("--port", min=0, max=65535, help="The port to listen on; 0 for any free one.")
    ] = 0,
    speed: Annotated[
        float | None,
        typer.Option(
            "--speed",
            min=0.001,
            metavar="N",
            help="Run the sandbox clock N times as fast as real time. [default: 1, or the speed it already has]",
            show_default=False,
        ),
    ] = None,
    account: Annotated[
        str | None,
        typer.Option(
            "--account",
            callback=_account,
            metavar="ID",
            help=f"The account to point the shell at. [default: {process.ACCOUNT}]",
        ),
    ] = None,
    region: Annotated[
        str | None,
        typer.Option(
            "--region",
            callback=_region,
            metavar="REGION",
            help=f"The Region to point the shell at. [default: {process.REGION}]",
        ),
    ] = None,
) -> None:
    """Start the sandbox, and print the export lines that point a shell at it.

    If it cannot be started, the lines point the shell at an endpoint that refuses every call.
    """
    try:
        given = {name: value for name, value in (("account", account), ("region", region)) if value}
        handle = process.start(port=port, speed=speed or 1.0, **given)
        if speed is not None:
            process.control(handle.url, "clock", {"speed": speed})  # it may have run already, with another speed
    except KeyboardInterrupt:  # with Ctrl-C a shell drops its whole line, and what would be evaluated with it
        typer.echo("Interrupted: the sandbox was not started. The shell may still point to a real account.", err=True)
        raise typer.Exit(INTERRUPTED) from None
    except process.SandboxError as error:
        raise Problems([Problem(code=codes.NO_SANDBOX, message=str(error), hint=error.hint)]) from error
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        message = f"the sandbox cannot be started: {where}{error.strerror or error}"
        hint = f"it keeps its state in {process.directory()}; RECONCILE_SANDBOX_DIR names another directory"
        raise Problems([Problem(code=codes.NO_SANDBOX, message=message, hint=hint)]) from error
    typer.echo(f"The sandbox is running at {handle.url} (process {handle.pid}).", err=True)
    key = process.access_key(handle, account)
    for line in process.exports(handle.url, region or handle.region, key, os.environ):
        typer.echo(line)


@APP.command("stop", epilog=examples("reconcile sandbox stop"))
def sandbox_stop() -> None:
    """Stop the sandbox and delete its account."""
    stopped = process.stop()
    pointed = (
        " Open a new shell to use AWS: this one points to the sandbox." if "AWS_ENDPOINT_URL" in os.environ else ""
    )
    typer.echo(f"{'Stopped.' if stopped else 'The sandbox was not running.'}{pointed}", err=True)


@APP.command("status", epilog=examples("reconcile sandbox status"))
def sandbox_status() -> None:
    """Show whether the sandbox runs, its URL and its accounts; exit code 1 if it does not."""
    handle = process.status()
    if handle is None:
        typer.echo("The sandbox is not running; start it with `reconcile sandbox start`.")
        raise typer.Exit(ERROR)
    typer.echo(f"The sandbox is running at {handle.url} (process {handle.pid}).")
    typer.echo(f"Account {handle.account}, Region {handle.region}.")
    for other in handle.others:
        typer.echo(f"Account {other}, by its number as the access key: AWS_ACCESS_KEY_ID={other}.")


@APP.command("reset", epilog=examples("reconcile sandbox reset"))
def sandbox_reset() -> None:
    """Delete everything in the accounts of the sandbox."""
    if process.status() is None:
        raise Problems([no_sandbox()])
    process.reset()
    typer.echo("The sandbox is empty.", err=True)
