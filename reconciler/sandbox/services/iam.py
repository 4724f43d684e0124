"""IAM: names that ignore case, conflicts, limits, principals by id, and changes that take a moment to propagate.

https://docs.aws.amazon.com/IAM/latest/APIReference/welcome.html
https://docs.aws.amazon.com/IAM/latest/UserGuide/troubleshoot_general.html#troubleshoot_general_eventual-consistency
https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html
"""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Iterable, Iterator
from typing import Any
from urllib.parse import quote, unquote

from reconciler.model.patterns import regex
from reconciler.sandbox.services._documents import aws_principals, malformed, parsed, size, statements
from reconciler.sandbox.services._hooks import Account, Rules, ServiceCall
from reconciler.sandbox.services._moto import partition_of
from reconciler.sandbox.wire import Json, Refusal

RULES = Rules("iam")

_PRINCIPAL = regex(r"arn:[^:]+:iam::(\d{12}):(role|user)/(?:.+/)?([^/]+)")
_SERVICE_ROLES = {
    "batch.amazonaws.com": "AWSServiceRoleForBatch",
    "ecs.amazonaws.com": "AWSServiceRoleForECS",
    "spot.amazonaws.com": "AWSServiceRoleForEC2Spot",
    "spotfleet.amazonaws.com": "AWSServiceRoleForEC2SpotFleet",
    "autoscaling.amazonaws.com": "AWSServiceRoleForAutoScaling",
}
_SERVICE_POLICIES = {
    "batch.amazonaws.com": "BatchServiceRolePolicy",
    "ecs.amazonaws.com": "AmazonECSServiceRolePolicy",
    "spot.amazonaws.com": "AWSEC2SpotServiceRolePolicy",
    "spotfleet.amazonaws.com": "AWSEC2SpotFleetServiceRolePolicy",
}


# --- what is remembered outside moto ---------------------------------------------------------------------------------


def changed_at(account: Account, kind: str, key: Any) -> float:
    """When something was last changed, on the sandbox clock; minus infinity if never."""
    found: float = account.memory["iam"].get(("changed", kind, key), float("-inf"))
    return found


def record_change(call: ServiceCall, kind: str, key: Any) -> None:
    """Record that something was changed now: services see the change after ``iam_delay``."""
    call.memory["changed", kind, key] = call.now


def require_unused(name: str, taken: Iterable[str], message: str) -> None:
    """Raise EntityAlreadyExists with ``message`` if a name is in ``taken``, ignoring case."""
    if name.lower() in {other.lower() for other in taken}:
        raise Refusal("EntityAlreadyExists", message, 409)


def ensure_service_linked_role(account: Account, service: str, region: str) -> str:
    """The ARN of the service-linked role of a service in the partition of ``region``, which is created if missing."""
    backend = account.moto.backend("iam", region)
    name = service_role_name(service)
    found = next((role for role in backend.roles.values() if role.name == name), None)
    return str((found or _make_service_role(account, region, service, name, "")).arn)


def _make_service_role(account: Account, region: str, service: str, name: str, description: str) -> Any:
    backend = account.moto.backend("iam", region)
    role = backend.create_service_linked_role(service, description, "")
    role.name = name
    policy = f"arn:{partition_of(region)}:iam::aws:policy/aws-service-role/{_SERVICE_POLICIES.get(service, '')}"
    if policy in backend.managed_policies:
        backend.attach_role_policy(policy, name)
    account.moto.touched("iam", region)
    return role


def service_role_name(service: str, suffix: str = "") -> str:
    """The name of the service-linked role of a service."""
    stem = service.partition(".")[0]
    name = _SERVICE_ROLES.get(service, "AWSServiceRoleFor" + "".join(part.capitalize() for part in stem.split("-")))
    return f"{name}_{suffix}" if suffix else name


def _role(call: ServiceCall, name: str) -> Any:
    """The role; raises NoSuchEntity if it does not exist."""
    found = next((role for role in call.backend.roles.values() if role.name == name), None)
    if found is None:
        raise Refusal("NoSuchEntity", f"The role with name {name} cannot be found.", 404)
    if call.account.settings.iam_refuses_fresh and call.operation != "GetRole":
        age = call.now - changed_at(call.account, "role", found.id)
        if call.operation == "AddRoleToInstanceProfile" and age < call.account.settings.iam_delay:
            raise Refusal("NoSuchEntity", f"The role with name {name} cannot be found.", 404)
    return found


# --- roles -----------------------------------------------------------------------------------------------------------


@RULES.before("CreateRole")
def role_names_ignore_case(call: ServiceCall) -> None:
    """Names of roles are unique, ignoring case."""
    name = call.params["RoleName"]
    require_unused(name, (role.name for role in call.backend.roles.values()), f"Role with name {name} already exists.")


