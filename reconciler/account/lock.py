"""One apply per environment at a time: a lock in the account itself, as an SSM parameter.

Creating a parameter is atomic, and every write to one gets the next version number, so the parameter's history is a
log that everybody reads alike: the first version holds; one by the same run renews it; one that says which run, at
which version, it breaks takes over if that is still who holds; every other one counts for nothing. So two who find the
same expired lock end with one holder, and no clock but AWS's is trusted. Releasing deletes the parameter.

A run whose process is gone from this machine has no claim; any other's ends ``LEASE`` seconds after its last sign of
life.

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
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final, Protocol

from reconciler.model import Call, Json, Refused, Reply, Scope
from reconciler.model.exit_codes import RAIL
from reconciler.model.problems import Problem, Problems

LEASE: Final = 90.0  # seconds without a sign of life after which a lock may be broken
LOOKS: Final = 6  # at it in a lease
RENEWALS: Final = 3  # of it in a lease
TRIES: Final = 6

# where GitLab, Jenkins, CircleCI, Buildkite, Travis and CodeBuild say which job this is
JOB_URLS: Final = (
    "CI_JOB_URL",
    "BUILD_URL",
    "CIRCLE_BUILD_URL",
    "BUILDKITE_BUILD_URL",
    "TRAVIS_JOB_WEB_URL",
    "CODEBUILD_BUILD_ARN",
)


class Aws(Protocol):
    """Where calls go."""

    def call(self, call: Call) -> Reply: ...


@dataclass(frozen=True, slots=True)
class Claim:
    """What a run says of itself. ``process`` is where it runs, so that one on the same machine can look it up."""

    run: str
    who: str
    machine: str
    process: str
    since: str

    def text(self, breaks: Held | None = None) -> str:
        """The parameter's value."""
        told = {name: getattr(self, name) for name in self.__slots__}
        return json.dumps({**told, **({"breaks": [breaks.claim.run, breaks.version]} if breaks else {})})


@dataclass(frozen=True, slots=True)
class Held:
    """Who holds the lock: since which version, and when it was last heard of (seconds since the epoch, by AWS)."""

    claim: Claim
    version: int
    at: float


def holder(history: Iterable[Json]) -> Held | None:
    """Who holds the lock by the versions of its parameter."""
    held: Held | None = None
    for item in sorted(history, key=lambda entry: int(entry["Version"])):
        claim, breaks = _parsed(str(item.get("Value", "")))
        new = Held(claim, int(item["Version"]), item["LastModifiedDate"].timestamp())
        taken = held is None or claim.run == held.claim.run or breaks == [held.claim.run, held.version]
        held = new if taken else held
    return held


def _parsed(text: str) -> tuple[Claim, Any]:
    try:
        said = json.loads(text)
        return Claim(**{name: str(said[name]) for name in Claim.__slots__}), said.get("breaks")
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return Claim("?", "an unknown holder (the parameter was written by hand)", "", "", ""), None


