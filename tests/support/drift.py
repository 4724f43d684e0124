"""Ways in which an account moves away behind one's back: every one-step change of a recorded reply.

What the services own and move is left alone (``OWNED``); everything else that changes has to be seen.
"""

from __future__ import annotations

import copy
import json
import random
from collections.abc import Iterator, Mapping
from typing import Any

from tests.support.recorded_account import Pair

Spot = tuple[str | int, ...]


def names(text: str) -> frozenset[str]:
    return frozenset(text.split())


# Members that AWS computes, moves or only reports; a change of theirs is no drift.
OWNED: Mapping[str, frozenset[str]] = {
    "computeEnvironments": names(
        "computeEnvironmentName computeEnvironmentArn ecsClusterArn status statusReason uuid desiredvCpus"
        " containerOrchestrationType batchImageStatus"
    ),
    "jobQueues": names("jobQueueName jobQueueArn status statusReason order"),
    "jobDefinitions": names("jobDefinitionName jobDefinitionArn revision status containerOrchestrationType"),
    "roles": names(
        "RoleName RoleId Arn CreateDate RoleLastUsed PermissionsBoundaryType PolicyName IsTruncated"
        " ListInstanceProfilesForRole PolicyNames Sid"
    ),
    "policies": names(
        "PolicyName PolicyId Arn CreateDate UpdateDate AttachmentCount PermissionsBoundaryUsageCount IsAttachable"
        " DefaultVersionId VersionId IsDefaultVersion IsTruncated ListPolicyVersions Sid"
    ),
    "instanceProfiles": names(
        "InstanceProfileName InstanceProfileId Arn CreateDate RoleId AssumeRolePolicyDocument MaxSessionDuration"
        " Roles.Path"
    ),
    "securityGroups": names(
        "GroupName SecurityGroups.GroupId OwnerId SecurityGroupArn VpcId VpcPeeringConnectionId PeeringStatus"
        " DescribeSecurityGroupRules"
    ),
    "keyPairs": names("KeyName KeyPairId KeyType KeyFingerprint CreateTime"),
    "repositories": names(
        "registryId repositoryName repositoryArn repositoryUri createdAt lastEvaluatedAt description DescribeKey"
    ),
    "secrets": names(
        "ARN Name LastChangedDate LastAccessedDate LastRotatedDate NextRotationDate CreatedDate DeletedDate OwningService"
        " PrimaryRegion ReplicationStatus RotationEnabled RotationLambdaARN RotationRules VersionIdsToStages"
        " ListSecretVersionIds"
    ),
    "topics": names(
        "TopicArn Owner EffectiveDeliveryPolicy SubscriptionsConfirmed SubscriptionsPending SubscriptionsDeleted"
        " SubscriptionArn ConfirmationWasAuthenticated PendingConfirmation SubscriptionPrincipal BeginningArchiveTime"
        " Endpoint Protocol"
    ),
    "logGroups": names(
        "logGroupName creationTime metricFilterCount arn storedBytes logGroupArn dataProtectionStatus"
        " inheritedProperties bearerTokenAuthenticationEnabled"
    ),
    "schedulingPolicies": names("name arn"),
    "consumableResources": names(
        "consumableResourceName consumableResourceArn inUseQuantity availableQuantity createdAt"
    ),
    "serviceEnvironments": names("serviceEnvironmentName serviceEnvironmentArn status"),
    "quotaShares": names("quotaShareName quotaShareArn jobQueueArn status"),
    "launchTemplates": names(
        "LaunchTemplateId LaunchTemplateName CreateTime CreatedBy VersionNumber DefaultVersion DefaultVersionNumber"
        " LatestVersionNumber State DescribeComputeEnvironments"
    ),
    "placementGroups": names("GroupName GroupId GroupArn State"),
    "eventRules": names("Name Arn CreatedBy EventBusName"),
    "schedules": names("Name Schedule.Arn GetSchedule.Arn GroupName ListSchedules ListTagsForResource"),
    "scheduleGroups": names("Name Arn State"),
}
# Members that AWS fills in where the declaration leaves them out, and that count where it does not.
FILLED: Mapping[str, frozenset[str]] = {
    "computeEnvironments": frozenset({"ec2Configuration", "imageKubernetesVersion"}),
    "jobQueues": frozenset({"jobQueueType"}),
    "securityGroups": frozenset({"SecurityGroups.Description"}),
    "placementGroups": frozenset({"PartitionCount"}),
    "consumableResources": frozenset({"totalQuantity"}),
}
# Lists whose order means something.
ORDERED = frozenset({"command", "args", "evaluateOnExit", "Versions", "entryPoint", "PathParameterValues", "Sqls"})
DOCUMENTS = frozenset(
    {
        *("policyText", "lifecyclePolicyText", "Policy", "FilterPolicy", "RedrivePolicy", "DeliveryPolicy"),
        *("EventPattern", "Input"),
    }
)