@RULES.before("CreateRole", "UpdateAssumeRolePolicy")
def trust_policies_are_checked(call: ServiceCall) -> None:
    """A trust policy has principals that exist, no resources, and at most 2048 characters."""
    text = call.params.get("AssumeRolePolicyDocument") or call.params.get("PolicyDocument") or ""
    document = parsed(text)
    if size(text) > 2048:
        raise Refusal("LimitExceeded", "Cannot exceed quota for ACLSizePerRole: 2048", 409)
    for statement in statements(document):
        if "Principal" not in statement and "NotPrincipal" not in statement:
            raise malformed("AssumeRole policy must contain a principal.")
        if "Resource" in statement or "NotResource" in statement:
            raise malformed("Has prohibited field Resource")
        if not str(statement.get("Action", "")).strip():
            raise malformed("AssumeRole policy may only specify STS AssumeRole actions.")
        for arn in aws_principals(statement):
            _principal_id(call, arn)


@RULES.before("CreateRole", "PutRolePermissionsBoundary")
def boundaries_exist(call: ServiceCall) -> None:
    """A permissions boundary must exist."""
    arn = call.params.get("PermissionsBoundary")
    if arn and arn not in call.backend.managed_policies:
        raise Refusal("NoSuchEntity", f"Scope ARN: {arn} does not exist or is not attachable.", 404)
    _require_attachable(arn or "")


@RULES.after("CreateRole")
def a_new_role_propagates(call: ServiceCall, _: Json) -> None:
    """Services see a new role after ``iam_delay``."""
    role = _role(call, call.params["RoleName"])
    record_change(call, "role", role.id)
    record_change(call, "principal", role.id)
    _remember_principals(call, role)


@RULES.after("UpdateAssumeRolePolicy")
def a_new_trust_policy_propagates(call: ServiceCall, _: Json) -> None:
    """Services see a new trust policy after ``iam_delay``."""
    role = _role(call, call.params["RoleName"])
    record_change(call, "role", role.id)
    _remember_principals(call, role)


_BY_ROLE = (
    "AttachRolePolicy",
    "DetachRolePolicy",
    "PutRolePolicy",
    "DeleteRolePolicy",
    "GetRole",
    "GetRolePolicy",
    "ListRolePolicies",
    "ListAttachedRolePolicies",
    "ListInstanceProfilesForRole",
    "ListRoleTags",
    "TagRole",
    "UntagRole",
    "UpdateRole",
    "UpdateRoleDescription",
    "UpdateAssumeRolePolicy",
    "PutRolePermissionsBoundary",
    "DeleteRolePermissionsBoundary",
    "DeleteRole",
    "AddRoleToInstanceProfile",
)


@RULES.before(*_BY_ROLE)
def roles_exist(call: ServiceCall) -> None:
    """Calls for a role that does not exist are refused."""
    _role(call, call.params["RoleName"])


@RULES.before(
    "AttachRolePolicy",
    "DetachRolePolicy",
    "PutRolePolicy",
    "DeleteRolePolicy",
    "UpdateAssumeRolePolicy",
    "PutRolePermissionsBoundary",
    "DeleteRole",
    "UpdateRole",
    "AddRoleToInstanceProfile",
)
def service_linked_roles_are_protected(call: ServiceCall) -> None:
    """A service-linked role cannot be changed or deleted as another role."""
    role = _role(call, call.params["RoleName"])
    if "/aws-service-role/" in role.arn:
        service = role.arn.split("/")[2]
        raise Refusal(
            "UnmodifiableEntity",
            f"Cannot perform the operation on the protected role '{role.name}' - this role is only modifiable by AWS "
            f"({service}).",
        )


@RULES.before("UpdateRole")
def update_role_merges(call: ServiceCall) -> None:
    """Members left out keep their value; moto clears the description and resets the duration."""
    role = _role(call, call.params["RoleName"])
    call.rewrite(
        Description=call.params.get("Description", role.description or ""),
        MaxSessionDuration=int(call.params.get("MaxSessionDuration", role.max_session_duration or 3600)),
    )


@RULES.before("AttachRolePolicy")
def attachments_are_limited(call: ServiceCall) -> Json | None:
    """A role has at most ten attached policies; attaching one again succeeds and changes nothing."""
    role, arn = _role(call, call.params["RoleName"]), call.params["PolicyArn"]
    if arn in role.managed_policies:
        return {}
    if arn not in call.backend.managed_policies:
        raise Refusal("NoSuchEntity", f"Policy {arn} does not exist or is not attachable.", 404)
    _require_attachable(arn)
    if len(role.managed_policies) >= 10:
        raise Refusal("LimitExceeded", "Cannot exceed quota for PoliciesPerRole: 10", 409)
    return None


