"""How queues are right now: two or three calls for each, and one for what failed.

A list with a filter has the jobs of any status, newest first, a hundred a page: one call reads a queue with no more.
For others the jobs that have not ended are counted by status, up to a thousand each.

https://docs.aws.amazon.com/batch/latest/APIReference/API_ListJobs.html and API_GetJobQueueSnapshot.html
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import field, replace
from typing import Any, Final

from reconciler.kinds.batch._diagnosis import causes, facts, failures
from reconciler.kinds.batch._status import MOST_NAMES, Asking, by_name
from reconciler.kinds.common.declared import as_int, at, is_given
from reconciler.kinds.common.replies import chunks
from reconciler.model import Call, Json, Reads
from reconciler.model.records import dataclass
from reconciler.model.status import COUNTED, Asked, Blocked, Failed, Front, Line, Part, Share, StatusReader

WAITING: Final = ("SUBMITTED", "PENDING", "RUNNABLE")
OPEN: Final = (*WAITING, "STARTING", "RUNNING")
_OF_SERVICES: Final = (*WAITING, "SCHEDULED", "STARTING", "RUNNING")
_FAILED: Final = "FAILED"
_EVERY: Final = [{"name": "AFTER_CREATED_AT", "values": ["1"]}]  # milliseconds since 1970: before any job
_CONTAINERS, _SERVICES = "ListJobs", "ListServiceJobs"


@dataclass(slots=True)
class _Queue:
    """A queue and the summaries of its jobs, by id; ``more`` are the statuses that were not read to their end."""

    props: Json
    jobs: dict[str, Json] = field(default_factory=dict)
    more: set[str] = field(default_factory=set)
    snapshot: Json = field(default_factory=dict)
    unread: bool = False

    @property
    def name(self) -> str:
        return str(self.props["jobQueueName"])

    @property
    def lists(self) -> str:
        return _SERVICES if is_given(self.props.get("serviceEnvironmentOrder")) else _CONTAINERS

    @property
    def open(self) -> tuple[str, ...]:
        return _OF_SERVICES if self.lists == _SERVICES else OPEN

    def call(self, **params: Any) -> Call:
        return Call("batch", self.lists, {"jobQueue": self.props["jobQueueArn"], **params})

    def having(self, *statuses: str) -> list[Json]:
        return [job for job in self.jobs.values() if job.get("status") in statuses]


def read(asked: Asked) -> Reads[Part]:
    """The queues in the order in which they are declared."""
    asking = Asking()
    found = yield from asking.described("DescribeJobQueues", "jobQueues", asked.names)
    if found is None:
        return Part(unread=asking.unread)
    known = {name: _Queue(one) for name, one in by_name(found, "jobQueueName").items()}
    yield from _list(asking, list(known.values()))
    failed = {name: _latest(one, asked) for name, one in known.items()}
    yield from _snapshots(asking, list(known.values()))
    details = yield from _details(asking, known, failed)
    lines = []
    for name in asked.names:
        if name not in known:
            lines.append(Line(name=name, live=False))
            continue
        why = tuple(_failure(name, job, details.get(str(job["jobId"]))) for job in failed[name])
        lines.append(replace(_line(known[name], asked), failed=why))
    return Part(lines=tuple(lines), unread=asking.unread)


def _list(asking: Asking, queues: Sequence[_Queue]) -> Reads[None]:
    replies = yield from asking.ask([one.call(filters=_EVERY) for one in queues])
    longer: list[tuple[_Queue, str]] = []
    for one, reply in zip(queues, replies, strict=True):
        one.unread = reply is None
        _add(one, reply or {})
        if reply and reply.get("nextToken"):
            longer += [(one, status) for status in (*one.open, _FAILED)]
    more = yield from asking.ask([one.call(jobStatus=status, maxResults=COUNTED) for one, status in longer])
    for (one, status), reply in zip(longer, more, strict=True):
        _add(one, reply or {})
        one.unread = one.unread or reply is None
        if reply and reply.get("nextToken"):
            one.more.add(status)


def _add(queue: _Queue, reply: Json) -> None:
    queue.jobs |= {str(job["jobId"]): job for job in reply.get("jobSummaryList", ())}


def _snapshots(asking: Asking, queues: Sequence[_Queue]) -> Reads[None]:
    """The front and the shares, of queues where that can be of interest."""
    some = [one for one in queues if one.having("RUNNABLE") or (_has_shares(one) and one.having(*one.open))]
    calls = [Call("batch", "GetJobQueueSnapshot", {"jobQueue": one.props["jobQueueArn"]}) for one in some]
    for one, reply in zip(some, (yield from asking.ask(calls)), strict=True):
        one.snapshot = reply or {}


def _has_shares(queue: _Queue) -> bool:
    return is_given(queue.props.get("schedulingPolicyArn"))


def _details(
    asking: Asking, known: Mapping[str, _Queue], failed: Mapping[str, Sequence[Json]]
) -> Reads[dict[str, Json]]:
    """What failed in all queues, in full; jobs of services are as their summaries are."""
    ids = [str(job["jobId"]) for name, jobs in failed.items() if known[name].lists == _CONTAINERS for job in jobs]
    calls = [Call("batch", "DescribeJobs", {"jobs": some}) for some in chunks(ids, MOST_NAMES)]
    replies = yield from asking.ask(calls)
    return {str(job["jobId"]): job for reply in replies for job in (reply or {}).get("jobs", ())}


def _latest(queue: _Queue, asked: Asked) -> list[Json]:
    """The newest failures since the time that is of interest."""
    ended = [job for job in queue.having(_FAILED) if job.get("stoppedAt", 0) / 1000 >= asked.since]
    return sorted(ended, key=lambda job: -int(job["stoppedAt"]))[: asked.most]


# --- one queue --------------------------------------------------------------------------------------------------------


def _line(queue: _Queue, asked: Asked) -> Line:
    props = queue.props
    return Line(
        name=queue.name,
        state=str(props.get("state") or ""),
        status=str(props.get("status") or ""),
        reason=str(props.get("statusReason") or ""),
        priority=as_int(props.get("priority")),
        runs_on=tuple(_runs_on(props)),
        counts=None if queue.unread else _counts(queue),
        more=frozenset(queue.more),
        blocked=tuple(_blocked(queue)),
        front=tuple(_front(queue))[: asked.most],
        shares=tuple(_shares(queue)),
    )


def _runs_on(props: Json) -> Iterator[str]:
    for order, member in (
        ("computeEnvironmentOrder", "computeEnvironment"),
        ("serviceEnvironmentOrder", "serviceEnvironment"),
    ):
        for one in sorted(props.get(order) or (), key=lambda one: one.get("order", 0)):
            yield facts.name_of(one[member])


def _counts(queue: _Queue) -> dict[str, int]:
    """How many jobs have which status: of an array its children, where the list says it."""
    found: Counter[str] = Counter()
    for job in queue.having(*queue.open):
        children = at(job, "arrayProperties", "statusSummary")
        if children:
            found.update({status: int(count) for status, count in children.items() if status in queue.open})
        else:
            found[str(job["status"])] += 1
    return {status: found[status] for status in queue.open if found[status]}


def _blocked(queue: _Queue) -> Iterator[Blocked]:
    """The reasons of RUNNABLE jobs, the most frequent first: AWS gives one to the head of the queue at least."""
    reasons = Counter(str(job["statusReason"]) for job in queue.having("RUNNABLE") if job.get("statusReason"))
    for reason, jobs in reasons.most_common():
        cause, says = _cause(reason)
        yield Blocked(reason=reason, cause=cause, message=says, jobs=jobs)


def _cause(reason: str) -> tuple[str, str]:
    found = causes.match("blocked", [("statusReason", reason)])
    return (found[0].id, found[0].says) if found else (causes.UNKNOWN, reason)


def _front(queue: _Queue) -> Iterator[Front]:
    for job in at(queue.snapshot, "frontOfQueue", "jobs") or ():
        yield _at_front(queue, job)
    for share, job in (at(queue.snapshot, "frontOfQuotaShares", "quotaShares") or {}).items():
        for one in job if isinstance(job, list | tuple) else (job,):
            yield _at_front(queue, one, str(share))


def _at_front(queue: _Queue, job: Json, share: str = "") -> Front:
    identity = _id(job["jobArn"])
    name = str(queue.jobs.get(identity, {}).get("jobName") or "")
    return Front(id=identity, name=name, since=int(job.get("earliestTimeAtPosition") or 0) / 1000, share=share)


def _id(arn: Any) -> str:
    """The id of a job in its ARN, with the index of a child."""
    return str(arn).partition(":job/")[2] or str(arn).rpartition("/")[2]


def _shares(queue: _Queue) -> Iterator[Share]:
    used = dict(_usage(queue.snapshot))
    waiting, running = _by_share(queue.having(*WAITING)), _by_share(queue.having("STARTING", "RUNNING", "SCHEDULED"))
    for name in dict.fromkeys([*used, *sorted({*waiting, *running})]):
        yield Share(name=name, waiting=waiting[name], running=running[name], used=used.get(name, {}))


def _usage(snapshot: Json) -> Iterator[tuple[str, dict[str, float]]]:
    for kind, member in (("fairshareUtilization", "shareIdentifier"), ("quotaShareUtilization", "quotaShareName")):
        for one in at(snapshot, "queueUtilization", kind, "topCapacityUtilization") or ():
            yield str(one[member]), {str(use["capacityUnit"]): float(use["quantity"]) for use in one["capacityUsage"]}


def _by_share(jobs: Iterable[Json]) -> Counter[str]:
    names = (job.get("quotaShareName") or job.get("shareIdentifier") for job in jobs)
    return Counter(str(name) for name in names if name)


# --- failures ---------------------------------------------------------------------------------------------------------


def _failure(queue: str, summary: Json, job: Json | None) -> Failed:
    known = job or summary
    tried = facts.attempts(known)
    found = failures.of_job(known, tried[-1] if tried else None, pod=facts.is_eks(known))
    said = next((text for _, text in tried[-1].texts if text), "") if tried else ""
    said = said or str(known.get("statusReason") or "")
    return Failed(
        id=str(summary["jobId"]),
        name=str(summary["jobName"]),
        queue=queue,
        at=int(summary["stoppedAt"]) / 1000,
        attempts=len(tried),
        cause=found.id,
        message=found.says if found.id != causes.UNKNOWN else said or found.says,
    )


READER: Final = StatusReader(
    read=read,
    permissions=(
        "batch:DescribeJobQueues",
        "batch:ListJobs",
        "batch:ListServiceJobs",
        "batch:GetJobQueueSnapshot",
        "batch:DescribeJobs",
    ),
)
