"""Compares many environments with their accounts, side by side: each with its own credentials, role and Region.

An environment that cannot be read, or not completely, is an error: never "no drift". Nothing that happens in one
environment ends the check of the others.
"""

from __future__ import annotations

import gc
import os
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import field, replace
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeAlias

from reconciler.account.connections import Connections
from reconciler.config import files
from reconciler.config.given import Given
from reconciler.model import Call, Environment, Options, ResourcePlan, Scope, Verb
from reconciler.model import problem_codes as codes
from reconciler.model.exit_codes import CHANGES, ERROR, OK
from reconciler.model.problems import Problem, Problems, ordered
from reconciler.model.records import dataclass
from reconciler.operations import pipeline, session
from reconciler.operations.masks import mask_of_environ
from reconciler.operations.pipeline import Planned
from reconciler.operations.session import Loaded, Location, Session
from reconciler.operations.timestamps import timestamp
from reconciler.planning.visibility import UNREADABLE_CODES
from reconciler.render import drift_view
from reconciler.render.drift_view import Checked, Status
from reconciler.render.mask import Mask
from reconciler.render.view import masked

if TYPE_CHECKING:
    from reconciler.account.client import Endpoint

PARALLELISM: Final = 4  # environments of one account at the same time
READS: Final = 16  # concurrent reads in one account, as many as those of a single plan
WORKERS: Final = 32  # environments at the same time, in all accounts together
READ_AHEAD: Final = 20  # environments that are loaded before the first of them is compared: one call asks what they own
MOST_AHEAD: Final = 500  # resources in them, beyond which the first is not kept waiting
BACKLOG: Final = 64  # environments that are loaded and wait for their turn: memory does not grow with the fleet
_THRESHOLDS: Final = (100_000, 5, 5)  # new objects before a collection of cycles: an environment has some 20,000
_INCOMPLETE: Final = "not everything could be read, so it is unknown whether the rest has drifted"

