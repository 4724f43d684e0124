"""EC2 placement groups, which moto does not have.

https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_CreatePlacementGroup.html
"""

from __future__ import annotations

import random
from typing import Any

from reconciler.sandbox.services._hooks import Rules, ServiceCall
from reconciler.sandbox.wire import Json, Refusal

RULES = Rules("ec2")


def _groups(ask: ServiceCall) -> dict[str, Json]:
    """By name, as Describe shows them; their tags are with moto's other tags."""
    found: dict[str, Json] = ask.account.memory["placement groups"].setdefault(ask.region, {})
    return found


def _shown(ask: ServiceCall, group: Json) -> Json:
    tags = ask.backend.tags.get(group["GroupId"], {})
    return {**group, "Tags": [{"Key": key, "Value": value} for key, value in sorted(tags.items())]}


@RULES.before("CreatePlacementGroup")
def groups_are_created(ask: ServiceCall) -> Json:
    name, strategy = ask.params.get("GroupName"), ask.params.get("Strategy", "cluster")
    if not name:
        raise Refusal("MissingParameter", "The request must contain the parameter groupName")
    if name in _groups(ask):
        raise Refusal("InvalidPlacementGroup.Duplicate", f"The Placement Group '{name}' already exists.")
    partitions = ask.params.get("PartitionCount")
    for member, only in (("PartitionCount", "partition"), ("SpreadLevel", "spread")):
        if ask.params.get(member) is not None and strategy != only:
            told = f"The parameter {member} is only valid with the {only} strategy."
            raise Refusal("InvalidParameterCombination", told)
    made: Json = {"GroupName": name, "State": "available", "Strategy": strategy}
    made["GroupId"] = f"pg-{random.getrandbits(68):017x}"
    made["GroupArn"] = f"arn:{ask.account.partition}:ec2:{ask.region}:{ask.account.id}:placement-group/{name}"
    if strategy == "partition":
        made["PartitionCount"] = int(partitions or 2)
    if strategy == "spread":
        made["SpreadLevel"] = ask.params.get("SpreadLevel", "rack")
    _groups(ask)[name] = made
    tags = [tag for one in ask.params.get("TagSpecifications") or [] for tag in one["Tags"]]
    ask.backend.tags[made["GroupId"]] = {tag["Key"]: tag.get("Value", "") for tag in tags}
    ask.touch()
    return {"PlacementGroup": _shown(ask, made)}


@RULES.before("DescribePlacementGroups")
def groups_are_described(ask: ServiceCall) -> Json:
    groups = _groups(ask)
    for name in ask.params.get("GroupNames") or []:
        if name not in groups:
            raise Refusal("InvalidPlacementGroup.Unknown", f"The Placement Group '{name}' is unknown.")
    names, ids = ask.params.get("GroupNames"), ask.params.get("GroupIds")
    found = [
        _shown(ask, group)
        for name, group in sorted(groups.items())
        if (not names or name in names) and (not ids or group["GroupId"] in ids)
    ]
    filters = ask.params.get("Filters") or []
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
def instances_are_placed(ask: ServiceCall, result: Json) -> None:
    name = (ask.params.get("Placement") or {}).get("GroupName")
    if name:
        placed = ask.account.memory["placed instances"].setdefault((ask.region, name), set())
        placed |= {one["InstanceId"] for one in result.get("Instances", ())}


def _in_use(ask: ServiceCall, name: str) -> bool:
    if name in ask.account.memory["placed environments"].get(ask.region, {}).values():
        return True
    placed = ask.account.memory["placed instances"].get((ask.region, name), set())
    reservations = ask.backend.describe_instances()
    there = {one.id: one.state for reservation in reservations for one in reservation.instances}
    return any(there.get(one, "terminated") != "terminated" for one in placed)


@RULES.before("DeletePlacementGroup")
def groups_are_deleted(ask: ServiceCall) -> Json:
    name = ask.params["GroupName"]
    if name not in _groups(ask):
        raise Refusal("InvalidPlacementGroup.Unknown", f"The Placement Group '{name}' is unknown.")
    if _in_use(ask, name):
        told = f"The placement group {name} is in use and may not be deleted."
        raise Refusal("InvalidPlacementGroup.InUse", told)
    group = _groups(ask).pop(name)
    ask.backend.tags.pop(group["GroupId"], None)
    ask.touch()
    return {}


@RULES.before("CreateTags", "DeleteTags")
def groups_are_tagged(ask: ServiceCall) -> Json | None:
    """Moto does not know their ids; requests for other things go on to it."""
    ids: list[str] = ask.params["Resources"]
    if not all(one.startswith("pg-") for one in ids):
        return None
    known = {group["GroupId"] for group in _groups(ask).values()}
    for one in ids:
        if one not in known:
            raise Refusal("InvalidPlacementGroupId.NotFound", f"The placement group ID '{one}' does not exist")
        _tag(ask, ask.backend.tags[one])
    ask.touch()
    return {}


def _tag(ask: ServiceCall, tags: dict[str, Any]) -> None:
    for tag in ask.params.get("Tags") or []:
        if ask.operation == "CreateTags":
            tags[tag["Key"]] = tag.get("Value", "")
        elif "Value" not in tag or tags.get(tag["Key"]) == tag["Value"]:
            tags.pop(tag["Key"], None)
