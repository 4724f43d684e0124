"""EC2 placement groups, which moto does not have.

https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_CreatePlacementGroup.html
https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DeletePlacementGroup.html
"""

from __future__ import annotations

import random
from typing import Any

from reconciler.sandbox.services._hooks import Rules, ServiceCall
from reconciler.sandbox.wire import Json, Refusal

RULES = Rules("ec2")


def _groups(call: ServiceCall) -> dict[str, Json]:
    """By name, as Describe shows them; their tags are stored with moto's other tags."""
    found: dict[str, Json] = call.account.memory["placement groups"].setdefault(call.region, {})
    return found


def _shown(call: ServiceCall, group: Json) -> Json:
    tags = call.backend.tags.get(group["GroupId"], {})
    return {**group, "Tags": [{"Key": key, "Value": value} for key, value in sorted(tags.items())]}


@RULES.before("CreatePlacementGroup")
def groups_are_created(call: ServiceCall) -> Json:
    """With the defaults of their strategy; members of another strategy are refused."""
    name, strategy = call.params.get("GroupName"), call.params.get("Strategy", "cluster")
    if not name:
        raise Refusal("MissingParameter", "The request must contain the parameter groupName")
    if name in _groups(call):
        raise Refusal("InvalidPlacementGroup.Duplicate", f"The Placement Group '{name}' already exists.")
    partitions = call.params.get("PartitionCount")
    for member, only in (("PartitionCount", "partition"), ("SpreadLevel", "spread")):
        if call.params.get(member) is not None and strategy != only:
            message = f"The parameter {member} is only valid with the {only} strategy."
            raise Refusal("InvalidParameterCombination", message)
    made: Json = {"GroupName": name, "State": "available", "Strategy": strategy}
    made["GroupId"] = f"pg-{random.getrandbits(68):017x}"
    made["GroupArn"] = f"arn:{call.partition}:ec2:{call.region}:{call.account.id}:placement-group/{name}"
    if strategy == "partition":
        made["PartitionCount"] = int(partitions or 2)
    if strategy == "spread":
        made["SpreadLevel"] = call.params.get("SpreadLevel", "rack")
    _groups(call)[name] = made
    tags = [tag for one in call.params.get("TagSpecifications") or [] for tag in one["Tags"]]
    call.backend.tags[made["GroupId"]] = {tag["Key"]: tag.get("Value", "") for tag in tags}
    call.touch()
    return {"PlacementGroup": _shown(call, made)}


@RULES.before("DescribePlacementGroups")
def groups_are_described(call: ServiceCall) -> Json:
    """By name, id and filters."""
    groups = _groups(call)
    for name in call.params.get("GroupNames") or []:
        if name not in groups:
            raise Refusal("InvalidPlacementGroup.Unknown", f"The Placement Group '{name}' is unknown.")
    names, ids = call.params.get("GroupNames"), call.params.get("GroupIds")
    found = [
        _shown(call, group)
        for name, group in sorted(groups.items())
        if (not names or name in names) and (not ids or group["GroupId"] in ids)
    ]
    filters = call.params.get("Filters") or []
    return {"PlacementGroups": [group for group in found if all(_matches(group, one) for one in filters)]}


def _matches(group: Json, asked: Json) -> bool:
    name, values = asked["Name"], asked.get("Values") or []
    members = {"group-name": "GroupName", "strategy": "Strategy", "state": "State", "group-arn": "GroupArn"}
    tags = {tag["Key"]: tag["Value"] for tag in group["Tags"]}
    if name.startswith("tag:"):
        return tags.get(name.removeprefix("tag:")) in values
    if name == "tag-key":
        return any(value in tags for value in values)
    if name not in members:
        raise Refusal("InvalidParameterValue", f"The filter '{name}' is invalid")
    return group[members[name]] in values


@RULES.after("RunInstances")
def instances_are_placed(call: ServiceCall, result: Json) -> None:
    """Instances are recorded in the placement group that they are launched in."""
    name = (call.params.get("Placement") or {}).get("GroupName")
    if name:
        placed = call.account.memory["placed instances"].setdefault((call.region, name), set())
        placed |= {one["InstanceId"] for one in result.get("Instances", ())}


def _in_use(call: ServiceCall, name: str) -> bool:
    """Whether instances are in the group, those of compute environments too."""
    placed = call.account.memory["placed instances"].get((call.region, name), set())
    reservations = call.backend.describe_instances()
    states = {one.id: one.state for reservation in reservations for one in reservation.instances}
    return any(states.get(one, "terminated") != "terminated" for one in placed)


@RULES.before("DeletePlacementGroup")
def groups_are_deleted(call: ServiceCall) -> Json:
    """Refused while instances are in the group."""
    name = call.params["GroupName"]
    if name not in _groups(call):
        raise Refusal("InvalidPlacementGroup.Unknown", f"The Placement Group '{name}' is unknown.")
    if _in_use(call, name):
        message = f"The placement group {name} is in use and may not be deleted."
        raise Refusal("InvalidPlacementGroup.InUse", message)
    group = _groups(call).pop(name)
    call.backend.tags.pop(group["GroupId"], None)
    call.touch()
    return {}


@RULES.before("CreateTags", "DeleteTags")
def groups_are_tagged(call: ServiceCall) -> Json | None:
    """Moto does not have their ids; requests for other resources are sent to it."""
    ids: list[str] = call.params["Resources"]
    if not all(one.startswith("pg-") for one in ids):
        return None
    known = {group["GroupId"] for group in _groups(call).values()}
    for one in ids:
        if one not in known:
            raise Refusal("InvalidPlacementGroupId.NotFound", f"The placement group ID '{one}' does not exist")
        _tag(call, call.backend.tags[one])
    call.touch()
    return {}


def _tag(call: ServiceCall, tags: dict[str, Any]) -> None:
    for tag in call.params.get("Tags") or []:
        if call.operation == "CreateTags":
            tags[tag["Key"]] = tag.get("Value", "")
        elif "Value" not in tag or tags.get(tag["Key"]) == tag["Value"]:
            tags.pop(tag["Key"], None)
