"""Deleting a compute environment without losing the jobs on it.

The environment is DISABLED first, so that Batch starts no more jobs on it. Then its jobs are waited for: its ECS
cluster counts their tasks. An environment on Amazon EKS has no ECS cluster: there Batch reports only ``desiredvCpus``,
which falls to ``minvCpus`` (set to 0 for this) when no job needs a node.

Deleting an environment terminates its instances and the jobs on them. Fargate has no instances: an environment deleted
with active jobs becomes INVALID, so its jobs are terminated first.

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
    """Disable an environment that is deleted next, and change ``resources``; it may become INVALID."""
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
        soonest=waits.SOONEST_DISABLED,
    )


def drains(live: Live) -> bool:
    """Whether AWS shows when the jobs on the environment have ended: it has an ECS cluster, or runs on EKS."""
    return "eksConfiguration" in live.props or bool(live.extra.get("ecsClusterArn"))


def drain(live: Live, lifecycle: Lifecycle, deleting: Sequence[Action]) -> Sequence[Action]:
    """``deleting`` with the waits for the jobs, after the environment is disabled and before it is deleted."""
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
    """A text that names the jobs still running on the environment, at most MOST_NAMED of them; empty if none."""
    found = yield from jobs_on(cluster)
    named = [f"{job['jobName']} ({job['jobId']})" for job in found]
    more = f" and {len(named) - MOST_NAMED} more" if len(named) > MOST_NAMED else ""
    return f"still on {name}: {', '.join(named[:MOST_NAMED])}{more}" if named else ""


def _terminate_remaining(name: str, cluster: str) -> Reads[str]:
    """Terminate the jobs still running on the environment; the text that names them, empty if none.

    https://docs.aws.amazon.com/batch/latest/APIReference/API_TerminateJob.html
    """
    remaining = yield from _remaining_text(name, cluster)
    found = yield from jobs_on(cluster)
    reason = f"compute environment {name} is replaced or deleted"
    yield tuple(Call("batch", "TerminateJob", {"jobId": job["jobId"], "reason": reason}) for job in found)
    return f"terminated; {remaining}" if remaining else ""


def jobs_on(cluster: str) -> Reads[list[Json]]:
    """The descriptions of the jobs whose tasks run on an ECS cluster, of any queue, as the ARNs of the tasks show.

    The children of an array are listed only by the ID of their parent, which is PENDING while they run.

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
    for task in (job.get("container") or {}, *(at(job, "ecsProperties", "taskProperties") or ())):
        yield from (str(task[member]) for member in ("taskArn", "containerInstanceArn") if task.get(member))
