"""How a compute environment that was in service goes without losing the work on it.

It is DISABLED first, so that nothing is placed on it any more and what is counted afterwards is all there will ever be.
Then its jobs are waited for. Where they run, its ECS cluster counts their tasks; an environment on Amazon EKS has none,
and all that Batch tells is ``desiredvCpus``, which falls to ``minvCpus`` (set to 0 for that) once no job needs a node.

Instances end with their environment, and the jobs on them with the instances. Fargate has no instances: an environment
there that is deleted while jobs are active turns INVALID, so they are terminated before.

https://docs.aws.amazon.com/batch/latest/APIReference/API_DeleteComputeEnvironment.html
https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_Cluster.html
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from reconciler.kinds.batch import _common as batch
from reconciler.kinds.batch.compute_environment import effects, waits
from reconciler.kinds.common.declared import at
from reconciler.kinds.common.replies import chunks, ok
from reconciler.model import Action, Call, Json, Lifecycle, Live, Reads, Wait

MOST_NAMED = 5


def disable(name: str, **resources: Any) -> list[Action]:
    """Out of service, whatever comes of it: what follows is its deletion."""
    members = {"computeResources": resources} if resources else {}
    off = {"computeEnvironment": name, "state": "DISABLED", **members}
    return [batch.write("UpdateComputeEnvironment", off, ok_if=(batch.MISSING,)), _wait_settled(name)]


def _wait_settled(name: str) -> Wait:
    return Wait(
        title=f"compute environment {name} DISABLED",
        read=waits.describe(name),
        items="computeEnvironments",
        among="computeEnvironments",
        named_by=("computeEnvironmentName",),
        until={"status": batch.SETTLED | batch.DELETED},
        gone=True,
    )


def drains(live: Live) -> bool:
    """Whether there is something by which to tell that its jobs are over."""
    return "eksConfiguration" in live.props or bool(live.extra.get("ecsClusterArn"))


def drain(live: Live, lifecycle: Lifecycle, deleting: Sequence[Action]) -> Sequence[Action]:
    """``deleting`` with the waits for the jobs between the disabling and the deletion."""
    if not drains(live):
        return deleting
    if "eksConfiguration" in live.props:
        first = _scaled_in(live, deleting)
        return [*first, _no_nodes(live.physical, lifecycle), *deleting[-2:]]
    name, cluster = live.physical, str(live.extra["ecsClusterArn"])
    waiting = waits.drained(name, cluster, lifecycle)
    ends = lifecycle.drain == "terminate" and effects.family(live.props) == effects.FARGATE
    at_end: Callable[[], Reads[str]] = partial(_terminate_remaining if ends else _remaining_text, name, cluster)
    stopped = replace(waiting, title=f"jobs on compute environment {name} ended", timeout=900.0, or_go_on=False)
    return [
        *deleting[:-2],
        replace(waiting, at_end=at_end),
        *([replace(stopped, at_end=partial(_remaining_text, name, cluster))] if ends else []),
        *deleting[-2:],
    ]


def _scaled_in(live: Live, deleting: Sequence[Action]) -> Sequence[Action]:
    if at(live.props, "computeResources", "minvCpus"):
        return disable(live.physical, minvCpus=0)
    return deleting[:-2]


def _no_nodes(name: str, lifecycle: Lifecycle) -> Wait:
    return Wait(
        title=f"compute environment {name} has no desired vCPUs (its jobs have finished)",
        read=waits.describe(name),
        items="computeEnvironments",
        among="computeEnvironments",
        named_by=("computeEnvironmentName",),
        until={"computeResources.desiredvCpus": frozenset({0})},
        gone=True,
        timeout=lifecycle.drain_timeout_minutes * 60.0,
        or_go_on=lifecycle.drain == "terminate",
    )


# --- which jobs ------------------------------------------------------------------------------------------------------


def _remaining_text(name: str, cluster: str) -> Reads[str]:
    """The jobs that are still on it, for people."""
    found = yield from jobs_on(cluster)
    named = [f"{job['jobName']} ({job['jobId']})" for job in found]
    more = f" and {len(named) - MOST_NAMED} more" if len(named) > MOST_NAMED else ""
    return f"still on {name}: {', '.join(named[:MOST_NAMED])}{more}" if named else ""


def _terminate_remaining(name: str, cluster: str) -> Reads[str]:
    """End the jobs that are still on it."""
    told = yield from _remaining_text(name, cluster)
    found = yield from jobs_on(cluster)
    reason = f"compute environment {name} is replaced or deleted"
    yield tuple(Call("batch", "TerminateJob", {"jobId": job["jobId"], "reason": reason}) for job in found)
    return f"terminated; {told}" if told else ""


def jobs_on(cluster: str) -> Reads[list[Json]]:
    """The jobs whose tasks are on an ECS cluster, whichever queue they came by: their ARNs tell.

    A queue lists the children of an array only by their parent, which is PENDING while they run.

    https://docs.aws.amazon.com/batch/latest/APIReference/API_ListJobs.html
    https://docs.aws.amazon.com/AmazonECS/latest/developerguide/ecs-account-settings.html#ecs-resource-ids
    """
    queues = [queue["jobQueueName"] for queue in (yield from batch.every("DescribeJobQueues", "jobQueues"))]
    states = ("STARTING", "RUNNING")
    listed = yield from _listed([{"jobQueue": queue, "jobStatus": s} for queue in queues for s in (*states, "PENDING")])
    arrays = [job["jobId"] for job in listed if at(job, "arrayProperties", "size")]
    listed += yield from _listed([{"arrayJobId": array, "jobStatus": state} for array in arrays for state in states])
    ids = sorted({job["jobId"] for job in listed if job.get("status") in states})
    calls = tuple(Call("batch", "DescribeJobs", {"jobs": list(some)}) for some in chunks(ids, 100))
    replies = yield calls
    jobs = [job for call, reply in zip(calls, replies, strict=True) for job in (ok(call, reply) or {}).get("jobs", [])]
    name = cluster.rsplit("/", 1)[-1]
    return [job for job in jobs if any(f"/{name}/" in arn for arn in _task_arns(job))]


def _listed(params: Sequence[Json]) -> Reads[list[Json]]:
    calls = tuple(Call("batch", "ListJobs", each, all_pages=True) for each in params)
    replies = yield calls
    pages = [(ok(call, reply) or {}).get("jobSummaryList", []) for call, reply in zip(calls, replies, strict=True)]
    return [job for page in pages for job in page]


def _task_arns(job: Json) -> Iterator[str]:
    for told in (job.get("container") or {}, *(at(job, "ecsProperties", "taskProperties") or ())):
        yield from (str(told[member]) for member in ("taskArn", "containerInstanceArn") if told.get(member))
