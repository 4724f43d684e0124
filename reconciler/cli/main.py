"""The command line: runs one command and leaves with the contract's exit code. Nothing is decided here."""

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

from reconciler.cli import root
from reconciler.cli.terminal import Terminal
from reconciler.model.exit_codes import ERROR, INTERRUPTED, OK
from reconciler.model.masking import looks_secret
from reconciler.model.problems import Problem, Problems
from reconciler.render.mask import Mask

LONG: Final = 12  # characters of a value that is no ordinary word
_ADDRESS: Final = re.compile(r"://[^/\s:@]*:(?P<password>[^/\s@]{4,})@")
LONGEST: Final = 300  # characters of a path that are shown

# typer brings its own click or depends on one, by its version: what both call ClickException is a mistake in the usage
_Usage: Any = next(cls for cls in typer.BadParameter.__mro__ if cls.__name__ == "ClickException")


def main(argv: list[str] | None = None, leave: Callable[[int], Any] = sys.exit) -> None:
    """Run the command line and leave with the contract's exit code."""
    terminal = Terminal(mask=_of_the_environment())
    threading.excepthook = _uncaught_in_thread(terminal)
    leave(_run(argv, terminal))


def _of_the_environment() -> Mask:
    """Hides the values of environment variables that are named as secrets are, credentials for AWS among them, and the
    passwords in addresses (``AWS_ENDPOINT_URL``): an error may come before it is known which of them are used. Short
    ones are left until then.
    """
    found = (value for name, value in os.environ.items() if looks_secret(name))
    inside = (match["password"] for value in os.environ.values() for match in _ADDRESS.finditer(value))
    return Mask((*(value for value in found if len(value) >= LONG), *inside))


def _uncaught_in_thread(terminal: Terminal) -> Callable[[threading.ExceptHookArgs], None]:
    """Prints what Python prints of an exception that nothing caught in a thread, masked like everything else."""

    def show(failed: threading.ExceptHookArgs) -> None:
        lines = traceback.format_exception(failed.exc_type, failed.exc_value, failed.exc_traceback)
        terminal.note(terminal.mask.text("".join(lines)))

    return show


def _run(argv: list[str] | None, terminal: Terminal) -> int:
    try:
        code = root.group()(args=argv, standalone_mode=False, prog_name="reconcile", obj=terminal)
        return code if isinstance(code, int) else OK
    except Problems as error:
        terminal.problems(error.problems)
        return error.exit_code
    except typer.Exit as error:
        return error.exit_code
    except SystemExit as error:  # typer leaves so when it has completed words for a shell
        return error.code if isinstance(error.code, int) else OK
    except (KeyboardInterrupt, typer.Abort):
        terminal.note("Interrupted.")
        return INTERRUPTED
    except _Usage as error:
        message = io.StringIO()
        error.show(file=message)
        typer.echo(terminal.mask.text(message.getvalue()), err=True, nl=False)
        return ERROR
    except BrokenPipeError:
        sys.stderr.close()
        return OK
    except Exception as error:  # noqa: BLE001  (a bug of ours is reported like any other error)
        _report(error, terminal)
        return ERROR


def _report(error: Exception, terminal: Terminal) -> None:
    """What nothing else expected: what the system says of a path that was given (too long, in a directory that may not
    be entered), and bugs of ours.
    """
    if terminal.debug:
        terminal.note(terminal.mask.text("".join(traceback.format_exception(error))))
    elif isinstance(error, OSError) and error.filename is not None and error.strerror:
        name = str(error.filename)
        name = name if len(name) <= LONGEST else f"{name[:LONGEST]}..."
        terminal.problems([Problem(code="file", message=f"{name}: {error.strerror}")])
    else:
        message = terminal.mask.line(f"{type(error).__name__}: {error}")[:400]
        terminal.note(f"error: internal error (a bug in reconcile): {message}")
        terminal.note("    please report it; `reconcile --debug ...` shows where it happened")
