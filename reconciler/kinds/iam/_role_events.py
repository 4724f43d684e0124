"""How CloudTrail records what changes a role."""

from __future__ import annotations

from reconciler.kinds.common import recorded
from reconciler.model import Change, Json
from reconciler.model.recorded import Recorded


def recorded_update(change: Change) -> tuple[str, ...]:
    """The events that may have made a change."""
    pairs = {
        "managedPolicies": ("AttachRolePolicy", "DetachRolePolicy"),
        "inlinePolicies": ("PutRolePolicy", "DeleteRolePolicy"),
        "permissionsBoundary": ("PutRolePermissionsBoundary", "DeleteRolePermissionsBoundary"),
    }
    if change.top in pairs:
        return recorded.events(change, *pairs[change.top], depth=2)
    others = {"assumeRolePolicyDocument": ("UpdateAssumeRolePolicy",), "path": ("CreateRole",)}
    return others.get(change.top, ("UpdateRole", "UpdateRoleDescription"))


def recorded_touches(_: str, parameters: Json, change: Change) -> bool:
    """Whether a call is about the policy that is attached or not, which a role has several of."""
    return change.top not in ("managedPolicies", "inlinePolicies") or recorded.mentions(parameters, change)


RECORDED = Recorded(
    service="iam",
    named=("roleName",),
    create=("CreateRole",),
    update=recorded_update,
    delete=("DeleteRole",),
    tag=("TagRole", "UntagRole"),
    by="name",
    touches=recorded_touches,
    at_home=True,
)
