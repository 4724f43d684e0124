"""Plan, show, ask and do it, under the environment's lock and with its journal.

Nothing is printed and nobody is asked here: that is the :class:`Interaction`'s, which a terminal implements. What an
apply comes to is one of the contract's exit codes.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final, Protocol

from reconciler import __version__
from reconciler.model import Event, Options, Outcome, Plan
from reconciler.model.exit_codes import ERROR, INTERRUPTED, OK, PARTIAL, RAIL, STALE
from reconciler.model.problems import Problem, Problems
from reconciler.operations import journal, pipeline, saved_plan
from reconciler.operations.pipeline import Planned
from reconciler.operations.session import Session, lock_of, timestamp
from reconciler.operations.stop import StopRequest
from reconciler.render import checksum, text

if TYPE_CHECKING:
    from reconciler.operations.journal import Journal

CURRENT: Final = 5.0  # seconds for which nobody is taken to have created what the plan is to create


@dataclass(frozen=True, slots=True, kw_only=True)
class ApplyOptions:
    """How an apply is done. ``journal`` is the file it is recorded in, ``saved`` the plan it is held to."""

    parallelism: int = 16
    keep_going: bool = False
    lock: bool = True
    journal: Path | None = None
    saved: saved_plan.Saved | None = None


class Sink(Protocol):
    """Takes the executor's events; ``details`` has the last word on each step, by id."""

    details: dict[str, str]

    def emit(self, event: Event) -> None: ...


class Interaction(Protocol):
    """What an apply shows and asks. Implementations must not fail for a reader that is gone."""

    @property
    def problems_shown(self) -> bool:
        """Whether :meth:`planned` has shown the problems of the plan already."""

    def refused(self, session: Session, refusal: pipeline.RailRefusal) -> None:
        """A safety rail refuses this plan; the refusal is raised next."""

    def planned(self, made: Planned) -> None:
        """The plan, before anything is decided."""

    def blocked(self, made: Planned) -> None:
        """The plan has errors and is not applied."""

    def nothing_to_do(self, made: Planned) -> None:
        """The plan has no steps."""

    def confirm(self, made: Plan) -> bool:
        """Whether the user approves. Raises Problems (a safety rail) where nobody can be asked."""

    def running(self, made: Planned) -> AbstractContextManager[Sink]:
        """Follows the run."""

    def finished(self, outcome: Outcome, report: str) -> None:
        """How it ended, in words."""

    def say(self, kind: str, message: str) -> None:
        """A warning while the work goes on; ``kind`` names it in JSON."""

    def note(self, message: str) -> None:
        """Something to know."""


class WallClock:
    """The wall clock; a sleep ends early when the run is stopped."""

    def __init__(self, stop: threading.Event) -> None:
        self.stop = stop

    def now(self) -> float:
        """Seconds that only grow."""
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        """Wait ``seconds``, or until the stop."""
        if self.stop.is_set():
            time.sleep(min(seconds, 0.05))
        else:
            self.stop.wait(seconds)


def apply(session: Session, options: Options, how: ApplyOptions, ui: Interaction, stop: StopRequest) -> int:
    """Plan, show, ask, and do it; returns the exit code. Raises Problems for what ends it before that."""
    if how.saved and (wrong := saved_plan.elsewhere(how.saved, session.scope)):
        raise Problems(wrong, exit_code=STALE)
    with _recorded(session, how, ui) as book:
        with _locked(session, stop.event, ui, lock=how.lock) as lost:
            code = _apply(session, options, how, ui, _Run(stop, book, lost))
        if book:
            book.ended(code)  # after the last call, which gives the lock back
        return code


@dataclass(frozen=True, slots=True)
class _Run:
    """One apply under way: its request to stop, its journal, and what is set when the lock is broken."""

    stop: StopRequest
    book: Journal | None
    lost: threading.Event


def _apply(session: Session, options: Options, how: ApplyOptions, ui: Interaction, run: _Run) -> int:
    began = time.monotonic()
    made = _planned(session, options, ui)
    ui.planned(made)
    if how.saved:
        saved_plan.verify(made, how.saved, timestamp(), problems=() if ui.problems_shown else made.problems)
    if made.errored:
        ui.blocked(made)
        return ERROR
    if not made.plan.applyable:
        ui.nothing_to_do(made)
        return OK
    if not ui.confirm(made.plan):
        return ERROR
    if run.lost.is_set():
        raise Problems([_broken()], exit_code=RAIL)
    run.stop.graceful = True
    return _execute(session, made, how, ui, run, began)


