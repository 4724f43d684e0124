"""The instances of the account that are not AWS Batch's own: those of an environment end with it.

AWS Batch tags what it launches; its service-linked role may end only instances with that tag.

https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DescribeInstances.html
https://docs.aws.amazon.com/batch/latest/userguide/using-service-linked-roles-batch-general.html
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from reconciler.kinds.common.declared import items, mapping
from reconciler.kinds.common.replies import chunks, ok, tag_map
from reconciler.model import Call, Dependent, Json, Reads

OF_BATCH = "AWSBatchServiceTag"
THERE = ("pending", "running", "stopping", "stopped")


def with_profile(arns: Sequence[str]) -> Reads[Mapping[str, tuple[Dependent, ...]]]:
    """The instances with one of the instance profiles ``arns``, by ARN."""
    found = yield from _described("iam-instance-profile.arn", arns)
    return _by_name((mapping(item.get("IamInstanceProfile")).get("Arn"), item) for item in found)


def in_group(ids: Sequence[str]) -> Reads[Mapping[str, tuple[Dependent, ...]]]:
    """The instances in one of the security groups ``ids``, by id."""
    found = yield from _described("instance.group-id", ids)
    return _by_name((mapping(group).get("GroupId"), item) for item in found for group in _groups(item))


def _groups(item: Json) -> list[Any]:
    own = [group for one in items(item.get("NetworkInterfaces")) for group in items(mapping(one).get("Groups"))]
    return [*items(item.get("SecurityGroups")), *own]


def _described(name: str, values: Sequence[str]) -> Reads[list[Json]]:
    states = {"Name": "instance-state-name", "Values": list(THERE)}
    calls = tuple(
        Call("ec2", "DescribeInstances", {"Filters": [{"Name": name, "Values": list(some)}, states]}, all_pages=True)
        for some in chunks(values, 200)
    )
    replies = (yield calls) if calls else ()
    return [
        item
        for call, reply in zip(calls, replies, strict=True)
        for reservation in (ok(call, reply) or {}).get("Reservations", ())
        for item in reservation.get("Instances", ())
        if OF_BATCH not in tag_map(item.get("Tags"))
    ]


def _by_name(pairs: Iterable[tuple[Any, Json]]) -> dict[str, tuple[Dependent, ...]]:
    found: dict[str, dict[Dependent, None]] = {}
    for name, item in pairs:
        text, hint = f"instance {item['InstanceId']} uses it", "to delete it, terminate that instance first"
        found.setdefault(str(name), {})[Dependent(text=text, hint=hint)] = None
    return {name: tuple(users) for name, users in found.items()}
