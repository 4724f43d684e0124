"""How CloudTrail writes an event.

- Members begin with a small letter, and otherwise keep their case (``aRN``); keys of maps are kept. EC2's older
  operations write lists as ``{"items": [...]}``, its newer ones the whole request under its name, in capitals:
  ``ModifySecurityGroupRulesRequest.GroupId``.
- What the service model marks as sensitive is hidden. The environment of a job definition is not.
- Only some services name the resources of an event: here EC2, IAM and ECR. AWS's own example of AWS Batch does not.
- IAM is recorded in the partition's home Region, whichever Region signed the request.

https://docs.aws.amazon.com/batch/latest/userguide/logging-using-cloudtrail.html
https://docs.aws.amazon.com/AmazonECR/latest/userguide/logging-using-cloudtrail.html
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qs, unquote

from reconciler.model.patterns import regex
from reconciler.sandbox import wire
from reconciler.sandbox.services._moto import partition_of
from reconciler.sandbox.services._trail import Entry
from reconciler.sandbox.wire import Json

HIDDEN = "HIDDEN_DUE_TO_SECURITY_REASONS"
_EC2_HIDDEN = "<sensitiveDataRemoved>"
_HOMES = {
    "aws": "us-east-1",
    "aws-cn": "cn-north-1",
    "aws-us-gov": "us-gov-west-1",
    "aws-iso": "us-iso-east-1",
    "aws-iso-b": "us-isob-east-1",
}
_EC2_NEWER = regex(r".*LaunchTemplate.*|ModifySecurityGroupRules|UpdateSecurityGroupRuleDescriptions.*")
_EC2_NAMES = {"Resources": "resourcesSet", "Tags": "tagSet", "TagSpecifications": "tagSpecificationSet"}
_EC2_NAMES |= {"UserIdGroupPairs": "groups", "Groups": "groupSet", "Description": "groupDescription"}
_EC2_TYPES = {
    "sg": "AWS::EC2::SecurityGroup",
    "sgr": "AWS::EC2::SecurityGroupRule",
    "lt": "AWS::EC2::LaunchTemplate",
    "vpc": "AWS::EC2::VPC",
    "subnet": "AWS::EC2::Subnet",
}
_EC2_ID = regex(r"(?P<type>sgr?|lt|vpc|subnet)-[0-9a-f]+")
_NAMED = {
    ("ec2", "KeyName"): "AWS::EC2::KeyPair",
    ("iam", "RoleName"): "AWS::IAM::Role",
    ("iam", "PolicyArn"): "AWS::IAM::Policy",
    ("iam", "InstanceProfileName"): "AWS::IAM::InstanceProfile",
    ("iam", "UserName"): "AWS::IAM::User",
}


def home_region(region: str) -> str:
    """The Region in which the global services of a Region's partition are recorded."""
    return _HOMES.get(partition_of(region), region)


def region_of(entry: Entry) -> str:
    """The Region in whose history an event is."""
    return home_region(entry.region) if entry.service == "iam" else entry.region


def event_id(entry: Entry) -> str:
    """The id of an event, which two events never share."""
    return str(uuid.uuid5(uuid.NAMESPACE_OID, f"{entry.n} {entry.at}"))


def identity(entry: Entry, account: str) -> Json:
    """``userIdentity``: that of the key, or the root user's."""
    if entry.identity is not None:
        return entry.identity
    arn = f"arn:{partition_of(entry.region)}:iam::{account}:root"
    key = entry.request.access_key
    return {"type": "Root", "principalId": account, "arn": arn, "accountId": account, "accessKeyId": key}


def username(caller: Json) -> str:
    """The user name that events are looked up by: a user's, or the name of a role's session."""
    if caller["type"] == "Root":
        return "root"
    if caller["type"] == "AssumedRole":
        return str(caller["arn"]).rpartition("/")[2]
    return str(caller.get("userName", ""))