def _planned(session: Session, options: Options, ui: Interaction) -> Planned:
    try:
        return pipeline.make_plan(session.env, session.scope, session.client, options)
    except pipeline.RailRefusal as refusal:
        ui.refused(session, refusal)
        raise


def _execute(session: Session, made: Planned, how: ApplyOptions, ui: Interaction, run: _Run, since: float) -> int:
    """Execute the plan and report; the exit code. ``since`` is when the account was asked for the plan."""
    book = run.book
    began = time.monotonic()

    def current() -> bool:
        """Whether what was seen then holds still: no other run is there, and nobody has had the time to change it."""
        return how.lock and time.monotonic() < since + CURRENT

    if book:
        book.mask |= made.mask
        book.planned(made.plan, checksum.checksum(made.plan, made.mask))
    with ui.running(made) as sink:

        def emit(event: Event) -> None:
            sink.emit(event)
            if book:
                book.emit(event)

        outcome = pipeline.execute(
            made,
            session.client,
            WallClock(run.stop.event),
            emit,
            parallelism=how.parallelism,
            keep_going=how.keep_going,
            stop=run.stop.event,
            current=current,
        )
    took = time.monotonic() - began
    report = text.report(made.plan, outcome, sink.details, took, made.mask, session.root)
    if book:
        book.report = report
    ui.finished(outcome, report)
    return _code(outcome, lost=run.lost.is_set())


def _code(outcome: Outcome, *, lost: bool) -> int:
    if outcome.ok or not (outcome.failed or outcome.skipped or outcome.never_started or not lost):
        return OK
    if outcome.interrupted and not lost:
        return INTERRUPTED
    return STALE if outcome.changed_since_plan else PARTIAL


@contextmanager
def _locked(session: Session, stop: threading.Event, ui: Interaction, *, lock: bool) -> Iterator[threading.Event]:
    """Holds the environment's lock, unless told not to; yields what is set when somebody breaks it: then nothing new
    is started. Raises Problems.
    """
    lost = threading.Event()
    if not lock:
        yield lost
        return
    held = lock_of(session)

    def broken() -> None:
        lost.set()
        stop.set()
        ui.say("lock-lost", "another run broke the lock: no further steps are started")

    held.lost = broken
    held.kept = lambda problem: ui.say("lock-kept", f"{problem.message}; {problem.hint}")
    with held.held():
        yield lost


def _broken() -> Problem:
    hint = "find out who broke the lock and why before applying again"
    message = "another run broke the lock before any step started"
    return Problem(code="lock-lost", message=message, hint=hint)


@contextmanager
def _recorded(session: Session, how: ApplyOptions, ui: Interaction) -> Iterator[Journal | None]:
    """The journal of the run: where one is asked for, and in CI in any case. Raises Problems."""
    book = _open(session, how, ui)
    if book is None:
        yield None
        return
    with book:
        if not how.journal:
            ui.note(f"journal: {os.path.relpath(book.path)}")
        session.client.on_exchange = book.heard
        try:
            yield book
        except Problems as error:
            book.ended(error.exit_code, error.problems)
            raise
        except KeyboardInterrupt:
            book.ended(INTERRUPTED)
            raise
        except BaseException:
            book.ended(ERROR)
            raise


def _open(session: Session, how: ApplyOptions, ui: Interaction) -> Journal | None:
    by_default = journal.default_path(session.env.name, timestamp(), Path.cwd()) if _in_ci(session) else None
    path = how.journal or by_default
    if path is None:
        return None
    try:
        book = journal.Journal(path, session.mask, timestamp, partial(ui.say, "journal"))
        book.began(session.scope, __version__)
    except Problems as error:
        if how.journal:
            raise
        ui.say("journal", error.problems[0].message)  # nobody asked for it
        return None
    return book


def _in_ci(session: Session) -> bool:
    return session.environ.get("CI", "").lower() not in ("", "0", "false")