#: An environment that is loaded, and what compares it with its account.
_Ready: TypeAlias = tuple[Environment, Callable[[], None]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """How environments are checked.

    ``endpoint`` returns what to connect to in place of AWS; ``parallelism`` is the number of environments of one
    account that are checked at the same time; ``ignore_transient`` leaves out what AWS is still changing;
    ``whole`` keeps the plans with all that does not change. ``finish`` adds to the result of an environment what needs
    its account (who changed it).
    """

    environ: Mapping[str, str]
    given: Mapping[str, Given]
    cwd: Path
    endpoint: Callable[[Environment], Endpoint | None] = lambda _: None
    parallelism: int = PARALLELISM
    ignore_transient: bool = False
    whole: bool = True
    finish: Callable[[Checked, Session, Planned], Checked] = lambda checked, *_: checked


def check_all(
    locations: Sequence[Location],
    settings: Settings,
    done: Callable[[Checked], None] = lambda _: None,
    kept: Callable[[int, Checked], Checked] = lambda _, checked: checked,
) -> list[Checked]:
    """The results, in the order of ``locations``; ``done`` is called with each as soon as there is one, by one thread
    at a time, and so is ``kept``, with its index, which returns what is kept of it.
    """
    settings = replace(settings, environ=dict(settings.environ))  # that of the process is slow, and is asked often
    results: list[Checked | None] = [None] * len(locations)
    lock, stop, connections = threading.Lock(), threading.Event(), Connections(share_reads=True)

    def finish(number: int, checked: Checked) -> None:
        with lock:
            results[number] = kept(number, checked)
            done(checked)

    def run(number: int, check: _Check, loaded: Loaded) -> None:
        finish(number, check.checked(loaded))

    def ready() -> Iterator[_Ready]:
        for number, location in enumerate(locations):
            check = _Check(location, settings, connections)
            if (loaded := check.load()) is None:
                finish(number, check.failed())
            else:
                yield loaded.env, partial(run, number, check, loaded)

    with collecting(), ThreadPoolExecutor(WORKERS, thread_name_prefix="drift") as pool:
        lanes = _Lanes(pool, settings.parallelism, stop)
        try:
            for env, job in _read_ahead(ready()):
                lanes.submit(account_of(env), job)
            lanes.join()
        except BaseException:
            stop.set()
            raise
    return [checked for checked in results if checked is not None]


def _read_ahead(ready: Iterable[_Ready]) -> Iterator[_Ready]:
    """The same, each as soon as those are loaded, too, that one call asks for with it."""
    waiting: deque[_Ready] = deque()
    for one in ready:
        waiting.append(one)
        while len(waiting) >= READ_AHEAD or sum(len(env.resources) for env, _ in waiting) > MOST_AHEAD:
            yield waiting.popleft()
    yield from waiting


@contextmanager
def collecting() -> Iterator[None]:
    """Frees memory as the check of a fleet goes on, although the command line does not collect cycles: the clients of
    each environment are some. What was there before is left alone, so that it costs little.
    """
    before = gc.get_threshold()
    gc.freeze()
    gc.set_threshold(*_THRESHOLDS)
    try:
        yield
    finally:
        gc.set_threshold(*before)
        gc.unfreeze()


def account_of(env: Environment) -> str:
    """What distinguishes the accounts of environments before they are asked: where it is unknown, the profile."""
    role = env.role.get("roleArn", "").split(":")
    return (role[4] if len(role) > 4 else "") or env.account or f"profile {env.profile or ''}"


class _Lanes:
    """Runs jobs in a pool, at most ``limit`` of one account at the same time; no worker waits for another."""

    def __init__(self, pool: ThreadPoolExecutor, limit: int, stop: threading.Event) -> None:
        self._pool, self._limit, self._stop = pool, limit, stop
        self._lock = threading.Lock()
        self._waiting: dict[str, deque[Callable[[], None]]] = {}
        self._running: dict[str, int] = {}
        self._room = threading.Semaphore(BACKLOG)
        self._futures: deque[Future[None]] = deque()

    def submit(self, account: str, job: Callable[[], None]) -> None:
        """Run ``job`` as soon as there is room in its account; blocks while too many wait."""
        while not self._stop.is_set() and not self._room.acquire(timeout=0.2):
            pass
        if self._stop.is_set():
            return
        with self._lock:
            if self._running.get(account, 0) < self._limit:
                self._running[account] = self._running.get(account, 0) + 1
                self._futures.append(self._pool.submit(self._run, account, job))
            else:
                self._waiting.setdefault(account, deque()).append(job)

    def join(self) -> None:
        """Wait for all jobs. Raises what one of them raised."""
        while True:
            with self._lock:
                if not self._futures:
                    return
                future = self._futures.popleft()
            future.result()

    def _run(self, account: str, job: Callable[[], None]) -> None:
        following: Callable[[], None] | None = job
        while following and not self._stop.is_set():
            try:
                following()
            except BaseException:
                self._stop.set()
                raise
            finally:
                self._room.release()
            with self._lock:
                waiting = self._waiting.get(account)
                following = waiting.popleft() if waiting else None
                if following is None:
                    self._running[account] -= 1


@dataclass
class _Check:
    """The check of one environment, by its steps."""

    location: Location
    settings: Settings
    connections: Connections
    name: str = ""
    scope: Scope | None = None
    env: Environment | None = None
    endpoint: Endpoint | None = None
    mask: Mask = field(default_factory=Mask)
    problems: tuple[Problem, ...] = ()
    exit_code: int = ERROR
    started: float = 0.0

    @cached_property
    def top(self) -> str:
        """The environment's directory, from the top of the repository."""
        return session.location_of(self.location.target, session.repository(self.settings.cwd)).root

    def load(self) -> Loaded | None:
        """Read and check the environment's files; None where they have errors."""
        self.started, self.name = time.monotonic(), files.name_of(self.location.target)
        self.mask = mask_of_environ(self.settings.environ)
        loaded: list[Loaded] = []
        self._guarded(lambda: loaded.append(self._load()))
        return loaded[0] if loaded else None

    def _load(self) -> Loaded:
        found = session.read(self.location, self.settings.environ, strict=True, given=self.settings.given)
        self.env, self.name = found.env, found.env.name
        self.mask |= found.mask
        self.endpoint = self.settings.endpoint(found.env)
        place = session.place(found.env, self.settings.environ, self.endpoint)
        self.connections.expect(found.env.name, **place)
        return found

    def checked(self, loaded: Loaded) -> Checked:
        """The result, also where it is an error of any kind."""
        self.started = time.monotonic()
        found: list[Checked] = []
        self._guarded(lambda: found.append(self._checked(loaded)))
        return found[0] if found else self.failed()

    def _guarded(self, step: Callable[[], None]) -> None:
        """Run a step, and keep the problems that it raises; a bug in one environment must not end the others."""
        try:
            step()
        except Problems as error:
            self.problems, self.exit_code = error.problems, error.exit_code
        except OSError as error:
            message = f"{error.filename}: {error.strerror}" if error.filename else str(error)
            self.problems = (Problem(code=codes.FILE, message=message),)
        except Exception as error:  # noqa: BLE001
            message = f"internal error (a bug in reconcile): {type(error).__name__}: {error}"
            hint = "report it, with the output of `reconcile --debug plan` for this environment"
            self.problems = (Problem(code=codes.INTERNAL_ERROR, message=message[:400], hint=hint),)

    def failed(self) -> Checked:
        """The result without a plan."""
        env = self.env
        return self._result(
            Status.ERROR,
            problems=masked(self.problems, self.mask),
            account=self.scope.account if self.scope else (env.account or "" if env else ""),
            region=self.scope.region if self.scope else (env.region or "" if env else ""),
        )

    def _checked(self, loaded: Loaded) -> Checked:
        settings, connections = self.settings, self.connections
        account = session.connect(loaded, settings.environ, endpoint=self.endpoint, connections=connections)
        self.scope = account.scope
        reads, began = max(2, READS // settings.parallelism), session.now_at(account)
        try:
            planned = session.make_plan(account, Options(), parallelism=reads)
        except pipeline.RailRefusal as refusal:  # the account was read: what apply would refuse to do is drift
            refused = tuple(replace(problem, warning=True) for problem in refusal.problems)
            planned = Planned(env=loaded.env, plan=refusal.plan, mask=self.mask.learnt(refusal.plan), warnings=refused)
        self.mask |= planned.mask
        at = timestamp(began)
        return self.settings.finish(self._of_plan(planned, loaded, at), account, planned)

    def _of_plan(self, planned: Planned, loaded: Loaded, at: str) -> Checked:
        """The result of a plan. ``at`` is when AWS was first asked, by its clock."""
        moving = [item for item in planned.plan.resources if self.settings.ignore_transient and _is_moving(item)]
        plan = replace(planned.plan, resources=tuple(one for one in planned.plan.resources if one not in moving))
        found = ordered((*planned.problems, *_warnings(planned), *loaded.warnings))
        found = tuple(masked(found, self.mask))
        viewed, advice = drift_view.of(plan, self.mask, root=self.location.root, problems=found)
        top, place = self.top, _own_file(self.location.target, self.top)
        drifts = drift_view.drifts_of(plan, viewed, self.mask, top, place)
        wrong = any(not problem.warning for problem in found)
        document = pipeline.document(
            replace(planned, plan=plan, mask=self.mask), timestamp=at, only_changes=not self.settings.whole
        )
        return self._result(
            Status.ERROR if wrong else Status.DRIFTED if drifts else Status.CLEAN,
            account=plan.scope.account,
            region=plan.scope.region,
            view=viewed,
            plan=document | {"errored": wrong, "applyable": plan.applyable and not wrong},
            drifts=drifts,
            addresses=tuple(self.mask.line(str(item.address)) for item in plan.resources),
            files=drift_view.files_of(planned.plan, self.mask, top, place),
            problems=found,
            advice=advice,
            moving=tuple(self.mask.line(str(one.address)) for one in moving),
        )

    def _result(self, status: Status, *, account: str, region: str, **facts: object) -> Checked:
        return Checked(
            name=self.mask.line(self.name),
            status=status,
            account=self.mask.line(account),
            region=self.mask.line(region),
            root=self.location.root,
            place=_own_file(self.location.target, self.top),
            took=time.monotonic() - self.started,
            at=timestamp(),
            exit_code=self.exit_code if status is Status.ERROR else 0,
            **facts,  # type: ignore[arg-type]
        )


def _own_file(target: Path, top: str) -> str:
    """The environment's own file, from the top of the repository."""
    names = (name for name in files.SETTINGS_FILES if (target / name).is_file())
    name = next(names, files.SETTINGS_FILES[0]) if target.is_dir() else target.name
    return os.path.normpath(f"{top}{name}").replace(os.sep, "/")


def _warnings(planned: Planned) -> Iterator[Problem]:
    """The warnings of planning, in which a read that was refused is an error: the state of the rest is unknown."""
    unread = False
    for problem in planned.warnings:
        unread |= problem.code in UNREADABLE_CODES
        yield replace(problem, warning=False) if problem.code in UNREADABLE_CODES else problem
    if not (unread or planned.problems or planned.plan.complete):
        yield Problem(code=codes.UNREADABLE, message=_INCOMPLETE, hint="`reconcile plan` shows what is missing")


def _is_moving(item: ResourcePlan) -> bool:
    """Whether AWS is still changing the object of a change (CREATING, UPDATING, DELETING)."""
    if item.verb is Verb.NOOP:
        return False
    lives = [item.kept_object, *item.removed_objects]
    going = any(live is not None and (not live.settled or live.deleting) for live in lives)
    return going or (item.verb is Verb.CREATE and bool(item.steps) and not isinstance(item.steps[0].action, Call))


def exit_code_of(found: Iterable[Checked], *, errors: bool = False) -> int:
    """0 where all are clean, 2 where any has drifted, and of errors their exit code, or 1 where these differ."""
    wrong, drifted = set[int](), False
    for one in found:
        drifted |= one.status is Status.DRIFTED
        wrong |= {one.exit_code} if one.status is Status.ERROR else set()
    if wrong or errors:
        return wrong.pop() if len(wrong) == 1 and not errors else ERROR
    return CHANGES if drifted else OK