def left_alone(pair: Pair) -> frozenset[str]:
    """The members that are not ours to judge, given what the declaration says."""
    said = {name.lower() for name in _said(pair.declared, pair.section)}
    filled = {name for name in FILLED.get(pair.section, ()) if name.rpartition(".")[2].lower() not in said}
    undecided = {"AssumeRolePolicyDocument.Version"} if "trust" in pair.declared else set()
    undecided |= {"Version"} if "Version" not in str(pair.declared) else set()
    # of what jobs use up the total moves by itself; that of another type is another total as well
    used_up = {"totalQuantity", "resourceType"} if "NON_REPLENISHABLE" in str(pair.declared) else set()
    return OWNED[pair.section] | filled | undecided | used_up


def _said(value: Any, section: str) -> Iterator[str]:
    """The names of the members that have a value; of a security group those of the group itself."""
    for name, item in value.items() if isinstance(value, Mapping) else ():
        if item not in (None, "", [], {}):
            yield name
        if section != "securityGroups":
            yield from _said(item, section)
    for item in value if isinstance(value, list) else ():
        yield from _said(item, section)


def spots(pair: Pair) -> Iterator[Spot]:
    """The place of every leaf of the replies that is ours to judge."""
    yield from _leaves(pair.replies, (), left_alone(pair))


def _judged(value: Mapping[str, Any], at: Spot, owned: frozenset[str]) -> Iterator[tuple[str, Any]]:
    """The members that are ours to judge; none of a policy's versions that are not in force."""
    parent = next((step for step in reversed(at) if isinstance(step, str)), "")
    if value.get("IsDefaultVersion") is False or value.get("DefaultVersion") is False:
        return
    for name, item in value.items():
        if (
            {name, f"{parent}.{name}"} & owned
            or name in ("to", "ResponseMetadata")
            or name.startswith(("aws:", "reconciler/"))
        ):
            continue
        yield name, item


def _leaves(value: Any, at: Spot, owned: frozenset[str]) -> Iterator[Spot]:
    if isinstance(value, Mapping):
        for name, item in _judged(value, at, owned):
            yield from _leaves(item, (*at, name), owned)
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _leaves(item, (*at, index), owned)
    elif value is not None:
        yield at


def look(replies: Any, spot: Spot) -> Any:
    for step in spot:
        replies = replies[step]
    return replies


def put(replies: Any, spot: Spot, value: Any) -> Any:
    """The replies with ``value`` at ``spot``."""
    changed = copy.deepcopy(replies)
    look(changed, spot[:-1])[spot[-1]] = value
    return changed


def other(value: Any, name: str = "") -> Any:
    """Another value of the same type."""
    if isinstance(value, bool):
        return not value
    if isinstance(value, int | float):
        return value + 1
    text = str(value)
    if name == "PublicKey":
        return text.replace("AAAAI", "AAAAA")
    if name in DOCUMENTS and text.startswith("{"):
        document = json.loads(text)
        spot = next(iter(sorted(_leaves(document, (), frozenset({"Sid", "Version", "Id"})), key=len, reverse=True)))
        return json.dumps(put(document, spot, other(look(document, spot))))
    if text in OPPOSITES:
        return OPPOSITES[text]
    return str(int(text) + 1) if text.isdigit() and len(text) < 9 else f"{text}x"


