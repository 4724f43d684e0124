"""The machines behind the environments, for the services that describe them: ECS, EC2 Auto Scaling and EC2."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence

from reconciler.model.records import dataclass
from reconciler.sandbox.batch import hosts
from reconciler.sandbox.batch.compute_resources import on_fargate
from reconciler.sandbox.batch.store import Activity, Host, Json, Store, Task


@dataclass(frozen=True)
class Group:
    """The Auto Scaling group of an environment, its latest activity last."""

    name: str
    environment: str
    least: int
    most: int
    desired: int
    subnets: Sequence[str]
    hosts: Sequence[Host]
    activities: Sequence[Activity]


@dataclass(frozen=True)
class Fleet:
    """Everything that runs for the environments of one Region; clusters and tasks by ARN."""

    groups: Sequence[Group]
    clusters: Mapping[str, Sequence[Host]]
    tasks: Mapping[str, Task]


def of(store: Store) -> Fleet:
    """The fleet as it is now, copied."""
    groups: list[Group] = []
    clusters: dict[str, Sequence[Host]] = {}
    for row in store.environments:
        if row.gone:
            continue
        found = [copy.copy(host) for host in hosts.of(store, row)]
        if "ecsClusterArn" in row.props:
            clusters[row.props["ecsClusterArn"]] = [host for host in found if host.joined]
        resources: Json = row.props.get("computeResources", {})
        if hosts.has_hosts(row) and not on_fargate(resources):
            activities = list(store.activities.get(row.arn, ()))
            subnets = list(resources.get("subnets", ()))
            least, most, desired = (resources.get(f"{one}vCpus", 0) for one in ("min", "max", "desired"))
            groups.append(Group(hosts.group_name(row), row.name, least, most, desired, subnets, found, activities))
    return Fleet(groups, clusters, {arn: copy.deepcopy(task) for arn, task in store.tasks.items()})
