"""What the commands share at the terminal: stdout and stderr, JSON lines, approval, signals."""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final, Protocol

import typer

from reconciler import __version__
from reconciler.cli.exit_codes import RAIL
from reconciler.model import Call, Event, Plan
from reconciler.model.problems import Problem, Problems, ordered
from reconciler.operations.pipeline import Planned
from reconciler.planning import visibility
from reconciler.render import html, markdown, text
from reconciler.render import json as as_json
from reconciler.render.mask import Mask
from reconciler.render.progress import Progress, ignore_broken_pipe


@dataclass(slots=True)
class Output:
    """How output looks: JSON as one document, or as ``as_lines``; ``mask`` learns the secrets as soon as they are
    known, ``root`` where the files lie.
    """

    root: str = ""
    as_json: bool = False
    as_lines: bool = False
    debug: bool = False
    mask: Mask = field(default_factory=Mask)


OUT = Output()


class Sink(Protocol):
    """Takes the executor's events; a context manager around the run. ``details`` has the last word on each step."""

    details: dict[str, str]

    def __enter__(self) -> Any: ...
    def __exit__(self, *_: object) -> None: ...
    def emit(self, event: Event) -> None: ...


class JsonLines:
    """One object a line for each event; the first carries the version."""

    def __init__(self, made: Plan, mask: Mask) -> None:
        self.made, self.mask = made, mask
        self.details: dict[str, str] = {}

    def __enter__(self) -> None:
        with ignore_broken_pipe(sys.stdout):
            line({"type": "version", "reconcile": __version__})

    def __exit__(self, *_: object) -> None:
        return

    def emit(self, event: Event) -> None:
        self.details[event.step.id] = event.detail
        action = event.step.action
        what = {"call": str(action)} if isinstance(action, Call) else {"wait": self.mask.text(action.title)}
        message = f"{event.state.value}: {text.step(event.step, self.mask)}"
        entry: dict[str, Any] = {"type": event.state.value, "@message": message, "address": str(event.step.address)}
        entry |= {"step": event.step.id, **what, "took": round(event.took, 3), "detail": self.mask.text(event.detail)}
        if event.path:
            entry["cause"] = as_json.cause(self.made, event.step.address, event.path, OUT.root)
        if event.refused:
            entry |= {"code": event.refused.code, "request_id": event.refused.request_id}
        with ignore_broken_pipe(sys.stdout):
            line(entry, level="error" if event.state.value == "failed" else "info")


def line(entry: Mapping[str, Any], level: str = "info") -> None:
    """One JSON object on one line of stdout."""
    stamp = {"@level": level, "@timestamp": now(), "@message": entry.get("@message", entry["type"])}
    typer.echo(as_json.dumps({"type": entry["type"], **stamp, **entry}))


def typed(path: object) -> str:
    """A path or a name as one word of a command that can be copied."""
    return shlex.quote(OUT.mask.line(str(path)))


def progress(made: Plan, mask: Mask) -> Sink:
    """Progress on stderr: redrawn on a terminal, lines elsewhere."""
    live = sys.stderr.isatty() and os.environ.get("TERM") != "dumb"
    return Progress(made, sys.stderr, mask, text.Paint(colour=colour(sys.stderr)), live=live)


_PAGES: Final[Mapping[str, Callable[..., str]]] = {"markdown": markdown.plan, "html": html.plan}


def show(made: Planned, *, only_changes: bool, shape: str = "text", rails: Sequence[Problem] = ()) -> None:
    """The plan, or what stands in its way; both where it only lacks what could not be seen, or ``rails`` hold."""
    if OUT.as_json:
        shown = document(made, only_changes=only_changes)
        if found := ordered((*made.problems, *made.warnings)):
            shown["problems"] = [as_json.problem(problem, made.mask) for problem in found]
        typer.echo(as_json.dumps(shown, indent=2))
        return
    if made.problems:
        print_problems(ordered(made.problems))
    refused = any(problem.code not in visibility.UNREADABLE_CODES for problem in made.problems)
    if shape in _PAGES:
        found = ordered((*rails, *made.problems, *made.warnings))
        typer.echo(_PAGES[shape](made.plan, made.mask, problems=found, root=OUT.root, refused=refused))
    elif not refused:
        typer.echo(text.plan(made.plan, made.mask, text.Paint(colour=colour(sys.stdout))))


def document(made: Planned, *, only_changes: bool = False) -> dict[str, Any]:
    return as_json.plan(made.plan, timestamp=now(), mask=made.mask, errored=made.errored, only_changes=only_changes)


def plural(count: int, noun: str) -> str:
    return f"{count} {noun}{'' if count == 1 else 's'}"


def now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def colour(stream: Any) -> bool:
    return bool(stream.isatty()) and "NO_COLOR" not in os.environ and os.environ.get("TERM") != "dumb"


def print_problems(problems: Sequence[Problem]) -> None:
    if OUT.as_json:
        found = [as_json.problem(p, OUT.mask) for p in problems]
        if OUT.as_lines:
            level = "warn" if all(problem.warning for problem in problems) else "error"
            told = plural(len(found), "problem")  # the first and the last line in one, so it carries the version too
            line({"type": "problems", "@message": told, "reconcile": __version__, "problems": found}, level=level)
        else:
            typer.echo(as_json.dumps({"problems": found}, indent=2))
    else:
        typer.echo(text.problems(problems, OUT.mask, text.Paint(colour=colour(sys.stderr)), OUT.root), err=True)


def confirm(made: Plan, *, auto_approve: bool) -> bool:
    """Whether somebody approves. Raises Problems (a safety rail) where nobody can be asked."""
    return auto_approve or agreed("Delete all of this?" if made.destroy else "Do this?")


def agreed(question: str) -> bool:
    """Whether somebody says yes. Raises Problems (a safety rail) where nobody can be asked."""
    if not sys.stdin.isatty() or OUT.as_json:
        found = Problem(
            code="not-approved",
            message="nobody is there to approve it",
            hint="say --auto-approve, or apply a plan saved with `reconcile plan --out FILE`",
        )
        raise Problems([found], exit_code=RAIL)
    answer = typer.prompt(f"\n{question} Only 'yes' is taken as yes", err=True, default="", show_default=False)
    if answer != "yes":
        typer.echo("Nothing was done.", err=True)
    return bool(answer == "yes")