def _require_attachable(arn: str) -> None:
    """Policies of service-linked roles cannot be given to other roles.

    https://docs.aws.amazon.com/IAM/latest/APIReference/API_AttachRolePolicy.html (PolicyNotAttachable)
    """
    if ":aws:policy/aws-service-role/" in arn:
        raise Refusal("PolicyNotAttachable", "Cannot attach a Service Role Policy to a Customer Role.")


@RULES.after("AttachRolePolicy")
def an_attachment_propagates(call: ServiceCall, _: Json) -> None:
    """Services see an attached policy after ``iam_delay``."""
    record_change(call, "attachment", (_role(call, call.params["RoleName"]).id, call.params["PolicyArn"]))


@RULES.before("PutRolePolicy")
def inline_policies_are_limited(call: ServiceCall) -> None:
    """The inline policies of a role have at most 10240 characters in all."""
    role = _role(call, call.params["RoleName"])
    parsed(call.params["PolicyDocument"])
    kept = (text for name, text in role.policies.items() if name != call.params["PolicyName"])
    if sum(map(size, kept)) + size(call.params["PolicyDocument"]) > 10240:
        raise Refusal("LimitExceeded", f"Maximum policy size of 10240 bytes exceeded for role {role.name}", 409)


@RULES.after("PutRolePolicy")
def an_inline_policy_propagates(call: ServiceCall, _: Json) -> None:
    """Services see an inline policy after ``iam_delay``."""
    record_change(call, "attachment", (_role(call, call.params["RoleName"]).id, call.params["PolicyName"]))


# --- principals in trust policies ------------------------------------------------------------------------------------


def _principal_id(call: ServiceCall, arn: str) -> str | None:
    """The unique id that an ARN is stored as; refused if the account has no such role or user, or only just has it.

    A change of a role does not make it unknown again.
    """
    found = _PRINCIPAL.fullmatch(arn)
    if not found or found[1] != call.account.id:
        return None
    things = call.backend.roles.values() if found[2] == "role" else call.backend.users.values()
    thing = next((one for one in things if one.arn == arn), None)
    delay = call.account.settings.iam_delay if call.account.settings.iam_refuses_fresh else 0
    if thing is None or call.now - changed_at(call.account, "principal", thing.id) < delay:
        kind = '"AWS"'
        raise malformed(f'Invalid principal in policy: {kind}:"{arn}"')
    return str(thing.id)


def _remember_principals(call: ServiceCall, role: Any) -> None:
    ids = {}
    for statement in statements(parsed(role.assume_role_policy_document)):
        for arn in aws_principals(statement):
            stored = _principal_id(call, arn)
            if stored:
                ids[arn] = stored
    call.memory["principals", role.id] = ids


@RULES.after("GetRole", "ListRoles", "GetAccountAuthorizationDetails", "ListInstanceProfiles", "GetInstanceProfile")
def deleted_principals_show_their_id(call: ServiceCall, result: Json) -> None:
    """A trust policy shows the unique id of a deleted principal, even if a new one has the same name.

    https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_principal.html
    """
    for role in _roles_shown(result):
        ids: dict[str, str] = call.memory.get(("principals", role.get("RoleId")), {})
        deleted = {arn: stored for arn, stored in ids.items() if not _principal_exists(call, stored)}
        document = role.get("AssumeRolePolicyDocument")
        if deleted and document:
            encoded = document.startswith("%7B")
            text = unquote(document) if encoded else document
            for arn, stored in deleted.items():
                text = text.replace(json.dumps(arn), json.dumps(stored))
            role["AssumeRolePolicyDocument"] = quote(text) if encoded else text


def _principal_exists(call: ServiceCall, stored: str) -> bool:
    return stored in call.backend.roles or any(user.id == stored for user in call.backend.users.values())


def _roles_shown(result: Json) -> Iterator[Json]:
    if "Role" in result:
        yield result["Role"]
    for name in ("Roles", "RoleDetailList"):
        yield from result.get(name, ())
    profiles = [
        *result.get("InstanceProfiles", ()),
        *([result["InstanceProfile"]] if "InstanceProfile" in result else ()),
    ]
    for profile in profiles:
        yield from profile.get("Roles", ())


# --- service-linked roles --------------------------------------------------------------------------------------------


