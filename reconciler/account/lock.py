"""One apply per environment at a time: a lock in the account itself, as an SSM parameter.

Creating a parameter is atomic, and every write to one has the next version number, so every run reads the same history:
the first version takes the lock; one by the same run renews it; one that names the run and the version that it breaks
takes the lock if that run still holds it at that version; any other version has no effect. So two runs that find the
same expired lock agree on one holder, and only AWS's clock is used. Releasing the lock deletes the parameter.

A lock whose process no longer exists on this machine may be broken at once; any other ``LEASE`` seconds after its last
renewal.

https://docs.aws.amazon.com/systems-manager/latest/APIReference/API_PutParameter.html
https://docs.aws.amazon.com/systems-manager/latest/APIReference/API_GetParameterHistory.html
"""

from __future__ import annotations

import json
import random
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import field
from datetime import UTC, datetime
from typing import Any, Final

from reconciler.model import Aws, Call, Json, Refused, Reply, Scope
from reconciler.model import problem_codes as codes
from reconciler.model.exit_codes import RAIL
from reconciler.model.problems import Problem, Problems
from reconciler.model.records import dataclass

LEASE: Final = 90.0  # seconds without a renewal after which a lock expires
READS_PER_LEASE: Final = 6  # reads of it by its holder
RENEWALS_PER_LEASE: Final = 3
TRIES: Final = 6  # attempts at a call, and to take the lock

# the variables in which GitLab, Jenkins, CircleCI, Buildkite, Travis and CodeBuild name the job
JOB_URLS: Final = (
    "CI_JOB_URL",
    "BUILD_URL",
    "CIRCLE_BUILD_URL",
    "BUILDKITE_BUILD_URL",
    "TRAVIS_JOB_WEB_URL",
    "CODEBUILD_BUILD_ARN",
)


@dataclass(frozen=True, slots=True)
class Claim:
    """What identifies a run. ``machine`` and ``process`` let a run on the same machine check whether it still exists;
    ``who`` and ``since`` (UTC) are for people.
    """

    run: str
    who: str
    machine: str
    process: str
    since: str

    def text(self, breaks: Held | None = None) -> str:
        """The parameter's value as JSON; ``breaks`` is the holder whose lock it breaks."""
        members = {name: getattr(self, name) for name in self.__slots__}
        return json.dumps({**members, **({"breaks": [breaks.claim.run, breaks.version]} if breaks else {})})


@dataclass(frozen=True, slots=True)
class Held:
    """The holder of a lock, the version at which it was last taken or renewed, and when (seconds since the epoch, AWS's
    clock).
    """

    claim: Claim
    version: int
    at: float


def holder(history: Iterable[Json]) -> Held | None:
    """The holder by ``history``, the versions of the parameter as GetParameterHistory returns them; None where there
    are none.
    """
    held: Held | None = None
    for item in sorted(history, key=lambda entry: int(entry["Version"])):
        claim, breaks = _parsed(str(item.get("Value", "")))
        new = Held(claim, int(item["Version"]), item["LastModifiedDate"].timestamp())
        taken = held is None or claim.run == held.claim.run or breaks == [held.claim.run, held.version]
        held = new if taken else held
    return held


def _parsed(text: str) -> tuple[Claim, Any]:
    try:
        members = json.loads(text)
        return Claim(**{name: str(members[name]) for name in Claim.__slots__}), members.get("breaks")
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return Claim("?", "an unknown holder (the parameter was written by hand)", "", "", ""), None


