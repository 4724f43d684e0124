"""Whether the compute environments of a queue can be combined, and match the type of the queue.

All of them use Amazon EC2, or Fargate, or Amazon EKS, or managed instances, and all have one architecture. They
determine the type of the queue, which cannot be changed.

https://docs.aws.amazon.com/batch/latest/APIReference/API_CreateJobQueue.html
https://docs.aws.amazon.com/batch/latest/APIReference/API_UpdateJobQueue.html
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from reconciler.kinds.common.declared import entries
from reconciler.model import Address, Declared, Diff, Finding, Json, Live, Path, Reads, Resource, Verb, Want
from reconciler.model import problem_codes as codes
from reconciler.model.patterns import regex
from reconciler.model.when_used import when_used

with when_used():
    from reconciler.kinds.batch import _quotas as quotas

ORDER, MEMBER, TYPE = "computeEnvironmentOrder", "computeEnvironment", "jobQueueType"
POLICY = "schedulingPolicyArn"
TYPES = {"EC2": "ECS", "Fargate": "ECS_FARGATE", "EKS": "EKS", "managed instances": "ECS_MANAGED_INSTANCES"}
_ARM = regex(r"default_arm64|(a1|[a-z]+\d+g[a-z]*)(\.[a-z0-9-]+)?")

Listed = Iterable[tuple[Path, Resource]]


def relations(queue: Resource, declared: Declared) -> Iterator[Finding]:
    """What AWS refuses about a queue: one above the quota, environments that differ, a policy for other queues."""
    yield from quotas.check_quota(queue, declared, "job queues")
    yield from check_environments(queue, listed_by(queue.props, declared))
    policy = declared.resource("schedulingPolicies", queue.props.get(POLICY))
    if policy and policy.props.get("quotaSharePolicy") and queue.props.get(ORDER):
        message = f"{policy.address.name} is a quota-share policy, but the queue takes container jobs"
        yield Finding((POLICY,), message, "use a fair-share policy, or no policy")


def family(props: Mapping[str, Any]) -> str | None:
    """What an environment's jobs run on: a key of ``TYPES``; None if unknown, or if the environment is unmanaged."""
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
    """``Arm`` or ``x86``, by its instance types; None if they are not declared or not known yet."""
    resources = props.get("computeResources")
    types = resources.get("instanceTypes") if isinstance(resources, Mapping) else None
    if not isinstance(types, list | tuple) or not types or not all(isinstance(one, str) for one in types):
        return None
    return "Arm" if all(_ARM.fullmatch(one) for one in types) else "x86"


def check_environments(queue: Resource, listed: Listed) -> Iterator[Finding]:
    """What AWS refuses about a queue with these environments, each given with its path in the queue."""
    for noun, property_of in (("type", family), ("architecture", architecture)):
        known = [(path, one, value) for path, one in listed if (value := property_of(one.props)) is not None]
        for path, one, value in known[1:]:
            _, first, expected = known[0]
            if value != expected:
                pair = f"{one.address.name} uses {value}, but {first.address.name} uses {expected}"
                message = f"{pair}: all compute environments of a queue must have the same {noun}"
                yield Finding(path, message, f"create a queue for each {noun}")
                return
    declared, types = queue.props.get(TYPE), list(dict.fromkeys(_types(listed)))
    if isinstance(declared, str) and declared in TYPES.values() and types and declared not in types:
        message = f"{TYPE} is {declared}, but the compute environments require {types[0]}"
        yield Finding((TYPE,), message, f"set {TYPE}: {types[0]}, or remove it")


def _types(listed: Listed) -> Iterator[str]:
    for _, one in listed:
        kind = family(one.props)
        if kind is not None:
            yield TYPES[kind]


def listed_by(queue: Json, declared: Declared) -> list[tuple[Path, Resource]]:
    """The declared environments that a queue lists, by plain name or by expression, each with its path."""
    found: list[tuple[Path, Resource]] = []
    for index, item in entries(queue.get(ORDER)):
        environment = declared.resource("computeEnvironments", item.get(MEMBER))
        if environment is not None:
            found.append(((ORDER, index, MEMBER), environment))
    return found


def side_effects(
    live: Live, want: Want, _diff: Diff, changing: Mapping[Address, Verb], declared: Declared
) -> Reads[Sequence[Finding]]:
    """A problem if a queue that is not replaced lists environments of another type: AWS refuses the update."""
    yield from ()  # no calls: the live queue has its type
    queue, current = declared.resources.get(want.address), live.props.get(TYPE)
    if queue is None or changing.get(want.address) is Verb.REPLACE:
        return ()
    types = list(dict.fromkeys(_types(listed_by(queue.props, declared))))
    if current not in TYPES.values() or not types or current in types:
        return ()
    hint = (
        f"create a queue with another name for them; or set {TYPE}: {types[0]} and lifecycle.replace here"
        " to replace this queue, which terminates the jobs that wait in it"
    )
    message = f"the queue has type {current}, which cannot be changed to {types[0]}"
    return (Finding((ORDER,), message, hint, codes.CANNOT_UPDATE),)
