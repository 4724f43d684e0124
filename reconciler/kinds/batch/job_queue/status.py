"""How queues are right now: two or three calls for each, and one for what the lists do not say.

A list with a filter has the jobs of any status, newest first, a hundred a page: one call reads a queue with no more.
For others the jobs that have not ended are counted by status, up to a thousand each.

A list has the parents of arrays, and does not always say how many children have which status. What failed, these
arrays, and children at the front of a queue are described together; an array that failed is one more call.

https://docs.aws.amazon.com/batch/latest/APIReference/API_ListJobs.html and API_GetJobQueueSnapshot.html
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
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
_PAGE_OF_SERVICES: Final = 100  # API_ListServiceJobs
_MOST_ARRAYS: Final = 500  # whose children are counted
_CONTAINERS, _SERVICES = "ListJobs", "ListServiceJobs"


@dataclass(slots=True)
class _Queue:
    """A queue and the summaries of its jobs, by id; ``more`` are the statuses that were not read to their end.
    ``children`` are those of arrays, as far as they are at the front; no list of a queue has them.
    """

    props: Json
    jobs: dict[str, Json] = field(default_factory=dict)
    children: dict[str, Json] = field(default_factory=dict)
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

    @property
    def page(self) -> int:
        """The most that a list by status may have."""
        return _PAGE_OF_SERVICES if self.lists == _SERVICES else COUNTED

    def call(self, **params: Any) -> Call:
        return Call("batch", self.lists, {"jobQueue": self.props["jobQueueArn"], **params})

    @property
    def arrays(self) -> list[str]:
        """The ids of arrays that have not ended, of whose children the list does not say how they are."""
        return [name for name, job in self.jobs.items() if job.get("status") in self.open and _is_uncounted(job)]

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
    fronts = {name: [front.id for front in _front(one)][: asked.most] for name, one in known.items()}
    details, first = yield from _details(asking, known, failed, fronts)
    for name, one in known.items():
        _learn(one, details, fronts[name])
    lines = []
    for name in asked.names:
        if name not in known:
            lines.append(Line(name=name, live=False))
            continue
        ids = [str(job["jobId"]) for job in failed[name]]
        why = tuple(
            _failure(name, job, details.get(one), first.get(one)) for one, job in zip(ids, failed[name], strict=True)
        )
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
    more = yield from asking.ask([one.call(jobStatus=status, maxResults=one.page) for one, status in longer])
    for (one, status), reply in zip(longer, more, strict=True):
        _add(one, reply or {})
        one.unread = one.unread or reply is None
        if reply and reply.get("nextToken"):
            one.more.add(status)


def _add(queue: _Queue, reply: Json) -> None:
    queue.jobs |= {str(job["jobId"]): job for job in reply.get("jobSummaryList", ())}


def _snapshots(asking: Asking, queues: Sequence[_Queue]) -> Reads[None]:
    """The front and the shares, of queues where that can be of interest."""
    some = [
        one for one in queues if one.having("RUNNABLE") or one.arrays or (_has_shares(one) and one.having(*one.open))
    ]
    calls = [Call("batch", "GetJobQueueSnapshot", {"jobQueue": one.props["jobQueueArn"]}) for one in some]
    for one, reply in zip(some, (yield from asking.ask(calls)), strict=True):
        one.snapshot = reply or {}


def _has_shares(queue: _Queue) -> bool:
    return is_given(queue.props.get("schedulingPolicyArn"))


def _details(
    asking: Asking,
    known: Mapping[str, _Queue],
    failed: Mapping[str, Sequence[Json]],
    fronts: Mapping[str, Sequence[str]],
) -> Reads[tuple[dict[str, Json], dict[str, Json]]]:
    """What the lists do not say, in full, and of each array that failed a child that did. Jobs of services are as their
    summaries are.
    """
    described: dict[str, None] = {}
    parents: list[str] = []
    for name, queue in known.items():
        if queue.lists == _SERVICES:
            continue
        described |= dict.fromkeys(str(job["jobId"]) for job in failed[name])
        described |= dict.fromkeys(queue.arrays[:_MOST_ARRAYS])
        described |= dict.fromkeys(one for one in fronts[name] if one not in queue.jobs)
        parents += [str(job["jobId"]) for job in failed[name] if _size(job)]
    calls = [Call("batch", "DescribeJobs", {"jobs": some}) for some in chunks(list(described), MOST_NAMES)]
    listed = [Call("batch", "ListJobs", {"arrayJobId": one, "jobStatus": _FAILED, "maxResults": 1}) for one in parents]
    replies = yield from asking.ask([*calls, *listed])
    details = {str(job["jobId"]): job for reply in replies[: len(calls)] for job in (reply or {}).get("jobs", ())}
    children = {
        parent: job
        for parent, reply in zip(parents, replies[len(calls) :], strict=True)
        for job in (reply or {}).get("jobSummaryList", ())[:1]
    }
    return details, children


def _learn(queue: _Queue, details: Mapping[str, Json], front: Sequence[str]) -> None:
    """Take what was described: how many children of an array have which status, and the children at the front."""
    for one in queue.arrays:
        counted = at(details.get(one, {}), "arrayProperties", "statusSummary")
        if counted:
            queue.jobs[one] = {**queue.jobs[one], "arrayProperties": details[one]["arrayProperties"]}
        else:
            queue.more.add(str(queue.jobs[one]["status"]))
    queue.children = {one: details[one] for one in front if one in details and one not in queue.jobs}


def _size(job: Json) -> int:
    return as_int(at(job, "arrayProperties", "size")) or 0


def _is_uncounted(job: Json) -> bool:
    return bool(_size(job)) and not at(job, "arrayProperties", "statusSummary")


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
        found.update(_by_status(job))
    return {status: found[status] for status in queue.open if found[status]}


def _by_status(job: Json) -> dict[str, int]:
    """The status of a job, or those of its children with their numbers."""
    children = at(job, "arrayProperties", "statusSummary")
    return {str(status): int(count) for status, count in children.items()} if children else {str(job["status"]): 1}


def _blocked(queue: _Queue) -> Iterator[Blocked]:
    """The reasons of RUNNABLE jobs, the most frequent first: AWS gives one to the head of the queue at least."""
    waiting = [*queue.having("RUNNABLE"), *(one for one in queue.children.values() if one.get("status") == "RUNNABLE")]
    reasons = Counter(str(job["statusReason"]) for job in waiting if job.get("statusReason"))
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
    listed = queue.jobs.get(identity) or queue.children.get(identity) or {}
    name = str(listed.get("jobName") or "")
    return Front(id=identity, name=name, since=int(job.get("earliestTimeAtPosition") or 0) / 1000, share=share)


def _id(arn: Any) -> str:
    """The id of a job in its ARN, with the index of a child."""
    return str(arn).partition(":job/")[2] or str(arn).rpartition("/")[2]


def _shares(queue: _Queue) -> Iterator[Share]:
    used = dict(_usage(queue.snapshot))
    waiting, running = _by_share(queue, WAITING), _by_share(queue, ("STARTING", "RUNNING", "SCHEDULED"))
    for name in dict.fromkeys([*used, *sorted({*waiting, *running})]):
        yield Share(name=name, waiting=waiting[name], running=running[name], used=used.get(name, {}))


def _usage(snapshot: Json) -> Iterator[tuple[str, dict[str, float]]]:
    for kind, member in (("fairshareUtilization", "shareIdentifier"), ("quotaShareUtilization", "quotaShareName")):
        for one in at(snapshot, "queueUtilization", kind, "topCapacityUtilization") or ():
            yield str(one[member]), {str(use["capacityUnit"]): float(use["quantity"]) for use in one["capacityUsage"]}


def _by_share(queue: _Queue, statuses: Sequence[str]) -> Counter[str]:
    found: Counter[str] = Counter()
    for job in queue.having(*queue.open):
        if name := job.get("quotaShareName") or job.get("shareIdentifier"):
            found[str(name)] += sum(count for status, count in _by_status(job).items() if status in statuses)
    return found


# --- failures ---------------------------------------------------------------------------------------------------------


def _failure(queue: str, summary: Json, job: Json | None, child: Json | None = None) -> Failed:
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
        message=_of_children(known, child) or (found.says if found.id != causes.UNKNOWN else said or found.says),
    )


def _of_children(array: Json, child: Json | None) -> str:
    """How many children of an array failed, and why one of them did; empty for other jobs."""
    if child is None:
        return ""
    count = as_int(at(array, "arrayProperties", "statusSummary", _FAILED))
    numbers = f"{count} of {_size(array)} children failed; " if count else ""
    index = str(child["jobId"]).rpartition(":")[2]
    container = child.get("container") or {}
    ended = {**child, "attempts": [{"container": container, "statusReason": child.get("statusReason")}]}
    found = failures.of_job(ended, facts.attempts(ended)[-1])
    said = str(container.get("reason") or child.get("statusReason") or "")
    return f"{numbers}child {index}: {said if found.id == causes.UNKNOWN and said else found.says}"


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
