"""What the commands that talk to AWS share: find and read an environment, connect, plan, apply."""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from reconciler import __version__, load
from reconciler import app as pipeline
from reconciler.app import Planned
from reconciler.cli import console
from reconciler.cli.console import OUT
from reconciler.model import Environment, Event, Options, Outcome, Scope
from reconciler.problems import Problem, Problems
from reconciler.render import json as as_json
from reconciler.render import text
from reconciler.render.progress import though_unheard

if TYPE_CHECKING:
    from reconciler.aws import Boto
    from reconciler.journal import Journal
    from reconciler.lock import Lock


@dataclass(frozen=True, slots=True, kw_only=True)
class Manner:
    """How an apply is to be done; ``journal`` is where it is written down, ``checksum`` that of a saved plan."""

    auto_approve: bool
    parallelism: int
    keep_going: bool
    sandbox: bool
    lock: bool = True
    journal: Path | None = None
    checksum: str | None = None


@dataclass(frozen=True, slots=True)
class Connected:
    """An environment that has been read, and the account it goes to."""

    env: Environment
    scope: Scope
    door: Boto


def found(env: str | None) -> Path:
    """The environment's directory or file; from here on its problems are told by paths that can be opened."""
    target = load.find_environment(env, Path.cwd())
    directory = os.path.relpath(target if target.is_dir() else target.parent)
    OUT.root = "" if directory == "." else f"{directory}/"
    return target


def read(env: str | None, *, strict: bool) -> tuple[Environment, tuple[Problem, ...]]:
    """The environment and its warnings; from here on its secrets are masked."""
    loaded, warnings = pipeline.read(found(env), os.environ, strict=strict)
    OUT.mask |= pipeline.mask_for(loaded)
    return loaded, warnings


def connect(env: str | None, *, strict: bool, sandbox: bool) -> Connected:
    """Read the environment and find out which account it goes to. Raises Problems."""
    from reconciler import aws  # noqa: PLC0415  (0.1 s to import, and `validate` does without)

    loaded, warnings = read(env, strict=strict)
    if warnings and not OUT.as_json:
        command = f"reconcile validate {env}" if env else "reconcile validate"
        notes = sum(problem.note for problem in warnings)
        counts = ((len(warnings) - notes, "warning"), (notes, "note"))
        told = ", ".join(console.plural(count, noun) for count, noun in counts if count)
        typer.echo(f"{told}: see `{command}`", err=True)
    if sandbox:
        point_at_sandbox()
    region = loaded.region or os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION")
    door = aws.connect(region=region, profile=None if sandbox else loaded.profile, role=loaded.role)
    return Connected(loaded, aws.identity(door, loaded.name), door)


def plan(account: Connected, options: Options) -> Planned:
    """Plan; warnings are printed as they come."""
    made = pipeline.planned(account.env, account.scope, account.door, options)
    if made.warnings and not OUT.as_json:
        console.print_problems(made.warnings)
    return made


def apply(env: str | None, options: Options, manner: Manner) -> None:
    """Plan, show, ask, and do it; leaves with the contract's exit code."""
    with console.interruptible() as stop:
        account = connect(env, strict=not options.destroy, sandbox=manner.sandbox)
        with locked(account, stop.event) if manner.lock else ExitStack():
            made = plan(account, options)
            if not _to_be_done(made, manner):
                return
            began = time.monotonic()
            stop.soft = True
            with ExitStack() as stack:
                journal = _journal(stack, account, made, manner)
                outcome, told = _done(made, account.door, manner, stop.event, journal, began)
                code = _code(outcome)
                if journal:
                    journal.ended(code, told)
            with though_unheard(sys.stdout):
                _report(outcome, told)
    raise typer.Exit(code)


