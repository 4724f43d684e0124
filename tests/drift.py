"""Ways in which an account moves away behind one's back: every one-step change of a recorded reply.

What the services own and move is left alone (``OWNED``); everything else that changes has to be seen.
"""

from __future__ import annotations

import copy
import json
import random
from collections.abc import Iterator, Mapping
from typing import Any

from tests.account import Pair

Spot = tuple[str | int, ...]

# Members that AWS computes, moves or only reports; a change of theirs is no drift.
OWNED: Mapping[str, frozenset[str]] = {
    "computeEnvironments": frozenset(
        "computeEnvironmentName computeEnvironmentArn ecsClusterArn status statusReason uuid desiredvCpus"
        " containerOrchestrationType batchImageStatus".split()
    ),
    "jobQueues": frozenset("jobQueueName jobQueueArn status statusReason order".split()),
    "jobDefinitions": frozenset(
        "jobDefinitionName jobDefinitionArn revision status containerOrchestrationType".split()
    ),
    "roles": frozenset(
        "RoleName RoleId Arn CreateDate RoleLastUsed PermissionsBoundaryType PolicyName IsTruncated"
        " ListInstanceProfilesForRole PolicyNames Sid".split()
    ),
    "policies": frozenset(
        "PolicyName PolicyId Arn CreateDate UpdateDate AttachmentCount PermissionsBoundaryUsageCount IsAttachable"
        " DefaultVersionId VersionId IsDefaultVersion IsTruncated ListPolicyVersions Sid".split()
    ),
    "instanceProfiles": frozenset(
        "InstanceProfileName InstanceProfileId Arn CreateDate RoleId AssumeRolePolicyDocument MaxSessionDuration"
        " Roles.Path".split()
    ),
    "securityGroups": frozenset(
        "GroupName GroupId OwnerId SecurityGroupArn VpcId GroupName VpcPeeringConnectionId PeeringStatus"
        " DescribeSecurityGroupRules".split()
    ),
    "keyPairs": frozenset("KeyName KeyPairId KeyType CreateTime".split()),
    "repositories": frozenset(
        "registryId repositoryName repositoryArn repositoryUri createdAt lastEvaluatedAt description".split()
    ),
    "secrets": frozenset(
        "ARN Name LastChangedDate LastAccessedDate LastRotatedDate NextRotationDate CreatedDate DeletedDate OwningService"
        " PrimaryRegion ReplicationStatus RotationEnabled RotationLambdaARN RotationRules VersionIdsToStages"
        " ListSecretVersionIds".split()
    ),
    "topics": frozenset(
        "TopicArn Owner EffectiveDeliveryPolicy SubscriptionsConfirmed SubscriptionsPending SubscriptionsDeleted Policy"
        " SubscriptionArn ConfirmationWasAuthenticated PendingConfirmation SubscriptionPrincipal BeginningArchiveTime"
        " Endpoint Protocol".split()
    ),
    "logGroups": frozenset(
        "logGroupName creationTime metricFilterCount arn storedBytes logGroupArn dataProtectionStatus"
        " inheritedProperties bearerTokenAuthenticationEnabled".split()
    ),
}
# Members that AWS fills in where the declaration leaves them out, and that count where it does not.
FILLED: Mapping[str, frozenset[str]] = {
    "computeEnvironments": frozenset({"ec2Configuration", "imageKubernetesVersion"}),
    "jobQueues": frozenset({"jobQueueType"}),
    "repositories": frozenset({"kmsKey"}),
    "securityGroups": frozenset({"Description"}),
    "topics": frozenset({"Policy"}),
}
# Lists whose order means something.
ORDERED = frozenset({"command", "args", "evaluateOnExit", "Versions", "entryPoint"})
DOCUMENTS = frozenset(
    {"policyText", "lifecyclePolicyText", "Policy", "FilterPolicy", "RedrivePolicy", "DeliveryPolicy"}
)


def left_alone(pair: Pair) -> frozenset[str]:
    """The members that are not ours to judge, given what the declaration says."""
    said = {str(name).lower() for name in _said(pair.declared)}
    filled = {name for name in FILLED.get(pair.section, ()) if name.lower() not in said}
    return OWNED[pair.section] | filled


def _said(value: Any) -> Iterator[str]:
    """The names of the members that have a value."""
    if isinstance(value, Mapping):
        for name, item in value.items():
            if item not in (None, "", [], {}):
                yield name
            yield from _said(item)
    elif isinstance(value, list):
        for item in value:
            yield from _said(item)


def spots(pair: Pair) -> Iterator[Spot]:
    """The place of every leaf of the replies that is ours to judge."""
    yield from _leaves(pair.replies, (), left_alone(pair))


def _judged(value: Mapping[str, Any], at: Spot, owned: frozenset[str]) -> Iterator[tuple[str, Any]]:
    """The members that are ours to judge; none of a policy's versions that are not in force."""
    parent = next((step for step in reversed(at) if isinstance(step, str)), "")
    if value.get("IsDefaultVersion") is False:
        return
    for name, item in value.items():
        if {name, f"{parent}.{name}"} & owned or name in ("to", "ResponseMetadata") or name.startswith("aws:"):
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
