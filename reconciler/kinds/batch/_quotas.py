"""More of something than AWS Batch lets one Region have: what comes last would be refused, once all the rest is there.

https://docs.aws.amazon.com/batch/latest/userguide/service_limits.html
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from reconciler.model import Address, Path, Resource

MOST = {"computeEnvironments": 50, "jobQueues": 50, "serviceEnvironments": 50}
MOST_ON_A_CLUSTER = 5
_WORDS = {
    "computeEnvironments": "compute environments",
    "jobQueues": "job queues",
    "serviceEnvironments": "service environments",
}

Found = tuple[Path, str, str, bool]  # path, message, hint, is it only a warning


def beyond(resource: Resource, resources: Mapping[Address, Resource]) -> Iterator[Found]:
    """What is told at the first resource that is one too many. A Region may hold others, so fewer may be too many."""
    section = resource.address.section
    most = MOST.get(section)
    if most is None:
        return
    there = [one for one in resources.values() if one.address.section == section]
    if len(there) > most and resource is there[most]:
        hint = "move some to an environment of another Region or account, or let one serve for several"
        yield (), f"these are {len(there)} {_WORDS[section]}; AWS allows {most} in a Region", hint, True
    cluster = _cluster(resource)
    if not isinstance(cluster, str):
        return
    beside = [one for one in there if _cluster(one) == cluster]
    if len(beside) > MOST_ON_A_CLUSTER and resource is beside[MOST_ON_A_CLUSTER]:
        why = f"{len(beside)} compute environments are on this cluster; AWS allows {MOST_ON_A_CLUSTER}"
        yield ("eksConfiguration", "eksClusterArn"), why, "let one serve for several, or take another cluster", True


def _cluster(resource: Resource) -> Any:
    eks = resource.props.get("eksConfiguration")
    return eks.get("eksClusterArn") if isinstance(eks, Mapping) else None
