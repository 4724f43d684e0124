"""How compute environments are right now: three calls for up to a hundred of them.

The instances of an environment are those of its Auto Scaling group, ``AWSBatch-NAME-asg-UUID``, which their tag names.
With BEST_FIT on Spot there is a Spot fleet instead, and on Amazon EKS the nodes are elsewhere: they are not counted.

https://docs.aws.amazon.com/batch/latest/APIReference/API_DescribeComputeEnvironments.html
https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DescribeInstances.html
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any, Final

from reconciler.kinds.batch._status import MOST_NAMES, Asking, by_name
from reconciler.kinds.common.declared import as_int, at, is_given
from reconciler.kinds.common.replies import chunks
from reconciler.model import Call, Json, Reads
from reconciler.model.status import Asked, Capacity, Part, StatusReader

GROUP: Final = "aws:autoscaling:groupName"
_MOST_VALUES: Final = 200  # of a filter
_EC2: Final = ("EC2", "SPOT")


def read(asked: Asked) -> Reads[Part]:
    """The environments in the order in which they are declared."""
    asking = Asking()
    found = yield from asking.described("DescribeComputeEnvironments", "computeEnvironments", asked.names)
    if found is None:
        return Part(unread=asking.unread)
    known = by_name(found, "computeEnvironmentName")
    grouped = [name for name, one in known.items() if _has_group(one)]
    clusters = [str(one["ecsClusterArn"]) for one in known.values() if is_given(one.get("ecsClusterArn"))]
    filters = [_instances_of(some) for some in chunks(grouped, _MOST_VALUES)]
    described = [Call("ecs", "DescribeClusters", {"clusters": some}) for some in chunks(clusters, MOST_NAMES)]
    replies = yield from asking.ask([*filters, *described])
    machines = _machines(replies[: len(filters)])
    tasks = {
        str(one["clusterArn"]): int(one.get("runningTasksCount", 0))
        for reply in replies[len(filters) :]
        for one in (reply or {}).get("clusters", ())
    }
    return Part(
        capacities=tuple(
            _capacity(known[name], machines, tasks) if name in known else Capacity(name=name, live=False)
            for name in asked.names
        ),
        unread=asking.unread,
    )


def _has_group(one: Json) -> bool:
    resources = one.get("computeResources") or {}
    if one.get("type") == "UNMANAGED" or is_given(one.get("eksConfiguration")) or resources.get("type") not in _EC2:
        return False
    strategy = str(resources.get("allocationStrategy", "BEST_FIT"))
    return resources["type"] == "EC2" or strategy != "BEST_FIT"


def _instances_of(names: Sequence[str]) -> Call:
    filters = [
        {"Name": f"tag:{GROUP}", "Values": [f"AWSBatch-{name}-asg-*" for name in names]},
        {"Name": "instance-state-name", "Values": ["pending", "running"]},
    ]
    return Call("ec2", "DescribeInstances", {"Filters": filters}, all_pages=True)


def _machines(replies: Sequence[Json | None]) -> dict[str, list[Any]] | None:
    """The instances by environment; None if they were not read."""
    if any(reply is None for reply in replies):
        return None
    found: dict[str, list[Any]] = {}
    for reply in replies:
        for reservation in (reply or {}).get("Reservations", ()):
            for one in reservation.get("Instances", ()):
                tags = {tag["Key"]: tag["Value"] for tag in one.get("Tags", ())}
                name = tags.get(GROUP, "").removeprefix("AWSBatch-").rpartition("-asg-")[0]
                found.setdefault(name, []).append(one)
    return found


def _capacity(one: Json, machines: dict[str, list[Any]] | None, tasks: dict[str, int]) -> Capacity:
    name = str(one["computeEnvironmentName"])
    resources = one.get("computeResources") or {}
    mine = machines.get(name, []) if machines is not None and _has_group(one) else None
    return Capacity(
        name=name,
        type=_type(one),
        state=str(one.get("state") or ""),
        status=str(one.get("status") or ""),
        reason=str(one.get("statusReason") or ""),
        desired_vcpus=as_int(resources.get("desiredvCpus")) if resources.get("type") in _EC2 else None,
        running_vcpus=None if mine is None else _vcpus(mine),
        max_vcpus=as_int(resources.get("maxvCpus")),
        instances=None if mine is None else dict(Counter(str(each["InstanceType"]) for each in mine)),
        tasks=tasks.get(str(one.get("ecsClusterArn"))),
    )


def _type(one: Json) -> str:
    if one.get("type") == "UNMANAGED":
        return "UNMANAGED"
    found = str(at(one, "computeResources", "type") or "")
    return f"EKS {found}".strip() if is_given(one.get("eksConfiguration")) else found


def _vcpus(machines: Sequence[Json]) -> int | None:
    """The vCPUs of the instances that run; None if one does not say."""
    options = [one.get("CpuOptions") or {} for one in machines if at(one, "State", "Name") == "running"]
    if any("CoreCount" not in one or "ThreadsPerCore" not in one for one in options):
        return None
    return sum(int(one["CoreCount"]) * int(one["ThreadsPerCore"]) for one in options)


READER: Final = StatusReader(
    read=read, permissions=("batch:DescribeComputeEnvironments", "ec2:DescribeInstances", "ecs:DescribeClusters")
)
