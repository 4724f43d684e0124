"""What the commands that talk to AWS share: find and read an environment, connect, plan, apply."""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

import typer

from reconciler import __version__
from reconciler.cli import terminal
from reconciler.cli.exit_codes import ERROR, INTERRUPTED, OK, PARTIAL, RAIL, STALE
from reconciler.cli.signals import WallClock, interruptible
from reconciler.cli.terminal import OUT
from reconciler.config import loader
from reconciler.config.files import SETTINGS_FILES
from reconciler.model import Environment, Event, Options, Outcome, Scope
from reconciler.model.problems import Problem, Problems, ordered
from reconciler.operations import pipeline, saved_plan
from reconciler.operations.pipeline import Planned
from reconciler.planning import visibility
from reconciler.render import text
from reconciler.render.checksum import checksum
from reconciler.render.progress import ignore_broken_pipe

if TYPE_CHECKING:
    from reconciler.account.client import AwsClient
    from reconciler.account.lock import Lock
    from reconciler.operations.journal import Journal

CURRENT: Final = 5.0  # seconds for which nobody is taken to have created what the plan is to create


@dataclass(frozen=True, slots=True, kw_only=True)
class ApplyOptions:
    """How an apply is to be done; ``journal`` is where it is written down, ``saved`` the plan that it is held to,
    ``since`` when the account was asked for it, by the clock that only grows.
    """

    auto_approve: bool
    parallelism: int
    keep_going: bool
    sandbox: bool
    lock: bool = True
    journal: Path | None = None
    saved: saved_plan.Saved | None = None
    since: float = 0.0

    def current(self) -> bool:
        """Whether what was seen then can be relied on still: no other run is there, and nobody has had the time."""
        return self.lock and time.monotonic() < self.since + CURRENT


@dataclass(frozen=True, slots=True)
class Connected:
    """An environment that has been read, and the account it goes to."""

    env: Environment
    scope: Scope
    client: AwsClient


def locate_environment(env: str | None) -> Path:
    """The environment's directory or file; from here on its problems are told by paths that can be opened."""
    target = loader.find_environment(env, Path.cwd())
    directory = os.path.relpath(target if target.is_dir() else target.parent)
    OUT.root = "" if directory == "." else f"{directory}/"
    return target


def read(env: str | None, *, strict: bool) -> tuple[Environment, tuple[Problem, ...]]:
    """The environment and its warnings; from here on its secrets are masked."""
    loaded, warnings = pipeline.read_environment(locate_environment(env), os.environ, strict=strict)
    OUT.mask |= pipeline.mask_for(loaded)
    return loaded, warnings


def connect(env: str | None, *, strict: bool, sandbox: bool) -> Connected:
    """Read the environment and find out which account it goes to. Raises Problems."""
    from reconciler.account import client as aws  # noqa: PLC0415  (0.1 s to import, and `validate` does without)
    from reconciler.planning import safety_rails  # noqa: PLC0415  (0.1 s to import, and `validate` does without)

    loaded, warnings = read(env, strict=strict)
    if warnings and not OUT.as_json:
        command = f"reconcile validate {terminal.typed(env)}" if env else "reconcile validate"
        notes = sum(problem.note for problem in warnings)
        counts = ((len(warnings) - notes, "warning"), (notes, "note"))
        told = ", ".join(terminal.plural(count, noun) for count, noun in counts if count)
        typer.echo(f"{told}: see `{command}`", err=True)
    if sandbox:
        point_at_sandbox()
    region = loaded.region or os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION")
    door = aws.connect(region=region, profile=None if sandbox else loaded.profile, role=loaded.role)
    scope = aws.identity(door, loaded.name)
    if wrong := safety_rails.account(scope.account, loaded):
        raise Problems(wrong, exit_code=RAIL)
    return Connected(loaded, scope, door)


def plan(account: Connected, options: Options, shape: str = "text") -> Planned:
    """Plan; warnings are printed as they come. Raises Problems; what a safety rail refuses is shown before."""
    try:
        made = pipeline.make_plan(account.env, account.scope, account.client, options)
    except pipeline.RailRefusal as refused:
        OUT.mask = OUT.mask.learnt(refused.plan)
        made = Planned(env=account.env, plan=refused.plan, mask=OUT.mask)
        if OUT.as_json and not OUT.as_lines:
            terminal.show(replace(made, problems=refused.problems), only_changes=False)
            raise typer.Exit(refused.exit_code) from refused
        if not OUT.as_json:
            terminal.show(made, only_changes=True, shape=shape, rails=refused.problems)
        raise
    OUT.mask |= made.mask
    if made.warnings and (not OUT.as_json or (OUT.as_lines and not made.errored)):
        terminal.print_problems(made.warnings)
    return made