@dataclass(slots=True)
class Lock:
    """The lock of one environment. ``alive`` says whether a claim's process still runs (None: cannot be told);
    ``now`` is AWS's time of day in seconds; ``lost`` is called when somebody has broken the lock while it was held,
    ``kept`` with what stands in the way of giving it back.
    """

    aws: Aws
    scope: Scope
    claim: Claim
    alive: Callable[[Claim], bool | None]
    now: Callable[[], float] = time.time
    lost: Callable[[], None] = lambda: None
    kept: Callable[[Problem], None] = lambda _: None
    lease: float = LEASE
    pause: float = 0.5
    _version: int = 0
    _written: float = 0.0
    _over: threading.Event = field(default_factory=threading.Event)
    _writing: threading.Lock = field(default_factory=threading.Lock)
    _renewing: threading.Thread | None = None

    @property
    def name(self) -> str:
        return f"/reconcile/locks/{self.scope.environment}"

    @contextmanager
    def held(self) -> Iterator[None]:
        """Holds the lock while it lasts. Raises Problems (a safety rail) naming who holds it otherwise."""
        try:
            self.take()
        except KeyboardInterrupt:
            self._let_go()
            raise
        self._renewing = threading.Thread(target=self._renew_on, daemon=True)
        self._renewing.start()
        try:
            yield
        finally:
            self._over.set()
            written = self._writing.acquire(timeout=self.lease)  # a renewal on its way would bring back what is deleted
            try:
                self.release()
            except Problems as error:
                self.kept(error.problems[0])
            finally:
                if written:
                    self._writing.release()

    def take(self) -> None:
        """Take it, breaking one that nobody holds any more. Raises Problems."""
        for _ in range(TRIES):
            reply = self._put(overwrite=False)
            if not isinstance(reply, Refused):
                self._version = int(reply["Version"])
                return
            if reply.code != "ParameterAlreadyExists":
                raise Problems([_refused(reply, "ssm:PutParameter")], exit_code=RAIL)
            held = self.look()
            if held is None:
                continue  # released meanwhile
            if held.claim.run != self.claim.run:
                if not self._ended(held):
                    raise Problems([self._locked(held)], exit_code=RAIL)
                self._put(overwrite=True, breaks=held)
                held = self.look() or held
            if held.claim.run == self.claim.run:
                self._version = held.version
                return
        raise Problems([self._locked(None)], exit_code=RAIL)

    def look(self) -> Held | None:
        """Who holds it now. Raises Problems where that may not be read."""
        reply = self._asked(Call("ssm", "GetParameterHistory", {"Name": self.name}, all_pages=True))
        if isinstance(reply, Refused):
            if reply.code == "ParameterNotFound":
                return None
            raise Problems([_refused(reply, "ssm:GetParameterHistory")], exit_code=RAIL)
        return holder(reply.get("Parameters", ()))

    def release(self) -> None:
        """Give it back if it is still ours; one that cannot be given back expires. Raises Problems."""
        if self._version and self._mine():
            self.delete()
        self._version = 0

    def _mine(self) -> bool:
        held = self.look()
        return held is not None and held.claim.run == self.claim.run

    def _let_go(self) -> None:
        """Interrupted while it was being asked for: it may be ours without our having heard so."""
        with suppress(Problems):
            if self._mine():
                self.delete()

    def delete(self) -> None:
        """Take it away, whoever holds it. Raises Problems."""
        reply = self._asked(Call("ssm", "DeleteParameter", {"Name": self.name}))
        if isinstance(reply, Refused) and reply.code != "ParameterNotFound":
            problem = _refused(reply, "ssm:DeleteParameter", "the lock cannot be released")
            raise Problems([problem], exit_code=RAIL)

    def _renew_on(self) -> None:
        """Look at it again and again, and renew it, until it is over or somebody has broken it."""
        while not self._over.wait(self.lease / LOOKS):
            try:
                if self._still_mine():
                    continue
            except Problems:
                continue  # the lease is long enough for the next attempt
            if not self._over.is_set():  # else it was given back while this looked
                self._version = 0
                self.lost()
            return

    def _still_mine(self) -> bool:
        if not self._mine():
            return False
        if time.monotonic() - self._written < self.lease / RENEWALS:
            return True
        with self._writing:
            return self._over.is_set() or self._renewed()

    def _renewed(self) -> bool:
        """Write it again; whether it is ours still."""
        reply = self._put(overwrite=True)
        if isinstance(reply, Refused):
            return True
        before, self._version = self._version, int(reply["Version"])
        if self._version == before + 1:
            return True
        if self._version <= before and self._mine():  # it was deleted, and what was written just now is a new one
            self.delete()
            return False
        return self._mine()

    def _ended(self, held: Held) -> bool:
        return self.alive(held.claim) is False or self.now() > held.at + self.lease

    def _put(self, *, overwrite: bool, breaks: Held | None = None) -> Reply:
        params = {"Name": self.name, "Value": self.claim.text(breaks), "Type": "String", "Overwrite": overwrite}
        began = time.monotonic()
        reply = self._asked(Call("ssm", "PutParameter", params))
        if not isinstance(reply, Refused):
            self._written = began
        return reply

    def _asked(self, call: Call) -> Reply:
        """The reply; sent again while AWS is busy. The history shows whether one whose answer was lost was done."""
        for again in range(TRIES):
            reply = self.aws.call(call)
            if not (isinstance(reply, Refused) and (reply.not_processed or reply.unknown_outcome)):
                return reply
            if self._rest(self.pause * 2**again * random.uniform(0.5, 1.0)):  # noqa: S311
                return reply
        return reply

    def _rest(self, seconds: float) -> bool:
        """Wait before asking again; whether there is no more to ask: renewing ends with the work."""
        if threading.current_thread() is self._renewing:
            return self._over.wait(seconds)
        time.sleep(seconds)
        return False

    def _locked(self, held: Held | None) -> Problem:
        who = describe_holder(held, self.now()) if held else "another run"
        left = max(held.at + self.lease - self.now(), 0) if held else self.lease
        return Problem(
            code="locked",
            message=f"the environment {self.scope.environment} is being applied by {who}",
            hint=f"wait for it to finish; if that run is dead, the lock expires in {left:.0f} s, "
            "or break it with `reconcile unlock`",
        )


def describe_holder(held: Held, now: float) -> str:
    """Who that is, for people: since when, and how long ago it was last heard of."""
    claim, ago = held.claim, f"last renewed {max(now - held.at, 0):.0f} s ago"
    if not claim.since:
        return f"{claim.who}, {ago}"
    return f"{claim.who}, process {claim.process.partition('@')[0]}, since {claim.since}, {ago}"


def stamp() -> str:
    """The time of day as claims say it."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _refused(refused: Refused, action: str, what: str = "the lock cannot be taken") -> Problem:
    denied = "AccessDenied" in refused.code or refused.status == 403
    hint = f"allow {action} on parameter/reconcile/locks/*, or pass --no-lock" if denied else "try again"
    if action == "ssm:DeleteParameter":
        hint = f"allow {action} on parameter/reconcile/locks/*; the lock expires in {LEASE:.0f} s"
    return Problem(code="lock-refused", message=f"{what}: {refused}", hint=hint)


def mine(run: str, environ: Mapping[str, str], user: str, host: str, machine: str, process: str) -> Claim:
    """The claim of this run; in CI with the job's address, which is who people will look for."""
    job = environ.get("GITHUB_RUN_ID") and (
        f"{environ.get('GITHUB_SERVER_URL', '')}/{environ.get('GITHUB_REPOSITORY', '')}"
        f"/actions/runs/{environ['GITHUB_RUN_ID']}"
    )
    where = job or next(filter(None, map(environ.get, JOB_URLS)), "")
    who = f"{user}@{host}"[:200] + (f" ({where[:500]})" if where else "")
    return Claim(run=run, who=who, machine=machine, process=process, since=stamp())