@dataclass(slots=True)
class Lock:
    """The lock of one environment.

    ``alive`` returns whether a claim's process still runs (None: unknown); ``now`` is AWS's time in seconds since the
    epoch; ``on_lost`` is called when another run breaks the lock while it is held, ``on_release_failed`` with the
    problem that keeps it from being released. ``lease`` and ``pause`` are seconds.
    """

    aws: Aws
    scope: Scope
    claim: Claim
    alive: Callable[[Claim], bool | None]
    now: Callable[[], float] = time.time
    on_lost: Callable[[], None] = lambda: None
    on_release_failed: Callable[[Problem], None] = lambda _: None
    lease: float = LEASE
    pause: float = 0.5
    _version: int = 0
    _written: float = 0.0
    _over: threading.Event = field(default_factory=threading.Event)
    _writing: Any = field(default_factory=threading.RLock)  # may be taken again after an interrupt in between
    _renewing: threading.Thread | None = None

    @property
    def name(self) -> str:
        """The name of the SSM parameter."""
        return f"/reconcile/locks/{self.scope.environment}"

    @contextmanager
    def held(self) -> Iterator[None]:
        """Takes the lock, renews it in a thread and releases it. Raises Problems (a safety rail) with the holder where
        another run has it.
        """
        try:
            self.take()
        except KeyboardInterrupt:
            self._release_if_taken()
            raise
        self._renewing = threading.Thread(target=self._renew_until_released, daemon=True)
        self._renewing.start()
        try:
            yield
        finally:
            try:
                self._end()
            except KeyboardInterrupt:  # it comes once: without a second attempt the lock would stay for a lease
                self._end()
                raise

    def _end(self) -> None:
        self._over.set()
        written = self._writing.acquire(timeout=self.lease)  # a renewal in flight would create the parameter again
        try:
            self.release()
        except Problems as error:
            self.on_release_failed(error.problems[0])
        finally:
            if written:
                self._writing.release()

    def take(self) -> None:
        """Take the lock, breaking an expired one. Raises Problems (a safety rail) where another run has it."""
        for _ in range(TRIES):
            reply = self._put(overwrite=False)
            if not isinstance(reply, Refused):
                self._version = int(reply["Version"])
                return
            if reply.code != "ParameterAlreadyExists":
                raise Problems([_refused(reply, "ssm:PutParameter")], exit_code=RAIL)
            held = self.read()
            if held is None:
                continue  # released meanwhile
            if held.claim.run != self.claim.run:
                if not self._expired(held):
                    raise Problems([self._locked_problem(held)], exit_code=RAIL)
                self._put(overwrite=True, breaks=held)
                held = self.read() or held
            if held.claim.run == self.claim.run:
                self._version = held.version
                return
        raise Problems([self._locked_problem(None)], exit_code=RAIL)

    def read(self) -> Held | None:
        """The holder; None where the lock is free. Raises Problems where AWS refuses the read."""
        reply = self._call(Call("ssm", "GetParameterHistory", {"Name": self.name}, all_pages=True))
        if isinstance(reply, Refused):
            if reply.code == "ParameterNotFound":
                return None
            raise Problems([_refused(reply, "ssm:GetParameterHistory")], exit_code=RAIL)
        return holder(reply.get("Parameters", ()))

    def release(self) -> None:
        """Release the lock if this run still holds it. Raises Problems where that fails; the lock then expires."""
        if self._version and self._is_ours():
            self.delete()
        self._version = 0

    def _is_ours(self) -> bool:
        held = self.read()
        return held is not None and held.claim.run == self.claim.run

    def _release_if_taken(self) -> None:
        """Release the lock after an interrupt while it was being taken: the reply may have been lost."""
        with suppress(Problems):
            if self._is_ours():
                self.delete()

    def delete(self) -> None:
        """Delete the lock, even if another run holds it. Raises Problems where AWS refuses."""
        reply = self._call(Call("ssm", "DeleteParameter", {"Name": self.name}))
        if isinstance(reply, Refused) and reply.code != "ParameterNotFound":
            problem = _refused(reply, "ssm:DeleteParameter", "the lock cannot be released")
            raise Problems([problem], exit_code=RAIL)

    def _renew_until_released(self) -> None:
        """Read the lock regularly, and renew it, until it is released or another run breaks it."""
        while not self._over.wait(self.lease / READS_PER_LEASE):
            try:
                if self._renewed_if_due():
                    continue
            except Problems:
                continue  # the lease is long enough for the next attempt
            if not self._over.is_set():  # else it was released during the read
                self._version = 0
                self.on_lost()
            return

    def _renewed_if_due(self) -> bool:
        if not self._is_ours():
            return False
        if time.monotonic() - self._written < self.lease / RENEWALS_PER_LEASE:
            return True
        with self._writing:
            return self._over.is_set() or self._renew()

    def _renew(self) -> bool:
        """Write the parameter again; False where another run has the lock."""
        reply = self._put(overwrite=True)
        if isinstance(reply, Refused):
            return True
        before, self._version = self._version, int(reply["Version"])
        if self._version == before + 1:
            return True
        if self._version <= before and self._is_ours():  # the parameter was deleted, so this write created a new one
            self.delete()
            return False
        return self._is_ours()

    def _expired(self, held: Held) -> bool:
        return self.alive(held.claim) is False or self.now() > held.at + self.lease

    def _put(self, *, overwrite: bool, breaks: Held | None = None) -> Reply:
        params = {"Name": self.name, "Value": self.claim.text(breaks), "Type": "String", "Overwrite": overwrite}
        began = time.monotonic()
        reply = self._call(Call("ssm", "PutParameter", params))
        if not isinstance(reply, Refused):
            self._written = began
        return reply

    def _call(self, call: Call) -> Reply:
        """The reply; the call is sent again while AWS throttles it or the reply is lost. That is safe: the parameter's
        history shows whether a write was made.
        """
        for again in range(TRIES):
            reply = self.aws.call(call)
            if not (isinstance(reply, Refused) and (reply.not_processed or reply.unknown_outcome)):
                return reply
            if self._pause_before_retry(self.pause * 2**again * random.uniform(0.5, 1.0)):  # noqa: S311
                return reply
        return reply

    def _pause_before_retry(self, seconds: float) -> bool:
        """Wait before a retry; True where the retry is not needed, since the lock is being released."""
        if threading.current_thread() is self._renewing:
            return self._over.wait(seconds)
        time.sleep(seconds)
        return False

    def after_breaking(self, held: Held) -> str:
        """What happens when the lock of ``held`` is broken, in a sentence."""
        if self.alive(held.claim) is False:
            return "Its process no longer exists on this machine: the next apply breaks the lock by itself."
        if self._expired(held):
            return "The lock has expired: the next apply breaks it by itself."
        return (
            "If that run still exists, it notices within "
            f"{self.lease / READS_PER_LEASE:.0f} s that its lock is broken, and starts no further steps; "
            "what it has changed remains, and the next apply finishes the rest."
        )

    def _locked_problem(self, held: Held | None) -> Problem:
        who = describe_holder(held, self.now()) if held else "another run"
        left = max(held.at + self.lease - self.now(), 0) if held else self.lease
        return Problem(
            code=codes.LOCKED,
            message=f"the environment {self.scope.environment} is being applied by {who}",
            hint=f"wait for it to finish; if that run is dead, the lock expires in {left:.0f} s, "
            "or break it with `reconcile unlock`",
        )


