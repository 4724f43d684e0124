"""The command line: options, exit codes, what goes to stdout and what to stderr. Nothing is decided here."""

from __future__ import annotations

import io
import os
import re
import sys
import threading
import traceback
from collections.abc import Callable
from typing import Any, Final

import typer

from reconciler.cli import fast_options, root, terminal
from reconciler.cli.commands import sandbox
from reconciler.cli.exit_codes import ERROR, INTERRUPTED, OK
from reconciler.cli.terminal import OUT
from reconciler.model.masking import looks_secret
from reconciler.model.problems import Problem, Problems
from reconciler.render.mask import Mask

root.COMMANDS.add_typer(sandbox.COMMANDS, name="sandbox")

LONG: Final = 12  # characters of a value that is no ordinary word
_ADDRESS: Final = re.compile(r"://[^/\s:@]*:(?P<password>[^/\s@]{4,})@")
LONGEST: Final = 300  # characters of a path that are told

# typer brings its own click or depends on one, by its version: what both call ClickException is a mistake in the usage
_Usage: Any = next(cls for cls in typer.BadParameter.__mro__ if cls.__name__ == "ClickException")


def main(argv: list[str] | None = None, leave: Callable[[int], Any] = sys.exit) -> None:
    """Run the command line and leave with the contract's exit code."""
    leave(_run(argv))


def _of_the_environment() -> Mask:
    """Hides the values of environment variables that are called as secrets are, credentials for AWS among them, and the
    passwords in addresses (``AWS_ENDPOINT_URL``): an error may come before anybody has read which of them are used.
    Short ones are left until then.
    """
    found = (value for name, value in os.environ.items() if looks_secret(name))
    inside = (match["password"] for value in os.environ.values() for match in _ADDRESS.finditer(value))
    return Mask((*(value for value in found if len(value) >= LONG), *inside))


def _in_a_thread(failed: threading.ExceptHookArgs) -> None:
    """What Python prints of an exception that nobody caught in a thread, masked like everything else."""
    told = "".join(traceback.format_exception(failed.exc_type, failed.exc_value, failed.exc_traceback))
    typer.echo(OUT.mask.text(told), err=True)


def _run(argv: list[str] | None) -> int:
    OUT.mask |= _of_the_environment()
    threading.excepthook = _in_a_thread
    try:
        words = sys.argv[1:] if argv is None else argv
        group = typer.main.get_command(fast_options.only(root.COMMANDS, words))
        fast_options.simplify(group, words)
        code = group(args=argv, standalone_mode=False, prog_name="reconcile")
        return code if isinstance(code, int) else OK
    except Problems as error:
        terminal.print_problems(error.problems)
        return error.exit_code
    except typer.Exit as error:
        return error.exit_code
    except (KeyboardInterrupt, typer.Abort):
        typer.echo("Interrupted.", err=True)
        return INTERRUPTED
    except _Usage as error:
        said = io.StringIO()
        error.show(file=said)
        typer.echo(OUT.mask.text(said.getvalue()), err=True, nl=False)
        return ERROR
    except BrokenPipeError:
        sys.stderr.close()
        return OK
    except Exception as error:  # noqa: BLE001  (a fault of ours is told like any other error)
        _tell(error)
        return ERROR


def _tell(error: Exception) -> None:
    """What nobody expected: what the system says of a path that somebody gave (too long, in a directory that may not be
    entered), and faults of ours.
    """
    if OUT.debug:
        typer.echo(OUT.mask.text("".join(traceback.format_exception(error))), err=True)
    elif isinstance(error, OSError) and error.filename is not None and error.strerror:
        name = str(error.filename)
        name = name if len(name) <= LONGEST else f"{name[:LONGEST]}..."
        terminal.print_problems([Problem(code="file", message=f"{name}: {error.strerror}")])
    else:
        told = OUT.mask.line(f"{type(error).__name__}: {error}")[:400]
        typer.echo(f"error: this is a fault of reconcile itself: {told}", err=True)
        typer.echo("    please report it; `reconcile --debug ...` shows where it happened", err=True)