def written(entry: Entry, account: str) -> Json:
    """The whole event, as ``CloudTrailEvent`` has it in JSON text."""
    host = entry.principal or "127.0.0.1"
    code, message = _refusal(entry)
    event: Json = {
        "eventVersion": "1.11",
        "userIdentity": identity(entry, account),
        "eventTime": datetime.fromtimestamp(entry.at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "eventSource": f"{entry.service}.amazonaws.com",
        "eventName": entry.operation,
        "awsRegion": region_of(entry),
        "sourceIPAddress": host,
        "userAgent": entry.request.headers.get("user-agent", ""),
        **({"errorCode": code, "errorMessage": message} if code else {}),
        "requestParameters": _parameters(entry) or None,
        "responseElements": None if code or entry.reads else _response(entry) or None,
        "requestID": str(uuid.uuid5(uuid.NAMESPACE_OID, f"request {entry.n}")),
        "eventID": event_id(entry),
        "readOnly": entry.reads,
        "eventType": "AwsApiCall",
        "managementEvent": True,
        "recipientAccountId": account,
        "eventCategory": "Management",
    }
    named = resources(entry, account)
    if entry.service == "ecr" and named:
        event["resources"] = [{"ARN": one["ResourceName"], "accountId": account} for one in named]
    return event


def resources(entry: Entry, account: str) -> list[dict[str, str]]:
    """``Resources`` of an event, by which it is found with ResourceName; empty for most services."""
    if entry.reads or entry.service not in ("ec2", "iam", "ecr"):
        return []
    if entry.service == "ecr":
        name = entry.params.get("repositoryName")
        arn = f"arn:{partition_of(entry.region)}:ecr:{entry.region}:{account}:repository/{name}"
        arn = arn if name else str(entry.params.get("resourceArn", ""))
        return [{"ResourceType": "AWS::ECR::Repository", "ResourceName": arn}] if arn else []
    found: dict[str, str] = {}
    for name, value in (*_strings(entry.params), *_strings(_result(entry))):
        identifier = _EC2_ID.fullmatch(value) if entry.service == "ec2" else None
        kind = _EC2_TYPES[identifier["type"]] if identifier else _NAMED.get((entry.service, name))
        if name == "GroupName" and entry.operation.endswith("PlacementGroup"):
            kind = "AWS::EC2::PlacementGroup"
        if name == "Arn" and entry.operation == "CreatePolicy":
            kind = "AWS::IAM::Policy"
        if kind:
            found[value] = kind
    return [{"ResourceType": kind, "ResourceName": name} for name, kind in found.items()]


def _strings(value: Any, name: str = "") -> Iterator[tuple[str, str]]:
    if isinstance(value, Mapping):
        for key, item in value.items():
            yield from _strings(item, key)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _strings(item, name)
    elif isinstance(value, str):
        yield name, value


def _refusal(entry: Entry) -> tuple[str, str]:
    refused = entry.refusal
    if refused is None and entry.reply is not None and entry.reply.status >= 300:
        refused = wire.refusal_of(entry.service, entry.operation, entry.request, entry.reply)
    if refused is None:
        return "", ""
    if entry.service == "ec2":
        return f"{'Client' if refused.status < 500 else 'Server'}.{refused.code}", refused.message
    code = f"{refused.code}Exception" if refused.code == "NoSuchEntity" else refused.code
    return code, refused.message


def _parameters(entry: Entry) -> Json:
    shape = wire.input_shape(entry.service, entry.operation)
    params = {**entry.params, **_in_url(entry)} if entry.service == "batch" else entry.params
    if entry.service != "ec2":
        return dict(_lowered(params, shape))
    if _EC2_NEWER.fullmatch(entry.operation):
        return {f"{entry.operation}Request": _capitals(params, shape)}
    return dict(_items(params, shape, resources=entry.operation in ("CreateTags", "DeleteTags")))


def _in_url(entry: Entry) -> Json:
    """What a request to AWS Batch has in its path and query: the tags of a resource."""
    _, found, arn = entry.request.path.partition("/v1/tags/")
    keys = parse_qs(entry.request.query).get("tagKeys")
    return {**({"resourceArn": unquote(arn)} if found else {}), **({"tagKeys": keys} if keys else {})}


def _result(entry: Entry) -> Json:
    """The reply in the API's names; empty for a refusal."""
    if entry.reply is None or entry.reply.status >= 300:
        return {}
    if entry.service in ("batch", "scheduler"):
        body = json.loads(entry.reply.body or b"{}")
        return body if isinstance(body, dict) else {}
    return wire.result_of(entry.service, entry.operation, entry.request, entry.reply) or {}


def _response(entry: Entry) -> Json:
    return dict(_lowered(_result(entry), wire.output_shape(entry.service, entry.operation)))


def _small(name: str) -> str:
    return name[:1].lower() + name[1:]


def _hidden(shape: Any) -> bool:
    return bool(shape is not None and shape.metadata.get("sensitive"))


def _below(shape: Any, name: str) -> Any:
    return getattr(shape, "members", {}).get(name) if shape is not None else None


def _lowered(value: Any, shape: Any) -> Any:
    if _hidden(shape):
        return HIDDEN
    kind = getattr(shape, "type_name", "")
    if isinstance(value, Mapping):
        if kind == "map":
            return {key: _lowered(item, shape.value) for key, item in value.items()}
        return {_small(key): _lowered(item, _below(shape, key)) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_lowered(item, shape.member if kind == "list" else None) for item in value]
    return _plain(value)


def _items(value: Any, shape: Any, *, resources: bool = False) -> Any:
    if _hidden(shape):
        return _EC2_HIDDEN
    kind = getattr(shape, "type_name", "")
    if isinstance(value, Mapping):
        found = {}
        for key, item in value.items():
            made = _items(item, _below(shape, key))
            if resources and key == "Resources":
                made = {"items": [{"resourceId": one} for one in item]}
            found[_EC2_NAMES.get(key, _small(key))] = made
        return found
    if isinstance(value, list | tuple):
        inner = shape.member if kind == "list" else None
        return {"items": [_items(item, inner) for item in value]} if value else {}
    return _plain(value)


def _capitals(value: Any, shape: Any) -> Any:
    if _hidden(shape):
        return _EC2_HIDDEN
    kind = getattr(shape, "type_name", "")
    if isinstance(value, Mapping):
        found = {}
        for key, item in value.items():
            below = _below(shape, key)
            made = _capitals(item, below)
            found[key.removesuffix("s") if isinstance(item, list | tuple) else key] = made
        return found
    if isinstance(value, list | tuple):
        made = [_capitals(item, shape.member if kind == "list" else None) for item in value]
        return made[0] if len(made) == 1 else made
    return _plain(value)


def _plain(value: Any) -> Any:
    return value if isinstance(value, str | int | float | bool | None) else str(value)