def describe_holder(held: Held, now: float) -> str:
    """The holder in words: user and host, process, since when, and seconds since the last renewal; ``now`` is AWS's
    time.
    """
    claim, ago = held.claim, f"last renewed {max(now - held.at, 0):.0f} s ago"
    if not claim.since:
        return f"{claim.who}, {ago}"
    return f"{claim.who}, process {claim.process.partition('@')[0]}, since {claim.since}, {ago}"


def held_since(held: Held, now: float) -> str:
    """How long the holder has had the lock: ``, for 2 min``; empty where that is unknown. ``now`` is AWS's time."""
    try:
        seconds = now - datetime.fromisoformat(held.claim.since).timestamp()
    except ValueError:
        return ""
    units = ((86400, "days"), (3600, "h"), (60, "min"), (1, "s"))
    size, unit = next(((size, unit) for size, unit in units if seconds >= 2 * size), units[-1])
    return f", for {max(seconds, 0) // size:.0f} {unit}"


def stamp() -> str:
    """The time in UTC, as claims have it: ``2026-01-31T12:00:00Z``."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _refused(refused: Refused, action: str, what: str = "the lock cannot be taken") -> Problem:
    denied = "AccessDenied" in refused.code or refused.status == 403
    hint = f"allow {action} on parameter/reconcile/locks/*, or pass --no-lock" if denied else "try again"
    if action == "ssm:DeleteParameter":
        hint = f"allow {action} on parameter/reconcile/locks/*; the lock expires in {LEASE:.0f} s"
    return Problem(code=codes.LOCK_REFUSED, message=f"{what}: {refused}", hint=hint)


def new_claim(run: str, environ: Mapping[str, str], user: str, host: str, machine: str, process: str) -> Claim:
    """The claim of this run; in CI ``who`` has the URL of the job."""
    job = environ.get("GITHUB_RUN_ID") and (
        f"{environ.get('GITHUB_SERVER_URL', '')}/{environ.get('GITHUB_REPOSITORY', '')}"
        f"/actions/runs/{environ['GITHUB_RUN_ID']}"
    )
    where = job or next(filter(None, map(environ.get, JOB_URLS)), "")
    who = f"{user}@{host}"[:200] + (f" ({where[:500]})" if where else "")
    return Claim(run=run, who=who, machine=machine, process=process, since=stamp())
