"""What a request needs: the actions that IAM checks for it, each with its resource and the condition keys of both.

One for each resource of the operation itself; with tags, also the action that tags; ``iam:PassRole`` for each role that
a service receives; and what the service does in the caller's name.

https://docs.aws.amazon.com/IAM/latest/UserGuide/id_roles_use_passrole.html
https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/supported-iam-actions-tagging.html
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import field
from typing import Any
from urllib.parse import unquote

from reconciler.model.patterns import regex
from reconciler.model.records import dataclass
from reconciler.sandbox.iam import reference
from reconciler.sandbox.iam.existing import Existing
from reconciler.sandbox.iam.keys import action_keys, request_tags
from reconciler.sandbox.iam.resources import at, named
from reconciler.sandbox.wire import Request

_PREFIXES = {"tagging": "tag"}
_ONE_BY_ONE = {
    "CancelJobs": "CancelJob",
    "TerminateJobs": "TerminateJob",
    "TerminateServiceJobs": "TerminateServiceJob",
}
_FREE = frozenset({"sts:GetCallerIdentity", "sts:GetSessionToken", "sts:GetAccessKeyInfo"})
_TAGS_AT_CREATION = {
    "iam:CreateRole": "iam:TagRole",
    "iam:CreatePolicy": "iam:TagPolicy",
    "iam:CreateInstanceProfile": "iam:TagInstanceProfile",
    "ssm:PutParameter": "ssm:AddTagsToResource",
}
_TAG_RESOURCE = frozenset({"batch", "ecr", "sns", "logs", "events", "secretsmanager", "scheduler"})
_TASK_ROLES = tuple(
    f"{place}.{role}"
    for place, roles in (
        ("containerProperties", ("jobRoleArn", "executionRoleArn")),
        ("nodeProperties.nodeRangeProperties[].container", ("jobRoleArn", "executionRoleArn")),
        ("ecsProperties.taskProperties[]", ("taskRoleArn", "executionRoleArn")),
        ("nodeProperties.nodeRangeProperties[].ecsProperties.taskProperties[]", ("taskRoleArn", "executionRoleArn")),
    )
    for role in roles
)
# Action -> places of roles in its parameters -> the service that receives them.
_PASSED: Mapping[str, Mapping[str, str]] = {
    "batch:CreateComputeEnvironment": {
        "serviceRole": "batch.amazonaws.com",
        "computeResources.spotIamFleetRole": "spotfleet.amazonaws.com",
    },
    "batch:UpdateComputeEnvironment": {"serviceRole": "batch.amazonaws.com"},
    "batch:RegisterJobDefinition": dict.fromkeys(_TASK_ROLES, "ecs-tasks.amazonaws.com"),
    "events:PutRule": {"RoleArn": "events.amazonaws.com"},
    "events:PutTargets": {"Targets[].RoleArn": "events.amazonaws.com"},
    "iam:AddRoleToInstanceProfile": {"RoleName": "ec2.amazonaws.com"},
    "scheduler:CreateSchedule": {"Target.RoleArn": "scheduler.amazonaws.com"},
    "scheduler:UpdateSchedule": {"Target.RoleArn": "scheduler.amazonaws.com"},
    "sns:Subscribe": {"Attributes.SubscriptionRoleArn": "sns.amazonaws.com"},
}
_PROFILE = "computeResources.instanceRole"
_FEEDBACK = regex(r"\w+FeedbackRoleArn")


@dataclass(frozen=True)
class Asked:
    """A request: signing name of the service, operation, parameters in the API's names."""

    service: str
    operation: str
    params: Mapping[str, Any]

    @property
    def action(self) -> str:
        """The action of the operation itself."""
        operation = _ONE_BY_ONE.get(self.operation, self.operation) if self.service == "batch" else self.operation
        return f"{_PREFIXES.get(self.service, self.service)}:{operation}"


def of_s3(request: Request) -> Asked:
    """A request to S3, whose actions are not named by operation; its bucket is in the host or in the path."""
    host, path = request.host.partition(".s3")[0], unquote(request.path).lstrip("/")
    bucket, key = (host, path) if host != request.host and host else path.partition("/")[::2]
    if not bucket:
        return Asked("s3", "ListAllMyBuckets", {})
    verb = {"HEAD": "GET"}.get(request.method, request.method)
    if key:
        names = {"GET": "GetObject", "PUT": "PutObject", "POST": "PutObject", "DELETE": "DeleteObject"}
    else:
        names = {"GET": "ListBucket", "PUT": "CreateBucket", "POST": "DeleteObject", "DELETE": "DeleteBucket"}
    return Asked("s3", names.get(verb, verb), {"Bucket": bucket, "Key": f"{bucket}/{key}"})


