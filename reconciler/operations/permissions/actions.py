"""What AWS lets a policy limit: the table ``iam-actions.json``, made from the service authorization reference.

A condition key that an action does not support is never true, so the statement would allow nothing: that is why only
this table decides where a key is used.

https://docs.aws.amazon.com/service-authorization/latest/reference/reference_policies_actions-resources-contextkeys.html
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any, Final

from reconciler.model import Scope

REQUEST_TAG: Final = "aws:RequestTag"
RESOURCE_TAG: Final = "aws:ResourceTag"
CREATE_ACTION: Final = "ec2:CreateAction"
PASSED_TO: Final = "iam:PassedToService"
PASS_ROLE: Final = "iam:PassRole"  # noqa: S105  an action
#: The condition keys that a policy of ours may have.
KEYS: Final = frozenset(
    {
        *(REQUEST_TAG, RESOURCE_TAG, CREATE_ACTION, PASSED_TO),
        *("iam:AWSServiceName", "iam:PolicyARN", "iam:PermissionsBoundary"),
    }
)
INDEX: Final = "tag:GetResources"
EVENTS: Final = "cloudtrail:LookupEvents"
#: The lists that are read where the index is refused, beside those of all names.
WITHOUT_INDEX: Final = ("logs:ListLogGroups",)
STACK: Final = "cloudformation:ListStackResources"
ASSUME: Final = "sts:AssumeRole"
PUBLISH: Final = "sns:Publish"
BUCKET: Final = "s3:ListBucket"
OBJECTS: Final = ("s3:GetObject", "s3:PutObject")
LOCK: Final = ("ssm:GetParameterHistory", "ssm:PutParameter", "ssm:DeleteParameter")
#: What is needed beside the kinds: the index of tags and what replaces it, the event history, places of results and
#: notices, the lock, roles that are passed or assumed, the look-ups, the stack that a team moves from.
BESIDE_KINDS: Final = (
    INDEX,
    *WITHOUT_INDEX,
    EVENTS,
    *(BUCKET, *OBJECTS, PUBLISH),
    *LOCK,
    *(PASS_ROLE, ASSUME),
    *("ec2:DescribeVpcs", "ec2:DescribeSubnets", "ec2:DescribeSecurityGroups", "ec2:DescribeImages"),
    *("ssm:GetParameter", "elasticfilesystem:DescribeFileSystems", "kms:DescribeKey", "ecr:DescribeImages"),
    *("secretsmanager:DescribeSecret", "iam:GetRole", "batch:TerminateJob"),
    *("ssm:GetParameters", "kms:ListAliases", STACK),
    # the commands on jobs
    *("batch:SubmitJob", "batch:DescribeJobs", "batch:ListJobs", "logs:GetLogEvents", "logs:FilterLogEvents"),
    *("batch:DescribeServiceJob", "batch:ListServiceJobs", "batch:TerminateServiceJob"),
    *("ecs:DescribeContainerInstances", "ecs:DescribeTasks"),
    *("ec2:DescribeInstances", "ec2:DescribeNetworkInterfaces"),
)


@cache
def _table() -> Mapping[str, Any]:
    found: Mapping[str, Any] = json.loads((Path(__file__).parent / "iam-actions.json").read_text(encoding="utf-8"))
    return found


def known(action: str) -> bool:
    """Whether the table has the action: it has every one that reconcile needs."""
    return action in _table()["actions"]


def limited(action: str) -> bool:
    """Whether an ARN can limit the action; else only ``*`` allows it."""
    return bool(_table()["actions"][action]["scope"] != "*")


def types(action: str) -> Mapping[str, bool]:
    """The resource types of the action (``batch:job-queue``), and whether every request has one."""
    service = action.split(":", maxsplit=1)[0]
    found: Mapping[str, Any] = _table()["actions"][action].get("types", {})
    return {f"{service}:{name}": bool(facts["required"]) for name, facts in found.items()}


@cache
def supports(action: str, kind: str, key: str) -> bool:
    """Whether the action knows the condition key (without the tag's own), where the resource is of type ``kind``."""
    facts = _table()["actions"][action]
    of_type = facts.get("types", {}).get(kind.partition(":")[2], {})
    if key in facts.get("keys", ()) or key in of_type.get("keys", ()):
        return True
    return key == RESOURCE_TAG and key in _table()["types"].get(kind, {}).get("keys", ())


def pattern(kind: str, scope: Scope) -> str:
    """The pattern of every ARN of a type in the account: ``arn:aws:batch:eu-west-1:123456789012:job-queue/*``."""
    own = {"Partition": scope.partition, "Region": scope.region, "Account": scope.account}
    form = str(_table()["types"][kind]["arn"])
    return re.sub(r"\$\{(\w+)\}", lambda found: own.get(found[1], "*"), form)


def whole(kind: str, arn: str) -> str:
    """The pattern of every ARN of a type in the account and Region of ``arn``."""
    fields = arn.split(":", 5)
    return pattern(kind, Scope(fields[4], fields[3], fields[1], "")) if len(fields) > 5 else arn


@cache
def form(kind: str, scope: Scope) -> re.Pattern[str]:
    """Matches the ARNs of a type, and patterns of them."""
    return re.compile(".+".join(map(re.escape, pattern(kind, scope).split("*"))))
