"""The terminal of one command: stdout and stderr, text or JSON, problems, approval."""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import field
from typing import Any

import typer

from reconciler import __version__
from reconciler.model.exit_codes import RAIL
from reconciler.model.problems import Problem, Problems
from reconciler.model.records import dataclass
from reconciler.model.when_used import when_used
from reconciler.operations.timestamps import timestamp
from reconciler.render.broken_pipe import ignore_broken_pipe
from reconciler.render.mask import Mask

with when_used():
    from reconciler.render import json as as_json
    from reconciler.render import text


@dataclass(slots=True)
class Terminal:
    """The output of one command: text, or JSON (``as_json``) in one document or one object a line (``as_lines``).

    ``mask`` is extended with secrets as soon as they are known; ``root`` is the path prefix of the files in problems,
    and ``environment`` the name of the environment that they concern, once it is known.
    ``on_failure`` prints the problems that end a command with further outputs than this one.
    ``verbose``: plans show their API calls.
    """

    root: str = ""
    environment: str = ""
    as_json: bool = False
    as_lines: bool = False
    debug: bool = False
    verbose: bool = False
    mask: Mask = field(default_factory=Mask)
    on_failure: Callable[..., None] | None = None

    def result(self, message: str | Iterable[str]) -> None:
        """Print the result, on stdout; one that is long in pieces."""
        if isinstance(message, str):
            typer.echo(message, color=colour(sys.stdout))
            return
        for piece in message:
            typer.echo(piece, color=colour(sys.stdout), nl=False)
        typer.echo()

    def document(self, value: Any) -> None:
        """Print a result as indented JSON, on stdout."""
        self.result(as_json.dumps(value, indent=2))

    def note(self, message: str) -> None:
        """Print anything else, on stderr."""
        typer.echo(message, err=True, color=colour(sys.stderr))

    def line(self, entry: Mapping[str, Any], level: str = "info") -> None:
        """Print ``entry`` with level and time as one line of JSON, on stdout; it must have a ``type``."""
        stamp = {"@level": level, "@timestamp": timestamp(), "@message": entry.get("@message", entry["type"])}
        self.result(as_json.dumps({"type": entry["type"], **stamp, **entry}))

    def warn(self, kind: str, message: str) -> None:
        """Print a warning during an apply; ``kind`` is its type in JSON."""
        if self.as_json:
            with ignore_broken_pipe(sys.stdout):
                self.line({"type": kind, "@message": self.mask.line(message)}, level="warn")
        else:
            with ignore_broken_pipe(sys.stderr):
                self.note(f"\nwarning: {self.mask.line(message)}")

    def problems(self, problems: Sequence[Problem]) -> None:
        """Print errors, warnings and notes: as JSON on stdout, as text on stderr."""
        if not self.as_json:
            self.note(text.problems(problems, self.mask, text.Paint(colour=colour(sys.stderr)), self.root))
            return
        found = [as_json.problem(problem, self.mask, self.root, self.environment) for problem in problems]
        if self.as_lines:
            level = "warn" if all(problem.warning for problem in problems) else "error"
            message = plural(len(found), "problem")  # the first and the last line in one, so it carries the version too
            self.line({"type": "problems", "@message": message, "reconcile": __version__, "problems": found}, level)
        else:
            self.document({"problems": found})

    def failed(self, problems: Sequence[Problem], *, on_stderr: bool = False) -> None:
        """Print the problems that end the command; not on stderr where they are ``on_stderr`` already."""
        if self.on_failure:
            self.on_failure(problems, on_stderr=on_stderr)
        elif self.as_json or not on_stderr:
            self.problems(problems)

    def shell_quoted(self, path: object) -> str:
        """A path or a name, quoted for a shell, for commands to copy."""
        return shlex.quote(self.mask.line(str(path)))

    def confirm(self, question: str, unattended: Problem) -> bool:
        """Whether the user types yes. Raises Problems (a safety rail) with ``unattended`` where there is no terminal,
        the output is JSON, or a pipeline runs the command.
        """
        if not sys.stdin.isatty() or self.as_json or in_pipeline():
            raise Problems([unattended], exit_code=RAIL)
        try:
            answer = typer.prompt(f"\n{question} Type yes to continue", err=True, default="", show_default=False)
        except typer.Abort:  # Ctrl-C, as anywhere else; or the end of the input
            raise KeyboardInterrupt from None
        if answer != "yes":
            self.note("Nothing was changed.")
        return bool(answer == "yes")


def colour(stream: Any) -> bool:
    """Whether ``stream`` is a terminal with colours, or is to be treated as one, as in logs of CI that show colours.

    NO_COLOR has precedence over FORCE_COLOR: https://no-color.org, https://force-color.org
    """
    if "NO_COLOR" in os.environ:
        return False
    if os.environ.get("FORCE_COLOR", "0") not in ("", "0", "false"):
        return True
    return bool(stream.isatty()) and os.environ.get("TERM") != "dumb" and not in_pipeline()


def in_pipeline() -> bool:
    """Whether a pipeline runs the command, which may give it a terminal without a user: hosts set CI."""
    return os.environ.get("CI", "").lower() not in ("", "0", "false")


def plural(count: int, noun: str) -> str:
    """``1 error``, ``2 errors``."""
    return f"{count} {noun}{'' if count == 1 else 's'}"
