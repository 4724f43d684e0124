"""The command line: options, exit codes, what goes to stdout and what to stderr. Nothing is decided here."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Callable
from typing import Any

import typer

from reconciler.cli import commands, console, sandbox, simple
from reconciler.cli.console import ERROR, INTERRUPTED, OK, OUT
from reconciler.problems import Problems

commands.COMMANDS.add_typer(sandbox.COMMANDS, name="sandbox")

# typer brings its own click or depends on one, by its version: what both call ClickException is a mistake in the usage
_Usage: Any = next(cls for cls in typer.BadParameter.__mro__ if cls.__name__ == "ClickException")


def main(argv: list[str] | None = None, leave: Callable[[int], Any] = sys.exit) -> None:
    """Run the command line and leave with the contract's exit code."""
    leave(_run(argv))


def _run(argv: list[str] | None) -> int:
    try:
        words = sys.argv[1:] if argv is None else argv
        group = typer.main.get_command(simple.only(commands.COMMANDS, words))
        simple.simplify(group, words)
        code = group(args=argv, standalone_mode=False, prog_name="reconcile")
        return code if isinstance(code, int) else OK
    except Problems as error:
        console.print_problems(error.problems)
        return error.exit_code
    except typer.Exit as error:
        return error.exit_code
    except (KeyboardInterrupt, typer.Abort):
        typer.echo("Interrupted.", err=True)
        return INTERRUPTED
    except _Usage as error:
        error.show()
        return ERROR
    except BrokenPipeError:
        sys.stderr.close()
        return OK
    except Exception as error:  # noqa: BLE001  (a fault of ours is told like any other error)
        if OUT.debug:
            typer.echo(OUT.mask.text(traceback.format_exc()), err=True)
            return ERROR
        told = OUT.mask.text(f"{type(error).__name__}: {error}")[:400]
        typer.echo(f"error: this is a fault of reconcile itself: {told}", err=True)
        typer.echo("    please report it; `reconcile --debug ...` shows where it happened", err=True)
        return ERROR