@RULES.before("CreateServiceLinkedRole")
def service_linked_roles_have_their_names(call: ServiceCall) -> Json:
    """The service chooses the name of its role; an existing one is reported as InvalidInput."""
    service, suffix = call.params["AWSServiceName"], call.params.get("CustomSuffix", "")
    if not re.fullmatch(r"[\w+=,.@-]+\.amazonaws\.com(\.cn)?", service):
        raise Refusal("InvalidInput", f"Unknown service: {service}")
    name = service_role_name(service, suffix)
    if any(role.name == name for role in call.backend.roles.values()):
        message = f"Service role name {name} has been taken in this account, please try a different suffix."
        raise Refusal("InvalidInput", message)
    role = _make_service_role(call.account, call.region, service, name, call.params.get("Description", ""))
    record_change(call, "role", role.id)
    record_change(call, "principal", role.id)
    return {
        "Role": {
            "Path": role.path,
            "RoleName": role.name,
            "RoleId": role.id,
            "Arn": role.arn,
            "CreateDate": role.create_date,
            "AssumeRolePolicyDocument": quote(role.assume_role_policy_document),
        }
    }


@RULES.before("DeleteServiceLinkedRole")
def service_linked_roles_are_deleted_by_a_task(call: ServiceCall) -> Json:
    """The policy of the role is deleted with it; the task ends at once, and fails while the service uses the role.

    https://docs.aws.amazon.com/IAM/latest/APIReference/API_DeleteServiceLinkedRole.html
    """
    role = _role(call, call.params["RoleName"])
    if not role.path.startswith("/aws-service-role/"):
        message = f"Role {role.name} is not a service-linked role."
        raise Refusal("InvalidInput", message)
    task = f"task{role.path}{role.name}/{uuid.uuid4()}"
    used = {
        region: [arn for arn, used in roles.items() if used == role.arn]
        for region, roles in call.account.batch_roles().items()
    }
    call.memory["deletion", task] = usage = [
        {"Region": region, "Resources": arns} for region, arns in used.items() if arns
    ]
    if not usage:
        for policy in list(role.managed_policies):
            call.backend.detach_role_policy(policy, role.name)
        call.backend.delete_role(role.name)
    return {"DeletionTaskId": task}


@RULES.before("GetServiceLinkedRoleDeletionStatus")
def deletions_of_service_linked_roles_are_reported(call: ServiceCall) -> Json:
    """Whether the task of a deletion succeeded, and what uses the role if it failed."""
    task = call.params["DeletionTaskId"]
    usage = call.memory.get(("deletion", task))
    if usage is None:
        raise Refusal("NoSuchEntity", f"The deletion task {task} cannot be found.", 404)
    if not usage:
        return {"Status": "SUCCEEDED"}
    reason = {"Reason": "A service-linked role cannot be deleted while it is in use.", "RoleUsageList": usage}
    return {"Status": "FAILED", "Reason": reason}


# --- tags ------------------------------------------------------------------------------------------------------------


@RULES.before("CreateRole", "CreatePolicy", "CreateInstanceProfile", "TagRole", "TagPolicy", "TagInstanceProfile")
def tags_are_checked(call: ServiceCall) -> None:
    """Keys are unique ignoring case, ``aws:`` is reserved, and there are at most fifty."""
    tags = call.params.get("Tags") or []
    keys = [tag["Key"] for tag in tags]
    if any(key.lower().startswith("aws:") for key in keys):
        message = "Tags with a key that starts with aws: are reserved for system use."
        raise Refusal("InvalidInput", message)
    if len({key.lower() for key in keys}) < len(keys):
        message = "Duplicate tag keys found. Please note that Tag keys are case insensitive."
        raise Refusal("InvalidInput", message)
    if any(len(tag.get("Value", "")) > 256 or not 1 <= len(tag["Key"]) <= 128 for tag in tags):
        raise Refusal("ValidationError", "1 validation error detected: a tag is too long")
    held = _held_tags(call)
    merged = {key.lower() for key in held} | {key.lower() for key in keys}
    if len(merged) > 50:
        raise Refusal("LimitExceeded", "Number of tags per resource exceeded: 50", 409)
    _replace_ignoring_case(call, held, {key.lower() for key in keys})


def _held_tags(call: ServiceCall) -> list[str]:
    if call.operation == "TagRole":
        return [tag["Key"] for tag in _role(call, call.params["RoleName"]).tags]
    if call.operation == "TagPolicy":
        return [tag["Key"] for tag in call.backend.managed_policies[call.params["PolicyArn"]].tags.values()]
    if call.operation == "TagInstanceProfile":
        profile = call.backend.instance_profiles.get(call.params["InstanceProfileName"])
        return [tag["Key"] for tag in profile.tags] if profile else []
    return []


def _replace_ignoring_case(call: ServiceCall, held: Iterable[str], written: set[str]) -> None:
    stale = {key for key in held if key.lower() in written}
    if not stale or call.operation == "TagPolicy":
        return
    if call.operation == "TagRole":
        holder = _role(call, call.params["RoleName"])
    else:
        holder = call.backend.instance_profiles[call.params["InstanceProfileName"]]
    holder.tags = [tag for tag in holder.tags if tag["Key"] not in stale]
