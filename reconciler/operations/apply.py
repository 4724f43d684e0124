"""Apply: plan, show, confirm and execute, under the environment's lock and with a journal.

Output and confirmation belong to an :class:`Interaction`, which a terminal implements. The result is one of the
contract's exit codes.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final, Protocol

from reconciler import __version__
from reconciler.model import Event, Options, Outcome, Plan, Step, Wait
from reconciler.model import problem_codes as codes
from reconciler.model.exit_codes import ERROR, INTERRUPTED, OK, PARTIAL, RAIL, STALE
from reconciler.model.preflight import Asked, Level
from reconciler.model.problems import Problem, Problems
from reconciler.model.records import dataclass
from reconciler.operations import journal, pipeline, saved_plan
from reconciler.operations.pipeline import Planned
from reconciler.operations.session import Session, lock_of, make_plan
from reconciler.operations.stop import StopRequest
from reconciler.operations.timestamps import timestamp
from reconciler.render import checksum, report

if TYPE_CHECKING:
    from reconciler.operations.journal import Journal

CURRENT_SECONDS: Final = 5.0  # seconds after planning for which the account counts as unchanged


@dataclass(frozen=True, slots=True, kw_only=True)
class ApplyOptions:
    """How to apply.

    ``parallelism`` is the maximum number of concurrent calls; ``keep_going`` continues with independent steps after a
    failure; ``lock`` takes the environment's lock; ``journal`` is the file of calls and replies; ``saved`` is a saved
    plan that the new plan must equal; ``preflight`` is how much is checked before anything changes.
    """

    parallelism: int = 16
    keep_going: bool = False
    lock: bool = True
    journal: Path | None = None
    saved: saved_plan.Saved | None = None
    preflight: Level = Level.off


class Sink(Protocol):
    """Takes the executor's events; ``details`` has the last detail of each step, by id."""

    details: dict[str, str]

    def emit(self, event: Event) -> None:
        """Take one event."""


class Interaction(Protocol):
    """Output and confirmation of an apply. Implementations must not fail when their output is closed."""

    @property
    def problems_shown(self) -> bool:
        """Whether :meth:`planned` has shown the plan's problems already."""

    def refused(self, session: Session, refusal: pipeline.RailRefusal) -> None:
        """A safety rail refuses this plan; the refusal is raised next."""

    def planned(self, planned: Planned) -> None:
        """The plan, before it is confirmed."""

    def blocked(self, planned: Planned) -> None:
        """The plan has errors and is not applied."""

    def nothing_to_do(self, planned: Planned) -> None:
        """The plan has no steps."""

    def confirm(self, plan: Plan) -> bool:
        """Whether the user approves. Raises Problems (a safety rail) where there is no terminal."""

    def running(self, planned: Planned) -> AbstractContextManager[Sink]:
        """A sink for the events of the run."""

    def finished(self, outcome: Outcome, report: str) -> None:
        """The run has ended; ``report`` is its result in words."""

    def warn(self, kind: str, message: str) -> None:
        """A warning during the apply; ``kind`` is its type in JSON."""

    def note(self, message: str) -> None:
        """A note for people."""


class WallClock:
    """The wall clock; a sleep ends early when the run is stopped."""

    def __init__(self, stop: threading.Event) -> None:
        self.stop = stop

    def now(self) -> float:
        """Seconds of the monotonic clock."""
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        """Return after ``seconds``, or when a stop is requested."""
        if self.stop.is_set():
            time.sleep(min(seconds, 0.05))
        else:
            self.stop.wait(seconds)


def apply(session: Session, options: Options, how: ApplyOptions, ui: Interaction, stop: StopRequest) -> int:
    """Plan, show, confirm and execute; returns the exit code. Raises Problems for errors before execution."""
    if how.saved and (wrong := saved_plan.wrong_scope(how.saved, session.scope)):
        raise Problems(wrong, exit_code=STALE)
    with _with_journal(session, how, ui) as recorder:
        with _holding_lock(session, stop.event, ui, lock=how.lock) as lost:
            code = _apply(session, options, how, ui, _Run(stop, recorder, lost))
        if recorder:
            recorder.record_end(code)  # after the last call, which releases the lock
        return code


@dataclass(frozen=True, slots=True)
class _Run:
    """A running apply: its stop request, its journal, and the event that is set when the lock is broken."""

    stop: StopRequest
    recorder: Journal | None
    lost: threading.Event


def _apply(session: Session, options: Options, how: ApplyOptions, ui: Interaction, run: _Run) -> int:
    clock = WallClock(run.stop.event)
    since = clock.now()
    planned = _make_plan(session, options, ui, how.preflight)
    ui.planned(planned)
    if how.saved:
        saved_plan.verify(planned, how.saved, timestamp(), problems=() if ui.problems_shown else planned.problems)
    if planned.errored:
        ui.blocked(planned)
        return ERROR
    if not planned.plan.applyable:
        if planned.plan.steps:  # AWS is still changing something, which may end badly
            watched = replace(planned, plan=watching(planned.plan))
            return _execute(session, watched, how, ui, run, clock, since)
        ui.nothing_to_do(planned)
        return OK
    if not ui.confirm(planned.plan):
        return ERROR
    if run.lost.is_set():
        raise Problems([_lock_broken()], exit_code=RAIL)
    run.stop.graceful = True
    return _execute(session, planned, how, ui, run, clock, since)


