"""EC2 Auto Scaling: the groups of AWS Batch's compute environments and their scaling activities, read-only.

https://docs.aws.amazon.com/autoscaling/ec2/APIReference/API_DescribeScalingActivities.html
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from reconciler.sandbox.services._hooks import Rules, ServiceCall
from reconciler.sandbox.wire import Json, Refusal

RULES = Rules("autoscaling")
_STARTED = "an instance was started in response to a difference between desired and actual capacity."


@RULES.before("DescribeAutoScalingGroups")
def groups(call: ServiceCall) -> Json:
    """By name, or by tags with filters `tag:KEY`, `tag-key` and `tag-value`; there are no other groups."""
    names = call.params.get("AutoScalingGroupNames") or []
    found = [_group(call, one) for one in call.account.batch_fleet(call.region).groups]
    listed = [one for one in found if not names or one["AutoScalingGroupName"] in names]
    for wanted in call.params.get("Filters") or []:
        listed = [one for one in listed if _matches(one, wanted["Name"], wanted["Values"])]
    return {"AutoScalingGroups": listed}


@RULES.before("DescribeScalingActivities")
def activities(call: ServiceCall) -> Json:
    """The newest first, of one group or of all."""
    name = call.params.get("AutoScalingGroupName")
    known = call.account.batch_fleet(call.region).groups
    if name is not None and all(one.name != name for one in known):
        raise Refusal("ValidationError", "AutoScalingGroup name not found - null")
    listed = [_activity(group, one) for group in known if name in (None, group.name) for one in group.activities]
    listed.sort(key=lambda one: one["StartTime"], reverse=True)
    return {"Activities": listed}


def _group(call: ServiceCall, group: Any) -> Json:
    arn = f"arn:{call.partition}:autoscaling:{call.region}:{call.account.id}:autoScalingGroup:"
    number = group.name.rpartition("-asg-")[2]
    return {
        "AutoScalingGroupName": group.name,
        "AutoScalingGroupARN": f"{arn}{number}:autoScalingGroupName/{group.name}",
        "MinSize": 0,
        "MaxSize": group.most,
        "DesiredCapacity": len(group.hosts),
        "DefaultCooldown": 300,
        "AvailabilityZones": sorted({host.zone for host in group.hosts}),
        "HealthCheckType": "EC2",
        "HealthCheckGracePeriod": 0,
        "CreatedTime": datetime.fromtimestamp(call.now, UTC),
        "VPCZoneIdentifier": ",".join(group.subnets),
        "Instances": [
            {
                "InstanceId": host.id,
                "InstanceType": host.machine.name,
                "AvailabilityZone": host.zone,
                "LifecycleState": "InService",
                "HealthStatus": "Healthy",
                "ProtectedFromScaleIn": True,
            }
            for host in group.hosts
        ],
        "Tags": [
            {
                "ResourceId": group.name,
                "ResourceType": "auto-scaling-group",
                "Key": "AWSBatchServiceTag",
                "Value": "batch",
                "PropagateAtLaunch": True,
            }
        ],
    }


def _activity(group: Any, one: Any) -> Json:
    at = datetime.fromtimestamp(one.at, UTC)
    what = "Terminating EC2 instance" if one.ended else "Launching a new EC2 instance"
    facts: Json = {
        "ActivityId": one.id,
        "AutoScalingGroupName": group.name,
        "Description": f"{what}: {one.instance}" if one.instance else what,
        "Cause": f"At {at:%Y-%m-%dT%H:%M:%SZ} {one.ended or _STARTED}",
        "StartTime": at,
        "EndTime": at,
        "StatusCode": "Failed" if one.failure else "Successful",
        "Progress": 100,
        "Details": f'{{"Subnet ID":"{one.subnet}","Availability Zone":"{one.zone}"}}',
    }
    return {**facts, "StatusMessage": one.failure} if one.failure else facts


def _matches(group: Json, name: str, values: list[str]) -> bool:
    tags = {tag["Key"]: tag["Value"] for tag in group["Tags"]}
    if name == "tag-key":
        return any(value in tags for value in values)
    if name == "tag-value":
        return any(value in tags.values() for value in values)
    if name.startswith("tag:"):
        return tags.get(name.removeprefix("tag:")) in values
    raise Refusal(
        "ValidationError", f"Filter type {name} is not correct. Allowed Filter types are: tag-key tag-value tag:<key>"
    )
