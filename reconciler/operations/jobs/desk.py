"""What the commands on jobs ask AWS Batch: few calls, each about as many jobs as it takes.

https://docs.aws.amazon.com/batch/latest/APIReference/API_DescribeJobs.html and API_ListJobs.html
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import field
from functools import cached_property
from typing import Any, Final, Protocol

from reconciler.config import names
from reconciler.kinds import discover
from reconciler.model import (
    NAME_TAG,
    Address,
    Call,
    Environment,
    Json,
    Kind,
    Live,
    Query,
    Refused,
    Resource,
    Unreadable,
)
from reconciler.model import problem_codes as codes
from reconciler.model.patterns import regex
from reconciler.model.problems import Problem, Problems, did_you_mean
from reconciler.model.records import dataclass
from reconciler.model.resources import Sought
from reconciler.operations.session import Session

DESCRIBED: Final = 100  # jobs in one DescribeJobs
LISTED: Final = 1000  # in one ListJobs by status
WAITING: Final = ("SUBMITTED", "PENDING", "RUNNABLE")
SCHEDULED: Final = "SCHEDULED"  # a status of service jobs only
OPEN: Final = (*WAITING, SCHEDULED, "STARTING", "RUNNING")
ENDED: Final = ("SUCCEEDED", "FAILED")
STATUSES: Final = (*OPEN, *ENDED)
SERVICES: Final = "serviceEnvironmentOrder"  # of a queue that takes service jobs, and no others
SERVICE_JOB: Final = "serviceJobType"  # of a service job, and of no other
_SERVICE_JOB: Final = ":service-job/"
_UNKNOWN: Final = "ClientException"
_PLAIN: Final = 36  # characters of an id without the index of a child
#: ``ID``, the child ``ID:3`` of an array, or the node ``ID#0``; or the ARN that ends with one.
JOB_ID: Final = regex(
    r"(?:arn:[^:]+:batch:[^:]*:[^:]*:(?:service-)?job/)?(?P<id>[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}(?:[:#][0-9]+)?)"
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

    @property
    def of_services(self) -> bool:
        """Whether its jobs are service jobs: those of SageMaker, which other calls list and describe."""
        return bool(self.live.props.get(SERVICES))


@dataclass
class Desk:
    """An environment's account, as the commands on jobs ask it."""

    session: Session
    clock: Clock = field(default_factory=WallClock)
    #: The ids of service jobs, as far as they are known.
    service_jobs: set[str] = field(default_factory=set)

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
        hint = (
            f"allow {call.service}:{call.operation}: see `reconcile permissions --for jobs`" if refused.denied else ""
        )
        queue = call.params.get("jobQueue")
        if isinstance(queue, str) and refused.code == _UNKNOWN and not self.queue_of(queue):
            known = [one.name for one in self.queues]
            hint = did_you_mean(queue, known) or (f"queues of {self.env.name}: {', '.join(known)}" if known else "")
        return Problem(
            code=codes.JOB_CALL_REFUSED,
            message=f"{call.service}:{call.operation}: {refused}",
            hint=hint,
        )

    def describe(self, ids: Sequence[str]) -> dict[str, dict[str, Any]]:
        """The details of jobs by id, in the order of ``ids``; unknown ones are missing."""
        found: dict[str, dict[str, Any]] = {}
        for some in chunks((one for one in ids if one not in self.service_jobs), DESCRIBED):
            for job in self.ask(Call("batch", "DescribeJobs", {"jobs": list(some)}))["jobs"]:
                found[job["jobId"]] = job
        for one in self.service_jobs.intersection(ids):
            if job := self._service_job(one):
                found[one] = job
        return {one: found[one] for one in ids if one in found}

    def _service_job(self, one: str) -> dict[str, Any] | None:
        call = Call("batch", "DescribeServiceJob", {"jobId": one})
        reply = self.reply(call)
        if not isinstance(reply, Refused):
            return dict(reply)
        if reply.code != _UNKNOWN:
            raise self.refused(call, reply)
        return None

    def described(self, ids: Sequence[str]) -> list[dict[str, Any]]:
        """The details of jobs. Raises Problems with each that does not exist."""
        found = self.describe(ids)
        if len(found) < len(set(ids)) and any(queue.of_services for queue in self.queues):
            self.service_jobs |= {one for one in ids if one not in found and len(one) == _PLAIN}
            found |= self.describe([one for one in ids if one not in found])
        if missing := [one for one in ids if one not in found]:
            scope = self.session.scope
            where = f"account {scope.account} ({scope.region})"
            hint = "AWS keeps jobs for about 7 days after their end; `reconcile jobs list` shows what there is"
            raise Problems(
                Problem(code=codes.UNKNOWN_JOB, message=f"there is no job {one} in {where}", hint=hint)
                for one in missing
            )
        return [found[one] for one in dict.fromkeys(ids)]

    def ids(self, words: Sequence[str]) -> list[str]:
        """The ids of jobs that are given by id, ARN or name; a name means the newest job that has it in a queue of the
        environment. Raises Problems.
        """
        self.service_jobs |= {found for word in words if _SERVICE_JOB in word and (found := job_id(word))}
        return list(dict.fromkeys(job_id(word) or self._newest(word) for word in words))

    def newest(self, name: str) -> str | None:
        """The id of the newest job with this name in a queue of the environment."""
        found = [job for queue in self.queues for job in self.named(queue.arn, name)]
        return str(max(found, key=lambda job: job.get("createdAt", 0))["jobId"]) if found else None

    def _newest(self, name: str) -> str:
        found = self.newest(name)
        if found is None:
            where = f"the queues of {self.env.name}" if self.queues else f"{self.env.name}, which has no queues"
            hint = "give the id of a job, or a name that `reconcile jobs list` shows"
            message = f'there is no job "{name}" in {where}'
            raise Problems([Problem(code=codes.UNKNOWN_JOB, message=message, hint=hint)])
        return found

    def named(self, queue: str, name: str) -> list[Json]:
        """The jobs of a queue with exactly this name: the filter ignores case."""
        filters = [{"name": "JOB_NAME", "values": [name]}]
        return [job for job in self.list(jobQueue=queue, filters=filters) if job["jobName"] == name]

    def list(self, **params: Any) -> list[Json]:
        """The summaries of one list."""
        return [job for jobs, _ in self.pages(**params) for job in jobs]

    def pages(self, **params: Any) -> Iterator[tuple[Sequence[Json], bool]]:
        """The pages of one list, and whether there are more."""
        queue = self.queue_of(params["jobQueue"]) if "jobQueue" in params else None
        operation = "ListServiceJobs" if queue is not None and queue.of_services else "ListJobs"
        if "jobStatus" in params and operation == "ListJobs":  # with a filter, and of service jobs, a hundred at most
            params["maxResults"] = LISTED
        token: dict[str, str] = {}
        while True:
            reply = self.ask(Call("batch", operation, {**params, **token}))
            jobs: Sequence[Json] = reply["jobSummaryList"]
            self.service_jobs |= {str(job["jobId"]) for job in jobs if job.get(SERVICE_JOB)}
            yield jobs, bool(reply.get("nextToken"))
            if not reply.get("nextToken"):
                return
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
            try:
                read = reader.drive(kind.read(query))
            except Unreadable as error:
                raise self.refused(error.call, error.refused) from error
            for live in read:
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
