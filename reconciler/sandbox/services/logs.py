"""CloudWatch Logs: retention periods, classes, keys, protection, and the ARN that can be tagged.

https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_PutRetentionPolicy.html
https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_CreateLogGroup.html
https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_TagResource.html
"""

from __future__ import annotations

import re
from typing import Any

from reconciler.model.patterns import regex
from reconciler.sandbox.services._hooks import Rules, ServiceCall
from reconciler.sandbox.wire import Json, Refusal

RULES = Rules("logs")

_DAYS = (1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653)
_NAME = regex(r"[A-Za-z0-9_/.#-]{1,512}")


def _group(call: ServiceCall, name: str) -> Any:
    """The log group; raises :class:`Refusal` if it does not exist."""
    group = call.backend.groups.get(name)
    if group is None:
        raise Refusal("ResourceNotFoundException", "The specified log group does not exist.")
    return group


def _facts(call: ServiceCall, name: str) -> dict[str, Any]:
    """What moto cannot store about a group."""
    found: dict[str, Any] = call.regional.setdefault(name, {})
    return found


@RULES.before("CreateLogGroup")
def names_and_classes_are_checked(call: ServiceCall) -> None:
    """Names have a pattern, and ``aws/`` is reserved."""
    name = call.params["logGroupName"]
    if not _NAME.fullmatch(name):
        message = (
            f"1 validation error detected: Value '{name}' at 'logGroupName' failed to satisfy constraint: Member must "
        )
        raise Refusal(
            "InvalidParameterException", message + "satisfy regular expression pattern: [\\.\\-_/#A-Za-z0-9]+"
        )
    if name.startswith("aws/"):
        raise Refusal("InvalidParameterException", "Log groups starting with AWS/ are reserved for AWS.")
    _tags(call.params.get("tags") or {})


@RULES.after("CreateLogGroup")
def classes_are_kept(call: ServiceCall, _: Json) -> None:
    """Moto does not store class and deletion protection."""
    call.regional[call.params["logGroupName"]] = {
        "logGroupClass": call.params.get("logGroupClass", "STANDARD"),
        "deletionProtectionEnabled": call.params.get("deletionProtectionEnabled", False),
    }


@RULES.before("PutRetentionPolicy")
def only_some_periods_exist(call: ServiceCall) -> None:
    """Only the documented retention periods are accepted."""
    days = int(call.params["retentionInDays"])
    if days not in _DAYS:
        message = (
            f"1 validation error detected: Value '{days}' at 'retentionInDays' failed to satisfy constraint: "
            f"Member must satisfy enum value set: {list(_DAYS)}"
        )
        raise Refusal("InvalidParameterException", message)


@RULES.before("TagResource", "UntagResource", "ListTagsForResource")
def only_the_bare_arn_is_tagged(call: ServiceCall) -> None:
    """Tags belong to the ARN without ``:*``."""
    arn = call.params["resourceArn"]
    if arn.endswith(":*") or ":log-group:" not in arn:
        raise Refusal("ValidationException", f"Invalid resourceArn: {arn}")
    _group(call, arn.partition(":log-group:")[2])
    _tags(call.params.get("tags") or {})


def _tags(tags: dict[str, str]) -> None:
    if any(key.lower().startswith("aws:") for key in tags):
        raise Refusal("InvalidParameterException", "aws: prefixed tag key names are not allowed for external use.")
    if len(tags) > 50:
        raise Refusal("TooManyTagsException", "The number of tags exceeds the limit of 50.")


@RULES.before("AssociateKmsKey", "DisassociateKmsKey")
def keys_are_associated(call: ServiceCall) -> Json:
    """A KMS key is set or removed for a log group."""
    name = call.params.get("logGroupName") or str(call.params.get("resourceIdentifier", "")).partition(":log-group:")[2]
    group = _group(call, name.removesuffix(":*"))
    group.kms_key_id = call.params.get("kmsKeyId")
    call.touch()
    return {}


@RULES.before("PutLogGroupDeletionProtection")
def protection_is_switched(call: ServiceCall) -> Json:
    """Deletion protection is switched on or off."""
    name = call.params["logGroupIdentifier"].partition(":log-group:")[2] or call.params["logGroupIdentifier"]
    _group(call, name)
    _facts(call, name)["deletionProtectionEnabled"] = call.params["deletionProtectionEnabled"]
    return {}


@RULES.before("DeleteLogGroup")
def protected_groups_are_kept(call: ServiceCall) -> None:
    """A log group with deletion protection cannot be deleted."""
    name = call.params["logGroupName"]
    _group(call, name)
    if _facts(call, name).get("deletionProtectionEnabled"):
        message = "Log group cannot be deleted because deletion protection is enabled."
        raise Refusal("OperationAbortedException", message)


@RULES.after("DeleteLogGroup")
def facts_are_deleted_with_the_group(call: ServiceCall, _: Json) -> None:
    """A new group of the same name starts without them."""
    call.regional.pop(call.params["logGroupName"], None)


