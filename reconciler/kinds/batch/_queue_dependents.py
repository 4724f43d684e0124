"""``Kind.dependents`` of what a job queue refers to: compute environments, service environments, scheduling policies.

Queues of the plan itself are recognized by ``Dependent.words``: they change to another object, or the plan is refused.
So queues of other environments and unowned ones count. AWS deletes nothing that a queue refers to, and a compute
environment that is disabled before the deletion fails leaves its queues without a place to run jobs.

https://docs.aws.amazon.com/batch/latest/APIReference/API_DeleteComputeEnvironment.html
https://docs.aws.amazon.com/batch/latest/APIReference/API_DeleteSchedulingPolicy.html
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TypeAlias

from reconciler.kinds.batch._common import every
from reconciler.kinds.common.declared import entries
from reconciler.model import OWNER_TAG, Dependent, Json, Live, Reads, Removals, Scope

Named: TypeAlias = Mapping[str, tuple[Dependent, ...]]
Source: TypeAlias = Callable[[Scope, Sequence[Live], Removals], Reads[Named]]

BEING_DELETED = ("DELETING", "DELETED")


def listing(member: str, target: str) -> Source:
    """A read of the queues that list an object in ``member``, a list of mappings that name it in ``target``."""
    return _named(
        lambda queue: [str(item.get(target)) for _, item in entries(queue.get(member))],
        "change that queue to list another",
    )


def naming(member: str) -> Source:
    """A read of the queues whose property ``member`` is the name or ARN of an object."""
    return _named(lambda queue: [str(queue.get(member))], "change that queue to use another")


def _named(names: Callable[[Json], Iterable[str]], hint: str) -> Source:
    def users(_: Scope, lives: Sequence[Live], __: Removals) -> Reads[Named]:
        listed = yield from every("DescribeJobQueues", "jobQueues")
        queues = [queue for queue in listed if queue.get("status") not in BEING_DELETED]
        return {live.physical: found for live in lives if (found := _users(live, queues, names, hint))}

    return users


def _users(
    live: Live, queues: Iterable[Json], names: Callable[[Json], Iterable[str]], hint: str
) -> tuple[Dependent, ...]:
    words = frozenset({live.physical, live.attrs["arn"]})
    return tuple(
        Dependent(
            text=f"{_queue_label(queue)} names it", hint=f"to delete it, {hint}", arn=queue["jobQueueArn"], words=words
        )
        for queue in queues
        if words & set(names(queue))
    )


def _queue_label(queue: Json) -> str:
    owner = (queue.get("tags") or {}).get(OWNER_TAG)
    return f"job queue {queue['jobQueueName']}" + (f" of the environment {owner}" if owner else "")
