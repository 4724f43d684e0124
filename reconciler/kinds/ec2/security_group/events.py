"""How CloudTrail records what changes a security group."""

from __future__ import annotations

from reconciler.kinds.common import recorded
from reconciler.kinds.ec2 import _common as ec2
from reconciler.kinds.ec2.security_group.checks import DIRECTIONS
from reconciler.model import Change
from reconciler.model.recorded import Recorded


def recorded_update(change: Change) -> tuple[str, ...]:
    """The events that may have made a change: rules are added, revoked, and modified by their id."""
    if change.top not in DIRECTIONS:
        return ("CreateSecurityGroup",)
    direction = change.top.capitalize()
    return (
        *recorded.events(change, f"AuthorizeSecurityGroup{direction}", f"RevokeSecurityGroup{direction}"),
        "ModifySecurityGroupRules",
        f"UpdateSecurityGroupRuleDescriptions{direction}",
    )


RECORDED = Recorded(
    service="ec2",
    named=("groupId", "groupName", "*.GroupId", ec2.TAGGED),  # in capitals below the name of a newer request
    create=("CreateSecurityGroup",),
    update=recorded_update,
    delete=("DeleteSecurityGroup",),
    tag=ec2.TAG_EVENTS,
    by="id",
)