def _to_be_done(made: Planned, manner: Manner) -> bool:
    """Show the plan; whether there is anything to do that somebody approves. Leaves, or raises Problems, if not."""
    if not OUT.as_json:
        console.show(made, only_changes=True)
    elif made.errored:
        console.print_problems(made.problems)
    if made.errored:
        raise typer.Exit(console.ERROR)
    if manner.checksum and as_json.checksum(made.plan, made.mask) != manner.checksum:
        raise Problems([_stale()], exit_code=console.STALE)
    if not made.plan.applyable:
        if OUT.as_json:
            console.line({"type": "version", "reconcile": __version__})
            console.line({"type": "summary", "@message": text.NO_CHANGES, "done": [], "failed": []})
        return False
    if not console.confirm(made.plan, auto_approve=manner.auto_approve):
        raise typer.Exit(console.ERROR)
    return True


def _done(
    made: Planned, door: Boto, manner: Manner, stop: threading.Event, journal: Journal | None, began: float
) -> tuple[Outcome, str]:
    """Execute the plan; how it ended, also in words."""
    sink: console.Sink = (
        console.JsonLines(made.plan, made.mask) if OUT.as_json else console.progress(made.plan, made.mask)
    )

    def emit(event: Event) -> None:
        sink.emit(event)
        if journal:
            journal.emit(event)

    with sink:
        outcome = pipeline.execute(
            made,
            door,
            console.WallClock(stop),
            emit,
            parallelism=manner.parallelism,
            keep_going=manner.keep_going,
            stop=stop,
        )
    return outcome, text.report(made.plan, outcome, sink.details, time.monotonic() - began, made.mask, OUT.root)


def _report(outcome: Outcome, told: str) -> None:
    if OUT.as_json:
        fates = {"done": outcome.done, "failed": outcome.failed, "skipped": outcome.skipped}
        console.line({"type": "summary", "@message": told, **fates, "never_started": outcome.never_started})
    else:
        typer.echo(told)


def _code(outcome: Outcome) -> int:
    if outcome.ok:
        return console.OK
    if outcome.interrupted:
        return console.INTERRUPTED
    return console.STALE if outcome.moved else console.PARTIAL


def lock_of(account: Connected) -> Lock:
    """The environment's lock."""
    from reconciler import machine  # noqa: PLC0415
    from reconciler.lock import Lock  # noqa: PLC0415

    door = account.door
    return Lock(door, account.scope, machine.claim(os.environ), machine.alive, lambda: time.time() + door.skew)


@contextmanager
def locked(account: Connected, stop: threading.Event) -> Iterator[None]:
    """Holds the environment's lock; if it is broken meanwhile nothing new is started. Raises Problems."""
    lock = lock_of(account)

    def lost() -> None:
        typer.echo("\nthe lock was broken by somebody: nothing new is started", err=True)
        stop.set()

    lock.lost = lost
    with lock.held():
        yield


def unlock(account: Connected, *, auto_approve: bool) -> str:
    """Break the environment's lock if somebody approves; what was broken, empty when there was none."""
    from reconciler.lock import told  # noqa: PLC0415

    lock = lock_of(account)
    held = lock.look()
    if held is None:
        return ""
    who = OUT.mask.line(told(held.claim))
    if not auto_approve:
        typer.echo(f"The lock of {account.env.name} is held by {who}.", err=True)
        if not console.agreed("Break it?"):
            raise typer.Exit(console.ERROR)
    lock.delete()
    return f"Broke the lock of {account.env.name}, which was held by {who}."


def _journal(stack: ExitStack, account: Connected, made: Planned, manner: Manner) -> Journal | None:
    """Where it is written down what is sent and answered: as asked for, and in CI in any case."""
    from reconciler import journal  # noqa: PLC0415

    path = manner.journal
    if path is None and os.environ.get("CI", "").lower() not in ("", "0", "false"):
        path = journal.default_path(account.env.name, console.now(), Path.cwd())
    if path is None:
        return None
    book = stack.enter_context(journal.Journal(path, made.mask, console.now))
    book.began(made.plan, as_json.checksum(made.plan, made.mask), __version__)
    account.door.heard = book.heard
    return book


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
