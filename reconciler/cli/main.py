"""The command line: runs one command and exits with the contract's exit code. Nothing is decided here."""

from __future__ import annotations

import io
import os
import re
import sys
import threading
from collections.abc import Callable, Sequence
from typing import Any, Final

import typer

from reconciler.cli import root, shell_lines
from reconciler.cli.terminal import Terminal
from reconciler.model import problem_codes as codes
from reconciler.model import problems
from reconciler.model.exit_codes import ERROR, INTERRUPTED, OK
from reconciler.model.patterns import regex
from reconciler.model.problems import Problem, Problems
from reconciler.model.when_used import when_used
from reconciler.operations.masks import mask_of_environ, mask_of_webhooks
from reconciler.render.broken_pipe import ignore_broken_pipe

with when_used():
    from traceback import format_exception

_SINGLE_DASH: Final = regex(r"(?P<name>-[A-Za-z][\w-]+)(?P<value>(=.*)?)", re.DOTALL)
_REPORT: Final = "please report it; `reconcile --debug ...` shows where it happened"
LONGEST: Final = 300  # characters of a path that are shown

# typer contains click or depends on it, by its version; both name a mistake in the usage ClickException
_Usage: Any = next(cls for cls in typer.BadParameter.__mro__ if cls.__name__ == "ClickException")


def main(argv: list[str] | None = None, leave: Callable[[int], Any] = sys.exit) -> None:
    """Run the command line; ``leave`` is called with the contract's exit code."""
    webhooks = mask_of_webhooks([*(sys.argv[1:] if argv is None else argv), os.environ.get("RECONCILE_NOTIFY", "")])
    terminal = Terminal(mask=mask_of_environ(os.environ) | webhooks)
    threading.excepthook = _uncaught_in_thread(terminal)
    evaluated = shell_lines.is_evaluated(argv)
    if evaluated:
        shell_lines.before()
    code = _run(argv, terminal)
    if evaluated and code != OK:
        shell_lines.after_failure()
    leave(code)


def _uncaught_in_thread(terminal: Terminal) -> Callable[[threading.ExceptHookArgs], None]:
    """Prints Python's traceback of an exception that a thread did not catch, masked like everything else."""

    def show(failed: threading.ExceptHookArgs) -> None:
        lines = format_exception(failed.exc_type, failed.exc_value, failed.exc_traceback)
        terminal.note(terminal.mask.text("".join(lines)))

    return show


def _run(argv: list[str] | None, terminal: Terminal) -> int:
    try:
        code = root.group()(args=argv, standalone_mode=False, prog_name="reconcile", obj=terminal)
        if code == INTERRUPTED:
            _report_interrupted(terminal)
        return code if isinstance(code, int) else OK
    except Problems as error:
        terminal.failed(error.problems)
        return error.exit_code
    except typer.Exit as error:
        return error.exit_code
    except SystemExit as error:  # typer exits this way after it has completed words for a shell
        return error.code if isinstance(error.code, int) else OK
    except (KeyboardInterrupt, typer.Abort):
        with ignore_broken_pipe(sys.stderr):
            terminal.note("Interrupted.")
        _report_interrupted(terminal)
        return INTERRUPTED
    except _Usage as error:
        _correct_single_dash(error, sys.argv[1:] if argv is None else argv)
        message = io.StringIO()
        error.show(file=message)
        typer.echo(terminal.mask.text(message.getvalue()), err=True, nl=False)
        return ERROR
    except BrokenPipeError:
        sys.stderr.close()
        return OK
    except Exception as error:  # noqa: BLE001  (a bug is reported like any other error)
        _report_unexpected(error, terminal)
        return ERROR


def _correct_single_dash(error: Any, argv: Sequence[str]) -> None:
    """Change the message for ``-out``, as terraform spells it, which would only be about the unknown option ``-o``."""
    command = getattr(getattr(error, "ctx", None), "command", None)
    if getattr(error, "option_name", None) is None or command is None:
        return
    known = [option for param in command.params for option in (*param.opts, *param.secondary_opts)]
    for word in argv:
        if word == "--":
            return
        found = _SINGLE_DASH.fullmatch(word)
        if found and found["name"] not in known and (near := problems.near(f"-{found['name']}", known)):
            error.message = f"No such option: {found['name']}; did you mean {near}{found['value']}?"
            error.possibilities = None
            return


def _report_interrupted(terminal: Terminal) -> None:
    if terminal.on_failure is None:
        return
    with ignore_broken_pipe(sys.stdout):
        terminal.failed(
            [Problem(code=codes.INTERRUPTED, message="interrupted before there was a result", hint="run it again")],
            on_stderr=True,
        )


def _report_unexpected(error: Exception, terminal: Terminal) -> None:
    """Report an unexpected exception: an error of the system about a given path (too long, in a directory without
    permission), or a bug.
    """
    if terminal.debug:
        terminal.note(terminal.mask.text("".join(format_exception(error))))
        _report_internal(error, terminal)
    elif isinstance(error, OSError) and error.filename is not None and error.strerror:
        name = str(error.filename)
        name = name if len(name) <= LONGEST else f"{name[:LONGEST]}..."
        terminal.failed([Problem(code=codes.FILE, message=f"{name}: {error.strerror}")])
    else:
        terminal.note(f"error: {_internal(error, terminal)}")
        terminal.note(f"    {_REPORT}")
        _report_internal(error, terminal)


def _report_internal(error: Exception, terminal: Terminal) -> None:
    problem = Problem(code=codes.INTERNAL_ERROR, message=_internal(error, terminal), hint=_REPORT)
    terminal.failed([problem], on_stderr=True)


def _internal(error: Exception, terminal: Terminal) -> str:
    message = terminal.mask.line(f"{type(error).__name__}: {error}")[:400]
    return f"internal error (a bug in reconcile): {message}"
