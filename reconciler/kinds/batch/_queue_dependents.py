"""Which job queues in the account name what a plan would remove: a compute or service environment, a scheduling policy.

Queues of the plan itself are told apart by ``User.words``: they move elsewhere, or the plan is refused. It is the
others that count, those of other environments and of nobody. AWS lets go of nothing that a queue names; and were a
compute environment disabled before that is found out, the queue would have nothing left to run its jobs on.

https://docs.aws.amazon.com/batch/latest/APIReference/API_DeleteComputeEnvironment.html
https://docs.aws.amazon.com/batch/latest/APIReference/API_DeleteSchedulingPolicy.html
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TypeAlias

from reconciler.kinds.common.declared import entries, items
from reconciler.kinds.common.replies import ok
from reconciler.model import OWNER_TAG, Call, Dependent, Json, Live, Reads, Scope

Named: TypeAlias = Mapping[str, tuple[Dependent, ...]]

QUEUES = Call("batch", "DescribeJobQueues", {}, all_pages=True)
BEING_DELETED = ("DELETING", "DELETED")


def listing(member: str, target: str) -> Callable[[Scope, Sequence[Live]], Reads[Named]]:
    """The queues that list one in ``member``, whose entries name it as ``target``."""
    return _named(
        lambda queue: [str(item.get(target)) for _, item in entries(queue.get(member))],
        "change that queue to list another",
    )


def naming(member: str) -> Callable[[Scope, Sequence[Live]], Reads[Named]]:
    """The queues that name one as their ``member``."""
    return _named(lambda queue: [str(queue.get(member))], "change that queue to use another")


def _named(names: Callable[[Json], Iterable[str]], hint: str) -> Callable[[Scope, Sequence[Live]], Reads[Named]]:
    def users(_: Scope, lives: Sequence[Live]) -> Reads[Named]:
        (reply,) = yield (QUEUES,)
        there = [q for q in items((ok(QUEUES, reply) or {}).get("jobQueues")) if q.get("status") not in BEING_DELETED]
        return {live.physical: found for live in lives if (found := _users(live, there, names, hint))}

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
