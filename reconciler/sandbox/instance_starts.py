"""Why EC2 does not launch an instance for an Auto Scaling group, and what AWS Batch refuses of a launch template.

Only what is certain counts. AMIs that the sandbox does not know are taken to be shared by another account, until they
are deregistered.

Source: https://docs.aws.amazon.com/autoscaling/ec2/userguide/ts-as-launch-template.html and
https://docs.aws.amazon.com/autoscaling/ec2/userguide/CHAP_Troubleshooting.html (the texts of scaling activities),
https://docs.aws.amazon.com/batch/latest/userguide/launch-templates.html (user data)
"""

from __future__ import annotations

import re
from base64 import b64decode
from collections.abc import Container, Iterator, Mapping
from typing import Any

from reconciler.model.patterns import regex
from reconciler.sandbox.batch.surroundings import Launch

_GZIP = b"\x1f\x8b"
_MULTIPART = regex(rb"([\w-]+:[^\n]*\n)*content-type:\s*multipart/", re.IGNORECASE)


def cannot_launch(ec2: Any, wanted: Launch, data: Mapping[str, Any], placements: Container[str]) -> str:
    """Why EC2 refuses an instance, with ``data`` from its launch template; empty if it launches it."""
    trouble = next(_troubles(ec2, wanted, data, placements), "")
    return trouble and f"{trouble} Launching EC2 instance failed."


def _troubles(ec2: Any, wanted: Launch, data: Mapping[str, Any], placements: Container[str]) -> Iterator[str]:
    image = wanted.image or data.get("ImageId")
    if image in ec2.deleted_amis:
        yield f"The image id '[{image}]' does not exist."
    key = wanted.key or data.get("KeyName")
    if key and key not in ec2.key_pairs:
        yield f"The key pair '{key}' does not exist."
    placement = wanted.placement or (data.get("Placement") or {}).get("GroupName")
    if placement and placement not in placements:
        yield f"The Placement Group '{placement}' is unknown."
    subnet = next((zone[wanted.subnet] for zone in ec2.subnets.values() if wanted.subnet in zone), None)
    if subnet is None:
        yield f"The subnet ID '{wanted.subnet}' does not exist."
        return
    for group in () if wanted.security_groups else groups(data):
        if group not in ec2.groups.get(subnet.vpc_id, {}):
            yield f"The security group '{group}' does not exist in VPC '{subnet.vpc_id}'."
    if subnet.available_ip_address_count < 1:
        yield (
            f"There are not enough free addresses in subnet '{wanted.subnet}' to satisfy the requested number of "
            "instances."
        )


def groups(data: Mapping[str, Any]) -> list[str]:
    """The security groups of a launch template."""
    network: Mapping[str, Any] = next(iter(data.get("NetworkInterfaces") or ()), {})
    return list(data.get("SecurityGroupIds") or network.get("Groups") or ())


def unfit(data: Mapping[str, Any]) -> str:
    """What AWS Batch, which adds its own part, refuses of user data; compressed data is not looked into."""
    script = b64decode(data.get("UserData") or "")
    if not script.strip() or script.startswith(_GZIP) or _MULTIPART.match(script):
        return ""
    return "Launch Template UserData is not MIME multipart format"
