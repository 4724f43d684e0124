"""What the commands on jobs ask AWS Batch: few calls, each about as many jobs as it takes.

https://docs.aws.amazon.com/batch/latest/APIReference/API_DescribeJobs.html and API_ListJobs.html
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Final, Protocol

from reconciler.config import names
from reconciler.kinds import discover
from reconciler.model import NAME_TAG, Address, Call, Environment, Json, Kind, Live, Query, Refused, Resource
from reconciler.model import problem_codes as codes
from reconciler.model.problems import Problem, Problems
from reconciler.model.resources import Sought
from reconciler.operations.session import Session

DESCRIBED: Final = 100  # jobs in one DescribeJobs
WAITING: Final = ("SUBMITTED", "PENDING", "RUNNABLE")
OPEN: Final = (*WAITING, "STARTING", "RUNNING")
ENDED: Final = ("SUCCEEDED", "FAILED")
STATUSES: Final = (*OPEN, *ENDED)
#: ``ID``, the child ``ID:3`` of an array, or the node ``ID#0``; or the ARN that ends with one.
JOB_ID: Final = re.compile(
    r"(?:arn:[^:]+:batch:[^:]*:[^:]*:job/)?(?P<id>[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}(?:[:#][0-9]+)?)"
)


class Passing(Problems):
    """The problem of a call without a reply, or that AWS throttles: the next one may succeed."""


class Clock(Protocol):
    """The time that passes between two looks."""

    def now(self) -> float:
        """Seconds of a monotonic clock."""
        ...

    def sleep(self, seconds: float) -> None:
        """Wait."""
        ...


class WallClock:
    """The clock of this machine."""

    def now(self) -> float:
        """Seconds of a monotonic clock."""
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        """Wait."""
        time.sleep(seconds)


@dataclass(frozen=True, slots=True)
class Queue:
    """A live queue of the environment; without an address it is no longer declared."""

    name: str
    arn: str
    live: Live
    address: Address | None = None


@dataclass
class Desk:
    """An environment's account, as the commands on jobs ask it."""

    session: Session
    clock: Clock = field(default_factory=WallClock)

    @cached_property
    def env(self) -> Environment:
        """The environment, with the physical names of this account."""
        return names.in_account(self.session.env, self.session.scope)

    def reply(self, call: Call) -> Json | Refused:
        """The reply or the refusal. Raises Problems where there are no credentials."""
        return self.session.client.call_or_raise(call)

    def ask(self, call: Call) -> Json:
        """The reply. Raises Problems for a refusal, Passing for one that may pass."""
        reply = self.reply(call)
        if isinstance(reply, Refused):
            raise self.refused(call, reply)
        return reply

    def refused(self, call: Call, reply: Refused) -> Problems:
        """What to raise for a refusal: Passing for one that may pass."""
        passing = reply.unknown_outcome or reply.not_processed
        return (Passing if passing else Problems)([self.refusal(call, reply)])

    def refusal(self, call: Call, refused: Refused) -> Problem:
        """The problem of a refusal."""
        if about := self.session.client.problem_of(call, refused):
            return about
        hint = f"allow {call.service}:{call.operation}: see `reconcile permissions --for jobs`"
        return Problem(
            code=codes.JOB_CALL_REFUSED,
            message=f"{call.service}:{call.operation}: {refused}",
            hint=hint if refused.denied else "",
        )

    def describe(self, ids: Sequence[str]) -> dict[str, dict[str, Any]]:
        """The details of jobs by id, in the order of ``ids``; unknown ones are missing."""
        found: dict[str, dict[str, Any]] = {}
        for some in chunks(ids, DESCRIBED):
            for job in self.ask(Call("batch", "DescribeJobs", {"jobs": list(some)}))["jobs"]:
                found[job["jobId"]] = job
        return {one: found[one] for one in ids if one in found}

    def described(self, ids: Sequence[str]) -> list[dict[str, Any]]:
        """The details of jobs. Raises Problems with each that does not exist."""
        found = self.describe(ids)
        if missing := [one for one in ids if one not in found]:
            scope = self.session.scope
            where = f"account {scope.account} ({scope.region})"
            hint = "AWS keeps jobs for about 7 days after their end; `reconcile jobs list` shows what there is"
            raise Problems(
                Problem(code=codes.UNKNOWN_JOB, message=f"there is no job {one} in {where}", hint=hint)
                for one in missing
            )
        return list(found.values())

    def ids(self, words: Sequence[str]) -> list[str]:
        """The ids of jobs that are given by id, ARN or name; a name means the newest job that has it in a queue of the
        environment. Raises Problems.
        """
        return list(dict.fromkeys(job_id(word) or self._newest(word) for word in words))

    def _newest(self, name: str) -> str:
        found = [job for queue in self.queues for job in self.named(queue.arn, name)]
        if not found:
            where = f"the queues of {self.env.name}" if self.queues else f"{self.env.name}, which has no queues"
            hint = "give the id of a job, or a name that `reconcile jobs list` shows"
            message = f'there is no job "{name}" in {where}'
            raise Problems([Problem(code=codes.UNKNOWN_JOB, message=message, hint=hint)])
        return str(max(found, key=lambda job: job.get("createdAt", 0))["jobId"])

    def named(self, queue: str, name: str) -> list[Json]:
        """The jobs of a queue with exactly this name: the filter ignores case."""
        filters = [{"name": "JOB_NAME", "values": [name]}]
        return [job for job in self.list(jobQueue=queue, filters=filters) if job["jobName"] == name]

    def list(self, most: int | None = None, **params: Any) -> list[Json]:
        """The summaries of one list, as many pages of it as ``most`` need."""
        found: list[Json] = []
        token: dict[str, str] = {}
        while True:
            reply = self.ask(Call("batch", "ListJobs", {**params, **token}))
            found += reply["jobSummaryList"]
            if not reply.get("nextToken") or (most is not None and len(found) >= most):
                return found
            token = {"nextToken": reply["nextToken"]}

    @cached_property
    def queues(self) -> tuple[Queue, ...]:
        """The live queues of the environment: declared ones that exist, and others that it owns."""
        from reconciler.account.reader import Reader  # noqa: PLC0415  (what asks AWS takes long to import)

        found: list[Queue] = []
        for kind in kinds_that("takes_jobs"):
            declared = {one.name: one.address for one in declared_of(self.env, kind)}
            sought = tuple(Sought(name) for name in declared)
            if not sought:
                continue
            query = Query(self.session.scope, sought, owned=True, indexed=False)
            reader = Reader(self.session.client, parallelism=0)
            for live in reader.drive(kind.read(query)):
                ours = kind.owned(live, self.session.scope)
                logical = Address(kind.section, live.tags.get(NAME_TAG, live.physical))
                address = logical if ours and logical in self.env.resources else declared.get(live.physical)
                found.append(Queue(live.physical, live.attrs["arn"], live, address))
        return tuple(found)

    def queue_of(self, word: str) -> Queue | None:
        """The live queue that is declared under this key or address, or has this name or ARN."""
        for queue in self.queues:
            mine = (queue.address.name, str(queue.address)) if queue.address else ()
            if word in (*mine, queue.name, queue.arn):
                return queue
        return None

    def offers(self, operation: str) -> bool:
        """Whether the installed AWS model of AWS Batch has an operation."""
        return self.session.client.offers("batch", operation)


