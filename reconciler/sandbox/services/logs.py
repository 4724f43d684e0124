"""CloudWatch Logs: retention periods, classes, keys, protection, and which ARN may be tagged.

https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_PutRetentionPolicy.html
https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_CreateLogGroup.html
"""

from __future__ import annotations

import re
from typing import Any

from reconciler.sandbox.services._hooks import Rules, ServiceCall
from reconciler.sandbox.wire import Json, Refusal

RULES = Rules("logs")

_DAYS = (1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653)
_NAME = re.compile(r"[A-Za-z0-9_/.#-]{1,512}")


def _group(ask: ServiceCall, name: str) -> Any:
    group = ask.backend.groups.get(name)
    if group is None:
        raise Refusal("ResourceNotFoundException", "The specified log group does not exist.")
    return group


def _facts(ask: ServiceCall, name: str) -> dict[str, Any]:
    """What moto has no place for."""
    found: dict[str, Any] = ask.regional.setdefault(name, {})
    return found


@RULES.before("CreateLogGroup")
def names_and_classes_are_checked(ask: ServiceCall) -> None:
    name = ask.params["logGroupName"]
    if not _NAME.fullmatch(name):
        told = (
            f"1 validation error detected: Value '{name}' at 'logGroupName' failed to satisfy constraint: Member must "
        )
        raise Refusal("InvalidParameterException", told + "satisfy regular expression pattern: [\\.\\-_/#A-Za-z0-9]+")
    if name.startswith("aws/"):
        raise Refusal("InvalidParameterException", "Log groups starting with AWS/ are reserved for AWS.")
    _tags(ask.params.get("tags") or {})


@RULES.after("CreateLogGroup")
def classes_are_kept(ask: ServiceCall, _: Json) -> None:
    ask.regional[ask.params["logGroupName"]] = {
        "logGroupClass": ask.params.get("logGroupClass", "STANDARD"),
        "deletionProtectionEnabled": ask.params.get("deletionProtectionEnabled", False),
    }


@RULES.before("PutRetentionPolicy")
def only_some_periods_exist(ask: ServiceCall) -> None:
    days = int(ask.params["retentionInDays"])
    if days not in _DAYS:
        told = (
            f"1 validation error detected: Value '{days}' at 'retentionInDays' failed to satisfy constraint: "
            f"Member must satisfy enum value set: {list(_DAYS)}"
        )
        raise Refusal("InvalidParameterException", told)


@RULES.before("TagResource", "UntagResource", "ListTagsForResource")
def the_other_arn_is_tagged(ask: ServiceCall) -> None:
    arn = ask.params["resourceArn"]
    if arn.endswith(":*") or ":log-group:" not in arn:
        raise Refusal("ValidationException", f"Invalid resourceArn: {arn}")
    _group(ask, arn.partition(":log-group:")[2])
    _tags(ask.params.get("tags") or {})


def _tags(tags: dict[str, str]) -> None:
    if any(key.lower().startswith("aws:") for key in tags):
        raise Refusal("InvalidParameterException", "aws: prefixed tag key names are not allowed for external use.")
    if len(tags) > 50:
        raise Refusal("TooManyTagsException", "The number of tags exceeds the limit of 50.")


@RULES.before("AssociateKmsKey", "DisassociateKmsKey")
def keys_are_associated(ask: ServiceCall) -> Json:
    name = ask.params.get("logGroupName") or str(ask.params.get("resourceIdentifier", "")).partition(":log-group:")[2]
    group = _group(ask, name.removesuffix(":*"))
    group.kms_key_id = ask.params.get("kmsKeyId")
    ask.touch()
    return {}


@RULES.before("PutLogGroupDeletionProtection")
def protection_is_switched(ask: ServiceCall) -> Json:
    name = ask.params["logGroupIdentifier"].partition(":log-group:")[2] or ask.params["logGroupIdentifier"]
    _group(ask, name)
    _facts(ask, name)["deletionProtectionEnabled"] = ask.params["deletionProtectionEnabled"]
    return {}


@RULES.before("DeleteLogGroup")
def protected_groups_stay(ask: ServiceCall) -> None:
    name = ask.params["logGroupName"]
    _group(ask, name)
    if _facts(ask, name).get("deletionProtectionEnabled"):
        told = "Log group cannot be deleted because deletion protection is enabled."
        raise Refusal("OperationAbortedException", told)


@RULES.after("DeleteLogGroup")
def facts_go_with_the_group(ask: ServiceCall, _: Json) -> None:
    ask.regional.pop(ask.params["logGroupName"], None)


@RULES.before("DescribeLogGroups")
def groups_are_found_by_identifier(ask: ServiceCall) -> None:
    """Moto does not look at ``logGroupIdentifiers``; the reply is narrowed afterwards."""
    ask.memory["wanted"] = ask.params.get("logGroupIdentifiers")


@RULES.after("DescribeLogGroups")
def groups_are_shown_whole(ask: ServiceCall, result: Json) -> None:
    wanted = ask.memory.pop("wanted", None)
    names = {one.partition(":log-group:")[2].removesuffix(":*") or one for one in wanted or ()}
    shown = [one for one in result.get("logGroups", ()) if not names or one["logGroupName"] in names]
    for one in shown:
        facts = _facts(ask, one["logGroupName"])
        one["logGroupClass"] = facts.get("logGroupClass", "STANDARD")
        one["deletionProtectionEnabled"] = facts.get("deletionProtectionEnabled", False)
        arn = one["arn"].removesuffix(":*")
        one["arn"], one["logGroupArn"] = f"{arn}:*", arn
    result["logGroups"] = shown


@RULES.before("ListLogGroups")
def groups_are_listed_by_tag(ask: ServiceCall) -> Json:
    wanted = {tag["key"]: tag.get("values", []) for tag in ask.params.get("logGroupTags") or []}
    pattern = ask.params.get("logGroupNamePattern", "").lstrip("^")
    found = []
    for name, group in sorted(ask.backend.groups.items()):
        arn = group.arn.removesuffix(":*")
        tags = ask.backend.list_tags_for_resource(arn)
        if pattern in name and all(
            key in tags and tags[key] in (values or [tags[key]]) for key, values in wanted.items()
        ):
            kind = _facts(ask, name).get("logGroupClass", "STANDARD")
            found.append({"logGroupName": name, "logGroupArn": arn, "logGroupClass": kind})
    return {"logGroups": found}
