"""What a shell evaluates if ``eval "$(reconcile sandbox start)"`` fails: it must not be left with a real account.

So the first line of the output points the shell at an endpoint that refuses every call, and the lines of a sandbox that
has started come after it; the output of a failure ends with ``false``, with which the whole ``eval`` fails.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

import typer

from reconciler.render.broken_pipe import ignore_broken_pipe


def is_evaluated(argv: Sequence[str] | None) -> bool:
    """Whether the command line is `sandbox start`, and a program reads its output."""
    given = sys.argv[1:] if argv is None else argv
    words = [word for word in given if not word.startswith("-")]
    return words[:2] == ["sandbox", "start"] and not {"-h", "--help"} & {*given} and not sys.stdout.isatty()


def before() -> None:
    """Print the line that is evaluated if nothing else is, whatever ends the process."""
    from reconciler.sandbox import process  # noqa: PLC0415  (only here)

    with ignore_broken_pipe(sys.stdout):
        typer.echo(process.refusing(os.environ))
        sys.stdout.flush()


def after_failure() -> None:
    """Print the line with which the ``eval`` fails."""
    with ignore_broken_pipe(sys.stdout):
        typer.echo("false")
