"""Whether a declared role has a permission, by its policies: those that are declared, and well-known ones of AWS."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from fnmatch import fnmatchcase
from typing import Any, Final

from reconciler.kinds.common.declared import at, items, mapping
from reconciler.model import Declared, Json

OF_AWS: Final = ("Amazon", "AWS", "CloudWatch", "service-role/", "job-function/", "ReadOnlyAccess")
EVERYTHING: Final = ("AdministratorAccess", "PowerUserAccess")
_PULL: Final = ("ecr:GetAuthorizationToken", "ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer", "ecr:BatchCheck*")
_STREAMS: Final = ("logs:CreateLogStream", "logs:PutLogEvents")
_JOIN: Final = (
    "ecs:DeregisterContainerInstance",
    "ecs:DiscoverPollEndpoint",
    "ecs:Poll",
    "ecs:RegisterContainerInstance",
)
#: What AWS's managed policies allow of what jobs and their hosts need.
#: https://docs.aws.amazon.com/aws-managed-policy/latest/reference/policy-list.html
POLICIES: Final[Mapping[str, tuple[str, ...]]] = {
    **dict.fromkeys(EVERYTHING, ("*",)),
    "AmazonECSTaskExecutionRolePolicy": (*_PULL, *_STREAMS),
    "AmazonEC2ContainerServiceforEC2Role": (*_JOIN, *_PULL, *_STREAMS),
    **{f"AmazonEC2ContainerRegistry{name}": _PULL for name in ("PullOnly", "ReadOnly", "PowerUser", "FullAccess")},
    **dict.fromkeys(("CloudWatchLogsFullAccess", "CloudWatchFullAccess", "CloudWatchFullAccessV2"), ("logs:*",)),
    "AWSBatchServiceRole": ("autoscaling:CreateAutoScalingGroup", "ecs:CreateCluster", "ecs:RunTask"),
    "AmazonECS_FullAccess": ("ecs:*", "logs:CreateLogGroup"),
    "SecretsManagerReadWrite": ("secretsmanager:*",),
    **dict.fromkeys(("AmazonSSMReadOnlyAccess", "AmazonSSMFullAccess"), ("ssm:GetParameters",)),
}


def contains(policy: str, action: str) -> bool | None:
    """Whether a managed policy of AWS, by its name, allows the action; None if the policy is none of those above."""
    actions = POLICIES.get(policy.rpartition("/")[2])
    return None if actions is None else _among(action, actions)


def may(role: Json, action: str, declared: Declared, *, others: bool | None = None) -> bool | None:
    """Whether a role with these properties may ``action``, whatever the resource and conditions; None if that is not
    known. ``others`` is the answer for AWS's other managed policies.
    """
    inline = mapping(role.get("inlinePolicies"))
    found = [_allows(document, action) for document in inline.values()]
    if any(role.get(name) is not None and not isinstance(role[name], dict | list | tuple)
           for name in ("inlinePolicies", "managedPolicies")):  # fmt: skip
        found.append(None)
    for policy in items(role.get("managedPolicies")):
        own = declared.resource("policies", policy)
        found.append(
            _allows(own.props.get("policyDocument"), action) if own else _managed(policy, action, others=others)
        )
    return True if True in found else None if None in found else False


def _managed(policy: Any, action: str, *, others: bool | None) -> bool | None:
    if not isinstance(policy, str):
        return None
    name = policy.partition(":aws:policy/")[2] or policy
    allowed = contains(name, action)
    return others if allowed is None and (":aws:policy/" in policy or name.startswith(OF_AWS)) else allowed


def _among(action: str, patterns: Iterable[Any]) -> bool:
    return any(fnmatchcase(action.lower(), str(one).lower()) for one in patterns)


def _allows(document: Any, action: str) -> bool | None:
    """Whether a statement of the document allows the action, whatever its resource and conditions."""
    statements = at(document, "Statement")
    if statements is None:
        return None
    listed = statements if isinstance(statements, list | tuple) else [statements]
    if not all(isinstance(one, dict) for one in listed):
        return None
    allowed = [one for one in listed if one.get("Effect") == "Allow"]
    actions = [each for one in allowed for each in _texts(one.get("Action"))]
    if any("NotAction" in one for one in allowed) or any(not isinstance(each, str) for each in actions):
        return None
    return _among(action, actions)


def _texts(value: Any) -> list[Any]:
    return list(value) if isinstance(value, list | tuple) else [] if value is None else [value]