OPPOSITES = {
    "ENABLED": "DISABLED",
    "DISABLED": "ENABLED",
    "MUTABLE": "IMMUTABLE",
    "IMMUTABLE": "MUTABLE",
    "EC2": "SPOT",
    "SPOT": "EC2",
    "FARGATE": "FARGATE_SPOT",
    "FARGATE_SPOT": "FARGATE",
    "Allow": "Deny",
    "true": "false",
    "false": "true",
    "10.0.0.0/8": "10.0.0.0/9",
}


def shuffled(value: Any, dice: random.Random, name: str = "") -> Any:
    """``value`` with every list that has no order of its own in another one."""
    if isinstance(value, Mapping):
        return {key: shuffled(item, dice, str(key)) for key, item in value.items()}
    if isinstance(value, list):
        items = [shuffled(item, dice) for item in value]
        if name not in ORDERED:
            dice.shuffle(items)
        return items
    return value


def lists(pair: Pair) -> Iterator[Spot]:
    """The place of every list with something in it that is ours to judge."""
    yield from _lists(pair.replies, (), left_alone(pair))


def _lists(value: Any, at: Spot, owned: frozenset[str]) -> Iterator[Spot]:
    if isinstance(value, Mapping):
        for name, item in _judged(value, at, owned):
            yield from _lists(item, (*at, name), owned)
    elif isinstance(value, list):
        if value and not (isinstance(value[0], Mapping) and "reply" in value[0]):
            yield at
        for index, item in enumerate(value):
            yield from _lists(item, (*at, index), owned)


# --- what must come of it --------------------------------------------------------------------------------------------

# Which of our members shows a change of a member of a reply, where it is not the one of the same name.
SHOWN: Mapping[str, Mapping[str, str]] = {
    "roles": {
        "GetRolePolicy": "inlinePolicies",
        "ListAttachedRolePolicies": "managedPolicies",
        "PermissionsBoundary": "permissionsBoundary",
    },
    "policies": {"GetPolicyVersion": "policyDocument"},
    "instanceProfiles": {"Roles": "role"},
    "securityGroups": {"IpPermissions": "ingress", "IpPermissionsEgress": "egress"},
    "repositories": {
        "GetRepositoryPolicy": "repositoryPolicy",
        "GetLifecyclePolicy": "lifecyclePolicy",
        "ListTagsForResource": "tags",
    },
    "topics": {
        "GetSubscriptionAttributes": "subscriptions",
        "ListSubscriptionsByTopic": "subscriptions",
        "Policy": "policy",
        "Attributes": "attributes",
    },
    "quotaShares": {"capacityLimits": "capacityLimits"},
    "eventRules": {"ListTargetsByRule": "targets", "ListTagsForResource": "tags"},
}
WRAPPERS = frozenset({"Role", "Policy", "InstanceProfile", "reply"})


def shown_under(pair: Pair, spot: Spot) -> str:
    """The member of the declaration under which a change at ``spot`` is to be seen."""
    names = [step for step in spot if isinstance(step, str)]
    table = SHOWN.get(pair.section, {})
    if known := next((shown for name, shown in table.items() if name in names), None):
        return known
    inner = [name for name in names[1:] if name not in WRAPPERS]
    start = 1 if isinstance(pair.replies[names[0]], Mapping) and _holds_items(pair.replies[names[0]], names[1]) else 0
    name = inner[start] if len(inner) > start else inner[-1]
    return name[:1].lower() + name[1:]


def _holds_items(reply: Any, name: str) -> bool:
    """Whether ``name`` is the member of a describe's reply that holds the things described."""
    return isinstance(reply.get(name), list) and name not in ("Tags", "tags")
