"""Whether the compute environments of a queue go together, and with what the queue is.

They are all of Amazon EC2, all of Fargate, all of Amazon EKS or all of managed instances, and of one architecture. What
they are makes the type of the queue, which no update changes.

https://docs.aws.amazon.com/batch/latest/APIReference/API_CreateJobQueue.html
https://docs.aws.amazon.com/batch/latest/APIReference/API_UpdateJobQueue.html
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from reconciler.kinds.batch import _quotas as quotas
from reconciler.kinds.common.declared import entries
from reconciler.model import Address, Declared, Diff, Finding, Json, Live, Path, Reads, Resource, Verb, Want
from reconciler.model import problem_codes as codes

ORDER, MEMBER, TYPE = "computeEnvironmentOrder", "computeEnvironment", "jobQueueType"
POLICY = "schedulingPolicyArn"
TYPES = {"EC2": "ECS", "Fargate": "ECS_FARGATE", "EKS": "EKS", "managed instances": "ECS_MANAGED_INSTANCES"}
_ARM = re.compile(r"default_arm64|(a1|[a-z]+\d+g[a-z]*)(\.[a-z0-9-]+)?")

Listed = Iterable[tuple[Path, Resource]]


def relations(queue: Resource, declared: Declared) -> Iterator[Finding]:
    """What AWS would refuse about a queue: one too many, environments that differ, a policy for other queues."""
    yield from quotas.beyond(queue, declared, "job queues")
    yield from misfits(queue, listed_by(queue.props, declared))
    policy = declared.resource("schedulingPolicies", queue.props.get(POLICY))
    if policy and policy.props.get("quotaSharePolicy") and queue.props.get(ORDER):
        message = f"{policy.address.name} is a quota-share policy, and this queue takes container jobs"
        yield Finding((POLICY,), message, "name a fair-share policy, or none")


def family(props: Mapping[str, Any]) -> str | None:
    """What an environment's jobs run on; None where that does not show, or people run the instances themselves."""
    resources = props.get("computeResources")
    kind = resources.get("type") if isinstance(resources, Mapping) else None
    if not isinstance(kind, str):
        return None
    if kind.startswith("FARGATE"):
        return "Fargate"
    if kind in ("EC2", "SPOT"):
        return "EKS" if props.get("eksConfiguration") else "EC2"
    return "managed instances" if kind == "ECS_MANAGED_INSTANCES" else None


def architecture(props: Mapping[str, Any]) -> str | None:
    """Arm or x86, by the types of its instances; None where they do not show."""
    resources = props.get("computeResources")
    types = resources.get("instanceTypes") if isinstance(resources, Mapping) else None
    if not isinstance(types, list | tuple) or not types or not all(isinstance(one, str) for one in types):
        return None
    return "Arm" if all(_ARM.fullmatch(one) for one in types) else "x86"


def misfits(queue: Resource, listed: Listed) -> Iterator[Finding]:
    """What AWS would refuse about a queue with these environments, each with its place in the queue."""
    for what in (family, architecture):
        told = [(path, one, of) for path, one in listed if (of := what(one.props)) is not None]
        for path, one, of in told[1:]:
            if of != told[0][2]:
                first = told[0][1].address.name
                message = f"{one.address.name} is of {of}, and {first} is of {told[0][2]}: a queue takes one sort only"
                yield Finding(path, message, "make a queue for each")
                return
    said, types = queue.props.get(TYPE), list(dict.fromkeys(_types(listed)))
    if isinstance(said, str) and said in TYPES.values() and types and said not in types:
        message = f"the queue is to be of type {said}, and its environments make it one of {types[0]}"
        yield Finding((TYPE,), message, f"write {TYPE}: {types[0]}, or leave it out")


def _types(listed: Listed) -> Iterator[str]:
    for _, one in listed:
        kind = family(one.props)
        if kind is not None:
            yield TYPES[kind]


def listed_by(queue: Json, declared: Declared) -> list[tuple[Path, Resource]]:
    """The environments declared here that a queue names, whether plainly or by an expression, with their places."""
    found: list[tuple[Path, Resource]] = []
    for index, item in entries(queue.get(ORDER)):
        environment = declared.resource("computeEnvironments", item.get(MEMBER))
        if environment is not None:
            found.append(((ORDER, index, MEMBER), environment))
    return found


def side_effects(
    live: Live, want: Want, _diff: Diff, changing: Mapping[Address, Verb], declared: Declared
) -> Reads[Sequence[Finding]]:
    """That a queue which is kept is of another type than what it is to list: AWS refuses the update."""
    yield from ()  # nothing is asked: what is live says it
    queue, there = declared.resources.get(want.address), live.props.get(TYPE)
    if queue is None or changing.get(want.address) is Verb.REPLACE:
        return ()
    types = list(dict.fromkeys(_types(listed_by(queue.props, declared))))
    if there not in TYPES.values() or not types or there in types:
        return ()
    hint = (
        f"make a queue of another name for them; or write {TYPE}: {types[0]} and lifecycle.replace here,"
        " and this one is replaced, with all that waits in it"
    )
    message = f"the queue is of type {there}, and no update makes it one of {types[0]}"
    return (Finding((ORDER,), message, hint, codes.CANNOT_UPDATE),)
