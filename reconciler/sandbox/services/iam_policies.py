"""IAM customer-managed policies: unique names, limits, and no deletion while in use.

https://docs.aws.amazon.com/IAM/latest/APIReference/API_CreatePolicy.html
https://docs.aws.amazon.com/IAM/latest/APIReference/API_DeletePolicy.html
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from reconciler.sandbox.services._documents import parsed, size
from reconciler.sandbox.services._hooks import Rules, ServiceCall
from reconciler.sandbox.services.iam import require_unused
from reconciler.sandbox.wire import Json, Refusal

RULES = Rules("iam")


def _local_policies(call: ServiceCall) -> Iterator[Any]:
    return (policy for arn, policy in call.backend.managed_policies.items() if f"::{call.account.id}:" in arn)


@RULES.before("CreatePolicy")
def policy_names_ignore_case_and_path(call: ServiceCall) -> None:
    """Names of policies are unique, ignoring case and path."""
    name = call.params["PolicyName"]
    message = f"A policy called {name} already exists. Duplicate names are not allowed."
    require_unused(name, (policy.name for policy in _local_policies(call)), message)


@RULES.before("CreatePolicy", "CreatePolicyVersion")
def managed_policies_are_limited(call: ServiceCall) -> None:
    """A document has at most 6144 characters."""
    parsed(call.params["PolicyDocument"])
    if size(call.params["PolicyDocument"]) > 6144:
        raise Refusal("LimitExceeded", "Cannot exceed quota for PolicySize: 6144", 409)


@RULES.before("DeletePolicy", "CreatePolicyVersion", "DeletePolicyVersion", "SetDefaultPolicyVersion", "TagPolicy")
def policies_exist_in_the_account(call: ServiceCall) -> None:
    """Only policies of the account can be changed, and they must exist."""
    arn = call.params["PolicyArn"]
    if ":iam::aws:" in arn:
        raise Refusal("AccessDenied", f"Policy {arn} is managed by AWS and cannot be changed.", 403)
    if arn not in call.backend.managed_policies:
        raise Refusal("NoSuchEntity", f"Policy {arn} was not found.", 404)


@RULES.before("DeletePolicy")
def policies_in_use_are_kept(call: ServiceCall) -> None:
    """A policy with attachments, or with more than one version, cannot be deleted."""
    arn = call.params["PolicyArn"]
    holders = [*call.backend.roles.values(), *call.backend.users.values(), *call.backend.groups.values()]
    if any(arn in holder.managed_policies for holder in holders) or arn in _boundaries(call):
        raise Refusal("DeleteConflict", "Cannot delete a policy attached to entities.", 409)
    if len(call.backend.managed_policies[arn].versions) > 1:
        message = (
            "This policy has more than one version. Before you delete a policy, you must delete the policy's versions. "
            "The default version is deleted with the policy."
        )
        raise Refusal("DeleteConflict", message, 409)


def _boundaries(call: ServiceCall) -> list[str]:
    """The ARN of the policy that is the boundary, of each role and user with one."""
    holders = [*call.backend.roles.values(), *call.backend.users.values()]
    return [arn for holder in holders if (arn := getattr(holder, "permissions_boundary_arn", None))]


@RULES.after("GetAccountAuthorizationDetails")
def policies_are_shown_whole(call: ServiceCall, result: Json) -> None:
    """Moto leaves names and ids out of the authorization details, and how often a policy is a boundary."""
    boundaries = _boundaries(call)
    for shown in result.get("Policies", ()):
        policy = call.backend.managed_policies.get(shown.get("Arn"))
        if policy is not None:
            shown.setdefault("PolicyName", policy.name)
            shown.setdefault("PolicyId", policy.id)
            shown["PermissionsBoundaryUsageCount"] = boundaries.count(shown["Arn"])