@dataclass(frozen=True)
class Need:
    """An action on a resource, in each form in which a policy may name it.

    ``kind`` is the type of the resource, empty if no ARN limits the action; ``keys`` are its condition keys beyond
    those that every request has; ``shown`` is how refusals name the resource if not by ARN.
    """

    action: str
    resources: tuple[str, ...] = ("*",)
    kind: str = ""
    keys: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    shown: str = ""


def needs(asked: Asked, existing: Existing) -> list[Need]:
    """What a request needs, the operation itself first."""
    if asked.action in _FREE:
        return []
    own = list(_own(asked, existing))
    return [*own, *_tagging(asked, own, existing), *_passed(asked, existing), *_further(asked, existing)]


def _own(asked: Asked, existing: Existing) -> Iterator[Need]:
    service = asked.action.partition(":")[0]
    keys = {**action_keys(asked.service, asked.operation, asked.params, existing), **request_tags(asked.params)}
    found = [(kind, value) for kind, value in named(asked.action, asked.params) if value]
    if reference.of(asked.action).get("scope", "*") == "*" or not found:
        yield Need(asked.action, keys=keys)
        return
    for kind, value in found:
        spelled = existing.spelled(service, kind, value, asked.params)
        shown = value if service == "secretsmanager" else ""
        yield Need(asked.action, spelled, _kind(asked.action, kind, spelled[0]), keys, shown)
    for spec in asked.params.get("TagSpecifications") or [] if service == "ec2" else []:
        if spec.get("ResourceType") == "security-group-rule":  # made by the request, beside its group
            yield Need(asked.action, (existing.arn("ec2", "security-group-rule", "*"),), "security-group-rule", keys)


def _kind(action: str, kind: str, arn: str) -> str:
    """The type in AWS's reference: that of the ARN where a request may be about several."""
    types = reference.of(action).get("types", {})
    if kind in types:
        return kind
    path = re.split(r"[:/]", arn.split(":", 5)[-1], maxsplit=1)[0]
    if action.startswith("batch:") and "/quota-share/" in arn:
        return "quota-share"
    candidates = [one for one in types if one == path or one.startswith((f"{path}-revision", f"{path}-on-"))]
    if path == "rule":
        bus = "custom" if arn.count("/") > 1 else "default"
        return f"rule-on-{bus}-event-bus"
    return candidates[0] if candidates else ""


def _tagging(asked: Asked, own: list[Need], existing: Existing) -> Iterator[Need]:
    """The action that tags what is created; tagging itself is the operation's own."""
    service, _, operation = asked.action.partition(":")
    if operation.startswith(("Tag", "Untag")) or not own:
        return
    if service == "ec2":
        yield from _tagged_by_ec2(asked, own, existing)
        return
    action = _TAGS_AT_CREATION.get(asked.action) or (f"{service}:TagResource" if service in _TAG_RESOURCE else "")
    keys = request_tags(asked.params)
    if action and keys:
        arns, first = own[0].resources, own[0].resources[0]
        if asked.action == "batch:RegisterJobDefinition":  # the tags are those of the revision
            arns = (first, f"{first}:*")
        if service == "logs":
            arns = (first.removesuffix(":log-stream:"), first)
        yield Need(action, arns, _kind(action, own[0].kind, first), keys)


def _tagged_by_ec2(asked: Asked, own: list[Need], existing: Existing) -> Iterator[Need]:
    for spec in asked.params.get("TagSpecifications") or []:
        kind = str(spec.get("ResourceType", ""))
        if spec.get("Tags") and kind:
            keys = {**request_tags({"Tags": spec["Tags"]}), "ec2:CreateAction": (asked.operation,)}
            known = next((need.resources for need in own if need.kind == kind), None)
            yield Need("ec2:CreateTags", known or (existing.arn("ec2", kind, "*"),), kind, keys)


