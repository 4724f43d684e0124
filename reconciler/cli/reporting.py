"""The output of commands that plan and apply: the plan in every format, the progress of an apply, and its report."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from reconciler import __version__
from reconciler.cli.options import PlanFormat
from reconciler.cli.outputs import Output, Outputs, from_top
from reconciler.cli.terminal import Terminal, colour, in_pipeline, plural
from reconciler.config.given import Given
from reconciler.model import Call, Event, Json, Options, Outcome, Plan, Verb
from reconciler.model import problem_codes as codes
from reconciler.model.preflight import Asked, Level
from reconciler.model.problems import Problem, ordered
from reconciler.model.when_used import when_used
from reconciler.operations.timestamps import timestamp
from reconciler.render.broken_pipe import ignore_broken_pipe
from reconciler.render.difference import WIDTH
from reconciler.render.mask import Mask

with when_used():
    from reconciler.operations import pipeline, session, shown_plan
    from reconciler.operations.pipeline import Planned
    from reconciler.operations.session import Loaded, Session
    from reconciler.operations.shown_plan import Shown
    from reconciler.render import changes, html, markdown, text, view
    from reconciler.render import json as as_json
    from reconciler.render.progress import Progress


def read(
    terminal: Terminal,
    env: str | None,
    *,
    strict: bool,
    given: Mapping[str, Given] | None = None,
    environ: Mapping[str, str] = os.environ,
) -> Loaded:
    """Find, load and check an environment; then ``terminal`` masks its secrets and prints paths that can be opened.

    ``strict``: an environment variable that is not set is an error, else a warning; ``given`` are values of variables,
    by default those of the process's environment. Raises Problems.
    """
    location = session.locate(env, Path.cwd())
    terminal.root = location.root
    loaded = session.read(location, environ, strict=strict, given=given)
    terminal.mask |= loaded.mask
    terminal.environment = loaded.env.name
    return loaded


def connect(
    terminal: Terminal,
    env: str | None,
    *,
    strict: bool,
    sandbox: bool,
    given: Mapping[str, Given] | None = None,
) -> Session:
    """Read an environment, count its warnings, and connect to its account, or to the sandbox. Raises Problems."""
    loaded = read(terminal, env, strict=strict, given=given)
    _count_warnings(terminal, env, loaded)
    endpoint = session.sandbox_endpoint(loaded.env, os.environ, asked=sandbox)
    return session.connect(loaded, os.environ, endpoint=endpoint)


def connect_snapshot(
    terminal: Terminal, env: str | None, path: Path, *, strict: bool, given: Mapping[str, Given] | None = None
) -> Session:
    """As :func:`connect`, with the snapshot in the file ``path`` as the account."""
    from reconciler.operations import snapshots  # noqa: PLC0415  (few plans are made from one)

    snapshot = snapshots.read(path)
    environ = snapshot.environ(os.environ)
    if unset := sorted(environ.keys() - os.environ.keys()):
        names = terminal.mask.line(", ".join(unset))
        terminal.note(f"These environment variables are not set here, and their values count as unchanged: {names}")
    loaded = read(terminal, env, strict=strict, given=given, environ=environ)
    _count_warnings(terminal, env, loaded)
    return snapshots.connect(snapshot, loaded, environ)


def _count_warnings(terminal: Terminal, env: str | None, loaded: Loaded) -> None:
    if loaded.warnings and not terminal.as_json:
        command = f"reconcile validate {terminal.shell_quoted(env)}" if env else "reconcile validate"
        notes = sum(problem.note for problem in loaded.warnings)
        counts = ((len(loaded.warnings) - notes, "warning"), (notes, "note"))
        terminal.note(f"{', '.join(plural(count, noun) for count, noun in counts if count)}: see `{command}`")


def make_plan(
    terminal: Terminal, account: Session, options: Options, outputs: Outputs, preflight: Level = Level.off
) -> Planned:
    """Plan, and print the warnings. Raises Problems; a plan that a safety rail refuses is printed first."""
    try:
        planned = session.make_plan(account, options, preflight=Asked(preflight))
    except pipeline.RailRefusal as refusal:
        planned, at = refused_plan(terminal, account, refusal), timestamp()
        errored = replace(planned, problems=refusal.problems)
        document = pipeline.document(errored, timestamp=at) if outputs.has(PlanFormat.json) else {}
        checked, rails = account.loaded.warnings, refusal.problems
        show(
            terminal,
            outputs,
            shown_plan.planned(planned, document=document, at=at, root=terminal.root, checked=checked, rails=rails),
        )
        raise
    terminal.mask |= planned.mask
    if planned.warnings and not terminal.as_json:
        terminal.problems(planned.warnings)
    return planned


def refused_plan(terminal: Terminal, account: Session, refusal: pipeline.RailRefusal) -> Planned:
    """The plan that a safety rail refuses; ``terminal`` masks its secrets."""
    terminal.mask = terminal.mask.learnt(refusal.plan)
    return Planned(env=account.env, plan=refusal.plan, mask=terminal.mask, taken=account.taken)


def show(terminal: Terminal, outputs: Outputs, shown: Shown, *, only_changes: bool = False) -> None:
    """Print the plan, or its problems, in every format; both where some resources could not be read, or where a safety
    rail refuses it. Raises Problems where a file cannot be written.
    """
    if shown.errors and not terminal.as_json:
        terminal.problems(shown.errors)
    outputs.deliver(lambda output: _rendered(terminal, shown, output, only_changes=only_changes))


def _rendered(terminal: Terminal, shown: Shown, output: Output, *, only_changes: bool) -> str | None:
    """The plan, or its problems, as ``output`` has it; None as text where it must not be used, as stderr says why."""
    if output.format is PlanFormat.json:
        document = dict(shown.document)
        if only_changes:
            document["resource_changes"] = [one for one in document["resource_changes"] if one["action"] != "noop"]
        if shown.problems:
            how = (shown.mask, terminal.root, terminal.environment)
            document["problems"] = [as_json.problem(one, *how) for one in shown.problems]
        return as_json.dumps(document, indent=2)
    if output.format is PlanFormat.github:
        from reconciler.render import findings  # noqa: PLC0415  (few plans are annotations)

        annotations = findings.github_from(shown.problems, from_top(terminal.root), shown.mask)
        return annotations if annotations or output.file else None
    viewed = shown.view()
    if output.format is PlanFormat.markdown:
        return markdown.plan(viewed, verbose=terminal.verbose)
    if output.format is PlanFormat.html:
        return html.plan(viewed)
    paint = text.Paint(colour=not output.file and colour(sys.stdout))
    parts = [text.problems(shown.problems, shown.mask, paint, terminal.root)] if shown.problems and output.file else []
    parts += [] if viewed.refused else [text.plan(viewed, paint, verbose=terminal.verbose)]
    return "\n\n".join(parts) if parts else None


def show_text(terminal: Terminal, result: Planned) -> None:
    """Print the plan as text, or its problems; both where some resources could not be read."""
    outputs = Outputs(terminal, (Output(PlanFormat.text),))
    show(terminal, outputs, shown_plan.planned(result, document={}, at=timestamp(), root=terminal.root))


class JsonLines:
    """Prints one JSON object a line for each event; the first has the version. ``details`` are the last by step id."""

    def __init__(self, terminal: Terminal, plan: Plan, mask: Mask) -> None:
        self.terminal, self.plan, self.mask = terminal, plan, mask
        self.details: dict[str, str] = {}
        with ignore_broken_pipe(sys.stdout):
            terminal.line({"type": "version", "reconcile": __version__})

    def emit(self, event: Event) -> None:
        """Prints one event."""
        self.details[event.step.id] = event.detail
        action = event.step.action
        what = {"call": str(action)} if isinstance(action, Call) else {"wait": self.mask.text(action.title)}
        message = f"{event.state.value}: {changes.step(event.step, self.mask, WIDTH)}"
        entry: dict[str, Any] = {"type": event.state.value, "@message": message, "address": str(event.step.address)}
        entry |= {"step": event.step.id, **what, "took": round(event.took, 3), "detail": self.mask.text(event.detail)}
        if event.because:
            entry["because"] = self.mask.line(event.because)
        if event.path:
            entry["cause"] = as_json.cause(self.plan, event.step.address, event.path, self.terminal.root)
        if event.refused:
            entry |= {"code": event.refused.code, "request_id": event.refused.request_id}
        with ignore_broken_pipe(sys.stdout):
            self.terminal.line(entry, level="error" if event.state.value == "failed" else "info")


class ApplyReport:
    """An apply at the terminal; implements :class:`reconciler.operations.apply.Interaction`.

    ``held``: the last line of JSON is printed by :meth:`close` only, as other lines come before.
    """

    def __init__(self, terminal: Terminal, *, auto_approve: bool, held: bool = False) -> None:
        self.terminal, self.auto_approve, self.held = terminal, auto_approve, held
        self._last: Json | None = None
        self._live: Progress | None = None

    @property
    def problems_shown(self) -> bool:
        """Whether the problems were printed with the plan: not in JSON lines."""
        return not self.terminal.as_json

    def refused(self, session: Session, refusal: pipeline.RailRefusal) -> None:
        """Print the plan that a safety rail refuses."""
        planned = refused_plan(self.terminal, session, refusal)
        if not self.terminal.as_json:
            show_text(self.terminal, planned)

    def planned(self, planned: Planned) -> None:
        """Print the plan and its warnings."""
        self.terminal.mask |= planned.mask
        if planned.warnings and not (self.terminal.as_json and planned.errored):
            self.terminal.problems(planned.warnings)
        if not self.terminal.as_json:
            show_text(self.terminal, planned)

    def blocked(self, planned: Planned) -> None:
        """Print the problems of the plan, unless they were printed with it."""
        if self.terminal.as_json:
            self.terminal.problems(ordered((*planned.problems, *planned.warnings)))

    def nothing_to_do(self, planned: Planned) -> None:
        """Print the output of an apply without changes."""
        if self.terminal.as_json:
            self.terminal.line({"type": "version", "reconcile": __version__})
            self._summary({"@message": view.summary(planned.plan), "done": [], "failed": []})

    def _summary(self, entry: Json) -> None:
        self._last = entry
        if not self.held:
            self.close({})

    def close(self, more: Json) -> None:
        """Print the last line of JSON, if there is one that was not printed."""
        if self._last is not None:
            entry, self._last = {"type": "summary", **self._last, **more}, None
            with ignore_broken_pipe(sys.stdout):
                self.terminal.line(entry)

    def confirm(self, plan: Plan) -> bool:
        """Whether the plan is approved, by ``--auto-approve`` or the user. Raises Problems (a safety rail) where there
        is no terminal.
        """
        if self.auto_approve:
            return True
        scope = plan.scope
        where = f"{scope.account} ({', '.join(filter(None, (scope.region, scope.endpoint)))})"
        if plan.destroy:
            number = plan.count(Verb.DELETE)
            what = "this resource" if number == 1 else f"these {number} resources"
            question = f"Delete {what} from account {where}?"
            message = "destroy needs approval, but there is no terminal"
        else:
            question = f"Apply these changes to account {where}: {view.counts(plan)}?"
            message = "apply needs approval, but there is no terminal"
        hint = "pass --auto-approve, or apply a saved plan"
        return self.terminal.confirm(question, Problem(code=codes.NOT_APPROVED, message=message, hint=hint))

    @contextmanager
    def running(self, planned: Planned) -> Iterator[JsonLines | Progress]:
        """Progress on stderr, with live lines on a terminal; or JSON lines on stdout."""
        if self.terminal.as_json:
            yield JsonLines(self.terminal, planned.plan, planned.mask)
            return
        live = sys.stderr.isatty() and os.environ.get("TERM") not in ("dumb", "unknown") and not in_pipeline()
        stamp = timestamp if in_pipeline() else None
        paint = text.Paint(colour=colour(sys.stderr))
        with Progress(planned.plan, sys.stderr, planned.mask, paint, live=live, stamp=stamp) as progress:
            self._live = progress if live else None
            try:
                yield progress
            finally:
                self._live = None

    def announce(self, message: str) -> bool:
        """Print ``message`` above the live lines; whether there are any. May be called by a signal handler."""
        live = self._live
        if live is None:
            return False
        live.note(message)
        return True

    def finished(self, outcome: Outcome, report: str) -> None:
        """Print the report."""
        with ignore_broken_pipe(sys.stdout):
            if self.terminal.as_json:
                steps = {"done": outcome.done, "failed": outcome.failed, "skipped": outcome.skipped}
                steps["never_started"] = outcome.never_started
                self._summary({"@message": report, **steps})
            else:
                self.terminal.result(report)

    def warn(self, kind: str, message: str) -> None:
        """Print a warning during the apply; ``kind`` is its type in JSON."""
        if not self.announce(f"warning: {self.terminal.mask.line(message)}"):
            self.terminal.warn(kind, message)

    def note(self, message: str) -> None:
        """Print a note on stderr."""
        self.terminal.note(message)