def watching(plan: Plan) -> Plan:
    """``plan``, which has no changes but waits, without the calls that repair what ends badly: those need approval."""

    def without_repair(step: Step) -> Step:
        return replace(step, action=replace(step.action, repair=None)) if isinstance(step.action, Wait) else step

    items = (replace(item, steps=tuple(map(without_repair, item.steps))) for item in plan.resources)
    return replace(plan, resources=tuple(items))


def _make_plan(session: Session, options: Options, ui: Interaction, preflight: Level) -> Planned:
    try:
        return make_plan(session, options, preflight=Asked(preflight, narrow=True))
    except pipeline.RailRefusal as refusal:
        ui.refused(session, refusal)
        raise


def _execute(
    session: Session, planned: Planned, how: ApplyOptions, ui: Interaction, run: _Run, clock: WallClock, since: float
) -> int:
    """Execute the plan and report; returns the exit code. ``since`` is when planning started, by ``clock``."""
    recorder = run.recorder
    began = time.monotonic()

    def current() -> bool:
        """Whether the plan counts as current: the lock excludes other runs, and planning has just ended."""
        return how.lock and clock.now() < since + CURRENT_SECONDS

    if recorder:
        recorder.mask |= planned.mask
        recorder.record_plan(planned.plan, checksum.checksum(planned.plan, planned.mask))
    with ui.running(planned) as sink:

        def emit(event: Event) -> None:
            sink.emit(event)
            if recorder:
                recorder.emit(event)

        outcome = pipeline.execute(
            planned,
            session.client,
            clock,
            emit,
            parallelism=how.parallelism,
            keep_going=how.keep_going,
            stop=run.stop.event,
            current=current,
        )
    took = time.monotonic() - began
    told = report.of(planned.plan, outcome, sink.details, took, planned.mask, session.root)
    if recorder:
        recorder.report = told
    ui.finished(outcome, told)
    return _exit_code(outcome, lost=run.lost.is_set())


def _exit_code(outcome: Outcome, *, lost: bool) -> int:
    if outcome.ok or not (outcome.failed or outcome.skipped or outcome.never_started or not lost):
        return OK
    if outcome.interrupted and not lost:
        return INTERRUPTED
    return STALE if outcome.changed_since_plan else PARTIAL


@contextmanager
def _holding_lock(session: Session, stop: threading.Event, ui: Interaction, *, lock: bool) -> Iterator[threading.Event]:
    """Holds the environment's lock, unless not ``lock``. Yields an event that is set when another run breaks the lock:
    then no further steps are started. Raises Problems.
    """
    lost = threading.Event()
    if not lock:
        yield lost
        return
    held = lock_of(session)

    def broken() -> None:
        lost.set()
        stop.set()
        ui.warn("lock-lost", "another run broke the lock: no further steps are started")

    held.on_lost = broken
    held.on_release_failed = lambda problem: ui.warn("lock-kept", f"{problem.message}; {problem.hint}")
    with held.held():
        yield lost


def _lock_broken() -> Problem:
    hint = "find out who broke the lock and why before applying again"
    message = "another run broke the lock before any step started"
    return Problem(code=codes.LOCK_LOST, message=message, hint=hint)


@contextmanager
def _with_journal(session: Session, how: ApplyOptions, ui: Interaction) -> Iterator[Journal | None]:
    """The journal of the run, if requested or in CI, else None. Raises Problems."""
    recorder = _open_journal(session, how, ui)
    if recorder is None:
        yield None
        return
    with recorder:
        if not how.journal:
            ui.note(f"journal: {os.path.relpath(recorder.path)}")
        session.client.on_exchange = recorder.record_exchange
        try:
            yield recorder
        except Problems as error:
            recorder.record_end(error.exit_code, error.problems)
            raise
        except KeyboardInterrupt:
            recorder.record_end(INTERRUPTED)
            raise
        except BaseException:
            recorder.record_end(ERROR)
            raise


def _open_journal(session: Session, how: ApplyOptions, ui: Interaction) -> Journal | None:
    by_default = journal.default_path(session.env.name, timestamp(), Path.cwd()) if _in_ci(session) else None
    path = how.journal or by_default
    if path is None:
        return None
    try:
        recorder = journal.Journal(path, session.mask, timestamp, partial(ui.warn, "journal"))
        recorder.record_start(session.scope, __version__)
    except Problems as error:
        if how.journal:
            raise
        ui.warn("journal", error.problems[0].message)  # not requested: apply without it
        return None
    return recorder


def _in_ci(session: Session) -> bool:
    return session.environ.get("CI", "").lower() not in ("", "0", "false")