def _passed(asked: Asked, existing: Existing) -> Iterator[Need]:
    """``iam:PassRole`` for the roles in a request; a service-linked role is not passed."""
    roles = [(role, to) for path, to in _PASSED.get(asked.action, {}).items() for role in at(asked.params, path)]
    if asked.action in ("batch:CreateComputeEnvironment", "batch:UpdateComputeEnvironment"):
        profiles = at(asked.params, _PROFILE)
        roles += [(role, "ec2.amazonaws.com") for one in profiles if (role := existing.role_in_profile(one))]
    if asked.action == "sns:CreateTopic":
        attributes = asked.params.get("Attributes") or {}
        roles += [(role, "sns.amazonaws.com") for name, role in attributes.items() if _FEEDBACK.fullmatch(name)]
    if asked.action == "sns:SetTopicAttributes" and _FEEDBACK.fullmatch(str(asked.params.get("AttributeName"))):
        roles.append((str(asked.params.get("AttributeValue")), "sns.amazonaws.com"))
    for role, service in dict.fromkeys(roles):
        arn = existing.role_arn(role)
        if role and ":role/aws-service-role/" not in arn:
            yield Need("iam:PassRole", (arn,), "role", {"iam:PassedToService": (service,)})


def _further(asked: Asked, existing: Existing) -> Iterator[Need]:
    """What a service does in the name of the caller."""
    special = _FURTHER.get(asked.action)
    return special(asked.params, existing) if special else iter(())


def _of_an_environment(params: Mapping[str, Any], existing: Existing) -> Iterator[Need]:
    for cluster in at(params, "eksConfiguration.eksClusterArn"):
        yield Need("eks:DescribeCluster", (cluster,), "cluster")
    if not params.get("serviceRole"):
        yield from _linked(existing, "batch.amazonaws.com", existing.service_role("batch.amazonaws.com"))


def _of_a_service_environment(_: Mapping[str, Any], existing: Existing) -> Iterator[Need]:
    yield from _linked(existing, "sagemaker-queuing.batch.amazonaws.com", "AWSServiceRoleForAWSBatchWithSagemaker")


def _linked(existing: Existing, service: str, name: str) -> Iterator[Need]:
    if existing.role(name) is None:
        arn = f"arn:{existing.partition}:iam::{existing.account.id}:role/aws-service-role/{service}/{name}"
        yield Need("iam:CreateServiceLinkedRole", (arn,), "role", {"iam:AWSServiceName": (service,)})


def _of_a_role(params: Mapping[str, Any], existing: Existing) -> Iterator[Need]:
    for boundary in at(params, "PermissionsBoundary"):
        role = existing.spelled("iam", "role", str(params.get("RoleName")), params)
        yield Need("iam:PutRolePermissionsBoundary", role, "role", {"iam:PermissionsBoundary": (boundary,)})


def _of_a_log_group(params: Mapping[str, Any], existing: Existing) -> Iterator[Need]:
    if params.get("kmsKeyId"):
        group = existing.spelled("logs", "log-group", str(params.get("logGroupName")), params)
        yield Need("logs:AssociateKmsKey", group, "log-group")


def _of_a_schedule_group(params: Mapping[str, Any], existing: Existing) -> Iterator[Need]:
    """Its schedules are deleted with it."""
    for name in at(params, "Name"):
        yield Need("scheduler:DeleteSchedule", (existing.arn("scheduler", "schedule", name, "*"),), "schedule")


def _of_a_template(params: Mapping[str, Any], existing: Existing) -> Iterator[Need]:
    for image in at(params, "LaunchTemplateData.ImageId"):
        if image.startswith("resolve:ssm:"):
            parameter = existing.spelled("ssm", "parameter", image.split(":")[2], params)
            yield Need("ssm:GetParameters", parameter, "parameter")


def _of_a_secret(params: Mapping[str, Any], existing: Existing) -> Iterator[Need]:
    """The customer's key that the value is encrypted with; AWS's own needs no permission."""
    key = str(params.get("KmsKeyId") or existing.key_of_secret(str(params.get("SecretId", ""))))
    if key and not key.endswith("alias/aws/secretsmanager"):
        for action in ("kms:GenerateDataKey", "kms:Decrypt"):
            yield Need(action, existing.spelled("kms", "key", key, params), "key")


_FURTHER: Mapping[str, Callable[[Mapping[str, Any], Existing], Iterator[Need]]] = {
    "batch:CreateComputeEnvironment": _of_an_environment,
    "batch:CreateServiceEnvironment": _of_a_service_environment,
    "iam:CreateRole": _of_a_role,
    "logs:CreateLogGroup": _of_a_log_group,
    "ec2:CreateLaunchTemplate": _of_a_template,
    "ec2:CreateLaunchTemplateVersion": _of_a_template,
    "scheduler:DeleteScheduleGroup": _of_a_schedule_group,
    "secretsmanager:CreateSecret": _of_a_secret,
    "secretsmanager:PutSecretValue": _of_a_secret,
    "secretsmanager:UpdateSecret": _of_a_secret,
}