def place(saved: saved_plan.Saved, file: Path) -> str:
    """Where the environment of a saved plan lies here. Raises Problems where it does not."""
    places: dict[Path, Path] = {}
    for candidate in saved.where.candidates(Path.cwd(), file.resolve().parent):
        if _is_environment(candidate):
            places.setdefault(candidate.resolve(), candidate)
    found = list(places.values())
    if not found:
        name, path = saved.where.environment, saved.where.path
        message = f"the plan is for the environment {name}, which lay at {path}: there is none here"
        hint = "apply it at the root of a clone that holds the environment, or in the environment's own directory"
        raise Problems([Problem(code="no-environment", message=message, hint=hint)])
    others = (path for path in found[1:] if _name(path) == saved.where.environment)
    return str(found[0] if _name(found[0]) == saved.where.environment else next(others, found[0]))


def _is_environment(path: Path) -> bool:
    return path.is_file() or any((path / name).is_file() for name in SETTINGS_FILES)


def _name(path: Path) -> str:
    try:
        return loader.load(path, environ=os.environ).name
    except Problems:
        return ""


def apply(env: str | None, options: Options, manner: ApplyOptions) -> None:
    """Plan, show, ask, and do it; leaves with the contract's exit code."""
    with interruptible() as stop:
        account = connect(env, strict=not options.destroy, sandbox=manner.sandbox)
        if manner.saved and (wrong := saved_plan.elsewhere(manner.saved, account.scope)):
            raise Problems(wrong, exit_code=STALE)
        with _journal(account, manner) as journal, locked(account, stop.event, lock=manner.lock) as lost:
            began = time.monotonic()
            made = plan(account, options)
            if not _to_be_done(made, manner):
                raise typer.Exit(OK)
            if lost.is_set():
                raise Problems([_broken()], exit_code=RAIL)
            stop.soft = True
            raise typer.Exit(_done(made, account.client, replace(manner, since=began), stop.event, journal, lost))


def _to_be_done(made: Planned, manner: ApplyOptions) -> bool:
    """Show the plan; whether there is anything to do that somebody approves. Leaves, or raises Problems, if not."""
    if not OUT.as_json:
        terminal.show(made, only_changes=True)
    verify_saved_plan(made, manner.saved)
    if made.errored:
        if OUT.as_json:
            terminal.print_problems(ordered((*made.problems, *made.warnings)))
        raise typer.Exit(ERROR)
    if not made.plan.applyable:
        if OUT.as_json:
            terminal.line({"type": "version", "reconcile": __version__})
            terminal.line({"type": "summary", "@message": text.NO_CHANGES, "done": [], "failed": []})
        return False
    if not terminal.confirm(made.plan, auto_approve=manner.auto_approve):
        raise typer.Exit(ERROR)
    return True


def verify_saved_plan(made: Planned, saved: saved_plan.Saved | None) -> None:
    """Raises Problems where a saved plan does not come out again; not where that cannot be told."""
    if saved is None or any(problem.code in visibility.UNREADABLE_CODES for problem in made.problems):
        return
    because = made.problems if OUT.as_json else ()  # else they have been shown
    found = saved_plan.stale(saved, terminal.document(made), because)
    if found and made.as_saved and saved_plan.tidied(made.as_saved, made.plan):
        found = saved_plan.stale(saved, terminal.document(replace(made, plan=made.as_saved)), because)
    if found:
        raise Problems(found, exit_code=STALE)


def _done(
    made: Planned,
    door: AwsClient,
    manner: ApplyOptions,
    stop: threading.Event,
    journal: Journal | None,
    lost: threading.Event,
) -> int:
    """Execute the plan and report; the exit code."""
    began = time.monotonic()
    sink: terminal.Sink = (
        terminal.JsonLines(made.plan, made.mask) if OUT.as_json else terminal.progress(made.plan, made.mask)
    )

    def emit(event: Event) -> None:
        sink.emit(event)
        if journal:
            journal.emit(event)

    if journal:
        journal.mask |= made.mask
        journal.planned(made.plan, checksum(made.plan, made.mask))
    with sink:
        outcome = pipeline.execute(
            made,
            door,
            WallClock(stop),
            emit,
            parallelism=manner.parallelism,
            keep_going=manner.keep_going,
            stop=stop,
            current=manner.current,
        )
    told = text.report(made.plan, outcome, sink.details, time.monotonic() - began, made.mask, OUT.root)
    if journal:
        journal.report = told
    with ignore_broken_pipe(sys.stdout):
        _report(outcome, told)
    return _code(outcome, lost=lost.is_set())


def _report(outcome: Outcome, told: str) -> None:
    if OUT.as_json:
        fates = {"done": outcome.done, "failed": outcome.failed, "skipped": outcome.skipped}
        terminal.line({"type": "summary", "@message": told, **fates, "never_started": outcome.never_started})
    else:
        typer.echo(told)


def _code(outcome: Outcome, *, lost: bool) -> int:
    if outcome.ok or not (outcome.failed or outcome.skipped or outcome.never_started or not lost):
        return OK
    if outcome.interrupted and not lost:
        return INTERRUPTED
    return STALE if outcome.changed_since_plan else PARTIAL