@RULES.before("DescribeLogGroups")
def groups_are_found_by_identifier(call: ServiceCall) -> Json | None:
    """Moto ignores ``logGroupIdentifiers``."""
    if not (wanted := call.params.get("logGroupIdentifiers")):
        return None
    names = {one.partition(":log-group:")[2].removesuffix(":*") or one for one in wanted}
    groups = call.backend.groups
    return {"logGroups": [groups[name].to_describe_dict() for name in sorted(names & groups.keys())]}


@RULES.after("DescribeLogGroups")
def groups_are_shown_whole(call: ServiceCall, result: Json) -> None:
    """With class, protection and both ARNs."""
    shown = result.get("logGroups", ())
    for one in shown:
        facts = _facts(call, one["logGroupName"])
        one["logGroupClass"] = facts.get("logGroupClass", "STANDARD")
        one["deletionProtectionEnabled"] = facts.get("deletionProtectionEnabled", False)
        arn = one["arn"].removesuffix(":*")
        one["arn"], one["logGroupArn"] = f"{arn}:*", arn


@RULES.before("ListLogGroups")
def groups_are_listed_by_tag(call: ServiceCall) -> Json:
    """ListLogGroups filters by name pattern and tags."""
    wanted = {tag["key"]: tag.get("values", []) for tag in call.params.get("logGroupTags") or []}
    pattern = call.params.get("logGroupNamePattern", "").lstrip("^")
    found = []
    for name, group in sorted(call.backend.groups.items()):
        arn = group.arn.removesuffix(":*")
        tags = call.backend.list_tags_for_resource(arn)
        if pattern in name and all(
            key in tags and tags[key] in (values or [tags[key]]) for key, values in wanted.items()
        ):
            kind = _facts(call, name).get("logGroupClass", "STANDARD")
            found.append({"logGroupName": name, "logGroupArn": arn, "logGroupClass": kind})
    return {"logGroups": found}


# --- reading ---------------------------------------------------------------------------------------------------------


@RULES.before("GetLogEvents")
def events_are_read_by_token(call: ServiceCall) -> Json:
    """A token is a place between two events: what is written later follows it, and at the end it is returned as sent.

    Moto loses the first event of a stream that was read while it was empty.
    https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_GetLogEvents.html
    """
    stream = _group(call, _named_group(call)).streams.get(call.params["logStreamName"])
    if stream is None:
        raise Refusal("ResourceNotFoundException", "The specified log stream does not exist.")
    since, until = call.params.get("startTime", 0), call.params.get("endTime")
    found = [one for one in stream.events if one.timestamp >= since and (until is None or one.timestamp < until)]
    found.sort(key=lambda one: one.timestamp)
    most = int(call.params.get("limit") or 10_000)
    if most > 10_000:
        raise _too_many(most)
    first, last = _window(call, len(found), most)
    return {
        "events": [one.to_response_dict() for one in found[first:last]],
        "nextForwardToken": f"f/{last:056d}",
        "nextBackwardToken": f"b/{first:056d}",
    }


def _window(call: ServiceCall, count: int, most: int) -> tuple[int, int]:
    token = call.params.get("nextToken")
    if not token:
        first = 0 if call.params.get("startFromHead") else max(0, count - most)
        return first, min(first + most, count)
    found = re.fullmatch(r"([fb])/(\d{56})", token)
    if not found:
        raise Refusal("InvalidParameterException", "The specified nextToken is invalid.")
    at = min(int(found[2]), count)
    return (at, min(at + most, count)) if found[1] == "f" else (max(0, at - most), at)


def _too_many(most: int) -> Refusal:
    message = (
        f"1 validation error detected: Value '{most}' at 'limit' failed to satisfy constraint: Member must have value "
        "less than or equal to 10000"
    )
    return Refusal("InvalidParameterException", message)


def _named_group(call: ServiceCall) -> str:
    """The group by its name or, as an identifier, by its ARN."""
    named = call.params.get("logGroupName") or call.params.get("logGroupIdentifier", "")
    return str(named).rpartition(":log-group:")[2].removesuffix(":*")


@RULES.before("FilterLogEvents")
def streams_are_chosen_by_prefix(call: ServiceCall) -> Json | None:
    """Events of all streams, or of those whose names begin so, ordered by time; moto knows no prefix.

    https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_FilterLogEvents.html
    """
    group = _group(call, _named_group(call))
    names, prefix = call.params.get("logStreamNames"), call.params.get("logStreamNamePrefix")
    if names and prefix:
        message = "LogStreamNames and LogStreamNamePrefix cannot be used together."
        raise Refusal("InvalidParameterException", message)
    if prefix:
        names = [name for name in group.streams if name.startswith(prefix)]
        if not names:
            return {"events": [], "searchedLogStreams": []}
    call.rewrite(
        logGroupName=group.name,
        logGroupIdentifier=None,
        logStreamNamePrefix=None,
        logStreamNames=names or None,
        interleaved=True,
    )
    return None


@RULES.before("StartLiveTail")
def there_is_no_live_tail(_: ServiceCall) -> None:
    """It is a stream of events from a host of its own, `streaming-logs.REGION`, which a loopback address cannot be."""
    raise Refusal("NotImplemented", "the sandbox has no logs:StartLiveTail; poll with GetLogEvents", 501)
