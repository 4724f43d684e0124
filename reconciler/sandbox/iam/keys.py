"""The condition keys of requests: tags, and those that services define for their own actions.

https://docs.aws.amazon.com/service-authorization/latest/reference/list_awsbatch.html, and its pages on other services
https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_condition-keys.html
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from reconciler.sandbox.iam.existing import Existing
from reconciler.sandbox.iam.resources import at

Keys = dict[str, tuple[str, ...]]
_Params = Mapping[str, Any]

# Action -> key -> where its values are in the parameters.
_PLACES: Mapping[str, Mapping[str, str]] = {
    "batch:SubmitJob": {"batch:ShareIdentifier": "shareIdentifier"},
    "batch:SubmitServiceJob": {"batch:ShareIdentifier": "shareIdentifier"},
    "events:PutTargets": {"events:TargetArn": "Targets[].Arn"},
    "iam:AttachRolePolicy": {"iam:PolicyARN": "PolicyArn"},
    "iam:CreateRole": {"iam:PermissionsBoundary": "PermissionsBoundary"},
    "iam:CreateServiceLinkedRole": {"iam:AWSServiceName": "AWSServiceName"},
    "iam:DetachRolePolicy": {"iam:PolicyARN": "PolicyArn"},
    "iam:PutRolePermissionsBoundary": {"iam:PermissionsBoundary": "PermissionsBoundary"},
    "secretsmanager:CreateSecret": {"secretsmanager:Name": "Name"},
    "sns:Subscribe": {"sns:Protocol": "Protocol", "sns:Endpoint": "Endpoint"},
}
# The same for values that are not strings.
_VALUES: Mapping[str, Mapping[str, str]] = {
    "batch:SubmitServiceJob": {"batch:SchedulingPriority": "schedulingPriority"},
    "batch:UpdateServiceJob": {"batch:SchedulingPriority": "schedulingPriority"},
    "secretsmanager:DeleteSecret": {
        "secretsmanager:ForceDeleteWithoutRecovery": "ForceDeleteWithoutRecovery",
        "secretsmanager:RecoveryWindowInDays": "RecoveryWindowInDays",
    },
    "ssm:PutParameter": {"ssm:Overwrite": "Overwrite"},
}
_OF_A_ROLE = frozenset(
    {
        "AttachRolePolicy",
        "DeleteRole",
        "DeleteRolePermissionsBoundary",
        "DeleteRolePolicy",
        "DetachRolePolicy",
        "GetRole",
        "PutRolePolicy",
        "UpdateAssumeRolePolicy",
        "UpdateRole",
    }
)


def request_tags(params: _Params) -> Keys:
    """``aws:RequestTag/...`` and ``aws:TagKeys`` of the tags, or the keys of tags, in a request."""
    found: dict[str, str | None] = {}
    given = params.get("tags") or params.get("Tags") or ()
    if isinstance(given, Mapping):
        found.update(given)
    else:
        for one in given:
            found[str(one.get("Key", one.get("key")))] = one.get("Value", one.get("value"))
    for spec in params.get("TagSpecifications") or ():
        found.update({tag["Key"]: tag.get("Value", "") for tag in spec.get("Tags") or ()})
    names = [*found, *(params.get("tagKeys") or params.get("TagKeys") or ())]
    keys: Keys = {f"aws:RequestTag/{name}": (str(value),) for name, value in found.items() if value is not None}
    return keys | ({"aws:TagKeys": tuple(map(str, names))} if names else {})


def action_keys(service: str, operation: str, params: _Params, existing: Existing) -> Keys:
    """The keys of an operation that its service defines."""
    action = f"{service}:{operation}"
    found: Keys = {key: tuple(at(params, place)) for key, place in _PLACES.get(action, {}).items()}
    for key, member in _VALUES.get(action, {}).items():
        if params.get(member) is not None:
            found[key] = (_written(params[member]),)
    if service == "iam" and operation in _OF_A_ROLE and (role := existing.role(str(params.get("RoleName")))):
        found["iam:PermissionsBoundary"] = (role.permissions_boundary_arn,) if role.permissions_boundary_arn else ()
    if special := _SPECIAL.get(action):
        found |= dict(special(params))
    if service == "ec2":
        found["ec2:Region"] = (existing.region,)
    return {key: values for key, values in found.items() if values}


def _written(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _job_definition(params: _Params) -> Iterator[tuple[str, tuple[str, ...]]]:
    """A key is there only if the definition sets the property.

    https://docs.aws.amazon.com/batch/latest/userguide/iam-example-restrict-user.html
    """
    container = params.get("containerProperties") or {}
    log = container.get("logConfiguration") or {}
    options = log.get("options") or {}
    pod = (params.get("eksProperties") or {}).get("podProperties") or {}
    values = {
        "batch:Image": [container.get("image")],
        "batch:User": [container.get("user")],
        "batch:Privileged": [container.get("privileged")],
        "batch:LogDriver": [log.get("logDriver")],
        "batch:AWSLogsGroup": [options.get("awslogs-group")],
        "batch:AWSLogsRegion": [options.get("awslogs-region")],
        "batch:AWSLogsStreamPrefix": [options.get("awslogs-stream-prefix")],
        "batch:AWSLogsCreateGroup": [options.get("awslogs-create-group")],
        "batch:EKSServiceAccountName": [pod.get("serviceAccountName")],
        "batch:EKSNamespace": [(pod.get("metadata") or {}).get("namespace")],
    }
    for one in pod.get("containers") or ():
        security = one.get("securityContext") or {}
        values.setdefault("batch:EKSImage", []).append(one.get("image"))
        values.setdefault("batch:EKSPrivileged", []).append(security.get("privileged"))
        values.setdefault("batch:EKSRunAsUser", []).append(security.get("runAsUser"))
        values.setdefault("batch:EKSRunAsGroup", []).append(security.get("runAsGroup"))
    for key, found in values.items():
        yield key, tuple(_written(value) for value in found if value is not None)


_SPECIAL: Mapping[str, Callable[[_Params], Iterator[tuple[str, tuple[str, ...]]]]] = {
    "batch:RegisterJobDefinition": _job_definition,
}
