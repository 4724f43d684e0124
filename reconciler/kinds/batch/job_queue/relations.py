"""Whether the compute environments of a queue go together, and with what the queue is.

They are all of Amazon EC2, all of Fargate, all of Amazon EKS or all of managed instances, and of one architecture. What
they are makes the type of the queue, which no update changes.

https://docs.aws.amazon.com/batch/latest/APIReference/API_CreateJobQueue.html
https://docs.aws.amazon.com/batch/latest/APIReference/API_UpdateJobQueue.html
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from reconciler.model import Environment, Path, Plan, Reference, Resource, Template, Verb
from reconciler.model.problems import Problem

ORDER, MEMBER, TYPE = "computeEnvironmentOrder", "computeEnvironment", "jobQueueType"
QUEUES, ENVIRONMENTS = "jobQueues", "computeEnvironments"
TYPES = {"EC2": "ECS", "Fargate": "ECS_FARGATE", "EKS": "EKS", "managed instances": "ECS_MANAGED_INSTANCES"}
_ARM = re.compile(r"default_arm64|(a1|[a-z]+\d+g[a-z]*)(\.[a-z0-9-]+)?")

Listed = Iterable[tuple[Path, Resource]]
Found = tuple[Path, str, str, bool]  # path, message, hint, is it only a warning


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


def misfits(queue: Resource, listed: Listed) -> Iterator[Found]:
    """What AWS would refuse about a queue with these environments, each with its place in the queue."""
    for what in (family, architecture):
        told = [(path, one, of) for path, one in listed if (of := what(one.props)) is not None]
        for path, one, of in told[1:]:
            if of != told[0][2]:
                first = told[0][1].address.name
                message = f"{one.address.name} is of {of}, and {first} is of {told[0][2]}: a queue takes one sort only"
                yield path, message, "make a queue for each", False
                return
    said, types = queue.props.get(TYPE), list(dict.fromkeys(_types(listed)))
    if isinstance(said, str) and said in TYPES.values() and types and said not in types:
        message = f"the queue is to be of type {said}, and its environments make it one of {types[0]}"
        yield (TYPE,), message, f"write {TYPE}: {types[0]}, or leave it out", False


def _types(listed: Listed) -> Iterator[str]:
    for _, one in listed:
        kind = family(one.props)
        if kind is not None:
            yield TYPES[kind]


def listed_by(queue: Resource, resources: Mapping[Any, Resource]) -> list[tuple[Path, Resource]]:
    """The environments declared here that a queue names, whether plainly or by an expression, with their places."""
    by_name = {address.name: one for address, one in resources.items() if address.section == ENVIRONMENTS}
    order = queue.props.get(ORDER)
    found: list[tuple[Path, Resource]] = []
    for index, item in enumerate(order if isinstance(order, list | tuple) else ()):
        value = item.get(MEMBER) if isinstance(item, Mapping) else None
        name = _named(value)
        if name in by_name:
            found.append(((ORDER, index, MEMBER), by_name[name]))
    return found


def _named(value: Any) -> str | None:
    part: Reference | None = value.whole if isinstance(value, Template) else None
    if part is not None and part.address is not None and part.address.section == ENVIRONMENTS:
        return part.address.name
    return value if isinstance(value, str) else None


def standing(env: Environment, made: Plan) -> list[Problem]:
    """The queues that stay, and are of another type than what they are to list: AWS refuses the update."""
    found: list[Problem] = []
    for item in made.resources:
        queue = env.resources.get(item.address) if item.address.section == QUEUES else None
        if queue is None or item.kept_object is None or item.verb is Verb.REPLACE:
            continue
        there = item.kept_object.props.get(TYPE)
        types = list(dict.fromkeys(_types(listed_by(queue, env.resources))))
        if there in TYPES.values() and types and there not in types:
            hint = (
                f"make a queue of another name for them; or write {TYPE}: {types[0]} and lifecycle.replace here,"
                " and this one is replaced, with all that waits in it"
            )
            message = f"the queue is of type {there}, and no update makes it one of {types[0]}"
            found.append(_problem(queue, message, hint))
    return found


def _problem(queue: Resource, message: str, hint: str) -> Problem:
    return Problem(
        code="cannot-update",
        message=message,
        hint=hint,
        address=str(queue.address),
        path=ORDER,
        pos=queue.at((ORDER,)),
    )