def job_id(word: str) -> str | None:
    """The id in the id or ARN of a job; None for anything else."""
    found = JOB_ID.fullmatch(word)
    return found["id"] if found else None


def kinds_that(member: str) -> list[Kind]:
    """The kinds that have an optional member."""
    return [kind for kind in discover().values() if getattr(kind, member) is not None]


def declared_of(env: Environment, kind: Kind) -> list[Resource]:
    """The declared resources of a kind."""
    return [one for address, one in env.resources.items() if address.section == kind.section]


def definition_of(env: Environment, arn: str) -> Resource | None:
    """The declared definition of a job, by the definition's ARN with its revision."""
    name = definition_name(arn)
    return next((one for kind in kinds_that("submits") for one in declared_of(env, kind) if one.name == name), None)


def definition_name(arn: str) -> str:
    """The name in the ARN of a definition."""
    return last(arn).partition(":")[0]


def last(arn: str) -> str:
    """What an ARN names, without its type: ``render:1`` of a definition, the name of a queue; a name as it is."""
    return arn.split(":", 5)[-1].partition("/")[2] if arn.startswith("arn:") else arn


def chunks(items: Iterable[str], size: int) -> Iterator[list[str]]:
    """The items in lists of at most ``size``."""
    every = list(items)
    for start in range(0, len(every), size):
        yield every[start : start + size]


def seconds_between(detail: Mapping[str, Any]) -> float | None:
    """How long something ran that has ``startedAt`` and ``stoppedAt``."""
    if not detail.get("startedAt") or not detail.get("stoppedAt"):
        return None
    return float(max(detail["stoppedAt"] - detail["startedAt"], 0)) / 1000
