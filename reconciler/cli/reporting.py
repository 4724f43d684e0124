"""What commands about plans and applies print: the plan in every format, an apply as it runs, and how it ended."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import typer

from reconciler import __version__
from reconciler.cli.terminal import Terminal, colour, plural
from reconciler.model import Call, Event, Options, Outcome, Plan
from reconciler.model.problems import Problem, ordered
from reconciler.operations import pipeline, session
from reconciler.operations.pipeline import Planned
from reconciler.operations.session import Loaded, Session, timestamp
from reconciler.planning.visibility import UNREADABLE_CODES
from reconciler.render import html, markdown, text
from reconciler.render import json as as_json
from reconciler.render.mask import Mask
from reconciler.render.progress import Progress, ignore_broken_pipe

_PAGES: Final[Mapping[str, Callable[..., str]]] = {"markdown": markdown.plan, "html": html.plan}


def read(terminal: Terminal, env: str | None, *, strict: bool) -> Loaded:
    """Find and read an environment; from here on its problems have paths that can be opened, and its secrets are
    masked. Raises Problems.
    """
    location = session.locate(env, Path.cwd())
    terminal.root = location.root
    loaded = session.read(location, os.environ, strict=strict)
    terminal.mask |= loaded.mask
    return loaded


def connect(terminal: Terminal, env: str | None, *, strict: bool, sandbox: bool) -> Session:
    """Read an environment, mention its warnings, and connect to its account. Raises Problems."""
    loaded = read(terminal, env, strict=strict)
    if loaded.warnings and not terminal.as_json:
        command = f"reconcile validate {terminal.typed(env)}" if env else "reconcile validate"
        notes = sum(problem.note for problem in loaded.warnings)
        counts = ((len(loaded.warnings) - notes, "warning"), (notes, "note"))
        terminal.note(f"{', '.join(plural(count, noun) for count, noun in counts if count)}: see `{command}`")
    endpoint = session.sandbox_endpoint() if sandbox else None
    return session.connect(loaded, os.environ, endpoint=endpoint)


def make_plan(terminal: Terminal, account: Session, options: Options, shape: str) -> Planned:
    """Plan; warnings are printed as they come. Raises Problems; what a safety rail refuses is shown before."""
    try:
        made = pipeline.make_plan(account.env, account.scope, account.client, options)
    except pipeline.RailRefusal as refusal:
        show_refused(terminal, account, refusal, shape)
        if terminal.as_json:
            raise typer.Exit(refusal.exit_code) from refusal
        raise
    terminal.mask |= made.mask
    if made.warnings and not terminal.as_json:
        terminal.problems(made.warnings)
    return made


def show_refused(terminal: Terminal, account: Session, refusal: pipeline.RailRefusal, shape: str) -> None:
    """The plan that a safety rail refuses, before the refusal itself; not in JSON lines."""
    terminal.mask = terminal.mask.learnt(refusal.plan)
    made = Planned(env=account.env, plan=refusal.plan, mask=terminal.mask)
    if not terminal.as_json:
        show(terminal, made, only_changes=True, shape=shape, rails=refusal.problems)
    elif not terminal.as_lines:
        show(terminal, replace(made, problems=tuple(refusal.problems)), only_changes=False)


def show(
    terminal: Terminal, made: Planned, *, only_changes: bool, shape: str = "text", rails: Sequence[Problem] = ()
) -> None:
    """The plan, or what keeps it from being one; both where it only lacks what could not be read, or ``rails`` refuse
    it.
    """
    if terminal.as_json:
        shown = pipeline.document(made, timestamp=timestamp(), only_changes=only_changes)
        if found := ordered((*made.problems, *made.warnings)):
            shown["problems"] = [as_json.problem(problem, made.mask) for problem in found]
        terminal.document(shown)
        return
    if made.problems:
        terminal.problems(ordered(made.problems))
    refused = any(problem.code not in UNREADABLE_CODES for problem in made.problems)
    if shape in _PAGES:
        found = ordered((*rails, *made.problems, *made.warnings))
        terminal.result(_PAGES[shape](made.plan, made.mask, problems=found, root=terminal.root, refused=refused))
    elif not refused:
        terminal.result(text.plan(made.plan, made.mask, text.Paint(colour=colour(sys.stdout))))


class JsonLines:
    """One object a line for each event; the first carries the version."""

    def __init__(self, terminal: Terminal, made: Plan, mask: Mask) -> None:
        self.terminal, self.made, self.mask = terminal, made, mask
        self.details: dict[str, str] = {}
        with ignore_broken_pipe(sys.stdout):
            terminal.line({"type": "version", "reconcile": __version__})

    def emit(self, event: Event) -> None:
        """Prints one event."""
        self.details[event.step.id] = event.detail
        action = event.step.action
        what = {"call": str(action)} if isinstance(action, Call) else {"wait": self.mask.text(action.title)}
        message = f"{event.state.value}: {text.step(event.step, self.mask)}"
        entry: dict[str, Any] = {"type": event.state.value, "@message": message, "address": str(event.step.address)}
        entry |= {"step": event.step.id, **what, "took": round(event.took, 3), "detail": self.mask.text(event.detail)}
        if event.path:
            entry["cause"] = as_json.cause(self.made, event.step.address, event.path, self.terminal.root)
        if event.refused:
            entry |= {"code": event.refused.code, "request_id": event.refused.request_id}
        with ignore_broken_pipe(sys.stdout):
            self.terminal.line(entry, level="error" if event.state.value == "failed" else "info")


class ApplyReport:
    """An apply at the terminal: :class:`reconciler.operations.apply.Interaction`."""

    def __init__(self, terminal: Terminal, *, auto_approve: bool) -> None:
        self.terminal, self.auto_approve = terminal, auto_approve

    @property
    def problems_shown(self) -> bool:
        """With the plan, but not in JSON lines."""
        return not self.terminal.as_json

    def refused(self, session: Session, refusal: pipeline.RailRefusal) -> None:
        """Shows the plan that a safety rail refuses."""
        show_refused(self.terminal, session, refusal, "text")

    def planned(self, made: Planned) -> None:
        """Shows the plan and its warnings."""
        self.terminal.mask |= made.mask
        if made.warnings and not (self.terminal.as_json and made.errored):
            self.terminal.problems(made.warnings)
        if not self.terminal.as_json:
            show(self.terminal, made, only_changes=True)

    def blocked(self, made: Planned) -> None:
        """Shows the problems of the plan where they have not been shown."""
        if self.terminal.as_json:
            self.terminal.problems(ordered((*made.problems, *made.warnings)))

    def nothing_to_do(self, made: Planned) -> None:  # noqa: ARG002  (the plan has been shown)
        """The whole output of an apply without changes."""
        if self.terminal.as_json:
            self.terminal.line({"type": "version", "reconcile": __version__})
            self.terminal.line({"type": "summary", "@message": text.NO_CHANGES, "done": [], "failed": []})

    def confirm(self, made: Plan) -> bool:
        """Asks, unless approved beforehand. Raises Problems (a safety rail) where there is no terminal to ask at."""
        if self.auto_approve:
            return True
        if made.destroy:
            question = f"Delete these resources from account {made.scope.account} ({made.scope.region})?"
            message = "destroy needs approval, but there is no terminal"
        else:
            question = f"Apply these changes to account {made.scope.account} ({made.scope.region})?"
            message = "apply needs approval, but there is no terminal"
        hint = "pass --auto-approve, or apply a saved plan"
        return self.terminal.confirm(question, Problem(code="not-approved", message=message, hint=hint))

    @contextmanager
    def running(self, made: Planned) -> Iterator[JsonLines | Progress]:
        """Progress on stderr, redrawn on a terminal and line by line elsewhere; or JSON lines."""
        if self.terminal.as_json:
            yield JsonLines(self.terminal, made.plan, made.mask)
            return
        live = sys.stderr.isatty() and os.environ.get("TERM") != "dumb"
        paint = text.Paint(colour=colour(sys.stderr))
        with Progress(made.plan, sys.stderr, made.mask, paint, live=live) as progress:
            yield progress

    def finished(self, outcome: Outcome, report: str) -> None:
        """The report."""
        with ignore_broken_pipe(sys.stdout):
            if self.terminal.as_json:
                steps = {"done": outcome.done, "failed": outcome.failed, "skipped": outcome.skipped}
                steps["never_started"] = outcome.never_started
                self.terminal.line({"type": "summary", "@message": report, **steps})
            else:
                self.terminal.result(report)

    def say(self, kind: str, message: str) -> None:
        """A warning while the work goes on."""
        self.terminal.warn(kind, message)

    def note(self, message: str) -> None:
        """Something to know."""
        self.terminal.note(message)
