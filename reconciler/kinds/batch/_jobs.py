"""The jobs of a queue, as an audit reads them: those that wait, those that are unfinished, and the newest of any state.

- ListJobs returns 1,000 summaries of one state a page; with a filter 100, of every state, the newest first.
- Jobs are listed for at least 7 days after they have ended.
- A summary has the reason why a job at the head of its queue does not start; DescribeJobs has what a job requests.

https://docs.aws.amazon.com/batch/latest/APIReference/API_ListJobs.html
https://docs.aws.amazon.com/batch/latest/userguide/job_states.html
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from reconciler.kinds.common.declared import as_int, as_text, at, entries, mapping
from reconciler.kinds.common.replies import chunks, ok
from reconciler.model import Call, Json, Reads
from reconciler.model.records import dataclass

# in the order of a job's life: one that changes its state between two calls is found by the later one
UNFINISHED: Final = ("SUBMITTED", "PENDING", "RUNNABLE", "STARTING", "RUNNING")
LIST: Final = "batch:ListJobs"
DESCRIBE: Final = "batch:DescribeJobs"
ACTIONS: Final = (LIST, DESCRIBE)
MOST_PAGES: Final = 20  # of the jobs of a queue
MOST_WAITING: Final = 300  # waiting jobs of a queue whose requests are read
_EVER: Final = "1"  # milliseconds since the epoch: every job was created after that


@dataclass(frozen=True, slots=True)
class Request:
    """What one job needs of one instance (``vcpus``, ``memory`` in MiB, ``gpus``), and of an environment: ``total``."""

    vcpus: float
    memory: int
    gpus: int
    total: float


def waiting(queue: str) -> Reads[list[Json]]:
    """The summaries of the RUNNABLE jobs of a queue, the newest 1,000."""
    jobs, whole = yield from newest(queue)
    if whole:
        return [job for job in jobs if job.get("status") == "RUNNABLE"]
    call = _list(queue, "RUNNABLE")
    (reply,) = yield (call,)
    return list((ok(call, reply) or {}).get("jobSummaryList", ()))


def unfinished(queues: Sequence[str]) -> Reads[bool]:
    """Whether any of the queues has a job that has not ended."""
    calls: list[Call] = []
    for queue in queues:
        jobs, whole = yield from newest(queue)
        if any(job.get("status") in UNFINISHED for job in jobs):
            return True
        calls += [] if whole else [_list(queue, status) for status in UNFINISHED]
    replies = (yield tuple(calls)) if calls else ()
    return any((ok(call, reply) or {}).get("jobSummaryList") for call, reply in zip(calls, replies, strict=True))


def last_seen(queues: Sequence[str]) -> Reads[float]:
    """When the last listed job of any of the queues was created or ended, in seconds since the epoch; 0 if unknown."""
    times = [0]
    for queue in queues:
        jobs, _ = yield from newest(queue)
        times += [as_int(job.get(member)) or 0 for job in jobs for member in ("createdAt", "stoppedAt")]
    return max(times) / 1000


def newest(queue: str) -> Reads[tuple[list[Json], bool]]:
    """The summaries of the newest jobs of a queue in any state, the first 100, and whether these are all."""
    call = any_state(queue)
    (reply,) = yield (call,)
    answer = ok(call, reply) or {}
    return list(answer.get("jobSummaryList", ())), not answer.get("nextToken")


def definitions_used(queues: Sequence[str]) -> Reads[tuple[frozenset[str], bool]]:
    """The names of the job definitions of all jobs that are listed, and whether all pages of all queues were read."""
    found: set[str] = set()
    calls = tuple(any_state(queue) for queue in queues)
    for _ in range(MOST_PAGES):
        if not calls:
            return frozenset(found), True
        replies = yield calls
        following = []
        for call, reply in zip(calls, replies, strict=True):
            answer = ok(call, reply) or {}
            named = (str(item.get("jobDefinition") or "") for item in answer.get("jobSummaryList", ()))
            found |= {name.rpartition("/")[2].partition(":")[0] for name in named if name}
            if answer.get("nextToken"):
                following.append(any_state(str(call.params["jobQueue"]), str(answer["nextToken"])))
        calls = tuple(following)
    return frozenset(found), False


def requests(ids: Sequence[str]) -> Reads[dict[str, Request]]:
    """What each of the jobs requests, by its id; jobs of Amazon EKS are left out."""
    calls = tuple(Call("batch", "DescribeJobs", {"jobs": list(some)}) for some in chunks(list(ids)[:MOST_WAITING], 100))
    replies = (yield calls) if calls else ()
    jobs = [job for call, reply in zip(calls, replies, strict=True) for job in (ok(call, reply) or {}).get("jobs", ())]
    found = {str(job["jobId"]): requested(job) for job in jobs}
    return {name: request for name, request in found.items() if request is not None}


def requested(job: Json) -> Request | None:
    """What a described job, or a definition, requests; None if that is not known."""
    if nodes := mapping(job.get("nodeProperties")):
        ranges = [_task(item.get("container"), item.get("ecsProperties")) for _, item in entries(_ranges(nodes))]
        if not ranges or None in ranges:
            return None
        known = [one for one in ranges if one is not None]
        number = as_int(nodes.get("numNodes")) or 1
        return Request(
            max(one.vcpus for one in known),
            max(one.memory for one in known),
            max(one.gpus for one in known),
            number * min(one.vcpus for one in known),
        )
    return _task(job.get("container") or job.get("containerProperties"), job.get("ecsProperties"))


def _ranges(nodes: Json) -> object:
    return nodes.get("nodeRangeProperties")


def _task(container: object, task: object) -> Request | None:
    found = [one for _, one in entries(at(task, "taskProperties"))]
    containers = [item for one in found for _, item in entries(one.get("containers"))]
    if not containers and isinstance(container, dict):
        containers = [container]
    if not containers:
        return None
    listed = [_container(item) for item in containers]
    vcpus, memory, gpus = (sum(one[place] for one in listed) for place in range(3))
    return Request(vcpus, int(memory), int(gpus), vcpus) if vcpus or memory else None


def _container(item: Json) -> tuple[float, float, float]:
    """vCPUs, MiB and GPUs: the newer members, which replace the older ones where both are given."""
    found = {"VCPU": _number(item.get("vcpus")), "MEMORY": _number(item.get("memory")), "GPU": 0.0}
    for _, need in entries(item.get("resourceRequirements")):
        found[str(need.get("type"))] = _number(need.get("value"))
    return found["VCPU"], found["MEMORY"], found["GPU"]


def _number(value: object) -> float:
    try:
        return float(value) if isinstance(value, str | int | float) else 0.0
    except ValueError:
        return 0.0


def _list(queue: str, status: str) -> Call:
    return Call("batch", "ListJobs", {"jobQueue": queue, "jobStatus": status})


def in_state(queue: str, status: str) -> Call:
    """The call for all of a queue's jobs in one state."""
    return replace(_list(queue, status), all_pages=True)


def any_state(queue: str, token: str = "") -> Call:
    """The call for a page of a queue's jobs in any state, the newest first."""
    params = {"jobQueue": queue, "filters": [{"name": "AFTER_CREATED_AT", "values": [_EVER]}]}
    return Call("batch", "ListJobs", {**params, **({"nextToken": token} if token else {})})


def queue_of(arn: str) -> str:
    """The name in the ARN of a queue."""
    return (as_text(arn) or "").rpartition("/")[2]