def lock_of(account: Connected) -> Lock:
    """The environment's lock."""
    from reconciler.account import lock_owner  # noqa: PLC0415
    from reconciler.account.lock import Lock  # noqa: PLC0415

    door = account.client
    return Lock(door, account.scope, lock_owner.claim(os.environ), lock_owner.alive, lambda: time.time() + door.skew)


@contextmanager
def locked(account: Connected, stop: threading.Event, *, lock: bool) -> Iterator[threading.Event]:
    """Holds the environment's lock, unless it is to go without; yields what is set when somebody breaks it: then
    nothing new is started. Raises Problems.
    """
    lost = threading.Event()
    if not lock:
        yield lost
        return
    held = lock_of(account)

    def broken() -> None:
        lost.set()
        stop.set()
        _say("lock-lost", "the lock was broken by somebody: nothing new is started")

    held.lost = broken
    held.kept = lambda problem: _say("lock-kept", f"{problem.message}; {problem.hint}")
    with held.held():
        yield lost


def _say(kind: str, told: str) -> None:
    """A message while the work goes on."""
    if OUT.as_json:
        with ignore_broken_pipe(sys.stdout):
            terminal.line({"type": kind, "@message": OUT.mask.line(told)}, level="warn")
    else:
        with ignore_broken_pipe(sys.stderr):
            typer.echo(f"\nwarning: {OUT.mask.line(told)}", err=True)


def _broken() -> Problem:
    hint = "look who did, and why, before you apply again"
    return Problem(code="lock-lost", message="the lock was broken by somebody before anything was begun", hint=hint)


def unlock(account: Connected, *, auto_approve: bool) -> str:
    """Break the environment's lock if somebody approves; what was broken, empty when there was none."""
    from reconciler.account.lock import describe_holder  # noqa: PLC0415

    lock = lock_of(account)
    held = lock.look()
    if held is None:
        return ""
    who = OUT.mask.line(describe_holder(held, lock.now()))
    if not auto_approve:
        typer.echo(f"The lock of {account.env.name} is held by {who}.", err=True)
        if not terminal.agreed("Break it?"):
            raise typer.Exit(ERROR)
        now = lock.look()
        if now is None or now.claim.run != held.claim.run:
            hint = "look again with `reconcile unlock`"
            problem = Problem(code="lock-moved", message="the lock is no longer held by whom you were shown", hint=hint)
            raise Problems([problem])
    lock.delete()
    return f"Broke the lock of {account.env.name}, which was held by {who}."


@contextmanager
def _journal(account: Connected, manner: ApplyOptions) -> Iterator[Journal | None]:
    """Where it is written down what is sent and answered: as asked for, and in CI in any case. Raises Problems."""
    from reconciler.operations import journal  # noqa: PLC0415

    path = manner.journal or (journal.default_path(account.env.name, terminal.now(), Path.cwd()) if _in_ci() else None)
    book: Journal | None = None
    try:
        if path:
            book = journal.Journal(path, OUT.mask, terminal.now, partial(_say, "journal"))
            book.began(account.scope, __version__)
    except Problems as error:
        if manner.journal:
            raise
        _say("journal", error.problems[0].message)  # nobody asked for it
        book = None
    if book is None:
        yield None
        return
    with book:
        if not manner.journal:
            typer.echo(f"journal: {os.path.relpath(book.path)}", err=True)
        account.client.on_exchange = book.heard
        with _ending(book):
            yield book


def _in_ci() -> bool:
    return os.environ.get("CI", "").lower() not in ("", "0", "false")


@contextmanager
def _ending(book: Journal) -> Iterator[None]:
    """The last line of a journal, whatever the end."""
    try:
        yield
    except Problems as error:
        book.ended(error.exit_code, error.problems)
        raise
    except typer.Exit as end:
        book.ended(end.exit_code)
        raise
    except KeyboardInterrupt:
        book.ended(INTERRUPTED)
        raise
    except BaseException:
        book.ended(ERROR)
        raise


def point_at_sandbox() -> None:
    """Make this process talk to the running sandbox. Raises Problems when there is none."""
    from reconciler.sandbox import process  # noqa: PLC0415  (only with the sandbox extra)

    handle = process.status()
    if handle is None:
        raise Problems([no_sandbox()])
    for exported in process.exports(handle.url):
        name, _, value = exported.removeprefix("export ").partition("=")
        os.environ[name] = value.strip("'\"")
    os.environ.pop("AWS_PROFILE", None)


def no_sandbox() -> Problem:
    """What people are told when the sandbox is wanted and does not run."""
    return Problem(
        code="no-sandbox", message="the sandbox is not running", hint="start it with `reconcile sandbox start`"
    )


def _stale() -> Problem:
    return Problem(
        code="stale-plan",
        message="planning again does not give what was saved: the account or the environment has changed since",
        hint="look at `reconcile plan`, save it anew, and apply that",
    )
